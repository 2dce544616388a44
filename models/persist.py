"""The stream's state as bytes and back: versioned, no pickle, and open to change.

An array that a newer version adds starts fresh; one that it no longer knows is left out; machines are found
again by their id, so that the plant file may change between two starts.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import numpy as np

from features import rounds
from ingest.contract.plant import Machine, Plant
from ingest.contract.rows import RemainingLife
from models.alarms.book import Alarm
from models.diagnosis.cadence import Held
from models.frame import Blob, StateError, frame, unframe
from models.online.drift_watch import N_LEVELS, DriftWatch
from models.online.layout import MAX_PLACES, slots_from_names
from models.online.members import Member
from models.online.memory import MAX_REGIMES, Memory
from models.online.panel_memory import Panel
from models.online.side_by_side import SideBySide
from models.settings import Settings
from models.state import MAX_ACTIONS_REMEMBERED, Advised, Effect, SensorWatch, StreamState, new_state

VERSION: Final = 2
BY_REGIME: Final = (
    "regime",
    "regime_rows",
    "regime_s",
    "seen_s",
    "mean",
    "var",
    "rows",
    "anchor",
    "point",
)
"""Arrays of the memory with a regime axis. Most machines know one or two regimes: the rest is not written."""


class Array(msgspec.Struct, frozen=True, array_like=True):
    """One array of the memory, little-endian, C order."""

    dtype: str
    shape: tuple[int, ...]
    data: Blob


class SavedEffect(msgspec.Struct, frozen=True):
    """`state.Effect` with its baseline shift as an array."""

    action_id: str
    machine: str
    multiplier: float
    allowance: float
    regime: int
    shift: Array | None


class SavedDrift(msgspec.Struct, frozen=True):
    """`drift_watch.DriftWatch`; count and state have N_LEVELS entries a machine."""

    due_ns: list[int]
    count: Array
    state: Array
    found: list[tuple[int, str, str, float, float]]


class SavedPair(msgspec.Struct, frozen=True, array_like=True):
    """`side_by_side.SideBySide`, by machine of the dump."""

    pair: tuple[str, str]
    days: dict[int, bytes]
    runs: dict[int, tuple[int, int]]


class Saved(msgspec.Struct, frozen=True):
    """All of a state but the plant file."""

    version: int
    settings: Settings
    machines: list[str]
    arrays: dict[str, Array]
    panel: dict[str, Array]
    layouts: list[list[str]]
    layout_of: list[int]
    alarms: list[Alarm]
    out_of_service: dict[str, str]
    refused: dict[str, int]
    advised: dict[str, Advised]
    effects: list[SavedEffect]
    sensors: dict[str, SensorWatch]
    lives: dict[str, RemainingLife]
    actions_seen: list[str]
    champion: str
    drift: SavedDrift
    member: dict[str, Array]
    side_by_side: SavedPair
    dropped: dict[str, int]
    verdicts: list[tuple[int, str, str, str]]
    rounds: dict[str, bytes] = {}
    held: dict[str, Held] = {}


def _without_panel(tables: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew no panel, champion or drift: the panel starts in warm-up."""
    nothing = {"due_ns": [], "count": ["<i8", [0], b""], "state": ["<f8", [0, 4], b""], "found": []}
    return {
        **tables,
        "panel": {},
        "champion": "",
        "drift": nothing,
        "member": {},
        "side_by_side": [["", ""], {}, {}],
    }


MIGRATIONS: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {1: _without_panel}
"""From a version to the next, on the decoded tables.

A change that fresh arrays cannot bridge gets a line here.
"""


def _pack(array: np.ndarray[Any, Any]) -> Array:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return Array(little.dtype.str, little.shape, Blob(little.tobytes()))


def _unpack(saved: Array) -> np.ndarray[Any, Any]:
    kind = np.dtype(saved.dtype)
    return np.frombuffer(saved.data.data, kind).reshape(saved.shape).astype(kind.newbyteorder("="))


def _known_regimes(memory: Memory) -> np.ndarray[Any, Any]:
    """Which (machine, regime) pairs hold anything: (M, R)."""
    return np.arange(MAX_REGIMES) < memory.n_regimes[:, np.newaxis]


