"""How many labels look wrong: confident learning (Northcutt, Jiang and Chuang 2021), out of fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def looks_wrong(said: NDArray[np.bool_], probability: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Labels whose opposite a model, trained without them, is as sure of as it usually is of true ones.

    said: (n,) labelled as fault; probability: (n,) of a fault, out of fold. Returns (n,); all False when only
    one class was said, since nothing can be compared then. Raises ValueError for shapes that differ.

    >>> looks_wrong(np.array([True, True, True, False, False]), np.array([0.9, 0.8, 0.1, 0.1, 0.2]))
    array([False, False,  True, False, False])
    """
    if said.shape != probability.shape or said.ndim != 1:
        raise ValueError(f"labels and probabilities must match, got {said.shape} and {probability.shape}")
    if said.all() or not said.any():
        return np.zeros(len(said), bool)
    sure_of_fault = probability[said].mean()
    sure_of_health = (1.0 - probability[~said]).mean()
    claims_health = said & (1.0 - probability >= sure_of_health) & (probability < 0.5)
    claims_fault = ~said & (probability >= sure_of_fault) & (probability > 0.5)
    return np.asarray(claims_health | claims_fault, np.bool_)


def noise_share(said: NDArray[np.bool_], probability: NDArray[np.float64]) -> float | None:
    """Share of labels that look wrong, in [0, 1]; None where nothing can be compared: none, or one class.

    >>> noise_share(np.array([True, True]), np.array([0.9, 0.1])) is None
    True
    """
    wrong = looks_wrong(said, probability)
    return None if said.all() or not said.any() else float(wrong.mean())
