"""What a run looks like at each cycle: means over windows of the past, their trend, their rise since new."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.rul.table import Runs

WINDOWS_CYCLES = (5, 10, 20, 30)
NEW_CYCLES = 10  # the first cycles of a unit are taken as new
REGIMES_MAX = 12
EXPLAINED_MIN = 0.3  # a setting makes regimes when it explains this share of some sensor's variance
GAP_SHARE = 0.05  # settings further apart than this share of their range belong to different regimes


@dataclass(frozen=True, slots=True, eq=False)
class Preparation:
    """How raw columns become comparable, learnt from training units.

    centres: per settings column, the middle of each cluster; mean, spread: (regimes, d) per regime; kept:
    (d,) columns that moved at all.
    """

    settings: tuple[int, ...]
    centres: tuple[NDArray[np.float64], ...]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    kept: NDArray[np.bool_]

    def regime(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Operating regime of each row by the nearest setting. values: (n, d); returns (n,)."""
        index = np.zeros(len(values), np.int64)
        for place, centres in zip(self.settings, self.centres, strict=True):
            nearest = np.argmin(np.abs(values[:, place, None] - centres[None, :]), axis=1)
            index = index * len(centres) + nearest
        return index

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardise each kept column within its regime. values: (n, d); returns (n, kept)."""
        index = self.regime(values)
        scaled = (values - self.mean[index]) / self.spread[index]
        return np.asarray(scaled[:, self.kept], np.float64)


def clusters(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middles of the groups that a settings column falls into, one group if it is spread without gaps.

    >>> clusters(np.array([0.0, 0.1, 20.0, 20.1, 42.0]))
    array([ 0.05, 20.05, 42.  ])
    """
    ordered = np.sort(column[np.isfinite(column)])
    span = float(np.ptp(ordered)) if len(ordered) else 0.0
    if span == 0.0:
        return ordered[:1] if len(ordered) else np.zeros(1)
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > GAP_SHARE * span) + 1)
    if max(np.ptp(group) for group in groups) > GAP_SHARE * span:
        return np.array([np.median(ordered)])
    return np.array([np.median(group) for group in groups])


def _regimes(runs: Runs, place: int) -> NDArray[np.float64]:
    """Clusters of one settings column; one when they mean nothing to the sensors, as rounded readings do."""
    column = runs.values[:, place]
    centres = clusters(column)
    sensors = [k for k in range(runs.values.shape[1]) if k not in runs.settings]
    if len(centres) == 1 or not sensors:
        return centres[:1]
    member = np.argmin(np.abs(column[:, None] - centres[None, :]), axis=1)
    rows = np.maximum(np.bincount(member, minlength=len(centres)), 1)
    for k in sensors:
        x = np.nan_to_num(runs.values[:, k])
        between = np.bincount(member, x, len(centres)) / rows
        spread = float(np.average((between - x.mean()) ** 2, weights=rows))
        moves = float(x.var()) > 1e-12 * (1.0 + float(x.mean()) ** 2)  # not only by rounding
        if moves and spread > EXPLAINED_MIN * float(x.var()):
            return centres
    return np.array([np.median(column)])


def prepare(runs: Runs) -> Preparation:
    """Learn regimes and scales from training units."""
    centres = tuple(_regimes(runs, place) for place in runs.settings)
    count = int(np.prod([len(c) for c in centres], dtype=np.int64))
    if count > REGIMES_MAX**2:
        centres, count = tuple(np.array([np.median(runs.values[:, p])]) for p in runs.settings), 1
    d = runs.values.shape[1]
    draft = Preparation(runs.settings, centres, np.zeros((count, d)), np.ones((count, d)), np.ones(d, bool))
    index = draft.regime(runs.values)
    mean, spread = np.zeros((count, d)), np.ones((count, d))
    moved = np.zeros(d, bool)
    for regime in np.unique(index):
        rows = runs.values[index == regime]
        deviation = np.nanstd(rows, axis=0)
        mean[regime] = np.nanmean(rows, axis=0)
        spread[regime] = np.where(deviation > 1e-9 * (1.0 + np.abs(mean[regime])), deviation, np.inf)
        moved |= np.isfinite(spread[regime])
    if count > 1:
        moved[list(runs.settings)] = False  # they chose the regime already
    return Preparation(runs.settings, centres, mean, spread, moved)


def features(runs: Runs, preparation: Preparation) -> NDArray[np.float64]:
    """Describe every row by its unit's past only.

    Returns (n, k): window means, trend, rise since new, cycle.
    """
    scaled = np.nan_to_num(preparation.apply(runs.values))
    edges = runs.starts()
    return np.vstack([_unit(scaled[a:b], runs.cycle[a:b]) for a, b in pairwise(edges)])


def _unit(x: NDArray[np.float64], cycle: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.vstack([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0)])
    last = np.arange(1, len(x) + 1)

    def mean(cycles: int) -> NDArray[np.float64]:
        first = np.maximum(last - cycles, 0)
        return np.asarray((total[last] - total[first]) / (last - first)[:, None], np.float64)

    means = [mean(cycles) for cycles in WINDOWS_CYCLES]
    new = total[np.minimum(last, NEW_CYCLES)] / np.minimum(last, NEW_CYCLES)[:, None]
    return np.hstack([*means, means[0] - means[-1], means[1] - new, (cycle - cycle[0])[:, None]])
