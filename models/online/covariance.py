"""Exponentially weighted mean and covariance across machines, watched by Hotelling's T2 and Q.

T2 says that a row lies far out in the directions in which the machine usually varies; Q that it leaves them
(Jackson and Mudholkar 1979; MacGregor and Kourti 1995). Each direction of Q counts by its own variance
(Hawkins 1974), so that a loose channel cannot hide that a tight relation broke. The directions are renewed
every `refresh` rows of a machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from models.online.directions import directions
from models.online.jit import compiled
from models.online.layout import Floats, Ints

RIDGE: Final = 1e-6


@compiled
def learn_covariance(x: Floats, rate: float, mean: Floats, cov: Floats) -> None:
    """Fold one row of one machine. x, mean: (n,); cov: (n, n), lower triangle; rate: weight of the row."""
    for j in range(x.shape[0]):
        mean[j] += rate * (x[j] - mean[j])
    # A row's distance to the new mean is (1 - rate) of that to the old one.
    scale = rate / max(1.0 - rate, RIDGE)
    for j in range(x.shape[0]):
        dj = scale * (x[j] - mean[j])
        for k in range(j + 1):
            cov[j, k] = (1.0 - rate) * cov[j, k] + dj * (x[k] - mean[k])


@compiled
def t2_q_of(
    x: Floats, mean: Floats, axes: Floats, variance: Floats, n_axes: int, n_features: int
) -> tuple[float, float]:
    """T2 and Q of one row, each over its expected value: 1 is usual.

    axes: (n, n), the widest first; n_axes: how many of them count as usual variation.
    """
    t2, q = 0.0, 0.0
    for a in range(n_features):
        along = 0.0
        for j in range(n_features):
            along += axes[a, j] * (x[j] - mean[j])
        if a < n_axes:
            t2 += along * along / variance[a]
        else:
            q += along * along / variance[a]
    return t2 / max(n_axes, 1), q / max(n_features - n_axes, 1)


@compiled
def _learn(
    machine: Ints,
    x: Floats,
    memory: float,
    refresh: int,
    count: Ints,
    mean: Floats,
    cov: Floats,
    axes: Floats,
    variance: Floats,
) -> None:
    for i in range(machine.shape[0]):
        m = machine[i]
        learn_covariance(x[i], 1.0 / (min(float(count[m]), memory) + 1.0), mean[m], cov[m])
        count[m] += 1
        if count[m] % refresh == 0:
            directions(cov[m], axes[m], variance[m])
            for a in range(x.shape[1]):
                variance[m, a] = max(variance[m, a], RIDGE)


@compiled
def _score(
    machine: Ints,
    x: Floats,
    n_axes: int,
    refresh: int,
    count: Ints,
    mean: Floats,
    axes: Floats,
    variance: Floats,
    t2: Floats,
    q: Floats,
) -> None:
    for i in range(machine.shape[0]):
        m = machine[i]
        t2[i] = q[i] = 0.0
        if count[m] >= refresh:
            t2[i], q[i] = t2_q_of(x[i], mean[m], axes[m], variance[m], n_axes, x.shape[1])


class EwCovariance:
    """T2 and Q of many machines; until a machine has `refresh` rows its score is 0.

    memory: rows after which weights fade; n_axes: directions that count as usual variation.

    >>> rng = np.random.default_rng(1)
    >>> detector = EwCovariance(n_machines=1, n_features=3, n_axes=1, refresh=64)
    >>> calm = rng.standard_normal((256, 1)) * [1.0, 1.0, 1.0] + 0.01 * rng.standard_normal((256, 3))
    >>> detector.learn(np.zeros(256, np.int64), calm)
    >>> t2, q = detector.t2_and_q(np.zeros(2, np.int64), np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0]]))
    >>> bool(q[1] > 100 * q[0]), bool(t2[0] > t2[1])
    (True, True)
    """

    def __init__(
        self, n_machines: int, n_features: int, *, n_axes: int = 5, memory: int = 1_000, refresh: int = 128
    ) -> None:
        if not 1 <= n_axes < n_features:
            raise ValueError(f"n_axes must be 1 to {n_features - 1}, got {n_axes}")
        self.n_features, self.n_axes = n_features, n_axes
        self.memory, self.refresh = float(memory), refresh
        self.count = np.zeros(n_machines, np.int64)
        self.mean = np.zeros((n_machines, n_features))
        self.cov = np.zeros((n_machines, n_features, n_features))
        self.axes = np.zeros((n_machines, n_features, n_features))
        self.variance = np.ones((n_machines, n_features))

    def t2_and_q(self, machine: Ints, x: Floats) -> tuple[Floats, Floats]:
        """T2 and Q, each over its expected value, (n,) each: 1 is usual."""
        t2, q = np.empty(len(machine)), np.empty(len(machine))
        rows = np.ascontiguousarray(x, np.float64)
        learned = (self.count, self.mean, self.axes, self.variance)
        _score(machine, rows, self.n_axes, self.refresh, *learned, t2, q)
        return t2, q

    def score(self, machine: Ints, x: Floats) -> Floats:
        """The larger of T2 and Q, (n,): 1 is usual."""
        t2, q = self.t2_and_q(machine, x)
        return np.maximum(t2, q)

    def learn(self, machine: Ints, x: Floats) -> None:
        """Fold these rows into mean and covariance."""
        rows = np.ascontiguousarray(x, np.float64)
        state = (self.count, self.mean, self.cov, self.axes, self.variance)
        _learn(machine, rows, self.memory, self.refresh, *state)
