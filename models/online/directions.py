"""The directions in which a machine varies: eigenvectors of a small symmetric matrix, by Jacobi's rotations.

Written out, so that equal numbers give equal bits wherever and however aligned they lie: a replay on another
host repeats what was judged on this one (Golub and Van Loan, Matrix Computations, 8.5).
"""

from __future__ import annotations

import math

import numpy as np

from models.online.jit import compiled
from models.online.layout import Floats

MAX_SWEEPS = 12
SMALL = 1e-12


@compiled
def _rotate(a: Floats, v: Floats, p: int, q: int) -> None:
    """Turn the plane of p and q until a[p, q] is gone. a, v: (n, n), in place."""
    theta = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
    t = 1.0 / (abs(theta) + math.sqrt(theta * theta + 1.0))
    if theta < 0.0:
        t = -t
    c = 1.0 / math.sqrt(t * t + 1.0)
    s = t * c
    for k in range(a.shape[0]):
        kp, kq = a[k, p], a[k, q]
        a[k, p], a[k, q] = c * kp - s * kq, s * kp + c * kq
    for k in range(a.shape[0]):
        pk, qk = a[p, k], a[q, k]
        a[p, k], a[q, k] = c * pk - s * qk, s * pk + c * qk
        vp, vq = v[p, k], v[q, k]
        v[p, k], v[q, k] = c * vp - s * vq, s * vp + c * vq


@compiled
def _sweep(a: Floats, v: Floats, least: float) -> float:
    """One turn of every plane that is worth it; the largest element off the diagonal before it."""
    off = 0.0
    for p in range(a.shape[0] - 1):
        for q in range(p + 1, a.shape[0]):
            off = max(off, abs(a[p, q]))
            if abs(a[p, q]) > least:
                _rotate(a, v, p, q)
    return off


@compiled
def directions(cov: Floats, axes: Floats, variance: Floats) -> None:
    """Axes (n, n), a row each, and their variance (n,), the widest first. cov: (n, n), lower triangle.

    >>> axes, variance = np.zeros((2, 2)), np.zeros(2)
    >>> directions(np.array([[2.0, 0.0], [1.0, 2.0]]), axes, variance)
    >>> variance.round(6).tolist(), bool(abs(axes[0, 0] - axes[0, 1]) < 1e-9)
    ([3.0, 1.0], True)
    """
    n = cov.shape[0]
    a, v = np.zeros((n, n)), np.eye(n)
    total = 0.0
    for j in range(n):
        for k in range(j + 1):
            a[j, k] = a[k, j] = cov[j, k]
        total += abs(cov[j, j])
    for _ in range(MAX_SWEEPS):
        if _sweep(a, v, SMALL * SMALL * (total + SMALL)) <= SMALL * (total + SMALL):
            break
    taken = np.zeros(n, np.bool_)
    for rank in range(n):
        best = -1
        for j in range(n):
            if not taken[j] and (best < 0 or a[j, j] > a[best, best]):
                best = j
        taken[best] = True
        variance[rank] = a[best, best]
        axes[rank, :] = v[best, :]
