"""A complex FFT for power-of-two lengths, in passes that the compiler turns into SIMD code.

Stockham autosort in radix 8 (4 or 2 where the length asks for it) on split real and imaginary float32 arrays
(van Loan, Computational Frameworks for the FFT, 1992, section 1.7). It runs inside the feature kernel without
a call into Python, so that one block costs the same alone as in a batch of 64, with the same bits.

Index arithmetic is unsigned throughout: numba then adds no wrap-around tests and LLVM vectorises the loops.
"""

# ruff: noqa: PLR0917  (compiled functions are called by place)

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from features.jit import compiled, inlined

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float32]"
Settings: TypeAlias = "NDArray[np.float64]"
"""What is known of each block, a float64 row in the order of `kernel.SETTINGS`."""
Index: TypeAlias = "int | np.uint64"
Pair: TypeAlias = tuple[np.float32, np.float32]
Eight: TypeAlias = tuple[Pair, Pair, Pair, Pair, Pair, Pair, Pair, Pair]

Butterflies: TypeAlias = "Callable[[Floats, Floats, Floats, Floats, Index, Floats], None]"

MIN_FFT = 64
_0, _1, _2, _3, _4, _5, _6, _7, _8 = (np.uint64(i) for i in range(9))
_RUN = np.uint64(64)
_ROOT_HALF = np.float32(np.sqrt(0.5))


def twiddles(n_points: int) -> Floats:
    """Tables of one FFT length, (4, n_points) float32: cosine, minus sine, and both held over runs of eight.

    Raises ValueError unless n_points is a power of two of at least 64.

    >>> twiddles(64).shape
    (4, 64)
    """
    if n_points < MIN_FFT or n_points & (n_points - 1):
        raise ValueError(f"the FFT length must be a power of two >= {MIN_FFT}, got {n_points}")
    turns = 2 * np.pi * np.arange(n_points) / n_points
    runs = 2 * np.pi * (np.arange(n_points) // 8 * 8) / n_points
    return np.array([np.cos(turns), -np.sin(turns), np.cos(runs), -np.sin(runs)], np.float32)


@inlined
def _turn(a: Pair, w: Pair) -> Pair:
    return a[0] * w[0] - a[1] * w[1], a[0] * w[1] + a[1] * w[0]


@inlined
def _add(a: Pair, b: Pair) -> Pair:
    return a[0] + b[0], a[1] + b[1]


@inlined
def _sub(a: Pair, b: Pair) -> Pair:
    return a[0] - b[0], a[1] - b[1]


@inlined
def _back(a: Pair) -> Pair:
    """A quarter turn back: a times -i."""
    return a[1], -a[0]


@inlined
def _dft_4(a: Pair, b: Pair, c: Pair, d: Pair) -> tuple[Pair, Pair, Pair, Pair]:
    p, q = _add(a, c), _sub(a, c)
    r, s = _add(b, d), _back(_sub(b, d))
    return _add(p, r), _add(q, s), _sub(p, r), _sub(q, s)


@inlined
def _dft_8(xr: Floats, xi: Floats, t: Index, q: Index) -> Eight:
    """The eight-point transform of x[t], x[t + q], ... x[t + 7q]."""
    x0, x4 = (xr[t], xi[t]), (xr[t + _4 * q], xi[t + _4 * q])
    x1, x5 = (xr[t + q], xi[t + q]), (xr[t + _5 * q], xi[t + _5 * q])
    x2, x6 = (xr[t + _2 * q], xi[t + _2 * q]), (xr[t + _6 * q], xi[t + _6 * q])
    x3, x7 = (xr[t + _3 * q], xi[t + _3 * q]), (xr[t + _7 * q], xi[t + _7 * q])
    even = _dft_4(_add(x0, x4), _add(x1, x5), _add(x2, x6), _add(x3, x7))
    b1, b3 = _sub(x1, x5), _sub(x3, x7)
    b1 = ((b1[0] + b1[1]) * _ROOT_HALF, (b1[1] - b1[0]) * _ROOT_HALF)
    b3 = ((b3[1] - b3[0]) * _ROOT_HALF, -(b3[0] + b3[1]) * _ROOT_HALF)
    odd = _dft_4(_sub(x0, x4), b1, _back(_sub(x2, x6)), b3)
    return even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]


@inlined
def _store_8(yr: Floats, yi: Floats, u: Index, gap: Index, y: Eight, w1: Pair) -> None:
    """y[u + k gap] = outputs turned by w1 to the power of k."""
    w2 = _turn(w1, w1)
    w3, w4 = _turn(w1, w2), _turn(w2, w2)
    yr[u], yi[u] = y[0]
    yr[u + gap], yi[u + gap] = _turn(y[1], w1)
    yr[u + _2 * gap], yi[u + _2 * gap] = _turn(y[2], w2)
    yr[u + _3 * gap], yi[u + _3 * gap] = _turn(y[3], w3)
    yr[u + _4 * gap], yi[u + _4 * gap] = _turn(y[4], w4)
    yr[u + _5 * gap], yi[u + _5 * gap] = _turn(y[5], _turn(w4, w1))
    yr[u + _6 * gap], yi[u + _6 * gap] = _turn(y[6], _turn(w3, w3))
    yr[u + _7 * gap], yi[u + _7 * gap] = _turn(y[7], _turn(w4, w3))


