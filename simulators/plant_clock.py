"""Plant time: sensor time, compressed for demonstrations.

Shifts, wear and warming follow plant time; waveforms, meters and counters follow sensor time, so that a
meter always agrees with the power it integrates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_SPEEDUP = 100_000.0


@dataclass(frozen=True, slots=True)
class PlantClock:
    """Plant time runs `speedup` times as fast as sensor time, and both agree at `origin_ns`.

    >>> clock = PlantClock(origin_ns=1_000, speedup=60.0)
    >>> clock.plant_ns(1_000), clock.plant_ns(1_010), clock.sensor_ns(1_600)
    (1000, 1600, 1010)
    """

    origin_ns: int = 0
    speedup: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speedup) and 0 < self.speedup <= MAX_SPEEDUP):
            raise ValueError(f"speedup must be in (0, {MAX_SPEEDUP:g}], got {self.speedup}")

    def plant_ns(self, sensor_ns: int) -> int:
        """Plant time at a moment of sensor time."""
        if self.speedup == 1.0:
            return sensor_ns
        return self.origin_ns + round((sensor_ns - self.origin_ns) * self.speedup)

    def sensor_ns(self, plant_ns: int) -> int:
        """Sensor time at a moment of plant time."""
        if self.speedup == 1.0:
            return plant_ns
        return self.origin_ns + round((plant_ns - self.origin_ns) / self.speedup)
