"""What breaks, how it grows, and what it does beyond vibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

GROWTH_STEEPNESS = 3.0
MAX_SEVERITY = 1.5


class FaultKind(StrEnum):
    """Fault codes; the diagnosis uses the same words."""

    BEARING_OUTER = "bearing_outer"
    BEARING_INNER = "bearing_inner"
    BEARING_BALL = "bearing_ball"
    BEARING_CAGE = "bearing_cage"
    IMBALANCE = "imbalance"
    MISALIGNMENT = "misalignment"
    LOOSENESS = "looseness"
    LUBRICATION = "lubrication"
    CAVITATION = "cavitation"
    GEAR = "gear"
    ELECTRICAL = "electrical"
    SENSOR_LOOSE = "sensor_loose"
    SENSOR_SATURATED = "sensor_saturated"
    SENSOR_DEAD = "sensor_dead"


SENSOR_FAULTS: Final = frozenset({FaultKind.SENSOR_LOOSE, FaultKind.SENSOR_SATURATED, FaultKind.SENSOR_DEAD})


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault of severity 1 does beyond vibration.

    bearing_rise_k, winding_rise_k: kelvin over healthy; extra_power: share of the power drawn;
    lost_quality: share of good parts lost; current_imbalance: share by which one phase leaves the mean.
    """

    bearing_rise_k: float = 0.0
    winding_rise_k: float = 0.0
    extra_power: float = 0.0
    lost_quality: float = 0.0
    current_imbalance: float = 0.0


EFFECTS: Final[dict[FaultKind, Effect]] = {
    FaultKind.BEARING_OUTER: Effect(bearing_rise_k=18, extra_power=0.020, lost_quality=0.02),
    FaultKind.BEARING_INNER: Effect(bearing_rise_k=20, extra_power=0.020, lost_quality=0.02),
    FaultKind.BEARING_BALL: Effect(bearing_rise_k=22, extra_power=0.025, lost_quality=0.02),
    FaultKind.BEARING_CAGE: Effect(bearing_rise_k=25, extra_power=0.025, lost_quality=0.03),
    FaultKind.IMBALANCE: Effect(bearing_rise_k=5, extra_power=0.010, lost_quality=0.02),
    FaultKind.MISALIGNMENT: Effect(bearing_rise_k=9, extra_power=0.040, lost_quality=0.02),
    FaultKind.LOOSENESS: Effect(bearing_rise_k=4, extra_power=0.010, lost_quality=0.03),
    FaultKind.LUBRICATION: Effect(bearing_rise_k=30, extra_power=0.050),
    FaultKind.CAVITATION: Effect(bearing_rise_k=3, extra_power=0.030, lost_quality=0.04),
    FaultKind.GEAR: Effect(bearing_rise_k=8, extra_power=0.025, lost_quality=0.02),
    FaultKind.ELECTRICAL: Effect(winding_rise_k=28, extra_power=0.035, current_imbalance=0.08),
    FaultKind.SENSOR_LOOSE: Effect(),
    FaultKind.SENSOR_SATURATED: Effect(),
    FaultKind.SENSOR_DEAD: Effect(),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that grows from nothing.

    onset_ns: plant time of its first trace; growth_s: plant seconds from there to full growth;
    severity: what it grows to, where 1 puts the machine in zone D of ISO 10816-3; repaired_ns: plant time
    of the repair that ends it, None while nobody repairs. Raises ValueError outside these limits.
    """

    kind: FaultKind
    onset_ns: int
    growth_s: float
    severity: float = 1.0
    repaired_ns: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.growth_s < math.inf:
            raise ValueError(f"growth_s must be positive and finite, got {self.growth_s}")
        if not 0 < self.severity <= MAX_SEVERITY:
            raise ValueError(f"severity must be in (0, {MAX_SEVERITY}], got {self.severity}")

    def severity_at(self, plant_ns: int) -> float:
        """Severity at one moment of plant time: slow at first, then exponential, as damage feeds itself.

        >>> fault = Fault(FaultKind.IMBALANCE, onset_ns=0, growth_s=10.0)
        >>> [round(fault.severity_at(int(s * 1e9)), 3) for s in (-1, 0, 5, 10, 99)]
        [0.0, 0.0, 0.182, 1.0, 1.0]
        """
        if self.repaired_ns is not None and plant_ns >= self.repaired_ns:
            return 0.0
        grown = min(max((plant_ns - self.onset_ns) / (self.growth_s * 1e9), 0.0), 1.0)
        return self.severity * math.expm1(GROWTH_STEEPNESS * grown) / math.expm1(GROWTH_STEEPNESS)

    def severities_at(self, plant_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """The same at many moments: (n,) plant time in ns -> (n,)."""
        grown = np.clip((plant_ns - self.onset_ns) / (self.growth_s * 1e9), 0.0, 1.0)
        if self.repaired_ns is not None:
            grown[plant_ns >= self.repaired_ns] = 0.0
        return self.severity * np.expm1(GROWTH_STEEPNESS * grown) / math.expm1(GROWTH_STEEPNESS)
