"""What each feature contributes to the score of a batch model, and the top three in words.

T2 and Q are sums over columns and are split exactly (Westerhuis, Gurden and Smilde 2000). A forest or a
booster is asked again with one column at a time set to its healthy middle: what the score loses is what that
column contributes (occlusion; Zeiler and Fergus 2014). Columns that only matter together share no credit
there, so these contributions need not add up to the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ingest.contract.rows import Reason
from models.training.detectors import Forest, Horizon, Subspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.training.frame import Frame
    from models.training.train import BatchModel

TOP = 3
Language = Literal["en", "id"]
SENTENCES: dict[str, dict[Language, str]] = {
    "batch_high": {
        "en": "{channel} is above its healthy middle: {value} against {expected}",
        "id": "{channel} di atas nilai tengah sehatnya: {value}, biasanya {expected}",
    },
    "batch_low": {
        "en": "{channel} is below its healthy middle: {value} against {expected}",
        "id": "{channel} di bawah nilai tengah sehatnya: {value}, biasanya {expected}",
    },
    "batch_missing": {
        "en": "{channel} has no value here",
        "id": "{channel} tidak bernilai di sini",
    },
}


def contributions(model: BatchModel, frame: Frame, rows: slice | NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, d) what each column of the model adds to the raw score of some rows, on the detector's own scale.

    For `pca-t2-q` a row sums to its raw score; for the others see above. Negative: the column speaks for
    health.
    """
    values = model.values_of(frame)[rows]
    detector = model.detector
    if isinstance(detector, Subspace):
        return _of_subspace(detector, values)
    centre = _centre(model)
    whole = detector.raw(values)
    found = np.zeros_like(values)
    for column in range(values.shape[1]):
        without = values.copy()
        without[:, column] = centre[column]
        found[:, column] = whole - detector.raw(without)
    return found


def _of_subspace(detector: Subspace, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The larger of T2 and Q, each over its limit, split over columns."""
    x = detector.scaling.apply(values)
    centred = x - detector.pca.mean_
    inside = detector.pca.transform(x)
    variance = np.maximum(detector.pca.explained_variance_, 1e-12)
    t2 = centred * ((inside / variance) @ detector.pca.components_) / detector.t2_limit
    q = (x - detector.pca.inverse_transform(inside)) ** 2 / detector.q_limit
    larger = t2.sum(axis=1) >= q.sum(axis=1)
    return np.asarray(np.where(larger[:, None], t2, q), np.float64)


def _centre(model: BatchModel) -> NDArray[np.float64]:
    match model.detector:
        case Forest(scaling, _) | Subspace(scaling, _, _, _):
            return scaling.centre
        case Horizon(centre, _):
            return centre
    raise TypeError(f"no healthy middle is known of {type(model.detector).__name__}")


def reasons(model: BatchModel, frame: Frame, row: int, top: int = TOP) -> tuple[Reason, ...]:
    """The columns that carry the score of one row, the heaviest first; weights sum to at most 1."""
    added = np.maximum(contributions(model, frame, np.array([row]))[0], 0.0)
    total = float(added.sum())
    if not total > 0.0:
        return ()
    values, centre = model.values_of(frame)[row], _centre(model)
    found = []
    for column in np.argsort(-added, kind="stable")[:top]:
        if not added[column] > 0.0:
            break
        value, expected = float(values[column]), float(centre[column])
        said: dict[str, float | str] = {"channel": model.columns[column]}
        code = "batch_missing"
        if np.isfinite(value):
            said |= {"value": value, "expected": expected}
            code = "batch_high" if value >= expected else "batch_low"
        found.append(Reason(code, said, float(added[column]) / total))
    return tuple(found)


def sentence(reason: Reason, language: Language = "en") -> str:
    """One reason in words. Raises KeyError for a code that has no sentence here.

    >>> high = Reason("batch_high", {"channel": "x.rms_g", "value": 1.25, "expected": 0.4})
    >>> sentence(high, "id")
    'x.rms_g di atas nilai tengah sehatnya: 1.25, biasanya 0.4'
    """
    said = {name: f"{one:.4g}" if isinstance(one, float) else one for name, one in reason.values.items()}
    return SENTENCES[reason.code][language].format_map(said)
