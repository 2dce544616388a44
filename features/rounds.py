"""The slow round: what is looked at once a minute of a machine's own time, and the little that is remembered.

The first message of a minute that brings a kind of reading (waveforms, temperature, power) makes the round:
its row gets the columns of `ROUND_NAMES`. Minutes are those of sensor time, shifted by machine, so that a
thousand machines do not make their rounds at once. What is remembered changes with the order of a machine's
messages only, never with how they are cut into batches, and all of it can be read back from the rows.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from features.listening import LISTENED, LISTENED_NAMES, listen
from features.speed import from_mains, from_spectrum
from features.table import SlowFeature
from features.trends import HOUR_FEATURES, HOUR_NAMES, SAMPLED, hour, sample
from features.windows import Window, empty, from_bytes, insert, to_bytes
from ingest.contract.channels import AMBIENT, POWER_KW, SPEED_RPM, TEMPERATURE
from ingest.contract.values import AXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from features.vibration import Facts
    from ingest.contract.rows import FeatureRow
    from ingest.contract.values import Message, Waveform

ROUND_NS = 60_000_000_000
SPAN_NS = 60 * ROUND_NS
SUM_UP_EVERY, LISTEN_EVERY = 10, 60
"""Rounds from one summing up of the hour, and from one listening to the waveforms, to the next."""
TOLD_NS = 10 * ROUND_NS
"""How long a speed that was told or read stands for the blocks that come without one."""
MAX_READINGS = 5
SAME_SPEED, MIN_AGREE = 0.03, 3
"""Where no speed is declared, so many of the last readings must agree so closely."""
MIN_CONFIDENCE = 0.5
"""Confidence from which a speed read off the spectrum counts; noise stays below 0.4."""
_WAVES, _HEAT, _POWER = 1, 2, 4

SPEED_FEATURES: tuple[SlowFeature, ...] = (
    SlowFeature(
        "slow.speed_hz", "Hz", "None; orders need it", "comb of six harmonics, where no speed is told"
    ),
    SlowFeature("slow.speed_confidence", "1", "None", "share of the comb that agrees"),
)
ROUND_FEATURES: tuple[SlowFeature, ...] = (*HOUR_FEATURES, *SPEED_FEATURES, *LISTENED)
ROUND_NAMES: tuple[str, ...] = (
    *HOUR_NAMES,
    *(feature.name for feature in SPEED_FEATURES),
    *LISTENED_NAMES,
)
ROUND_STARTS = ("hour.", "slow.")
"""How the names of these columns begin."""
_SPEED = SPEED_FEATURES[0].name


class Kind(NamedTuple):
    """What a message brings. mask: kinds of reading; tells_speed: it has a Speed channel."""

    mask: int
    tells_speed: bool


NO_KIND = Kind(0, False)


class Reading(NamedTuple):
    """One speed read off the spectrum, as float32 holds it."""

    round_ns: int
    hz: float
    confidence: float


class Call(NamedTuple):
    """What a message is taken with: the speed of its orders, how sure it is (NaN: unknown), and its round.

    round_ns: None when it makes none; read: the speed read off this very block, if that was tried; sums_up,
    listens: whether it is the turn of what is done less often.
    """

    speed_hz: float
    confidence: float
    round_ns: int | None = None
    read: Reading | None = None
    sums_up: bool = False
    listens: bool = False


@dataclass(slots=True)
class Past:
    """What is remembered of one machine.

    window: of `trends.SAMPLED`; newest_ns, have: the newest round and the kinds of reading it has had;
    told_ns, told_hz: the last speed that a message told; readings: the last ones off the spectrum;
    summed, listened: the last stretch of rounds in which that had its turn.
    """

    shift_ns: int
    window: Window = field(default_factory=lambda: empty(SAMPLED, SPAN_NS, 64))
    newest_ns: int = -(1 << 62)
    have: int = 0
    told_ns: int = -(1 << 62)
    told_hz: float = np.nan
    readings: tuple[Reading, ...] = ()
    summed: int = -1
    listened: int = -1

    def round_of(self, time_ns: int) -> int:
        """When the round of a moment began."""
        return time_ns - (time_ns + self.shift_ns) % ROUND_NS

    def stretch_of(self, round_ns: int, every: int) -> int:
        """Number of the stretch of `every` rounds that a round lies in."""
        return (round_ns + self.shift_ns * every) // (ROUND_NS * every)

    def turns(self, round_ns: int, mask: int) -> tuple[bool, bool]:
        """Whether this round sums up and listens: the first of a stretch does, however seldom rounds are.

        The very first round has nothing to sum up yet. The first listening goes with the first summing up:
        a plant that starts with thousands of machines must not listen to all of them at once. Late rounds
        have no turn, and only waveforms can be listened to.
        """
        summing = self.stretch_of(round_ns, SUM_UP_EVERY)
        listening = self.stretch_of(round_ns, LISTEN_EVERY)
        sums_up = 0 <= self.summed < summing
        listens = bool(mask & _WAVES) and (sums_up if self.listened < 0 else listening > self.listened)
        self.summed = max(self.summed, summing)
        if listens:
            self.listened = max(self.listened, listening)
        return sums_up, listens

    def speed_at(self, time_ns: int, nominal_hz: float | None) -> tuple[float, float]:
        """Speed and confidence of a block that comes without one: told, else read, else nominal."""
        if abs(time_ns - self.told_ns) <= TOLD_NS and self.told_hz > 0:
            return self.told_hz, 1.0
        fresh = sorted(
            (one for one in self.readings if abs(time_ns - one.round_ns) <= TOLD_NS), key=lambda one: one.hz
        )
        if not fresh:
            return (np.nan, np.nan) if nominal_hz is None else (nominal_hz, 0.0)
        middle = fresh[len(fresh) // 2]
        agree = sum(abs(one.hz / middle.hz - 1) < SAME_SPEED for one in fresh)
        if nominal_hz is None and agree < MIN_AGREE:
            return np.nan, np.nan  # one comb in noise must not become a machine's speed
        return middle.hz, middle.confidence


@dataclass(slots=True)
class Rounds:
    """The past of every machine of the plant file; others are not remembered."""

    machines: dict[str, Past]


def new_rounds(machines: Iterable[str]) -> Rounds:
    """Nothing remembered yet."""
    return Rounds({name: Past(zlib.crc32(name.encode()) * 13 % ROUND_NS) for name in machines})


@lru_cache(maxsize=4_096)
def kind_of(with_waves: bool, channels: tuple[str, ...]) -> Kind:
    """What a message with these channels brings; the channels of a row do as well.

    >>> kind_of(True, ("Speed", "Temperature/bearing"))
    Kind(mask=3, tells_speed=True)
    """
    heat = any(name.startswith(TEMPERATURE) and name != AMBIENT for name in channels)
    mask = with_waves * _WAVES | heat * _HEAT | (POWER_KW in channels) * _POWER
    return Kind(mask, SPEED_RPM in channels)


def call(
    rounds: Rounds, messages: Sequence[Message], kinds: Sequence[Kind], facts: Mapping[str, Facts]
) -> list[Call | None]:
    """What each message is taken with, in order; None for machines that nobody remembers."""
    claimed: set[tuple[str, int]] = set()
    calls: list[Call | None] = []
    for message, kind in zip(messages, kinds, strict=True):
        past = rounds.machines.get(message.machine)
        if past is None:
            calls.append(None)
            continue
        if kind.tells_speed:
            said = [one.value for one in message.scalars if one.channel == SPEED_RPM]
            _note_told(past, message.time_ns, said[-1])
        round_ns = past.round_of(message.time_ns)
        due = _claim(past, message.machine, round_ns, kind.mask, claimed)
        known = facts.get(message.machine)
        nominal_hz, read = None if known is None else known.speed_hz, None
        if due and kind.mask & _WAVES and not kind.tells_speed and known is not None:
            read = _read(past, message, round_ns, known)
        speed_hz, confidence = past.speed_at(message.time_ns, nominal_hz)
        turns = past.turns(round_ns, kind.mask) if due else (False, False)
        calls.append(Call(speed_hz, confidence, round_ns if due else None, read, *turns))
    return calls


def _note_told(past: Past, time_ns: int, rpm: float) -> None:
    if math.isfinite(rpm) and time_ns >= past.told_ns:
        past.told_ns, past.told_hz = time_ns, float(np.float32(rpm)) / 60


def _claim(past: Past, machine: str, round_ns: int, mask: int, claimed: set[tuple[str, int]]) -> bool:
    """Whether this message makes the round, or adds a kind of reading that the newest round lacks."""
    if mask == 0:
        return False
    if round_ns > past.newest_ns:
        past.newest_ns, past.have = round_ns, mask
    elif round_ns == past.newest_ns:
        if not mask & ~past.have:
            return False
        past.have |= mask
    elif round_ns <= past.newest_ns - SPAN_NS or (machine, round_ns) in claimed:
        return False
    else:  # late: its minute may have had its round already
        at = int(np.searchsorted(past.window.times_ns, round_ns))
        if at < len(past.window.times_ns) and past.window.times_ns[at] == round_ns:
            return False
    claimed.add((machine, round_ns))
    return True


def _read(past: Past, message: Message, round_ns: int, known: Facts) -> Reading | None:
    """The speed of this block, tried unless a message told it lately, and kept when it is sure enough.

    Looked for around the declared speed, else around the one that readings agree on, else as that of a motor
    on the mains.
    """
    if abs(message.time_ns - past.told_ns) <= TOLD_NS:
        return None
    about_hz = past.speed_at(message.time_ns, None)[0] if known.speed_hz is None else known.speed_hz
    axes, rate_hz = axes_of(message.waveforms)
    if about_hz > 0:
        found = from_spectrum(axes, rate_hz, about_hz)
    elif known.mains_hz is not None:
        found = from_mains(axes, rate_hz, known.mains_hz)
    else:
        return None
    read = Reading(round_ns, float(np.float32(found.hz)), float(np.float32(found.confidence)))
    _keep(past, read)
    return read


def _keep(past: Past, read: Reading) -> None:
    if read.confidence >= MIN_CONFIDENCE:
        past.readings = (*past.readings, read)[-MAX_READINGS:]


def axes_of(waveforms: Sequence[Waveform]) -> tuple[NDArray[np.float64], float]:
    """Samples in g (n_axes, n) of the axes that have the first one's length and rate, and that rate."""
    first = waveforms[0]
    alike = [one for one in waveforms if (one.n_samples, one.rate_hz) == (first.n_samples, first.rate_hz)]
    kinds = {"int16": "<i2", "float32": "<f4"}
    waves = [np.frombuffer(one.samples, kinds[one.sample_type]) * float(one.scale_g) for one in alike]
    return np.array(waves, np.float64), first.rate_hz