def _arrays(memory: Memory) -> dict[str, Array]:
    """Every array; of those by regime only the rows that hold anything."""
    known = _known_regimes(memory)
    return {
        name: _pack(array[known] if name in BY_REGIME else array) for name, array in memory._asdict().items()
    }


def _fill(memory: Memory, arrays: dict[str, Array], new_at: list[int], old_at: list[int], n_old: int) -> None:
    """Put saved arrays where their machines now are. Arrays of another shape start fresh."""
    fresh = memory._asdict()
    for name, array in fresh.items():
        found = arrays.get(name)
        if name in BY_REGIME or found is None:
            continue
        if found.dtype == array.dtype.str and found.shape[1:] == array.shape[1:]:
            array[new_at] = _unpack(found)[old_at]
    counts = _unpack(arrays["n_regimes"]) if "n_regimes" in arrays else np.zeros(n_old, np.int64)
    known = np.arange(MAX_REGIMES) < counts[:, np.newaxis]
    for name in BY_REGIME:
        found, array = arrays.get(name), fresh[name]
        if found is None or found.dtype != array.dtype.str or found.shape[1:] != array.shape[2:]:
            continue
        whole = np.zeros((n_old, *array.shape[1:]), array.dtype)
        whole[known] = _unpack(found)
        array[new_at] = whole[old_at]


def _fill_panel(panel: Panel, arrays: dict[str, Array], new_at: list[int], old_at: list[int]) -> None:
    """Put a saved panel where its machines now are.

    Its parts mean nothing alone: a panel of another shape starts in warm-up, whole.
    """
    fresh = panel._asdict()
    same = {name: (array.dtype.str, array.shape[1:]) for name, array in fresh.items()}
    if {name: (one.dtype, one.shape[1:]) for name, one in arrays.items()} != same:
        return
    for name, array in fresh.items():
        array[new_at] = _unpack(arrays[name])[old_at]


def _fill_drift(drift: DriftWatch, saved: SavedDrift, pairs: list[tuple[int, int]], known: set[str]) -> None:
    """Put saved drift tests where their machines now are."""
    drift.found.extend(one for one in saved.found if one[1] in known)
    if saved.count.shape[0] != len(saved.due_ns) * N_LEVELS:
        return
    count, sums = _unpack(saved.count), _unpack(saved.state)
    for new, old in pairs:
        if old < len(saved.due_ns):
            here, there = (slice(m * N_LEVELS, (m + 1) * N_LEVELS) for m in (new, old))
            drift.test.count[here], drift.test.state[here] = count[there], sums[there]
            drift.due_ns[new] = saved.due_ns[old]


def _fill_pair(both: SideBySide, saved: SavedPair, pairs: list[tuple[int, int]]) -> None:
    both.pair = saved.pair
    for day, bits in saved.days.items():
        both.days[day] = bytearray(both.n_machines)
        for new, old in pairs:
            both.days[day][new] = bits[old]
    both.runs = {new: saved.runs[old] for new, old in pairs if old in saved.runs}


def _kept(member: Member, machines: tuple[Machine, ...]) -> dict[str, Array]:
    return {machines[m].id: _pack(rows) for m, rows in sorted(member.kept().items())}


def _fill_member(state: StreamState, saved: Saved) -> None:
    """Learn the kept rows again; if the settings now name another detector, its word waits for its own."""
    if state.member is None or saved.settings.detectors != state.settings.detectors:
        state.panel.given[:] = 0.0
        return
    for name, rows in saved.member.items():
        if name in state.index and rows.shape[1:] == (MAX_PLACES,):
            state.member.restore(state.index[name], list(_unpack(rows)))


def dump(state: StreamState) -> bytes:
    """The whole state; equal states give equal bytes."""
    return b"".join(parts(state))


