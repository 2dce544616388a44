"""One machine: what its sensors say at any moment. Pure and seeded: the same moment, the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.bearings import Orders, find, orders_of
from ingest.contract.channels import (
    AMBIENT,
    COUNT_GOOD,
    COUNT_TOTAL,
    ENERGY_KWH,
    POWER_FACTOR,
    POWER_KW,
    SPEED_RPM,
    STATE,
    TEMPERATURE,
)
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MAX_RATE_HZ, MIN_BLOCK_SAMPLES
from ingest.contract.values import AXES, Scalar, Waveform
from simulators.day import Rating
from simulators.faults import EFFECTS, SENSOR_FAULTS, Fault
from simulators.kinds import KINDS, MachineKind, can_have
from simulators.life import Life, Moment
from simulators.pickup import SCALE_G, counts, falsify
from simulators.plant_clock import PlantClock
from simulators.shifts import WorkPattern
from simulators.vibration import Vibration

DEFAULT_RATE_HZ: Final = 25_600.0
DEFAULT_SAMPLES: Final = 8_192
DEFAULT_BEARING: Final = "6205"
DEFAULT_ORIGIN_NS: Final = 1_767_225_600_000_000_000
"""2026-01-01 00:00 UTC: counters start here unless the clock says otherwise."""
JAKARTA_S: Final = 7 * 3600
LINE_VOLTAGE_V: Final = 400.0
PHASES: Final = ("L1", "L2", "L3")


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Three axes of one block. counts: (3, n) int16, x y z; scale_g: g per count; start_ns: sensor time."""

    counts: NDArray[np.int16]
    rate_hz: float
    scale_g: float
    start_ns: int

    @property
    def signal_g(self) -> NDArray[np.float32]:
        """Acceleration: (3, n) g."""
        return self.counts * np.float32(self.scale_g)

    def waveforms(self, axes: Sequence[str] = AXES) -> tuple[Waveform, ...]:
        """The same as values of the contract, sharing the memory of `counts`."""
        little_endian = self.counts.astype("<i2", copy=False)
        return tuple(
            Waveform(
                axis=axis,
                samples=memoryview(little_endian[AXES.index(axis)]).cast("B"),
                sample_type="int16",
                rate_hz=self.rate_hz,
                scale_g=self.scale_g,
                start_ns=self.start_ns,
            )
            for axis in axes
        )


