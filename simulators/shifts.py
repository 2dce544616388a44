"""When a machine is meant to run, when it idles, and when it is off: minute by minute of one plant day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DAY_MINUTES: Final = 1440
ALL_WEEK: Final = frozenset(range(7))
OFF, IDLE, RUN = 0, 1, 2
MINUTES: Final = np.arange(DAY_MINUTES)


@dataclass(frozen=True, slots=True)
class Shift:
    """Planned busy time of each day: local minutes from start to end, past midnight when end <= start."""

    start_minute: int
    end_minute: int
    weekdays: frozenset[int] = ALL_WEEK

    def __post_init__(self) -> None:
        if not (0 <= self.start_minute <= DAY_MINUTES and 0 <= self.end_minute <= DAY_MINUTES):
            raise ValueError(f"a shift lies within 0 to {DAY_MINUTES} minutes, got {self}")
        if not self.weekdays <= ALL_WEEK:
            raise ValueError(f"weekdays are 0 (Monday) to 6, got {sorted(self.weekdays)}")

    def includes(self, weekday: int, minute: int) -> bool:
        """Whether a minute of a local day belongs to this shift (also to yesterday's, past midnight).

        >>> night = Shift(22 * 60, 6 * 60, frozenset({0}))
        >>> night.includes(0, 23 * 60), night.includes(1, 5 * 60), night.includes(0, 5 * 60)
        (True, True, False)
        """
        today, yesterday = weekday in self.weekdays, (weekday - 1) % 7 in self.weekdays
        if self.start_minute < self.end_minute:
            return today and self.start_minute <= minute < self.end_minute
        return (today and minute >= self.start_minute) or (yesterday and minute < self.end_minute)

    def covers(self, weekday: int) -> NDArray[np.bool_]:
        """The minutes of a local day that `includes` says yes to: (1440,)."""
        today, yesterday = weekday in self.weekdays, (weekday - 1) % 7 in self.weekdays
        if self.start_minute < self.end_minute:
            return today & (self.start_minute <= MINUTES) & (self.end_minute > MINUTES)
        return (today & (self.start_minute <= MINUTES)) | (yesterday & (self.end_minute > MINUTES))


AROUND_THE_CLOCK: Final = (Shift(0, DAY_MINUTES),)


@dataclass(frozen=True, slots=True)
class WorkPattern:
    """How a machine spends its days.

    shifts: planned busy time; idle_share: share of planned time that the machine idles, waiting for
    material or people; left_on: chance that it is left idling, not switched off, after a shift.
    """

    shifts: tuple[Shift, ...] = AROUND_THE_CLOCK
    idle_share: float = 0.06
    left_on: float = 0.4

    def __post_init__(self) -> None:
        if not (0 <= self.idle_share < 1 and 0 <= self.left_on <= 1):
            raise ValueError(f"idle_share must be in [0, 1) and left_on in [0, 1], got {self}")


def modes_of_day(pattern: WorkPattern, weekday: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """OFF, IDLE or RUN at each minute of one local day: (1440,).

    Waits come as a Poisson stream of 4 to 20 minutes each.
    """
    planned = np.zeros(DAY_MINUTES, bool)
    for shift in pattern.shifts:
        planned |= shift.covers(weekday)
    between = IDLE if rng.random() < pattern.left_on else OFF
    n_waits = rng.poisson(pattern.idle_share * DAY_MINUTES / 12.0)
    starts = rng.integers(0, DAY_MINUTES, n_waits)
    lengths = rng.integers(4, 21, n_waits)
    edges = np.zeros(DAY_MINUTES + 1, np.int32)
    np.add.at(edges, starts, 1)
    np.add.at(edges, np.minimum(starts + lengths, DAY_MINUTES), -1)
    waiting = np.cumsum(edges)[:-1] > 0
    return np.where(planned, np.where(waiting, IDLE, RUN), between).astype(np.int8)
