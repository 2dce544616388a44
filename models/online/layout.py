"""From rows of any schema to fixed slots: which columns feed which slot of a machine.

A machine's layout is the union of what it has ever sent, in order of appearance, at most MAX_SLOTS slots.
Layouts are shared by machines that send the same, so that rows of many machines become one matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.temperature import OVER_LIMIT, RISE
from ingest.contract.channels import AMBIENT, POWER_KW, SPEED_RPM, STATE, TEMPERATURE
from ingest.contract.values import AXES
from models.online.columns import COMPONENTS, MAX_SLOTS, MAX_SOURCES, VIBRATION, Watch, watch_of_channel

if TYPE_CHECKING:
    from ingest.contract.rows import FeatureRow

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FACTS = (
    "speed_rpm",
    "power_kw",
    "state",
    "velocity_mm_s",
    "hottest_c",
    "ambient_c",
    "loudest_g",
    "clipped_share",
    "champion",
)
"""What the kernel is told beside the slots: NaN when the row does not say."""
SPEED, POWER, RUN_STATE, VELOCITY, HOTTEST, AMBIENT_C, LOUDEST, CLIPPED, CHAMPION = range(len(FACTS))
N_FACTS = len(FACTS)
MAX_SCHEMAS = 4096
MAX_PLACES = 12
CHAMPION_COLUMN = "Mitra/Champion/"
"""Followed by the model: its score over its alarm level, of the machine's newest row some moments ago."""
CHALLENGER_COLUMN = "Mitra/Challenger/"

JOINT: Final = (
    "other",
    "velocity_rms_mm_s",
    "rms",
    "envelope_rms_g",
    "rms_g",
    "current",
    "unbalance",
    "peak",
    "order_1_g",
    "mesh_g",
    "vane_g",
    "line_2_g",
    "kurtosis",
)
"""Kinds of quantities that are watched together, the first first, where a machine has more than there are
places."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One watched quantity of a machine. name: as a person reads it, `x.rms_g` or the channel's own name."""

    name: str
    watch: Watch
    sources: tuple[str, ...]


class Tables(NamedTuple):
    """A layout as arrays of (MAX_SLOTS,), for the kernel. component is -1 where there is no slot.

    places: (MAX_PLACES,) slots that are watched together, -1 for none.
    """

    log: NDArray[np.bool_]
    rises: NDArray[np.bool_]
    level: NDArray[np.bool_]
    component: Ints
    floor: Floats
    weight: Floats
    places: Ints


def _slots_of(names: tuple[str, ...]) -> list[Slot]:
    known = set(names)
    slots = []
    for axis in AXES:
        for watch in VIBRATION:
            sources = tuple(f"{axis}.{base}" for base in watch.sources or (watch.name,))
            if known.issuperset(sources):
                slots.append(Slot(f"{axis}.{watch.name}", watch, sources))
    for name in names:
        # A rise over ambient says more than a temperature: it does not follow the weather.
        if name[:2] not in {"x.", "y.", "z."} and f"{name}{RISE}" not in known:
            channel_watch = watch_of_channel(name)
            if channel_watch is not None:
                slots.append(Slot(name, channel_watch, (name,)))
    return slots


