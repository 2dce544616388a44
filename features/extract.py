"""Messages in, one feature row a message out. What needs a past is in `rounds`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from msgspec import structs

from features.bearings import find, orders_of
from features.power import DERIVED_POWER, derive_power
from features.rounds import NO_KIND, ROUND_NAMES, call, kind_of, look
from features.table import COLUMN, FEATURE_NAMES, VECTOR_FEATURES
from features.temperature import derive_temperature, temperature_columns
from features.vibration import NOTHING_KNOWN, Facts, extract_blocks, settings_of
from ingest.contract.channels import SPEED_RPM
from ingest.contract.rows import FeatureRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from features.rounds import Call, Rounds
    from ingest.contract.plant import Bearing, Machine
    from ingest.contract.values import Message, Waveform

Shape: TypeAlias = tuple[str, int, str]
Schema: TypeAlias = tuple[tuple[Shape, ...], tuple[str, ...]]

SPEED_COLUMN, CONFIDENCE_COLUMN = "speed_hz", "speed_confidence"
_TYPES: dict[str, np.dtype[Any]] = {"int16": np.dtype("<i2"), "float32": np.dtype("<f4")}


def facts_of(
    machine: Machine, declared: Iterable[Bearing] = (), band_hz: tuple[float, float] | None = None
) -> Facts:
    """What the plant file says that features need. declared: the plant file's own bearings.

    Raises KeyError for a bearing that nobody knows and ValueError for one that cannot be built.
    """
    return Facts(
        orders=orders_of(find(machine.bearing, declared)) if machine.bearing else None,
        gear_teeth=machine.gear_teeth,
        vanes=machine.vanes,
        mains_hz=machine.line_hz,
        band_hz=band_hz,
        speed_hz=None if machine.rated_rpm is None else machine.rated_rpm / 60,
        rated_power_kw=machine.rated_power_kw,
        temperature_limit_c=machine.temperature_limit_c,
    )


def extract(
    messages: Sequence[Message], facts: Mapping[str, Facts], rounds: Rounds | None = None
) -> list[FeatureRow]:
    """One row a message, in order. facts: by machine id; without an entry only the samples speak.

    Messages of the same make-up (axes, lengths, channels) go through the kernel together. Of several
    waveforms of one axis, or values of one channel, the last counts. rounds: what is remembered of the
    machines, changed in place; with it, speeds are remembered and read, and slow columns are made.
    """
    groups: dict[Schema, list[int]] = {}
    for i, message in enumerate(messages):
        groups.setdefault(_schema(message), []).append(i)
    calls = _calls(messages, facts, rounds, groups)
    rows: list[FeatureRow | None] = [None] * len(messages)
    for (shapes, channels), members in groups.items():
        chosen = [messages[i] for i in members]
        called = None if rounds is None else [calls[i] for i in members]
        axes = tuple(shape[0] for shape in shapes)
        names = _names(axes, channels, rounds is not None and SPEED_RPM not in channels)
        values = _values(
            chosen,
            [facts.get(message.machine, NOTHING_KNOWN) for message in chosen],
            called,
            shapes,
            channels,
        )
        for i, message, row in zip(members, chosen, values, strict=True):
            rows[i] = FeatureRow(
                message.machine, message.time_ns, names, row, key=message.key, historical=message.historical
            )
    if rounds is not None:
        _look(rounds, messages, calls, facts, rows)
    return [row for row in rows if row is not None]


def _calls(
    messages: Sequence[Message],
    facts: Mapping[str, Facts],
    rounds: Rounds | None,
    groups: Mapping[Schema, Sequence[int]],
) -> list[Call | None]:
    if rounds is None:
        return [None] * len(messages)
    kinds = [NO_KIND] * len(messages)
    for (shapes, channels), members in groups.items():
        kind = kind_of(bool(shapes), channels)
        for i in members:
            kinds[i] = kind
    return call(rounds, messages, kinds, facts)


def _look(
    rounds: Rounds,
    messages: Sequence[Message],
    calls: Sequence[Call | None],
    facts: Mapping[str, Facts],
    rows: list[FeatureRow | None],
) -> None:
    """Add the slow columns to the rows that make a round, in order."""
    for i, called in enumerate(calls):
        row = rows[i]
        if called is None or called.round_ns is None or row is None:
            continue
        known = facts.get(row.machine, NOTHING_KNOWN)
        slow = look(rounds.machines[row.machine], messages[i], called, known, row)
        rows[i] = structs.replace(row, names=_with_slow(row.names), values=np.concatenate([row.values, slow]))


@lru_cache(maxsize=4_096)
def _with_slow(names: tuple[str, ...]) -> tuple[str, ...]:
    return names + ROUND_NAMES


def _schema(message: Message) -> Schema:
    """What a message brings; of several waveforms of an axis the last counts."""
    return _shared_schema(
        tuple([(wave.axis, wave.n_samples, wave.sample_type) for wave in message.waveforms]),
        tuple([scalar.channel for scalar in message.scalars]),
    )


@lru_cache(maxsize=4_096)
def _shared_schema(shapes: tuple[Shape, ...], channels: tuple[str, ...]) -> Schema:
    return tuple({shape[0]: shape for shape in shapes}.values()), tuple(dict.fromkeys(channels))


@lru_cache(maxsize=4_096)
def _names(axes: tuple[str, ...], channels: tuple[str, ...], asks_speed: bool) -> tuple[str, ...]:
    """The columns of a schema: axes, vector features, speed, channels, derived channels.

    asks_speed: the speed is not told but remembered, read or rated, so its confidence is said too.
    """
    names = [f"{axis}.{feature}" for axis in axes for feature in FEATURE_NAMES]
    if axes:
        names += [feature.name for feature in VECTOR_FEATURES] + [SPEED_COLUMN]
        names += [CONFIDENCE_COLUMN] if asks_speed else []
    names += channels
    names += temperature_columns(channels)
    names += [feature.name for feature in DERIVED_POWER if feature.needs <= set(channels)]
    return tuple(names)


def _values(
    messages: Sequence[Message],
    facts: Sequence[Facts],
    calls: Sequence[Call | None] | None,
    shapes: tuple[Shape, ...],
    channels: tuple[str, ...],
) -> NDArray[np.float32]:
    scalars = _columns(messages, channels)
    parts: list[NDArray[np.float32]] = []
    if shapes:
        speed_hz, confidence = _speeds(facts, calls, scalars)
        settings = settings_of(facts, np.nan, np.nan, speed_hz)
        waves = _by_axis(messages, shapes)
        parts += [_axis(own, shape, settings) for own, shape in zip(waves, shapes, strict=True)]
        stack = np.stack(parts)
        parts += [combine(stack), speed_hz[:, None].astype(np.float32)]
        parts += [] if confidence is None else [confidence[:, None].astype(np.float32)]
    derived = [*scalars.values()]
    derived += derive_temperature(scalars, np.array([_or_nan(fact.temperature_limit_c) for fact in facts]))
    derived += derive_power(scalars, np.array([_or_nan(fact.rated_power_kw) for fact in facts]))
    parts += [column[:, None].astype(np.float32) for column in derived]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(messages), 0), np.float32)


def _columns(messages: Sequence[Message], channels: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    """Values by channel, (len(messages),); the last of a channel counts."""
    if all(len(message.scalars) == len(channels) for message in messages):  # each once, in this order
        values = [[scalar.value for scalar in message.scalars] for message in messages]
        columns = np.array(values, np.float64).reshape(len(messages), len(channels)).T
        return dict(zip(channels, np.ascontiguousarray(columns), strict=True))
    scalars = {channel: np.full(len(messages), np.nan) for channel in channels}
    for i, message in enumerate(messages):
        for scalar in message.scalars:
            scalars[scalar.channel][i] = scalar.value
    return scalars


def _by_axis(messages: Sequence[Message], shapes: tuple[Shape, ...]) -> list[list[Waveform]]:
    """The waveforms of each axis, in the order of the messages; the last of an axis counts."""
    if all(len(message.waveforms) == len(shapes) for message in messages):
        return [[message.waveforms[k] for message in messages] for k in range(len(shapes))]
    lasts = [{wave.axis: wave for wave in message.waveforms} for message in messages]
    return [[last[axis] for last in lasts] for axis, _, _ in shapes]


def _speeds(
    facts: Sequence[Facts], calls: Sequence[Call | None] | None, scalars: Mapping[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Speeds that the orders are taken at, and their confidence where no message tells them."""
    nominal = np.array([fact.speed_hz or np.nan for fact in facts])
    if SPEED_RPM in scalars:
        told = scalars[SPEED_RPM] / 60
        return np.where(told > 0, told, nominal), None
    if calls is None:
        return nominal, None
    unknown = (np.nan, np.nan)
    known = np.array([unknown if one is None else one[:2] for one in calls], np.float64)
    return known[:, 0], known[:, 1]


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _axis(waves: Sequence[Waveform], shape: Shape, settings: NDArray[np.float64]) -> NDArray[np.float32]:
    """Features of one axis of all messages. settings: of all axes; rate and scale are this one's."""
    settings[:, 0] = [wave.scale_g for wave in waves]
    settings[:, 1] = [wave.rate_hz for wave in waves]
    joined = bytearray().join([wave.samples for wave in waves])  # writable, as the kernel wants it
    return extract_blocks(np.frombuffer(joined, _TYPES[shape[2]]).reshape(-1, shape[1]), settings)


def combine(axes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vector features (n, len(VECTOR_FEATURES)) of axes (n_axes, n, len(FEATURES)); NaN axes are left out.

    >>> axes = np.full((2, 1, len(FEATURE_NAMES)), np.nan, np.float32)
    >>> axes[:, 0, COLUMN["rms_g"]] = 3, 4
    >>> float(combine(axes)[0, 0])
    5.0
    """
    columns = []
    for feature in VECTOR_FEATURES:
        values = axes[:, :, COLUMN[feature.name]]
        if feature.how == "largest":
            columns.append(np.fmax.reduce(values, axis=0))
            continue
        known = np.isfinite(values)
        total = np.sqrt(np.sum(np.where(known, values, 0) ** 2, axis=0))
        columns.append(np.where(known.any(axis=0), total, np.nan))
    return np.stack(columns, axis=1).astype(np.float32)
