"""Who sits on the panel: one line a detector, chosen by name in the settings.

Two are kernels across all machines at once. Others stand behind `protocol.Detector` and are asked row by row,
one row behind: what they say of a row counts at the machine's next one, so that how rows are cut into batches
changes nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from models.online.layout import MAX_PLACES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from models.online.layout import Floats
    from models.online.protocol import Forgetful

MEMBERS: Final[dict[str, str]] = {
    "half_space_trees": "",
    "t2_q": "",
    "river_half_space_trees": "models.online.river_detectors:half_space_trees",
    "river_one_class_svm": "models.online.river_detectors:one_class_svm",
}
"""Name -> what makes the detector of (n_features,); empty: a kernel, `models.online.panel`."""
KEPT_ROWS: Final = 250
SQUASH: Final = 0.1


class Member:
    """One detector that learns row by row, of many machines.

    A machine's model is always what its newest KEPT_ROWS to twice as many rows make of a new one: those rows
    are its whole state, and no object of another library is ever written to disk.
    """

    def __init__(self, detector: Forgetful) -> None:
        self._detector = detector
        self._kept: dict[int, list[Floats]] = {}

    def score(self, m: int, residual: Floats) -> float:
        """Anomaly of one row of machine m; nothing changes. residual: (P,)."""
        return float(self._detector.score(np.array([m]), _squashed(residual))[0])

    def knows(self, m: int) -> bool:
        """Whether machine m has taught enough rows to be judged."""
        return len(self._kept.get(m, ())) >= KEPT_ROWS

    def learn(self, m: int, residual: Floats) -> None:
        """Take one row as normal."""
        kept = self._kept.setdefault(m, [])
        kept.append(residual.copy())
        if len(kept) < 2 * KEPT_ROWS:
            self._detector.learn(np.array([m]), _squashed(residual))
            return
        self.restore(m, kept[KEPT_ROWS:])

    def forget(self, m: int) -> None:
        """Let machine m start again."""
        if self._kept.pop(m, None) is not None:
            self._detector.forget(m)

    def kept(self) -> dict[int, Floats]:
        """The rows that each machine's model has learned, (n, P): all there is to save."""
        return {m: np.array(rows) for m, rows in self._kept.items()}

    def restore(self, m: int, rows: Sequence[Floats]) -> None:
        """Learn saved rows, in order, with a new model."""
        self._detector.forget(m)
        self._kept[m] = list(rows)
        if len(rows):
            self._detector.learn(np.full(len(rows), m), _squashed(np.array(rows)))


def _squashed(residual: Floats) -> Floats:
    """Rows in [0, 1], (n, P), as half-space trees want them."""
    return np.clip(0.5 + SQUASH * np.atleast_2d(residual), 0.0, 1.0)


def member_of(detectors: Sequence[str]) -> Member | None:
    """The detector among these that is no kernel, made; None when there is none."""
    for name in detectors:
        if MEMBERS[name]:
            module, _, maker = MEMBERS[name].partition(":")
            make = cast("Callable[[int], Forgetful]", getattr(import_module(module), maker))
            return Member(make(MAX_PLACES))
    return None
