"""The stream's state as bytes and back: versioned, no pickle, and open to change.

An array that a newer version adds starts fresh; one that it no longer knows is left out; machines are found
again by their id, so that the plant file may change between two starts.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from ingest.contract.plant import Plant
from models.alarms.book import Alarm
from models.online.layout import slots_from_names
from models.settings import Settings
from models.state import MAX_ACTIONS_REMEMBERED, Advised, Effect, SensorWatch, StreamState, new_state

VERSION: Final = 1
MAGIC: Final = b"MITRA-STREAM\0"
MAX_STATE_BYTES: Final = 2 << 30
COMPRESSION: Final = 1


class StateError(ValueError):
    """These bytes are no state of the stream that this version can read."""


class Array(msgspec.Struct, frozen=True, array_like=True):
    """One array of the memory, little-endian, C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class SavedEffect(msgspec.Struct, frozen=True):
    """`state.Effect` with its baseline shift as an array."""

    action_id: str
    machine: str
    multiplier: float
    allowance: float
    regime: int
    shift: Array | None


class Saved(msgspec.Struct, frozen=True):
    """All of a state but the plant file."""

    version: int
    settings: Settings
    machines: list[str]
    arrays: dict[str, Array]
    layouts: list[list[str]]
    layout_of: list[int]
    alarms: list[Alarm]
    out_of_service: dict[str, str]
    raised: list[tuple[int, str]]
    refused: dict[str, int]
    advised: dict[str, Advised]
    effects: list[SavedEffect]
    sensors: dict[str, SensorWatch]
    actions_seen: list[str]
    dropped: dict[str, int]
    verdicts: list[tuple[int, str, str, str]]


MIGRATIONS: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""From a version to the next, on the decoded tables.

A change that fresh arrays cannot bridge gets a line here.
"""


def _pack(array: np.ndarray[Any, Any]) -> Array:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return Array(little.dtype.str, little.shape, little.tobytes())


def _unpack(saved: Array) -> np.ndarray[Any, Any]:
    kind = np.dtype(saved.dtype)
    return np.frombuffer(saved.data, kind).reshape(saved.shape).astype(kind.newbyteorder("="))


def dump(state: StreamState) -> bytes:
    """The whole state; equal states give equal bytes."""
    layouts = list({layout.names: layout for layout in state.layout_of})
    at = {names: i for i, names in enumerate(layouts)}
    saved = Saved(
        version=VERSION,
        settings=state.settings,
        machines=[machine.id for machine in state.machines],
        arrays={name: _pack(array) for name, array in state.memory._asdict().items()},
        layouts=[list(names) for names in layouts],
        layout_of=[at[layout.names] for layout in state.layout_of],
        alarms=list(state.book.alarms.values()),
        out_of_service=state.book.out_of_service,
        raised=list(state.book.raised),
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
        actions_seen=list(state.actions_seen),
        dropped=state.dropped,
        verdicts=list(state.verdicts),
    )
    return MAGIC + zlib.compress(msgspec.msgpack.encode(saved), COMPRESSION)


def load(data: bytes, plant: Plant, settings: Settings | None = None) -> StreamState:
    """The state of a dump for this plant file. settings: None keeps those of the dump. Raises StateError."""
    saved = _decode(data)
    state = new_state(plant, settings or saved.settings)
    pairs = [(state.index[name], old) for old, name in enumerate(saved.machines) if name in state.index]
    new_at, old_at = [new for new, _ in pairs], [old for _, old in pairs]
    for name, array in state.memory._asdict().items():
        found = saved.arrays.get(name)
        if found is None or found.shape[1:] != array.shape[1:] or found.dtype != array.dtype.str:
            continue
        array[new_at] = _unpack(found)[old_at]
    for new, old in pairs:
        names = tuple(saved.layouts[saved.layout_of[old]])
        slots = slots_from_names(names)
        if tuple(slot.name for slot in slots) != names:
            raise StateError(
                "the dump watches columns that this version does not know; start the stream afresh"
            )
        state.layout_of[new] = state.layouts.named(names, slots, 0)
    _load_people(state, saved)
    return state


def _load_people(state: StreamState, saved: Saved) -> None:
    known = state.index
    state.book.alarms = {
        (alarm.machine, alarm.domain): alarm for alarm in saved.alarms if alarm.machine in known
    }
    state.book.out_of_service = {name: by for name, by in saved.out_of_service.items() if name in known}
    state.book.raised.extend(saved.raised)
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
    state.actions_seen = OrderedDict.fromkeys(saved.actions_seen)
    state.dropped = saved.dropped
    state.verdicts = deque(saved.verdicts, maxlen=MAX_ACTIONS_REMEMBERED)


def _decode(data: bytes) -> Saved:
    if not data.startswith(MAGIC):
        raise StateError("this is no saved state of the stream")
    unzip = zlib.decompressobj()
    try:
        raw = unzip.decompress(data[len(MAGIC) :], MAX_STATE_BYTES)
        tables: dict[str, Any] = msgspec.msgpack.decode(raw)
        version = int(tables["version"])
        if version > VERSION:
            raise StateError(
                f"the state was saved by a newer Mitra (version {version}); update, or start afresh"
            )
        while version < VERSION:
            tables = MIGRATIONS[version](tables)
            version += 1
        return msgspec.convert(tables, Saved)
    except (zlib.error, msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise StateError(f"the saved state is damaged ({error}); start afresh from the journal") from error
