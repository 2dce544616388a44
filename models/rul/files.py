"""Behind `mitra rul`: run tables in, a model file out; a model file and a table in, predictions out.

A model file is a `skops` archive: plain arrays and named scikit-learn types, checked against the list below
before anything is built from it. It is not a pickle, and a type that is not listed is refused.
"""

from __future__ import annotations

import csv
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from models.rul.conformal import Calibration
from models.rul.life import RulModel, RulPrediction, predict, train
from models.rul.table import RunTableError, read_runs
from models.rul.windows import Preparation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FORMAT = 1
MODEL_BYTES_MAX = 256 * 1024 * 1024
TRUSTED = (
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)


class ModelFileError(ValueError):
    """A file is not a model that may be loaded; the message says why and what to do."""


def to_bytes(model: RulModel) -> bytes:
    """A model as a `skops` archive."""
    plain = {
        "format": FORMAT,
        "columns": list(model.columns),
        "settings": list(model.preparation.settings),
        "centres": [np.asarray(c) for c in model.preparation.centres],
        "mean": model.preparation.mean,
        "spread": model.preparation.spread,
        "kept": model.preparation.kept,
        "regressors": list(model.regressors),
        "knots": model.calibration.knots,
        "low": model.calibration.low,
        "high": model.calibration.high,
        "coverage": model.calibration.coverage,
        "cap_cycles": model.cap_cycles,
        "rmse_cycles": model.rmse_cycles,
        "median_life_cycles": model.median_life_cycles,
        "units": model.units,
        "seed": model.seed,
    }
    return bytes(skops.io.dumps(plain))


def from_bytes(data: bytes, name: str = "model") -> RulModel:
    """The model of a `skops` archive.

    Raises ModelFileError for anything else, or for types that are not listed.
    """
    try:
        plain: dict[str, Any] = skops.io.loads(data, trusted=list(TRUSTED))
    except UntrustedTypesFoundException as error:
        raise ModelFileError(
            f"{name} holds types that a life model never has, so it was not loaded: {error}. "
            "Ask where the file came from; train anew with `mitra rul train`."
        ) from error
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelFileError(
            f"{name} is not a model file of `mitra rul train`. Train one, or name it."
        ) from error
    if plain.get("format") != FORMAT:
        raise ModelFileError(
            f"{name} was written by another version of Mitra. Train anew with `mitra rul train`."
        )
    preparation = Preparation(
        tuple(plain["settings"]), tuple(plain["centres"]), plain["mean"], plain["spread"], plain["kept"]
    )
    calibration = Calibration(plain["knots"], plain["low"], plain["high"], plain["coverage"], plain["units"])
    return RulModel(
        tuple(plain["columns"]),
        preparation,
        tuple(plain["regressors"]),
        calibration,
        plain["cap_cycles"],
        plain["rmse_cycles"],
        plain["median_life_cycles"],
        plain["units"],
        plain["seed"],
    )


def run_train(
    sources: Sequence[Path],
    out: Path,
    *,
    cap_cycles: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> RulModel:
    """Behind `mitra rul train`. Writes the model file and returns the model. Raises RunTableError."""
    model = train(read_runs(sources), cap_cycles=cap_cycles, seed=seed, progress=progress)
    out.write_bytes(to_bytes(model))
    return model


def run_predict(model_file: Path, source: Path, out: Path) -> tuple[RulPrediction, ...]:
    """Behind `mitra rul predict`: writes `unit,rul,lower,upper` at each unit's last row.

    Raises ModelFileError and RunTableError.
    """
    if model_file.stat().st_size > MODEL_BYTES_MAX:
        raise ModelFileError(f"{model_file.name} is larger than any life model ({MODEL_BYTES_MAX} bytes).")
    predictions = predict(from_bytes(model_file.read_bytes(), model_file.name), read_runs([source]))
    with out.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["unit", "rul", "lower", "upper"])
        writer.writerows([p.unit, f"{p.rul:.2f}", f"{p.lower:.2f}", f"{p.upper:.2f}"] for p in predictions)
    return predictions


__all__ = ["ModelFileError", "RunTableError", "from_bytes", "run_predict", "run_train", "to_bytes"]
