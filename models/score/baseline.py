"""The first rows are known to be healthy: a row is strange while a channel stays away from where it was then.

Each channel keeps a reference level with the drift that it showed in the healthy rows (a local level model:
Harvey 1989, chapter 2), so a temperature that wanders by nature gets more room with every row, and a flow
that stood still gets none. The reference learns from rows that look healthy only: a sick machine must not
teach us health.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIT_ROWS_MIN = 40
SMOOTH_ROWS = 10  # a level is the mean of this many rows
DRIFT_LAGS = (20, 8, 4, 2)  # drift is read at these fractions (1/20 .. 1/2) of the healthy rows
DRIFT_WEIGHT = 0.25  # the largest of four estimates from one short stretch is too large
WANDERER = 12.0  # a channel that drifts by 3.5 sigma over its healthy rows has no level to be held to
LEARN_BELOW = 2.0  # rows further away than this teach nothing
LIMIT = 5.5  # distance that alarms, in sigmas of the smoothed level
RELEASE = 0.6  # an alarm ends below this share of the limit
CONSTANT_SPREAD = 0.005  # relative spread granted to a channel that never moved


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What the healthy rows taught.

    All (d,): sigma of the smoothed level, drift variance per row, wanderers.
    """

    sigma: NDArray[np.float64]
    drift: NDArray[np.float64]
    wanders: NDArray[np.bool_]
    smooth_rows: int


def smoothed(values: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Mean of the newest rows, fewer at the start. values: (n, d); returns (n, d).

    >>> smoothed(np.array([[1.0], [3.0], [5.0]]), 2).ravel()
    array([1., 2., 4.])
    """
    offset = values[:1]  # sums of small numbers stay exact
    total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values - offset, axis=0)])
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - rows, 0)
    return np.asarray((total[last] - total[first]) / (last - first)[:, None] + offset, np.float64)


def fit(level: NDArray[np.float64], smooth_rows: int) -> Baseline:
    """Learn spread and drift from healthy rows. level: (n, d) smoothed.

    Raises ValueError when there are too few rows to tell drift from noise.
    """
    n = len(level)
    if n < FIT_ROWS_MIN:
        raise ValueError(f"a baseline needs at least {FIT_ROWS_MIN} healthy rows, got {n}")
    full = level[smooth_rows:]
    near = np.mean((full[smooth_rows:] - full[:-smooth_rows]) ** 2, axis=0)
    drift = np.zeros(level.shape[1])
    for part in DRIFT_LAGS:
        lag = max(n // part, 1)
        far = np.mean((full[lag:] - full[:-lag]) ** 2, axis=0)
        drift = np.maximum(drift, np.maximum(far - near, 0.0) / lag)
    sigma = np.sqrt(near / 2.0)
    still = np.maximum(CONSTANT_SPREAD * np.abs(level.mean(axis=0)), 1e-9)
    sigma = np.where(np.ptp(full, axis=0) == 0.0, still, np.maximum(sigma, 1e-12))
    drift *= DRIFT_WEIGHT
    return Baseline(sigma, drift, drift * n > WANDERER * sigma**2, smooth_rows)


def distances(values: NDArray[np.float64], fit_rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Signed distance of every channel from its reference, in sigmas, and the reference itself.

    values: (n, d) without NaN; the first fit_rows are healthy. Returns two (n, d) arrays.
    """
    smooth_rows = min(SMOOTH_ROWS, max(fit_rows // 8, 1))
    level = smoothed(values, smooth_rows)
    base = fit(level[:fit_rows], smooth_rows)
    reference, uncertain = level[0].copy(), base.sigma**2
    noise = base.sigma**2 * smooth_rows  # neighbouring smoothed levels share their rows
    away = np.zeros_like(level)
    expected = np.zeros_like(level)
    for row in range(len(level)):
        uncertain = uncertain + base.drift
        gap = level[row] - reference
        away[row] = gap / np.sqrt(base.sigma**2 + uncertain)
        expected[row] = reference
        gain = uncertain / (uncertain + noise)
        if row < fit_rows:
            gain = np.maximum(gain, 1.0 / (row + 1.0))
        else:
            gain = np.where((np.abs(away[row]) < LEARN_BELOW) | base.wanders, gain, 0.0)
        reference = reference + gain * gap
        uncertain = uncertain * (1.0 - gain)
    return away, expected


def latched_score(
    statistic: NDArray[np.float64], start: int, threshold: float = LIMIT
) -> NDArray[np.float64]:
    """Score in [0, 1) of each row: 0.5 or more while it alarms, with hysteresis.

    Rows before start score 0.
    """
    score = np.zeros(len(statistic))
    alarmed = False
    for row in range(start, len(statistic)):
        limit = threshold * RELEASE if alarmed else threshold
        score[row] = statistic[row] / (statistic[row] + limit)
        alarmed = bool(score[row] >= 0.5)
    return score