def _fact_columns(names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    at = {name: i for i, name in enumerate(names)}

    def one(name: str) -> tuple[int, ...]:
        return (at[name],) if name in at else ()

    def each(base: str) -> tuple[int, ...]:
        return tuple(at[key] for axis in AXES if (key := f"{axis}.{base}") in at)

    derived = (RISE, OVER_LIMIT)
    hot = tuple(
        i
        for name, i in at.items()
        if name.startswith(TEMPERATURE) and name != AMBIENT and not name.endswith(derived)
    )
    return (
        one(SPEED_RPM),
        one(POWER_KW),
        one(STATE),
        each("velocity_rms_mm_s"),
        hot,
        one(AMBIENT),
        each("rms_g"),
        each("clipped_share"),
        tuple(i for name, i in at.items() if name.startswith(CHAMPION_COLUMN)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The slots of one kind of machine, and how many watched quantities found no room."""

    slots: tuple[Slot, ...]
    n_left_out: int
    tables: Tables = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the slots, in order."""
        return tuple(slot.name for slot in self.slots)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How rows of one schema fill a layout: sources (MAX_SLOTS, MAX_SOURCES), columns or -1.

    Facts likewise. champion: label of the batch model whose word such rows carry, "" for none; pair:
    columns of its word and its challenger's, and the challenger's label.
    """

    layout: Layout
    names: tuple[str, ...]
    sources: Ints
    facts: Ints
    champion: str = ""
    pair: tuple[int, int, str] | None = None


def _places_of(slots: tuple[Slot, ...]) -> Ints:
    """Slots that are watched together: all when there is room, else the kinds that `JOINT` names first.

    No temperature: it follows the load an hour behind, so that each change of load breaks its relations.
    """
    rank = {name: i for i, name in enumerate(JOINT)}
    quick = [s for s, slot in enumerate(slots) if slot.watch.component != "thermal"]
    order = sorted(quick, key=lambda s: (rank.get(slots[s].watch.name, len(JOINT)), s))
    kept = sorted(order[:MAX_PLACES])
    return np.array(kept + [-1] * (MAX_PLACES - len(kept)), np.int64)


def make_layout(slots: tuple[Slot, ...], n_left_out: int = 0) -> Layout:
    """A layout of at most MAX_SLOTS slots; the rest is counted in `n_left_out`."""
    kept, n_over = slots[:MAX_SLOTS], max(0, len(slots) - MAX_SLOTS)
    n = len(kept)
    tables = Tables(
        np.zeros(MAX_SLOTS, np.bool_),
        np.zeros(MAX_SLOTS, np.bool_),
        np.zeros(MAX_SLOTS, np.bool_),
        np.full(MAX_SLOTS, -1, np.int64),
        np.zeros(MAX_SLOTS),
        np.zeros(MAX_SLOTS),
        _places_of(kept),
    )
    tables.log[:n] = [slot.watch.transform == 0 for slot in kept]
    tables.rises[:n] = [slot.watch.rises for slot in kept]
    tables.level[:n] = [slot.watch.level for slot in kept]
    tables.component[:n] = [COMPONENTS.index(slot.watch.component) for slot in kept]
    tables.floor[:n] = [slot.watch.floor for slot in kept]
    tables.weight[:n] = [slot.watch.weight for slot in kept]
    return Layout(kept, n_left_out + n_over, tables)


class Layouts:
    """All layouts and plans met so far, found again by identity first.

    A schema is one shared tuple of names.
    """

    def __init__(self) -> None:
        self.empty = make_layout(())
        self._interned: dict[tuple[str, ...], Layout] = {(): self.empty}
        self._plans: dict[tuple[int, int], Plan] = {}
        self._schemas: dict[tuple[str, ...], tuple[str, ...]] = {}

    def plan(self, layout: Layout, names: tuple[str, ...]) -> Plan:
        """How a row with these names is read by a machine of this layout.

        The plan's layout may be a wider one.
        """
        found = self._plans.get((id(layout), id(names)))
        if found is not None and found.names is names:
            return found
        shared = self._schemas.setdefault(names, names)
        if shared is not names:
            return self.plan(layout, shared)
        if len(self._plans) >= MAX_SCHEMAS:
            self._plans.clear()
        plan = self._make(layout, names)
        self._plans[id(layout), id(names)] = plan
        return plan

    def named(self, slot_names: tuple[str, ...], make: tuple[Slot, ...], n_left_out: int) -> Layout:
        """The interned layout of these slots."""
        layout = self._interned.get(slot_names)
        if layout is None:
            layout = self._interned[slot_names] = make_layout(make, n_left_out)
        return layout

    def _make(self, layout: Layout, names: tuple[str, ...]) -> Plan:
        slots = _slots_of(names)
        have = set(layout.names)
        new = tuple(slot for slot in slots if slot.name not in have)
        if new:
            union = (*layout.slots, *new)
            kept = union[:MAX_SLOTS]
            layout = self.named(tuple(slot.name for slot in kept), union, layout.n_left_out)
        at = {name: i for i, name in enumerate(names)}
        by_name = {slot.name: slot for slot in slots}
        sources = np.full((MAX_SLOTS, MAX_SOURCES), -1, np.int64)
        for i, slot in enumerate(layout.slots):
            found = by_name.get(slot.name)
            if found is not None:
                sources[i, : len(found.sources)] = [at[source] for source in found.sources]
        facts = np.full((N_FACTS, 8), -1, np.int64)
        for i, columns in enumerate(_fact_columns(names)):
            facts[i, : min(8, len(columns))] = columns[:8]
        said_by = facts[CHAMPION, 0]
        champion = names[said_by].removeprefix(CHAMPION_COLUMN) if said_by >= 0 else ""
        return Plan(layout, names, sources, facts, champion, _pair_of(at, champion))


def _pair_of(at: dict[str, int], champion: str) -> tuple[int, int, str] | None:
    """Columns of a champion's word and of the challenger of the same name, and that one's label."""
    start = CHALLENGER_COLUMN + champion.partition("@")[0] + "@"
    for name, column in at.items():
        if champion and name.startswith(start):
            return at[CHAMPION_COLUMN + champion], column, name.removeprefix(CHALLENGER_COLUMN)
    return None


def slots_from_names(slot_names: tuple[str, ...]) -> tuple[Slot, ...]:
    """Rebuild slots from their names, as a saved state lists them."""
    by_base = {watch.name: watch for watch in VIBRATION}
    slots = []
    for name in slot_names:
        axis, dot, base = name.partition(".")
        watch = by_base.get(base) if dot and axis in AXES else watch_of_channel(name)
        if watch is None:
            continue
        bases = watch.sources or (watch.name,)
        sources = tuple(f"{axis}.{one}" for one in bases) if dot and axis in AXES else (name,)
        slots.append(Slot(name, watch, sources))
    return tuple(slots)


def values_of(rows: list[FeatureRow]) -> NDArray[np.float32]:
    """Values of rows of one schema, (n, columns)."""
    if len(rows) == 1:
        return rows[0].values[np.newaxis, :]
    return np.stack([row.values for row in rows])
