"""Exponentially weighted mean and covariance across machines, watched by Hotelling's T2 and Q.

T2 says that a row lies far out in the directions in which the machine usually varies; Q that it leaves them
(Jackson and Mudholkar 1979; MacGregor and Kourti 1995). The directions are renewed every `refresh` rows of a
machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from models.online.jit import compiled
from models.online.layout import Floats, Ints

RIDGE: Final = 1e-6


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
    rest: Floats,
) -> None:
    n_features, n_axes = x.shape[1], variance.shape[1]
    d = np.zeros(n_features)
    for i in range(machine.shape[0]):
        m = machine[i]
        rate = 1.0 / (min(float(count[m]), memory) + 1.0)
        for j in range(n_features):
            d[j] = x[i, j] - mean[m, j]
            mean[m, j] += rate * d[j]
        for j in range(n_features):
            scaled = rate * (1.0 - rate) * d[j]
            for k in range(j + 1):
                cov[m, j, k] = (1.0 - rate) * cov[m, j, k] + scaled * d[k]
        count[m] += 1
        if count[m] % refresh == 0:
            values, vectors = np.linalg.eigh(cov[m])
            for a in range(n_axes):
                variance[m, a] = max(values[n_features - 1 - a], RIDGE)
                axes[m, a, :] = vectors[:, n_features - 1 - a]
            total = 0.0
            for a in range(n_features - n_axes):
                total += max(values[a], 0.0)
            rest[m] = max(total, RIDGE)


@compiled
def _score(
    machine: Ints,
    x: Floats,
    refresh: int,
    count: Ints,
    mean: Floats,
    axes: Floats,
    variance: Floats,
    rest: Floats,
    t2: Floats,
    q: Floats,
) -> None:
    n_features, n_axes = x.shape[1], variance.shape[1]
    for i in range(machine.shape[0]):
        m = machine[i]
        t2[i] = q[i] = 0.0
        if count[m] < refresh:
            continue
        inside = 0.0
        for j in range(n_features):
            q[i] += (x[i, j] - mean[m, j]) ** 2
        for a in range(n_axes):
            along = 0.0
            for j in range(n_features):
                along += axes[m, a, j] * (x[i, j] - mean[m, j])
            inside += along * along
            t2[i] += along * along / variance[m, a]
        q[i] = max(q[i] - inside, 0.0) / rest[m]


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
        self.n_features, self.memory, self.refresh = n_features, float(memory), refresh
        self.count = np.zeros(n_machines, np.int64)
        self.mean = np.zeros((n_machines, n_features))
        self.cov = np.zeros((n_machines, n_features, n_features))
        self.axes = np.zeros((n_machines, n_axes, n_features))
        self.variance = np.ones((n_machines, n_axes))
        self.rest = np.ones(n_machines)

    def t2_and_q(self, machine: Ints, x: Floats) -> tuple[Floats, Floats]:
        """T2, about chi-square with n_axes degrees of freedom, and Q over its own mean; (n,) each."""
        t2, q = np.empty(len(machine)), np.empty(len(machine))
        rows = np.ascontiguousarray(x, np.float64)
        learned = (self.count, self.mean, self.axes, self.variance, self.rest)
        _score(machine, rows, self.refresh, *learned, t2, q)
        return t2, q

    def score(self, machine: Ints, x: Floats) -> Floats:
        """The larger of T2 over its expected value and Q over its own, (n,): 1 is usual."""
        t2, q = self.t2_and_q(machine, x)
        return np.maximum(t2 / self.variance.shape[1], q)

    def learn(self, machine: Ints, x: Floats) -> None:
        """Fold these rows into mean and covariance."""
        rows = np.ascontiguousarray(x, np.float64)
        state = (self.count, self.mean, self.cov, self.axes, self.variance, self.rest)
        _learn(machine, rows, self.memory, self.refresh, *state)