@compiled
def _first_pass(xr: Floats, xi: Floats, yr: Floats, yi: Floats, n: Index, w: Floats) -> None:
    """Radix 8, stride 1: outputs land side by side."""
    wr, wi = w[0], w[1]
    q = n >> _3
    for t in range(q):
        _store_8(yr, yi, _8 * t, _1, _dft_8(xr, xi, t, q), (wr[t], wi[t]))


@compiled
def _second_pass(xr: Floats, xi: Floats, yr: Floats, yi: Floats, n: Index, w: Floats) -> None:
    """Radix 8, stride 8: runs of 8 are too short for SIMD, so runs are done 8 at a time and sorted after."""
    wr, wi = w[2], w[3]
    q = n >> _3
    flat_r, flat_i = np.empty(8 * 64, np.float32), np.empty(8 * 64, np.float32)
    for start in range(_0, q, _RUN):
        for j in range(min(_RUN, q)):
            t = start + j
            _store_8(flat_r, flat_i, j, _RUN, _dft_8(xr, xi, t, q), (wr[t], wi[t]))
        _sort_runs(flat_r, yr, start, min(_RUN, q))
        _sort_runs(flat_i, yi, start, min(_RUN, q))


@compiled
def _sort_runs(flat: Floats, out: Floats, start: Index, n_columns: Index) -> None:
    """out[64p + 8k + j] = flat[64k + 8p + j] from 8 start onwards, moved two floats at a time."""
    pairs, to = flat.view(np.float64), out.view(np.float64)
    for p in range(n_columns >> _3):
        for k in range(_8):
            a, b = (k << _5) + (p << _2), (start << _2) + (p << _5) + (k << _2)
            v0, v1, v2, v3 = pairs[a], pairs[a + _1], pairs[a + _2], pairs[a + _3]
            to[b], to[b + _1], to[b + _2], to[b + _3] = v0, v1, v2, v3


def _strided_pass(stride_points: int) -> Butterflies:
    """Radix 8, `stride_points` transforms side by side; LLVM vectorises only a constant stride."""
    stride = np.uint64(stride_points)

    def radix_8(xr: Floats, xi: Floats, yr: Floats, yi: Floats, n: Index, w: Floats) -> None:
        wr, wi = w[0], w[1]
        q = n >> _3
        for p in range(q // stride):
            base = p * stride
            w1 = (wr[base], wi[base])
            for j in range(stride):
                _store_8(yr, yi, _8 * base + j, stride, _dft_8(xr, xi, base + j, q), w1)

    return compiled(radix_8)


_pass_64, _pass_512, _pass_4096 = _strided_pass(64), _strided_pass(512), _strided_pass(4096)


@compiled
def _pass_4(xr: Floats, xi: Floats, yr: Floats, yi: Floats, n: Index) -> None:
    """The last pass where a factor 4 is left: no twiddles."""
    q = n >> _2
    for t in range(q):
        a, b = (xr[t], xi[t]), (xr[t + q], xi[t + q])
        c, d = (xr[t + _2 * q], xi[t + _2 * q]), (xr[t + _3 * q], xi[t + _3 * q])
        y = _dft_4(a, b, c, d)
        yr[t], yi[t] = y[0]
        yr[t + q], yi[t + q] = y[1]
        yr[t + _2 * q], yi[t + _2 * q] = y[2]
        yr[t + _3 * q], yi[t + _3 * q] = y[3]


@compiled
def _pass_2(xr: Floats, xi: Floats, yr: Floats, yi: Floats, n: Index) -> None:
    """The last pass where a factor 2 is left: no twiddles."""
    q = n >> _1
    for t in range(q):
        ar, ai, br, bi = xr[t], xi[t], xr[t + q], xi[t + q]
        yr[t], yi[t] = ar + br, ai + bi
        yr[t + q], yi[t + q] = ar - br, ai - bi


@compiled
def _last_pass(xr: Floats, xi: Floats, yr: Floats, yi: Floats, n: Index, left: Index) -> bool:
    """What radix 8 leaves over: a factor 4, 2 or 1. Returns True when the data went from x to y."""
    if left == _4:
        _pass_4(xr, xi, yr, yi, n)
    elif left == _2:
        _pass_2(xr, xi, yr, yi, n)
    return bool(left > _1)


@compiled
def fft(xr: Floats, xi: Floats, yr: Floats, yi: Floats, w: Floats) -> bool:
    """Forward DFT of x, (n,) real and (n,) imaginary; both x and y are overwritten.

    w: `twiddles(n)`. Returns True when the result is in y, False when it is in x. For the inverse (times n),
    swap the real and imaginary arguments.
    """
    n = np.uint64(w.shape[1])
    _first_pass(xr, xi, yr, yi, n, w)
    _second_pass(yr, yi, xr, xi, n, w)
    left = n >> _6
    if left >= _8:
        _pass_64(xr, xi, yr, yi, n, w)
        if left >= np.uint64(64):
            _pass_512(yr, yi, xr, xi, n, w)
            if left >= np.uint64(512):
                _pass_4096(xr, xi, yr, yi, n, w)
                return not _last_pass(yr, yi, xr, xi, n, left >> np.uint64(9))
            return _last_pass(xr, xi, yr, yi, n, left >> _6)
        return not _last_pass(yr, yi, xr, xi, n, left >> _3)
    return _last_pass(xr, xi, yr, yi, n, left)
