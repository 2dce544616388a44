"""Batch models for single rows: the same trees walked by treelite, a hundred times sooner a row.

scikit-learn answers one row in milliseconds, most of it ceremony. Needs the extra `fast` (treelite). Scores
agree to 1e-8, not to the last bit: what must be bit-equal (the gate, a rollback) asks the model itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import treelite
from treelite import gtil

from models.training.detectors import Forest, Horizon, Scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.training.train import BatchModel


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A forest or a booster as treelite holds it. scaling: None where the trees read values as they are."""

    trees: treelite.Model
    scaling: Scaling | None

    def raw(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) -> (n,), the detector's own scale."""
        read = values if self.scaling is None else self.scaling.apply(values)
        told = gtil.predict(self.trees, np.ascontiguousarray(read), nthread=1)
        return np.asarray(told.reshape(len(values), -1)[:, -1], np.float64)


def quick(model: BatchModel) -> BatchModel:
    """The same model, fast on few rows; `pca-t2-q` is fast as it is and comes back unchanged."""
    match model.detector:
        case Forest(scaling, forest):
            return replace(model, detector=Trees(treelite.sklearn.import_model(forest), scaling))
        case Horizon(_, booster):
            return replace(model, detector=Trees(treelite.sklearn.import_model(booster), None))
    return model
