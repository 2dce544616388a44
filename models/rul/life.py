"""Remaining life learnt from runs to failure: gradient boosting on windows, with conformal intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from models.rul.conformal import Calibration, calibrate
from models.rul.table import Runs, RunTableError
from models.rul.windows import Preparation, features, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FOLDS = 5
# Many models predict together, so errors are calibrated on means of several too, all blind to the unit.
REPEATS = 3
# Far from failure nothing shows yet: in the C-MAPSS literature 125 stands beside a median life of 199.
CAP_SHARE = 0.63
FIRST_CYCLES = 5  # rows younger than this have no window to speak of and do not calibrate


@dataclass(frozen=True, slots=True, eq=False)
class RulModel:
    """One regressor per fold and repeat (their mean predicts), what they were fitted on, and the calibration.

    cap_cycles: the longest life that is told apart; rmse_cycles: out-of-fold, on capped truth;
    median_life_cycles and units: of the training runs.
    """

    columns: tuple[str, ...]
    preparation: Preparation
    regressors: tuple[HistGradientBoostingRegressor, ...]
    calibration: Calibration
    cap_cycles: float
    rmse_cycles: float
    median_life_cycles: float
    units: int
    seed: int


@dataclass(frozen=True, slots=True)
class RulPrediction:
    """Cycles left of one unit at its last row, with a 90 % interval. At the cap, upper means "or more"."""

    unit: str
    rul: float
    lower: float
    upper: float


def _regressor(seed: int) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        max_iter=160,
        learning_rate=0.06,
        max_leaf_nodes=12,
        min_samples_leaf=60,
        l2_regularization=1.0,
        max_features=0.3,
        random_state=seed,
    )


def train(
    runs: Runs,
    *,
    cap_cycles: float | None = None,
    coverage: float = 0.9,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> RulModel:
    """Learn remaining life from units that ran to failure; each unit's last row is its failure.

    cap_cycles: None takes 0.63 of the median life. progress is told (fits done, fits). Raises RunTableError
    when there are too few units for folds or intervals.
    """
    lives = runs.cycle[runs.last_rows()]
    units = len(runs.names)
    if units < 2 * FOLDS:
        raise RunTableError(
            f"The tables hold {units} failed units; at least {2 * FOLDS} are needed before an "
            "interval can be honest. Keep collecting, or use the trend of one machine instead."
        )
    cap = float(cap_cycles) if cap_cycles is not None else float(np.round(CAP_SHARE * np.median(lives)))
    if cap <= 0:
        raise RunTableError(f"The cap must be a positive number of cycles, got {cap:g}.")
    preparation = prepare(runs)
    x = features(runs, preparation)
    y = np.minimum(runs.remaining(), cap)
    rng = np.random.default_rng(seed)
    held_out = np.zeros(len(y))
    regressors = []
    # One thread: the same sums in the same order everywhere, and no spinning beside a busy stream.
    with threadpool_limits(1, user_api="openmp"):
        for repeat in range(REPEATS):
            fold = rng.permutation(units) % FOLDS
            for k in range(FOLDS):
                turn = repeat * FOLDS + k
                out = fold[runs.unit] == k
                regressors.append(_regressor(seed + turn).fit(x[~out], y[~out]))
                held_out[out] += np.clip(regressors[turn].predict(x[out]), 0.0, cap) / REPEATS
                progress(turn + 1, REPEATS * FOLDS)
    old = runs.cycle - runs.cycle[runs.starts()[:-1]][runs.unit] >= FIRST_CYCLES
    try:
        calibration = calibrate(held_out[old], y[old], runs.unit[old], coverage)
    except ValueError as error:
        raise RunTableError(f"No interval can be given: {error}.") from error
    rmse = float(np.sqrt(np.mean((held_out[old] - y[old]) ** 2)))
    return RulModel(
        runs.columns,
        preparation,
        tuple(regressors),
        calibration,
        cap,
        rmse,
        float(np.median(lives)),
        units,
        seed,
    )


def predict_rows(
    model: RulModel, runs: Runs
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Cycles left, lower and upper, of every row. Returns three (n,) arrays.

    Raises RunTableError on other columns.
    """
    if runs.columns != model.columns:
        raise RunTableError(
            f"The table has the columns {', '.join(runs.columns)}; the model was trained on "
            f"{', '.join(model.columns)}. Export the same columns, or train on these."
        )
    x = features(runs, model.preparation)
    with threadpool_limits(1, user_api="openmp"):
        rul = np.clip(np.mean([one.predict(x) for one in model.regressors], axis=0), 0.0, model.cap_cycles)
    lower, upper = model.calibration.interval(rul, model.cap_cycles)
    return np.asarray(rul, np.float64), lower, upper


def predict(model: RulModel, runs: Runs) -> tuple[RulPrediction, ...]:
    """Cycles left of each unit at its last row."""
    rul, lower, upper = predict_rows(model, runs)
    return tuple(
        RulPrediction(name, float(rul[row]), float(lower[row]), float(upper[row]))
        for name, row in zip(runs.names, runs.last_rows(), strict=True)
    )
