"""Nothing is known to be healthy: a row is strange when the rows up to it have a shape never seen before.

For each channel the newest 4, 16 and 64 rows are compared with every earlier window of the same length; the
distance to the nearest one is small for whatever recurs - daily cycles, load steps, repeated spikes - and
large for a shape without precedent (a time series discord: Keogh, Lin and Fu 2005; read forwards only, as a
left matrix profile: Yeh et al. 2016). A distance is judged against its own history, so that each channel sets
its own scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.online.jit import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

HISTORY_ROWS = 8192  # how far back a precedent counts; bounds time and memory
WARM_UP_ROWS = 50  # no ratio before this many distances are known
SPREAD_QUANTILE = 0.985  # a distance this rare is the unit
SAFE = 1.0 - 1e-9  # a bound that rounding cannot overshoot
RATIO_MAX = 8.0  # one wild scale must not outvote the others for ever
SHARPNESS = 3.0  # power mean over the scales: between their mean and their maximum
CHANNELS_WEIGHT = (
    0.25  # the maximum over many channels is larger by chance: the limit grows with ln(channels)
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Window length in rows; level: whether a shift of the whole window counts as a difference."""

    rows: int
    level: bool


# The short window looks at the move only, so that a slow drift of level is not news in every row.
SCALES = (Scale(4, False), Scale(16, True), Scale(64, True))


@compiled
def _squared_gap(  # noqa: PLR0917 - a kernel takes its arrays by position
    x: NDArray[np.float64], shift: NDArray[np.float64], i: int, j: int, rows: int, enough: float
) -> float:
    """Sum of squared differences of the windows ending at i and j; stops as soon as it reaches enough."""
    moved = shift[i] - shift[j]
    total = 0.0
    for k in range(rows):
        gap = x[i - k] - x[j - k] - moved
        total += gap * gap
        if total >= enough:
            break
    return total


@compiled
def nearest_precedent(x: NDArray[np.float64], rows: int, level: bool, history: int) -> NDArray[np.float64]:
    """RMS distance from the window that ends in each row to the nearest window that ended before it began.

    x: (n,); returns (n,), 0 where there is no earlier window yet.
    """
    n = len(x)
    distance, mean, spread, shift = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for i in range(rows - 1, n):
        window = x[i - rows + 1 : i + 1]
        mean[i], spread[i] = window.mean(), window.std()
    if not level:
        shift, mean = mean, shift
    nearest = -1
    for i in range(2 * rows - 1, n):
        first, last = max(rows - 1, i - history), i - rows
        best = np.inf
        if (
            first <= nearest + 1 <= last
        ):  # the match of the last row, one row on, is nearly always a good guess
            best = _squared_gap(x, shift, i, nearest + 1, rows, np.inf)
            nearest += 1
        for j in range(first, last + 1):
            if best == 0.0:
                break
            # Two windows are at least as far apart as their means and spreads.
            a, b = mean[i] - mean[j], spread[i] - spread[j]
            if rows * (a * a + b * b) * SAFE >= best:
                continue
            total = _squared_gap(x, shift, i, j, rows, best)
            if total < best:
                best, nearest = total, j
        distance[i] = np.sqrt(best / rows)
    return distance


@compiled
def _quantile(ordered: NDArray[np.float64], count: int, q: float) -> float:
    place = q * (count - 1)
    low = int(place)
    high = min(low + 1, count - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


@compiled
def over_own_history(
    distance: NDArray[np.float64], floor: NDArray[np.float64], history: int, warm_up: int, quantile: float
) -> NDArray[np.float64]:
    """Distance above its running median, in units of its running upper quantile; earlier rows only.

    distance, floor: (n,); floor is the smallest unit that is believed. Returns (n,), 0 during the warm-up.
    """
    n = len(distance)
    ratio = np.zeros(n)
    ordered = np.empty(min(history, n) + 1)
    count = 0
    for i in range(n):
        if count >= warm_up:
            middle = _quantile(ordered, count, 0.5)
            unit = max(_quantile(ordered, count, quantile) - middle, floor[i])
            above = distance[i] - middle
            if above > 0.0 and unit > 0.0:
                ratio[i] = above / unit
        if count == history:  # forget the oldest
            gone = np.searchsorted(ordered[:count], distance[i - history])
            ordered[gone : count - 1] = ordered[gone + 1 : count].copy()
            count -= 1
        place = np.searchsorted(ordered[:count], distance[i])
        ordered[place + 1 : count + 1] = ordered[place:count].copy()
        ordered[place] = distance[i]
        count += 1
    return ratio


def channel_novelty(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Novelty of one channel, all scales together, dimensionless; about 1 is as rare as 1 row in 70.

    x: (n,) without NaN. Returns (n,).

    >>> float(channel_novelty(np.tile([1.0, 2.0, 3.0, 4.0], 40)).max())
    0.0
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    span = np.maximum.accumulate(x) - np.minimum.accumulate(x)
    parts = [
        over_own_history(
            nearest_precedent(x, scale.rows, scale.level, HISTORY_ROWS),
            1e-6 * span,
            HISTORY_ROWS,
            WARM_UP_ROWS,
            SPREAD_QUANTILE,
        )
        for scale in SCALES
    ]
    capped = np.minimum(np.stack(parts), RATIO_MAX)
    return np.asarray(np.mean(capped**SHARPNESS, axis=0) ** (1.0 / SHARPNESS), np.float64)


def novelty(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Novelty of every channel, on one scale whatever their number. values: (n, d); returns (n, d)."""
    n_channels = values.shape[1]
    shrink = 1.0 + CHANNELS_WEIGHT * np.log(n_channels)
    parts = [channel_novelty(values[:, c]) / shrink for c in range(n_channels)]
    return np.asarray(np.stack(parts, axis=1), np.float64)


@dataclass(frozen=True, slots=True)
class AlarmPace:
    """One strange event is one alarm: quiet rows after it, and a limit that is raised for a while.

    limit: statistic that alarms; quiet_rows: no second alarm so soon; raised: share by which each alarm
    raises the limit; fading_rows: rows in which that falls to 37 %.
    """

    limit: float = 0.9
    quiet_rows: int = 30
    raised: float = 0.25
    fading_rows: float = 100.0

    def __post_init__(self) -> None:
        if min(self.limit, self.fading_rows) <= 0 or min(self.quiet_rows, self.raised) < 0:
            raise ValueError(f"limits and times of an alarm pace are positive, got {self}")


def paced_score(statistic: NDArray[np.float64], start: int, pace: AlarmPace) -> NDArray[np.float64]:
    """Score in [0, 1) of each row: 0.5 or more where it alarms.

    statistic: (n,); rows before start score 0.
    """
    score = np.zeros(len(statistic))
    fade = np.exp(-1.0 / pace.fading_rows)
    raised, last = 0.0, -pace.quiet_rows - 1
    for i in range(len(statistic)):
        raised *= fade
        if i < start:
            continue
        limit = pace.limit * (1.0 + raised)
        score[i] = statistic[i] / (statistic[i] + limit)
        if i - last <= pace.quiet_rows:
            score[i] = min(score[i], 0.49)
        elif statistic[i] >= limit:
            score[i] = max(score[i], 0.5)  # rounding must not hide an alarm
            raised += pace.raised
            last = i
    return score
