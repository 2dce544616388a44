"""The Numenta Anomaly Benchmark's scoring rules, written from their published description.

Source: Lavin & Ahmad 2015, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
Benchmark", and the constants of NAB v1.1 (standard profile: false positives weigh 0.11). Checked against the
benchmark's own published per-file scores in `tests/models/score/test_nab_rules.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROBATION_FRACTION = 0.15
PROBATION_ROWS_MAX = 750
FALSE_POSITIVE_WEIGHT = 0.11  # standard profile
FALSE_NEGATIVE_WEIGHT = 1.0
PAST_WINDOW_LIMIT = 3.0  # beyond three window widths a false positive costs its full weight


@dataclass(frozen=True, slots=True)
class Window:
    """One labelled window: first and last row, both inside."""

    first_row: int
    last_row: int

    def __post_init__(self) -> None:
        if not 0 <= self.first_row <= self.last_row:
            raise ValueError(f"a window runs forwards, got {self.first_row}..{self.last_row}")

    @property
    def rows(self) -> int:
        return self.last_row - self.first_row + 1


def probation_rows(n_rows: int) -> int:
    """Rows at the start that are not scored.

    >>> probation_rows(4032), probation_rows(1127), probation_rows(9000)
    (604, 169, 750)
    """
    return min(math.floor(PROBATION_FRACTION * n_rows), PROBATION_ROWS_MAX)


def reward(position: float) -> float:
    """Scaled sigmoid: +1 well before a window's end, 0 at its end, -1 far past it.

    position: in window widths, -1 at the window's first row, 0 just past its end.

    >>> round(reward(-1.0), 3), reward(0.0), reward(3.5)
    (0.987, 0.0, -1.0)
    """
    if position > PAST_WINDOW_LIMIT:
        return -1.0
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def file_score(alarms: NDArray[np.bool_], windows: Sequence[Window]) -> float:
    """Raw score of one series: earliest hit of each window, misses and false positives.

    alarms: (n_rows,) true where the detector is at or over its threshold; windows in row order.
    """
    start = probation_rows(len(alarms))
    best = reward(-1.0)
    total = 0.0
    for window in windows:
        if window.last_row < start:
            continue
        hits = np.flatnonzero(alarms[max(window.first_row, start) : window.last_row + 1])
        if len(hits) == 0:
            total -= FALSE_NEGATIVE_WEIGHT
            continue
        row = max(window.first_row, start) + int(hits[0])
        total += reward(-(window.last_row - row + 1) / window.rows) / best
    return total + FALSE_POSITIVE_WEIGHT * _false_positives(alarms, windows, start)


def _false_positives(alarms: NDArray[np.bool_], windows: Sequence[Window], start: int) -> float:
    total = 0.0
    for row in np.flatnonzero(alarms):
        if row < start or any(w.first_row <= row <= w.last_row for w in windows):
            continue
        before = [w for w in windows if w.last_row < row]
        if not before:
            total -= 1.0
            continue
        last = before[-1]
        total += reward((row - last.last_row) / max(last.rows - 1, 1))
    return total


def normalised(raw_total: float, n_windows: int) -> float:
    """Score over a set of series on the scale where doing nothing is 0 and perfection 100.

    >>> normalised(-10.0, 10), normalised(10.0, 10)
    (0.0, 100.0)
    """
    return (
        100.0 * (raw_total + FALSE_NEGATIVE_WEIGHT * n_windows) / ((1.0 + FALSE_NEGATIVE_WEIGHT) * n_windows)
    )
