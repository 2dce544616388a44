"""A drift test across machines: sums of standardised deviations, up and down (Page 1954; Hinkley 1971)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.online.jit import compiled
from models.online.layout import Floats, Ints


@compiled
def _cusum(
    machine: Ints,
    value: Floats,
    slack: float,
    limit: float,
    count: Ints,
    state: Floats,
    drifted: NDArray[np.bool_],
) -> None:
    for i in range(machine.shape[0]):
        m = machine[i]
        count[m] += 1
        rate = 1.0 / count[m]
        d = value[i] - state[m, 0]
        state[m, 0] += rate * d
        state[m, 1] += rate * (d * (value[i] - state[m, 0]) - state[m, 1])
        z = d / max(np.sqrt(state[m, 1]), 1e-9) if count[m] > 30 else 0.0
        state[m, 2] = max(0.0, state[m, 2] + z - slack)
        state[m, 3] = max(0.0, state[m, 3] - z - slack)
        drifted[i] = max(state[m, 2], state[m, 3]) > limit
        if drifted[i]:
            count[m] = 0
            state[m, :] = 0.0


class Cusum:
    """Two-sided Page-Hinkley test of standardised values, vectorised across machines (Page 1954).

    slack: change in standard deviations that is tolerated; limit: sum that says drift.

    >>> test = Cusum(1)
    >>> values = np.concatenate([np.tile([-1.0, 1.0], 100), np.tile([3.0, 5.0], 20)])
    >>> said = test.update(np.zeros(240, np.int64), values)
    >>> bool(said[:200].any()), bool(said[200:].any())
    (False, True)
    """

    def __init__(self, n_machines: int, slack: float = 0.5, limit: float = 25.0) -> None:
        if slack < 0 or limit <= 0:
            raise ValueError(f"slack must not be negative and limit positive, got {slack} and {limit}")
        self.slack, self.limit = slack, limit
        self.count = np.zeros(n_machines, np.int64)
        self.state = np.zeros((n_machines, 4))

    def update(self, machine: Ints, value: Floats) -> NDArray[np.bool_]:
        """Take one value a row, in order."""
        drifted = np.zeros(len(machine), np.bool_)
        _cusum(
            machine, np.asarray(value, np.float64), self.slack, self.limit, self.count, self.state, drifted
        )
        return drifted
