"""A batch model as files of the registry, and back: `skops`, with the types that may occur listed here."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from models.registry.signing import UntrustedModelError
from models.training.canonical import canonical
from models.training.detectors import Fitted, Forest, Horizon, Scale, Scaling, Subspace
from models.training.train import BatchModel

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "model.skops"
FORMAT = 2
TRUSTED = (
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",  # unchecked node indices: only a signature makes it safe
)


def to_files(model: BatchModel) -> dict[str, bytes]:
    """The model's one file: the same bytes for the same model."""
    plain = {
        "format": FORMAT,
        "kind": model.kind,
        "columns": list(model.columns),
        "detector": _plain(model.detector),
        "knots": model.scale.knots,
        "scores": model.scale.scores,
        "level": model.scale.level,
        "horizon_ns": model.horizon_ns,
        "label_noise": model.label_noise,
    }
    return {FILE: canonical(skops.io.dumps(plain))}


def from_files(files: Mapping[str, bytes]) -> BatchModel:
    """The model of files that the registry has verified: `from_files(registry.load(name, version).files)`.

    Raises UntrustedModelError for types that no batch model has.
    """
    try:
        plain: dict[str, Any] = skops.io.loads(files[FILE], trusted=list(TRUSTED))
    except (UntrustedTypesFoundException, zipfile.BadZipFile, KeyError) as error:
        raise UntrustedModelError(f"This is not a batch model and was not loaded: {error}") from error
    if plain.get("format") != FORMAT:
        raise UntrustedModelError("This batch model was written by another version of Mitra. Train it anew.")
    return BatchModel(
        plain["kind"],
        tuple(plain["columns"]),
        _detector(plain["detector"]),
        Scale(plain["knots"], plain["scores"], plain["level"]),
        plain["horizon_ns"],
        plain["label_noise"],
    )


def _plain(detector: Fitted) -> dict[str, Any]:
    match detector:
        case Forest(scaling, forest):
            return {"is": "forest", "centre": scaling.centre, "spread": scaling.spread, "forest": forest}
        case Subspace(scaling, pca, t2_limit, q_limit):
            limits = {"t2_limit": t2_limit, "q_limit": q_limit}
            return {
                "is": "subspace",
                "centre": scaling.centre,
                "spread": scaling.spread,
                "pca": pca,
                **limits,
            }
        case Horizon(centre, booster):
            return {"is": "horizon", "centre": centre, "booster": booster}
    raise TypeError(f"no file form for {type(detector).__name__}")


def _detector(plain: Mapping[str, Any]) -> Fitted:
    if plain["is"] == "horizon":
        return Horizon(np.asarray(plain["centre"]), plain["booster"])
    scaling = Scaling(np.asarray(plain["centre"]), np.asarray(plain["spread"]))
    if plain["is"] == "forest":
        return Forest(scaling, plain["forest"])
    return Subspace(scaling, plain["pca"], plain["t2_limit"], plain["q_limit"])
