"""What an operator may set of the online models. Defaults are for real plants.

`demo()` is for two minutes of show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from models.online.members import MEMBERS

DETECTORS: Final = tuple(MEMBERS)
"""What may be chosen for the panel (`models.online.members`); the first two run for every machine at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the stream learns and when it speaks.

    warmup_rows, warmup_s: rows and running time of a regime before it is judged (both); settle_s: after a
    start, statistics alone may warn but not alarm, since bearings and lubricant take about two hours to reach
    their temperature; steady_s: how long a new operating point must hold still to be one;
    memory_s, memory_rows: how far a baseline looks back (the longer of both);
    smoothing_rows: of the evidence; persist_rows, persist_s: how long evidence must stand before an alarm
    (both); clear_rows, clear_s: how long it must be gone before the alarm returns; stop_rows, stop_s: how
    long a high risk must stand before a stop is advised; false_alarms_per_machine_month: what thresholds aim
    at; severe_db: rise over the baseline that is an alarm of its own, settling_db: the same while the machine
    settles; failure_db: the rise that counts as the end of life; stop_health: health below which a stop is
    advised; readvise_s: after this time of standing risk it is advised again, sooner when clearly worse;
    diagnose_s: how often the cause of a standing suspicion is looked at anew, sooner when it turns graver;
    detectors: which of `DETECTORS` watch a machine's quantities together, at most one of river's.
    Raises ValueError outside sensible limits.
    """

    warmup_rows: int = 200
    warmup_s: float = 6 * 3600.0
    settle_s: float = 7200.0
    steady_s: float = 60.0
    memory_rows: int = 500
    memory_s: float = 30 * 86_400.0
    smoothing_rows: float = 9.0
    persist_rows: int = 5
    persist_s: float = 30.0
    clear_rows: int = 20
    clear_s: float = 300.0
    stop_rows: int = 10
    stop_s: float = 60.0
    false_alarms_per_machine_month: float = 0.1
    severe_db: float = 8.0
    settling_db: float = 12.0
    failure_db: float = 20.0
    stop_health: float = 25.0
    readvise_s: float = 8 * 3600.0
    diagnose_s: float = 30.0
    detectors: tuple[str, ...] = DETECTORS[:2]

    def __post_init__(self) -> None:
        for name in ("warmup_rows", "memory_rows", "persist_rows", "clear_rows", "stop_rows"):
            if not 1 <= getattr(self, name) <= 10_000_000:
                raise ValueError(f"{name} must be 1 to 10,000,000, got {getattr(self, name)}")
        if self.warmup_rows < 8:
            raise ValueError(f"warmup_rows must be at least 8 to know a spread, got {self.warmup_rows}")
        for name in (
            "warmup_s",
            "settle_s",
            "steady_s",
            "memory_s",
            "persist_s",
            "clear_s",
            "stop_s",
            "readvise_s",
            "diagnose_s",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must not be negative, got {value}")
        if not 1 <= self.smoothing_rows <= 10_000:
            raise ValueError(f"smoothing_rows must be 1 to 10,000, got {self.smoothing_rows}")
        if not 1e-6 <= self.false_alarms_per_machine_month <= 1_000:
            raise ValueError("false_alarms_per_machine_month must be 0.000001 to 1,000")
        river = sum(name.startswith("river_") for name in self.detectors)
        if len(set(self.detectors) & set(DETECTORS)) != len(self.detectors) or river > 1:
            raise ValueError(
                f"detectors are some of {', '.join(DETECTORS)}, each once and at most one of river's, "
                f"got {', '.join(self.detectors)}"
            )
        if not (
            3 <= self.severe_db <= self.settling_db <= self.failure_db <= 60 and 0 <= self.stop_health < 100
        ):
            raise ValueError(
                "severe_db, settling_db and failure_db must rise from 3 to 60, and stop_health 0 to below 100"
            )

    @classmethod
    def demo(cls) -> Settings:
        """A profile for a demonstration of about two minutes with a row a second."""
        return cls(
            warmup_rows=20,
            warmup_s=0.0,
            settle_s=0.0,
            steady_s=10.0,
            memory_rows=200,
            memory_s=0.0,
            persist_rows=4,
            persist_s=2.0,
            clear_rows=20,
            clear_s=10.0,
            stop_rows=5,
            stop_s=4.0,
            readvise_s=10.0,
            diagnose_s=3.0,
        )

    @classmethod
    def backtest(cls, baseline_rows: int) -> Settings:
        """The defaults, except that the first `baseline_rows` rows are the whole warm-up."""
        return replace(cls(), warmup_rows=max(8, baseline_rows), warmup_s=0.0)
