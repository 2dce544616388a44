"""Drift tests: has a machine's evidence changed for good? A drift is a question to a person, never an alarm.

`models.online.cusum` runs across machines and watches the stream; river's ADWIN and Page-Hinkley stand behind
the same protocol, for comparison and for whoever wants them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from river import drift

from models.online.layout import Floats, Ints


class DriftTest(Protocol):
    """A drift test across machines."""

    def update(self, machine: Ints, value: Floats) -> NDArray[np.bool_]:
        """Take one value a row, (n,); True where the machine's level has changed since it was last said."""
        ...


RIVER_DRIFT: Final[dict[str, Callable[[], Any]]] = {
    "adwin": partial(drift.ADWIN, delta=0.002),
    "page_hinkley": partial(drift.PageHinkley, min_instances=30, delta=0.1, threshold=50.0),
}
"""river's tests that may be chosen, by name."""


class RiverDrift:
    """A river drift test for each machine. Raises ValueError for a test that is not in `RIVER_DRIFT`."""

    def __init__(self, name: str) -> None:
        if name not in RIVER_DRIFT:
            raise ValueError(f"no drift test {name!r}; choose one of {', '.join(RIVER_DRIFT)}")
        self._make = RIVER_DRIFT[name]
        self._tests: dict[int, Any] = {}

    def update(self, machine: Ints, value: Floats) -> NDArray[np.bool_]:
        """Take one value a row, in order."""
        drifted = np.zeros(len(machine), np.bool_)
        for i, (m, one) in enumerate(zip(machine.tolist(), value.tolist(), strict=True)):
            test = self._tests.get(m)
            if test is None:
                test = self._tests[m] = self._make()
            test.update(one)
            drifted[i] = test.drift_detected
        return drifted
