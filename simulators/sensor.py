"""The `simulated` sensor: a machine of the plant file, played by its model.

It fits the protocol of `edge.sensors` without importing it; the table there names this class.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import msgspec

from features.bearings import Orders, find, orders_of
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MAX_RATE_HZ, MIN_BLOCK_SAMPLES
from ingest.contract.plant import Machine, Plant
from ingest.contract.plant import Shift as PlannedShift
from ingest.contract.values import Scalar, Waveform
from simulators.faults import Fault, FaultKind
from simulators.machine import (
    DEFAULT_BEARING,
    DEFAULT_ORIGIN_NS,
    DEFAULT_RATE_HZ,
    DEFAULT_SAMPLES,
    MachineModel,
)
from simulators.plant_clock import MAX_SPEEDUP, PlantClock
from simulators.shifts import AROUND_THE_CLOCK, DAY_MINUTES, Shift, WorkPattern

SECOND_NS: Final = 1_000_000_000
FAR_NS: Final = 86_400 * SECOND_NS
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_SWITCH_BYTES: Final = 4_096


class FaultTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of `faults`: onset_s and growth_s in plant seconds, counted from the origin."""

    kind: FaultKind
    onset_s: float
    growth_s: float
    severity: float = 1.0


class SimulatedTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[machine.sensor]` of a simulated machine.

    physics: key of `simulators.kinds.KINDS` when the machine's own kind is none; period_s: between two
    messages; origin: when counters and plant time begin; speedup: plant seconds in a second; shifts: names
    of the plant's shifts that this machine works, all when empty; switches: folder of the run switches.
    """

    seed: int = 0
    physics: str = ""
    period_s: float = 1.0
    n_samples: int = DEFAULT_SAMPLES
    rate_hz: float = DEFAULT_RATE_HZ
    origin: datetime | None = None
    speedup: float = 1.0
    idle_share: float = 0.06
    left_on: float = 0.4
    shifts: tuple[str, ...] = ()
    switches: str = ""
    faults: tuple[FaultTable, ...] = ()

    def __post_init__(self) -> None:
        for name, low, high in (
            ("seed", 0, 2**31),
            ("period_s", 0.001, 86_400),
            ("n_samples", MIN_BLOCK_SAMPLES, MAX_BLOCK_SAMPLES),
            ("rate_hz", 200, MAX_RATE_HZ),
            ("speedup", 1e-6, MAX_SPEEDUP),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be from {low:g} to {high:g}, but it is {getattr(self, name)}")


class SimulatedSensor:
    """A machine's model as a sensor. Raises ValueError with a sentence when the table cannot be played."""

    SAMPLE: ClassVar[Mapping[str, Any]] = {
        "seed": 7,
        "period_s": 1.0,
        "n_samples": 8192,
        "rate_hz": 25_600.0,
        "switches": "switches",
        "faults": [{"kind": "bearing_outer", "onset_s": 86_400.0, "growth_s": 604_800.0}],
    }

    def __init__(self, model: MachineModel, table: SimulatedTable, switch: Path | None) -> None:
        self.model = model
        self._table = table
        self._switch = switch
        self._last_read_ns = 0
        self._n_samples = table.n_samples
        self._period_ns = round(table.period_s * SECOND_NS)

    @classmethod
    def from_config(
        cls, plant: Plant, machine: Machine, config: Mapping[str, Any], folder: Path
    ) -> SimulatedSensor:
        """The sensor of a machine. Raises ValueError; reads nothing."""
        try:
            table = msgspec.convert(dict(config), SimulatedTable)
            model = _model(plant, machine, table)
        except ValueError as error:
            raise ValueError(
                f"Machine {machine.id} cannot be simulated: {error}. "
                "Correct it in the plant file; until then this machine stays silent."
            ) from error
        switch = folder / table.switches / f"{machine.id}.json" if table.switches else None
        return cls(model, table, switch)

    @property
    def period_ns(self) -> int:
        """Nanoseconds between two reads."""
        return self._period_ns

    @property
    def exhausted(self) -> bool:
        """A simulated machine never ends."""
        return False

    def open(self) -> None:
        """Nothing to connect to."""

    def read(self, now_ns: int) -> tuple[Waveform | Scalar, ...]:
        """What the machine says at `now_ns`."""
        self._obey(now_ns)
        self._last_read_ns = now_ns
        return self.model.telemetry(now_ns, self._n_samples, self._table.rate_hz)

    def acquire(self, n_samples: int, period_ns: int) -> bool:
        """Longer or denser waveforms; 0 goes back to the plant file."""
        wanted = n_samples or self._table.n_samples
        self._n_samples = min(max(wanted, MIN_BLOCK_SAMPLES), MAX_BLOCK_SAMPLES)
        self._period_ns = period_ns or round(self._table.period_s * SECOND_NS)
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    def _obey(self, now_ns: int) -> None:
        """Stop or run as the switch file says; no file, or one that nobody can read, changes nothing."""
        if self._switch is None:
            return
        try:
            with self._switch.open("rb") as file:
                said = json.loads(file.read(MAX_SWITCH_BYTES))
                thrown_ns = os.fstat(file.fileno()).st_mtime_ns
        except (OSError, ValueError):
            return
        run = said.get("run") if isinstance(said, dict) else None
        if run is (not self.model.life.is_stopped) or not isinstance(run, bool):
            return
        # Never before the last read: a meter that told its reading does not take it back.
        at_ns = max(_when(thrown_ns, said.get("at"), now_ns), self._last_read_ns)
        if run:
            self.model.resume(at_ns)
        else:
            self.model.stop(at_ns)


def models_of(plant: Plant) -> dict[str, MachineModel]:
    """The models of a plant's simulated machines, by id: the same as its sensors play.

    Raises ValueError for a table that cannot be played.
    """
    found = {}
    for machine in plant.machine:
        config = dict(machine.sensor)
        if config.pop("kind", None) == "simulated":
            found[machine.id] = SimulatedSensor.from_config(plant, machine, config, Path()).model
    return found


def _when(thrown_ns: int, at_s: object, now_ns: int) -> int:
    """When the switch was thrown: by its file or by its own second, when that is near, else now."""
    if 0 <= now_ns - thrown_ns < FAR_NS:
        return thrown_ns
    if isinstance(at_s, int | float) and 0 <= now_ns - at_s * SECOND_NS < FAR_NS:
        return int(at_s * SECOND_NS)
    return now_ns


def _model(plant: Plant, machine: Machine, table: SimulatedTable) -> MachineModel:
    if machine.rated_power_kw is None or machine.rated_rpm is None:
        raise ValueError("its rated_power_kw and rated_rpm are not declared")
    origin_ns = DEFAULT_ORIGIN_NS
    if table.origin is not None:
        aware = table.origin if table.origin.tzinfo else table.origin.replace(tzinfo=UTC)
        origin_ns = round(aware.timestamp()) * SECOND_NS
    origin = datetime.fromtimestamp(origin_ns / SECOND_NS, UTC)
    offset = origin.astimezone(ZoneInfo(plant.plant.timezone)).utcoffset()
    return MachineModel(
        table.physics or machine.kind,
        machine.rated_power_kw,
        machine.rated_rpm,
        orders=_orders(plant, machine),
        seed=table.seed,
        faults=tuple(
            Fault(one.kind, origin_ns + round(one.onset_s * SECOND_NS), one.growth_s, one.severity)
            for one in table.faults
        ),
        clock=PlantClock(origin_ns, table.speedup),
        pattern=WorkPattern(_shifts(plant, table.shifts), table.idle_share, table.left_on),
        utc_offset_s=int(offset.total_seconds()) if offset is not None else 0,
        gear_teeth=machine.gear_teeth,
        vanes=machine.vanes,
    )


def _orders(plant: Plant, machine: Machine) -> Orders:
    """Orders of the machine's bearing; a machine that declares none still has one."""
    try:
        return orders_of(find(machine.bearing or DEFAULT_BEARING, plant.bearing))
    except KeyError as error:
        raise ValueError(error.args[0]) from error


def _shifts(plant: Plant, names: tuple[str, ...]) -> tuple[Shift, ...]:
    known = {shift.name: shift for shift in plant.shift}
    missing = sorted(set(names) - set(known))
    if missing:
        raise ValueError(f"the shift {missing[0]!r} is not declared as [[shift]]")
    chosen = [known[name] for name in names] if names else list(known.values())
    return tuple(_shift(shift) for shift in chosen) or AROUND_THE_CLOCK


def _shift(shift: PlannedShift) -> Shift:
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (shift.start, shift.end))
    return Shift(start % DAY_MINUTES, end, frozenset(DAYS.index(day) for day in shift.days))
