"""river's detectors behind the house's protocol: one model a machine, made when the machine first speaks.

For small plants, for comparison, and for whoever wants river's other models: a line in `RIVER` adds one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from river import anomaly, feature_extraction, preprocessing

from models.online.layout import Floats, Ints


def _half_space_trees() -> Any:
    return anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=1)


def _one_class_svm() -> Any:
    scaler, kernel = preprocessing.StandardScaler(), feature_extraction.RBFSampler(gamma=0.05, seed=1)
    return scaler | kernel | anomaly.OneClassSVM(nu=0.1)


RIVER: Final[dict[str, tuple[Callable[[], Any], float]]] = {
    "half_space_trees": (_half_space_trees, 1.0),
    "one_class_svm": (_one_class_svm, -1.0),
}
"""Models that may be chosen, by name, with the sign that makes a higher score stranger."""


class RiverDetector:
    """A river anomaly detector for each machine. Raises ValueError for a model that is not in `RIVER`.

    >>> detector = RiverDetector("half_space_trees", n_features=2)
    >>> detector.score(np.zeros(1, np.int64), np.array([[0.5, 0.5]])).tolist()
    [0.0]
    """

    def __init__(self, name: str, n_features: int) -> None:
        if name not in RIVER:
            raise ValueError(f"no river model {name!r}; choose one of {', '.join(RIVER)}")
        self.n_features = n_features
        self._make, self._sign = RIVER[name]
        self._models: dict[int, Any] = {}

    def score(self, machine: Ints, x: Floats) -> Floats:
        """What river says of each row, (n,); 0 for a machine that has learned nothing."""
        out = np.zeros(len(machine))
        for i, (m, row) in enumerate(zip(machine.tolist(), x.tolist(), strict=True)):
            model = self._models.get(m)
            if model is not None:
                out[i] = self._sign * model.score_one(dict(enumerate(row)))
        return out

    def forget(self, machine: int) -> None:
        """Let one machine start again."""
        self._models.pop(machine, None)

    def learn(self, machine: Ints, x: Floats) -> None:
        """Let each machine's model take its rows, in order."""
        for m, row in zip(machine.tolist(), x.tolist(), strict=True):
            model = self._models.get(m)
            if model is None:
                model = self._models[m] = self._make()
            model.learn_one(dict(enumerate(row)))


def half_space_trees(n_features: int) -> RiverDetector:
    """For the table of the panel."""
    return RiverDetector("half_space_trees", n_features)


def one_class_svm(n_features: int) -> RiverDetector:
    """For the table of the panel."""
    return RiverDetector("one_class_svm", n_features)