def parts(state: StreamState) -> Iterator[bytes]:
    """`dump` in parts. The state is copied before this returns, and may change while they are taken."""
    names_of = {layout: layout.names for layout in dict.fromkeys(state.layout_of)}
    layouts = list(dict.fromkeys(names_of.values()))
    at = {names: i for i, names in enumerate(layouts)}
    saved = Saved(
        version=VERSION,
        settings=state.settings,
        machines=[machine.id for machine in state.machines],
        arrays=_arrays(state.memory),
        panel={name: _pack(array) for name, array in state.panel._asdict().items()},
        layouts=[list(names) for names in layouts],
        layout_of=[at[names_of[layout]] for layout in state.layout_of],
        alarms=list(state.book.alarms.values()),
        out_of_service=state.book.out_of_service,
        refused=state.book.refused,
        advised=state.advised,
        effects=[
            SavedEffect(
                action_id,
                one.machine,
                one.multiplier,
                one.allowance,
                one.regime,
                None if one.shift is None else _pack(one.shift),
            )
            for action_id, one in state.effects.items()
        ],
        sensors=state.sensors,
        lives=state.lives,
        actions_seen=list(state.actions_seen),
        champion=state.champion,
        drift=SavedDrift(
            list(state.drift.due_ns),
            _pack(state.drift.test.count),
            _pack(state.drift.test.state),
            list(state.drift.found),
        ),
        side_by_side=SavedPair(
            state.side_by_side.pair,
            {day: bytes(bits) for day, bits in state.side_by_side.days.items()},
            state.side_by_side.runs,
        ),
        member={} if state.member is None else _kept(state.member, state.machines),
        dropped=state.dropped,
        verdicts=list(state.verdicts),
        rounds=rounds.dump(state.rounds),
        held=state.held,
    )
    return frame(saved)


def load(data: bytes, plant: Plant, settings: Settings | None = None) -> StreamState:
    """The state of a dump for this plant file. settings: None keeps those of the dump. Raises StateError."""
    saved = _decode(data)
    state = new_state(plant, settings or saved.settings)
    pairs = [(state.index[name], old) for old, name in enumerate(saved.machines) if name in state.index]
    new_at, old_at = [new for new, _ in pairs], [old for _, old in pairs]
    _fill(state.memory, saved.arrays, new_at, old_at, len(saved.machines))
    _fill_panel(state.panel, saved.panel, new_at, old_at)
    _fill_drift(state.drift, saved.drift, pairs, set(state.index))
    _fill_member(state, saved)
    _fill_pair(state.side_by_side, saved.side_by_side, pairs)
    for new, old in pairs:
        names = tuple(saved.layouts[saved.layout_of[old]])
        slots = slots_from_names(names)
        if tuple(slot.name for slot in slots) != names:
            raise StateError(
                "the dump watches columns that this version does not know; start the stream afresh"
            )
        state.layout_of[new] = state.layouts.named(names, slots, 0)
    _load_people(state, saved)
    try:
        rounds.load(state.rounds, saved.rounds)
    except ValueError as error:
        raise StateError(f"the saved state is damaged ({error}); start afresh from the journal") from error
    return state


def _load_people(state: StreamState, saved: Saved) -> None:
    known = state.index
    state.book.alarms = {
        (alarm.machine, alarm.domain): alarm for alarm in saved.alarms if alarm.machine in known
    }
    state.book.out_of_service = {name: by for name, by in saved.out_of_service.items() if name in known}
    state.book.refused = saved.refused
    state.advised = {name: one for name, one in saved.advised.items() if name in known}
    state.effects = OrderedDict(
        (
            one.action_id,
            Effect(
                one.machine,
                one.multiplier,
                one.allowance,
                one.regime,
                None if one.shift is None else _unpack(one.shift),
            ),
        )
        for one in saved.effects
        if one.machine in known
    )
    state.sensors = {name: one for name, one in saved.sensors.items() if name in known}
    state.lives = {name: one for name, one in saved.lives.items() if name in known}
    state.held = {name: one for name, one in saved.held.items() if name in known}
    state.actions_seen = OrderedDict.fromkeys(saved.actions_seen)
    state.champion = saved.champion
    state.dropped = saved.dropped
    state.verdicts = deque(saved.verdicts, maxlen=MAX_ACTIONS_REMEMBERED)


def _decode(data: bytes) -> Saved:
    try:
        tables, find = unframe(data)
        version = int(tables["version"])
        if version > VERSION:
            raise StateError(
                f"the state was saved by a newer Mitra (version {version}); update, or start afresh"
            )
        while version < VERSION:
            tables = MIGRATIONS[version](tables)
            version += 1
        return msgspec.convert(tables, Saved, dec_hook=find)
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise StateError(f"the saved state is damaged ({error}); start afresh from the journal") from error