def look(past: Past, message: Message, called: Call, known: Facts, row: FeatureRow) -> NDArray[np.float32]:
    """Values of `ROUND_NAMES` for the message that makes the round. row: what else was made of it."""
    round_ns = called.round_ns
    if round_ns is None:
        raise ValueError("this message makes no round")
    _add(past, round_ns, sample(row.names, row.values))
    hourly, heard = np.full(len(HOUR_FEATURES), np.nan), np.full(len(LISTENED), np.nan)
    if called.sums_up:
        limit_c, rated_kw = (
            np.nan if fact is None else fact for fact in (known.temperature_limit_c, known.rated_power_kw)
        )
        hourly = hour(past.window, round_ns, limit_c, rated_kw)
    read = (np.nan, np.nan) if called.read is None else called.read[1:]
    if called.listens:
        axes, rate_hz = axes_of(message.waveforms)
        heard = listen(axes, rate_hz, called.speed_hz, known.orders)
    return np.concatenate([hourly, read, heard]).astype(np.float32)


def _add(past: Past, round_ns: int, values: NDArray[np.float32]) -> None:
    """Put a sample into the window; what the round already had stays."""
    times = past.window.times_ns
    at = int(np.searchsorted(times, round_ns))
    if at < len(times) and times[at] == round_ns:
        before = past.window.values[at]
        values = np.where(np.isfinite(before), before, values)
    past.window = insert(past.window, round_ns, values)


