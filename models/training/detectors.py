"""Batch detectors behind one protocol: learn from rows, score rows in [0, 1], alarm at their own level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.stats import chi2
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.isotonic import IsotonicRegression
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rows = NDArray[np.float64]
    Column = NDArray[np.float64]

CLIP_SIGMAS = 20.0  # beyond it a sensor is broken, not a machine sick
EXPLAINED_VARIANCE = 0.95
ALARM_SHARE = 0.02  # of healthy rows on machines not trained on may be strange; an alarm takes three in a row


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Robust centre and spread of each column, (d,); missing values become the centre."""

    centre: Column
    spread: Column

    @classmethod
    def learn(cls, values: Rows) -> Scaling:
        """Median and scaled median deviation of the columns that hold numbers."""
        empty = ~np.isfinite(values).any(axis=0, keepdims=True)
        filled = np.where(empty, 0.0, values)
        centre = np.nanmedian(filled, axis=0)
        spread = 1.4826 * np.nanmedian(np.abs(filled - centre), axis=0)
        wide = np.nanstd(filled, axis=0)
        spread = np.where(spread > 1e-9 * (1.0 + np.abs(centre)), spread, np.where(wide > 0, wide, 1.0))
        return cls(centre, spread)

    def apply(self, values: Rows) -> Rows:
        """(n, d) standardised, clipped, without holes."""
        scaled = (values - self.centre) / self.spread
        return np.asarray(np.clip(np.nan_to_num(scaled), -CLIP_SIGMAS, CLIP_SIGMAS), np.float64)


class Fitted(Protocol):
    """What every detector gives after it has learnt."""

    def raw(self, values: Rows) -> Column:
        """(n, d) -> (n,), higher is stranger, on the detector's own scale."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Isolation forest (Liu, Ting and Zhou 2008)."""

    scaling: Scaling
    forest: IsolationForest

    @classmethod
    def learn(cls, values: Rows, faulty: NDArray[np.bool_], weight: Column, seed: int) -> Forest:
        """Learn from rows that nobody called faulty."""
        healthy = values[~faulty]
        scaling = Scaling.learn(healthy)
        forest = IsolationForest(
            n_estimators=100, max_samples=min(256, len(healthy)), random_state=seed, n_jobs=1
        )
        return cls(scaling, forest.fit(scaling.apply(healthy), sample_weight=weight[~faulty]))

    def raw(self, values: Rows) -> Column:
        return np.asarray(-self.forest.score_samples(self.scaling.apply(values)), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """Principal components: Hotelling's T2 inside, Q outside the subspace (Jackson and Mudholkar 1979)."""

    scaling: Scaling
    pca: PCA
    t2_limit: float
    q_limit: float

    @classmethod
    def learn(cls, values: Rows, faulty: NDArray[np.bool_], weight: Column, seed: int) -> Subspace:  # noqa: ARG003
        """Learn from rows that nobody called faulty."""
        healthy = values[~faulty]
        scaling = Scaling.learn(healthy)
        x = scaling.apply(healthy)
        pca = PCA(n_components=EXPLAINED_VARIANCE, svd_solver="full", random_state=seed).fit(x)
        t2, q = _t2_q(pca, x)
        q_limit = float(np.quantile(q, 1.0 - ALARM_SHARE))
        return cls(scaling, pca, float(chi2.ppf(1.0 - ALARM_SHARE, t2.shape[1])), max(q_limit, 1e-9))

    def raw(self, values: Rows) -> Column:
        t2, q = _t2_q(self.pca, self.scaling.apply(values))
        return np.asarray(np.maximum(t2.sum(axis=1) / self.t2_limit, q / self.q_limit), np.float64)


def _t2_q(pca: PCA, x: Rows) -> tuple[Rows, Column]:
    inside = pca.transform(x)
    outside = x - pca.inverse_transform(inside)
    return inside**2 / np.maximum(pca.explained_variance_, 1e-12), np.sum(outside**2, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Horizon:
    """Gradient boosting for a failure within the horizon; missing values are an answer of their own.

    centre: (d,) middle of each column in healthy rows, against which a row is explained.
    """

    centre: Column
    booster: HistGradientBoostingClassifier

    @classmethod
    def learn(cls, values: Rows, faulty: NDArray[np.bool_], weight: Column, seed: int) -> Horizon:
        """Learn from labelled rows. Raises ValueError without at least one row of each class."""
        if faulty.all() or not faulty.any():
            raise ValueError("failure within a horizon needs confirmed faults and healthy time to learn from")
        booster = HistGradientBoostingClassifier(
            max_iter=80,
            learning_rate=0.08,
            max_leaf_nodes=15,
            min_samples_leaf=20,
            l2_regularization=1.0,
            random_state=seed,
        )
        # Repeated rows weigh the same as weights do and are binned ten times faster.
        rows = np.repeat(np.arange(len(values)), np.maximum(np.rint(weight), 1).astype(np.int64))
        with threadpool_limits(1, user_api="openmp"):
            return cls(Scaling.learn(values[~faulty]).centre, booster.fit(values[rows], faulty[rows]))

    def raw(self, values: Rows) -> Column:
        with threadpool_limits(1, user_api="openmp"):
            return np.asarray(self.booster.predict_proba(values)[:, 1], np.float64)


KINDS: dict[str, Callable[[Rows, NDArray[np.bool_], Column, int], Fitted]] = {
    "isolation-forest": Forest.learn,
    "pca-t2-q": Subspace.learn,
    "failure-horizon": Horizon.learn,
}
SUPERVISED = frozenset({"failure-horizon"})


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """From a detector's own scale to [0, 1]: knots and what they mean; level: score that alarms."""

    knots: Column
    scores: Column
    level: float

    def apply(self, raw: Column) -> Column:
        return np.asarray(np.interp(raw, self.knots, self.scores), np.float64)


def scale_of_healthy(raw: Column) -> Scale:
    """0.5 where 2 % of held-out healthy rows are stranger, 0 at their middle. raw: (n,) out of fold."""
    middle, limit = float(np.quantile(raw, 0.5)), float(np.quantile(raw, 1.0 - ALARM_SHARE))
    unit = max(limit - middle, 1e-9)
    knots = np.array([middle, limit, middle + 2 * unit, middle + 4 * unit, middle + 16 * unit])
    return Scale(knots, np.array([0.0, 0.5, 0.67, 0.8, 1.0]), 0.5)


def scale_of_probability(raw: Column, faulty: NDArray[np.bool_], weight: Column) -> Scale:
    """Calibrated probability (isotonic, out of fold); the level is where F1 is best, out of fold."""
    isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
        raw, faulty, sample_weight=weight
    )
    knots, scores = isotonic.X_thresholds_, isotonic.y_thresholds_
    told = np.interp(raw, knots, scores)
    levels = np.unique(told[told > 0.0])
    best, level = -1.0, 0.5
    for candidate in levels[:: max(len(levels) // 200, 1)]:
        alarm = told >= candidate
        f1 = 2.0 * np.sum(alarm & faulty) / max(alarm.sum() + faulty.sum(), 1)
        if f1 > best:
            best, level = float(f1), float(candidate)
    return Scale(np.asarray(knots, np.float64), np.asarray(scores, np.float64), level)
