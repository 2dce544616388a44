"""Thresholds by extreme value theory: an operator asks for a rate of false alarms, the tail says where that
is.
Peaks over threshold: excesses over a high level follow a generalised Pareto distribution (Siffer et al., KDD
2017); its parameters come from moments (Hosking and Wallis 1987), shrunk to an exponential tail while
excesses are few.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from models.online.jit import compiled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TAIL_SHARE = 0.05
PRIOR_EXCESSES = 20.0
PRIOR_MEAN_EXCESS = 0.5
MAX_SHAPE = 0.25
FORGET_EXCESSES = 2000.0
LEVEL, N, EXCESSES, SUM, SQUARES = range(5)


@compiled
def pot_threshold(tail: NDArray[np.float64], probability: float) -> float:
    """Level that healthy evidence exceeds with this probability. tail: (5,) level, n, excesses, sum, squares.

    >>> import numpy as np
    >>> round(pot_threshold(np.array([2.0, 0, 0, 0, 0]), 0.05 / math.e), 3)
    2.5
    """
    n = tail[EXCESSES] + PRIOR_EXCESSES
    mean = (tail[SUM] + PRIOR_EXCESSES * PRIOR_MEAN_EXCESS) / n
    square = (tail[SQUARES] + PRIOR_EXCESSES * 2.0 * PRIOR_MEAN_EXCESS**2) / n
    ratio = mean * mean / max(square - mean * mean, 1e-12)
    shape = min(max(0.5 * (1.0 - ratio), -MAX_SHAPE), MAX_SHAPE)
    scale = mean * (1.0 - shape)
    rarity = TAIL_SHARE / min(max(probability, 1e-12), TAIL_SHARE)
    if abs(shape) < 1e-6:
        return float(tail[LEVEL] + scale * math.log(rarity))
    return float(tail[LEVEL] + scale / shape * (rarity**shape - 1.0))


@compiled
def learn_tail(tail: NDArray[np.float64], evidence: float) -> None:
    """Fold one healthy value of evidence into the tail, in place: the level follows the 95 % quantile."""
    tail[N] += 1.0
    step = 4.0 / (tail[N] + 10.0) ** 0.6
    if evidence > tail[LEVEL]:
        excess = evidence - tail[LEVEL]
        tail[LEVEL] += step * (1.0 - TAIL_SHARE)
        tail[EXCESSES] += 1.0
        tail[SUM] += excess
        tail[SQUARES] += excess * excess
        if tail[EXCESSES] > FORGET_EXCESSES:
            for i in range(EXCESSES, SQUARES + 1):
                tail[i] *= 0.5
    else:
        tail[LEVEL] -= step * TAIL_SHARE