class MachineModel:
    """A motor, its bearings and what they drive.

    kind: key of `KINDS`; rated_power_kw: at the shaft; rated_rpm: at full load; orders: of the bearing that
    wears, a 6205 when None; seed: everything that differs between two machines of a kind; faults: what grows,
    in plant time; clock: compresses shifts and wear, not waveforms; pattern, utc_offset_s: when it works;
    gear_teeth, vanes: 0 takes the kind's own. Raises ValueError for a rating, kind or fault that cannot be.
    """

    def __init__(
        self,
        kind: str,
        rated_power_kw: float,
        rated_rpm: float,
        *,
        orders: Orders | None = None,
        seed: int = 0,
        faults: Sequence[Fault] = (),
        clock: PlantClock | None = None,
        pattern: WorkPattern | None = None,
        utc_offset_s: int = JAKARTA_S,
        gear_teeth: int = 0,
        vanes: int = 0,
    ) -> None:
        rating = Rating(_kind(kind, gear_teeth, vanes), rated_power_kw, rated_rpm)
        if not 0.05 <= rated_power_kw <= 100_000:
            raise ValueError(f"rated_power_kw must be in [0.05, 100000], got {rated_power_kw}")
        if not 60 <= rated_rpm <= 3_000:
            raise ValueError(f"rated_rpm must be in [60, 3000] on 50 Hz mains, got {rated_rpm}")
        if seed < 0:
            raise ValueError(f"seed must not be negative, got {seed}")
        for fault in faults:
            if not can_have(kind, fault.kind):
                raise ValueError(f"a {kind} has no part that {fault.kind} could break")
        self.kind, self.rating, self.seed, self.faults = kind, rating, seed, tuple(faults)
        self.life = Life(
            rating,
            seed,
            self.faults,
            clock or PlantClock(DEFAULT_ORIGIN_NS),
            pattern or WorkPattern(),
            utc_offset_s,
        )
        self._vibration = Vibration(rating, orders or orders_of(find(DEFAULT_BEARING)), seed, self.faults)
        rng = np.random.default_rng((seed, 12))
        self._first_reading_kwh = float(rng.uniform(1_000, 200_000))
        self._phase_skew = rng.normal(0.0, 0.004, 3)

    def block(
        self, time_ns: int, n_samples: int = DEFAULT_SAMPLES, rate_hz: float = DEFAULT_RATE_HZ
    ) -> Block:
        """Vibration from a moment of sensor time on. Raises ValueError outside the limits of a block."""
        if not MIN_BLOCK_SAMPLES <= n_samples <= MAX_BLOCK_SAMPLES or not 200.0 <= rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"no block of {n_samples} samples at {rate_hz} Hz")
        moment = self.life.moment(time_ns)
        rng = self._rng(time_ns, 21)
        seconds = (time_ns % 1_000_000_000) * 1e-9
        signal = self._vibration.signal(rng, moment, seconds, n_samples, rate_hz)
        for fault in self.faults:
            severity = fault.severity_at(moment.plant_ns) if fault.kind in SENSOR_FAULTS else 0.0
            if severity > 0.0:
                signal = falsify(signal, fault.kind, severity, rng)
        return Block(counts(signal), rate_hz, SCALE_G, time_ns)

    def scalars(self, time_ns: int) -> dict[str, float]:
        """Everything else that is measured at a moment of sensor time, by channel."""
        moment = self.life.moment(time_ns)
        rng = self._rng(time_ns, 22)
        ripple = rng.standard_normal(8)
        power_kw = moment.power_kw * (1.0 + 0.004 * ripple[0])
        factor = _power_factor(moment.power_kw / self.rating.full_power_kw)
        voltages = LINE_VOLTAGE_V * (1.0 + 0.006 * math.sin(time_ns * 1e-9 / 900.0) + 0.001 * ripple[1:4])
        current = power_kw * 1e3 / (math.sqrt(3.0) * LINE_VOLTAGE_V * factor) if factor else 0.0
        currents = current * (1.0 + self._phase_skew + self._current_skew(moment))
        values = {
            f"{TEMPERATURE}winding": moment.winding_degc + 0.15 * ripple[4],
            f"{TEMPERATURE}bearing": moment.bearing_degc + 0.15 * ripple[5],
            AMBIENT: moment.ambient_degc + 0.1 * ripple[6],
            POWER_KW: power_kw,
            ENERGY_KWH: self._first_reading_kwh + moment.energy_kwh,
            POWER_FACTOR: factor,
            SPEED_RPM: max(moment.speed_rpm + 0.3 * ripple[7] * (moment.speed_rpm > 0), 0.0),
            STATE: float(moment.state),
        }
        values |= {f"Current/{phase}": float(i) for phase, i in zip(PHASES, currents, strict=True)}
        values |= {f"Voltage/{phase}": float(u) for phase, u in zip(PHASES, voltages, strict=True)}
        if self.rating.kind.units_per_hour:
            values |= {COUNT_TOTAL: math.floor(moment.total), COUNT_GOOD: math.floor(moment.good)}
        return {channel: float(value) for channel, value in values.items()}

    def telemetry(
        self, time_ns: int, n_samples: int = DEFAULT_SAMPLES, rate_hz: float = DEFAULT_RATE_HZ
    ) -> tuple[Waveform | Scalar, ...]:
        """Vibration and scalars of one moment, as values of the contract."""
        scalars = (Scalar(channel, value, time_ns) for channel, value in self.scalars(time_ns).items())
        return (*self.block(time_ns, n_samples, rate_hz).waveforms(), *scalars)

    def moment(self, time_ns: int) -> Moment:
        """The truth behind the sensors at a moment of sensor time."""
        return self.life.moment(time_ns)

    def is_planned(self, time_ns: int) -> bool:
        """Whether its shifts want it at a moment of sensor time."""
        return self.life.is_planned(time_ns)

    def severity(self, time_ns: int) -> float:
        """The worst fault at a moment of sensor time; 0 is healthy, 1 is zone D."""
        plant_ns = self.life.clock.plant_ns(time_ns)
        return max((fault.severity_at(plant_ns) for fault in self.faults), default=0.0)

    def stop(self, at_ns: int) -> None:
        """Somebody stops the machine at a moment of sensor time."""
        self.life.stop(at_ns)

    def resume(self, at_ns: int) -> None:
        """Somebody at the machine starts it again."""
        self.life.resume(at_ns)

    def _current_skew(self, moment: Moment) -> NDArray[np.float64]:
        """Shares by which the phases leave their mean when the windings are ill: (3,)."""
        skew = sum(
            EFFECTS[fault.kind].current_imbalance * fault.severity_at(moment.plant_ns)
            for fault in self.faults
        )
        return skew * np.array([1.0, -0.6, -0.4])

    def _rng(self, time_ns: int, purpose: int) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64((self.seed, purpose, time_ns & 0xFFFFFFFF, time_ns >> 32)))


def _kind(name: str, gear_teeth: int, vanes: int) -> MachineKind:
    if name not in KINDS:
        raise ValueError(f"no machine kind {name!r}; write one of {', '.join(sorted(KINDS))}")
    own = KINDS[name]
    return replace(own, vanes=vanes or own.vanes, gear_teeth=gear_teeth or own.gear_teeth)


def _power_factor(draw: float) -> float:
    """Power factor of an induction motor by the share of full power it draws; 0 when it is off."""
    return 0.2 + 0.66 * (1.0 - math.exp(-3.2 * draw)) if draw > 0 else 0.0
