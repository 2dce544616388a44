"""Intervals that keep their word: quantiles of errors on units that the model had not seen.

Errors of one unit belong together, so each unit weighs the same and one unit's weight is kept for the unknown
(Lee, Barber and Willett 2023, "Distribution-free inference with hierarchical data"). Errors are taken apart
by predicted life, so that intervals narrow as failure comes near.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 8
UNITS_MIN = 10


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """knots: predicted lives; low, high: errors there that bound the coverage; units: those behind it."""

    knots: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    coverage: float
    units: int

    def interval(
        self, predicted: NDArray[np.float64], cap: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper cycles left, within 0 and the cap. predicted: (n,)."""
        lower = np.clip(predicted + np.interp(predicted, self.knots, self.low), 0.0, cap)
        return lower, np.clip(predicted + np.interp(predicted, self.knots, self.high), 0.0, cap)


def weighted_quantile(values: NDArray[np.float64], weights: NDArray[np.float64], level: float) -> float:
    """Smallest value whose share of all weight reaches level; infinite when the known weight cannot.

    >>> weighted_quantile(np.array([3.0, 1.0, 2.0]), np.array([0.25, 0.25, 0.25]), 0.5), \
        weighted_quantile(np.array([1.0]), np.array([0.5]), 0.9)
    (2.0, inf)
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, level - 1e-12))
    return float(values[order][place]) if place < len(values) else float("inf")


def calibrate(
    predicted: NDArray[np.float64], truth: NDArray[np.float64], unit: NDArray[np.int64], coverage: float = 0.9
) -> Calibration:
    """Learn intervals from out-of-fold predictions. predicted, truth, unit: (n,).

    Raises ValueError with fewer than 10 units, or a coverage that their number cannot promise.
    """
    names = np.unique(unit)
    if len(names) < UNITS_MIN:
        raise ValueError(f"an interval needs at least {UNITS_MIN} failed units to stand on, got {len(names)}")
    for bins in range(BINS, 0, -1):  # fewer bins when a bin's units cannot promise its coverage
        found = _binned(predicted, truth - predicted, unit, bins, coverage)
        if np.isfinite(found.low).all() and np.isfinite(found.high).all():
            return found
    size = np.abs(truth - predicted)
    both = weighted_quantile(size, _unit_weights(unit), coverage)
    if not np.isfinite(both):
        raise ValueError(f"{len(names)} failed units cannot promise {coverage:.0%} coverage; more are needed")
    return Calibration(np.zeros(1), np.array([-both]), np.array([both]), coverage, len(names))


def _unit_weights(unit: NDArray[np.int64]) -> NDArray[np.float64]:
    """Equal weight for each unit, one unit's weight left over. unit: (n,); returns (n,)."""
    names, member, rows = np.unique(unit, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / rows[member] / (len(names) + 1.0), np.float64)


def _binned(
    predicted: NDArray[np.float64],
    error: NDArray[np.float64],
    unit: NDArray[np.int64],
    bins: int,
    coverage: float,
) -> Calibration:
    """Error bounds by predicted life (Mondrian bins of equal size)."""
    edges = np.unique(np.quantile(predicted, np.linspace(0.0, 1.0, bins + 1)))
    place = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, max(len(edges) - 2, 0))
    level = (1.0 + coverage) / 2.0
    knots, low, high = [], [], []
    for b in np.unique(place):
        rows = place == b
        weights = _unit_weights(unit[rows])
        knots.append(predicted[rows].mean())
        high.append(weighted_quantile(error[rows], weights, level))
        low.append(-weighted_quantile(-error[rows], weights, level))
    return Calibration(np.array(knots), np.array(low), np.array(high), coverage, len(np.unique(unit)))