def recall(rounds: Rounds, rows: Iterable[FeatureRow]) -> None:
    """Remember stored rows as if their messages had come again, in order: after a restart."""
    for row in rows:
        past = rounds.machines.get(row.machine)
        if past is None:
            continue
        with_waves, told, read = _columns(row.names)
        if told >= 0:
            _note_told(past, row.time_ns, float(row.values[told]))
        if read < 0:
            continue
        round_ns, mask = past.round_of(row.time_ns), kind_of(with_waves, row.names).mask
        if round_ns > past.newest_ns:
            past.newest_ns, past.have = round_ns, mask
        elif round_ns == past.newest_ns:
            past.have |= mask
        past.turns(round_ns, mask)
        hz, confidence = (float(value) for value in row.values[read : read + 2])
        if np.isfinite(confidence):
            _keep(past, Reading(round_ns, hz, confidence))
        _add(past, round_ns, sample(row.names, row.values))


@lru_cache(maxsize=4_096)
def _columns(names: tuple[str, ...]) -> tuple[bool, int, int]:
    """Whether a row has waveforms, and the columns of the speed that it tells and reads; -1: none.

    A row that made a round has the second, even when nothing was read. Others may have added columns.
    """
    told = names.index(SPEED_RPM) if SPEED_RPM in names else -1
    with_waves = any(f"{axis}.rms_g" in names for axis in AXES)
    return with_waves, told, names.index(_SPEED) if _SPEED in names else -1


_HEAD = struct.Struct("<qqqdqqB")
_READING = struct.Struct("<qff")


def dump(rounds: Rounds) -> dict[str, bytes]:
    """What is remembered, by machine; those that were never heard are left out."""
    saved = {}
    for name, past in rounds.machines.items():
        if past.newest_ns < 0 and past.told_ns < 0:
            continue
        numbers = (past.newest_ns, past.have, past.told_ns, past.told_hz, past.summed, past.listened)
        head = _HEAD.pack(*numbers, len(past.readings))
        readings = b"".join(_READING.pack(*one) for one in past.readings)
        saved[name] = head + readings + to_bytes(past.window)
    return saved


def load(rounds: Rounds, saved: Mapping[str, bytes]) -> None:
    """Put what `dump` wrote where it belongs; machines that are gone are left out. Raises ValueError."""
    for name, data in saved.items():
        past = rounds.machines.get(name)
        if past is None:
            continue
        if len(data) < _HEAD.size:
            raise ValueError(f"what was remembered of {name} is cut short")
        past.newest_ns, past.have, past.told_ns, past.told_hz = _HEAD.unpack_from(data)[:4]
        past.summed, past.listened, n = _HEAD.unpack_from(data)[4:]
        end = _HEAD.size + n * _READING.size
        if n > MAX_READINGS or len(data) < end:
            raise ValueError(f"what was remembered of {name} is damaged")
        past.readings = tuple(Reading(*one) for one in _READING.iter_unpack(data[_HEAD.size : end]))
        past.window = from_bytes(data[end:], SAMPLED, SPAN_NS, 64)
