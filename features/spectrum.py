"""Second part of the fused kernel: from the half-length FFT to power, severity, bands, shape and peaks.

Power is that of a Hann window, applied as a three-point sum on the spectrum, so that the same FFT serves the
envelope without a window. A line of amplitude A holds A^2 n^2 3/32 in its main lobe of five bins.
"""

# ruff: noqa: PLR0917  (compiled functions are called by place)

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from features.fft import Floats
from features.jit import compiled
from features.table import BAND_EDGES_HZ, COLUMN, N_PEAKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 64
"""Bins summed in float32 before they join a float64 total, and the grain of the search for peaks."""
LINE_SCALE = 32.0 / 3.0
MM_S2_PER_G = 9_806.65
_LOWER_HZ, _UPPER_HZ, _SLOW_HZ, _SLOW_LOWER_HZ = 10.0, 1_000.0, 10.0, 2.0
_ROLLOFF = 0.95
_VELOCITY, _DISPLACEMENT = COLUMN["velocity_rms_mm_s"], COLUMN["displacement_rms_um"]
_FIRST_BAND = COLUMN["displacement_rms_um"] + 1
_CENTROID, _SPREAD, _ENTROPY = COLUMN["centroid_hz"], COLUMN["spread_hz"], COLUMN["entropy"]
_ROLLOFF_HZ, _FIRST_PEAK = COLUMN["rolloff_hz"], COLUMN["peak_1_hz"]
_EDGES_HZ = np.array(BAND_EDGES_HZ)
_MANTISSA, _EXPONENT_OF_ONE = np.int32(0x7FFFFF), np.int32(0x3F800000)
_LN_2 = np.float32(math.log(2.0))
_3RD, _5TH, _7TH, _9TH = (np.float32(1.0 / i) for i in (3, 5, 7, 9))


@compiled
def unpack(zr: Floats, zi: Floats, wr: Floats, wi: Floats, xr: Floats, xi: Floats) -> None:
    """Spectrum of 2n real samples, bins 0 to n, from the FFT of their n even + i odd pairs.

    wr, wi: cosine and minus sine of pi k / n.
    """
    n = zr.shape[0]
    xr[0], xi[0] = zr[0] + zi[0], np.float32(0)
    xr[n], xi[n] = zr[0] - zi[0], np.float32(0)
    half = np.float32(0.5)
    end = np.uint64(n)
    for k in range(np.uint64(1), end):
        sum_r, diff_i = zr[k] + zr[end - k], zi[k] - zi[end - k]
        diff_r, sum_i = zr[k] - zr[end - k], zi[k] + zi[end - k]
        xr[k] = half * (sum_r + wr[k] * sum_i + wi[k] * diff_r)
        xi[k] = half * (diff_i + wi[k] * sum_i - wr[k] * diff_r)


@compiled
def hann_power(xr: Floats, xi: Floats, n_bins: int, power: Floats) -> None:
    """power[k], k < n_bins, with a Hann window, from bins 0 to n_bins without one; then zeros."""
    half, quarter = np.float32(0.5), np.float32(0.25)
    first = half * (xr[0] - xr[1])
    power[0] = first * first
    before_r, here_r, after_r = xr[: n_bins - 1], xr[1:n_bins], xr[2 : n_bins + 1]
    before_i, here_i, after_i = xi[: n_bins - 1], xi[1:n_bins], xi[2 : n_bins + 1]
    to = power[1:n_bins]
    for k in range(n_bins - 1):
        real = half * here_r[k] - quarter * (before_r[k] + after_r[k])
        imag = half * here_i[k] - quarter * (before_i[k] + after_i[k])
        to[k] = real * real + imag * imag
    power[n_bins:] = np.float32(0)


@compiled
def span(power: Floats, low: int, high: int) -> float:
    """Sum of power[low:high] with float64 care."""
    total = 0.0
    for start in range(low, high, CHUNK):
        part = power[start : min(start + CHUNK, high)]
        chunk = np.float32(0)
        for k in range(part.shape[0]):
            chunk += part[k]
        total += float(chunk)
    return total


@compiled
def _weighted(power: Floats, weight: Floats, low: int, high: int) -> float:
    total = 0.0
    for start in range(low, high, CHUNK):
        stop = min(start + CHUNK, high)
        part, by = power[start:stop], weight[start:stop]
        chunk = np.float32(0)
        for k in range(part.shape[0]):
            chunk += part[k] * by[k]
        total += float(chunk)
    return total


@compiled
def severity(
    power: Floats, n_bins: int, bin_hz: float, rms_scale: float, speed_hz: float, inverse: Floats, row: Floats
) -> None:
    """Velocity and displacement RMS from 10 (2 for a shaft below 600 rpm) to 1000 Hz or half the rate.

    inverse: (2, n_bins) float32: k^-2 and k^-4. rms_scale: g of RMS for the root of summed power.
    """
    lower_hz = _SLOW_LOWER_HZ if speed_hz < _SLOW_HZ else _LOWER_HZ
    low = max(1, math.ceil(lower_hz / bin_hz))
    high = min(n_bins, math.floor(_UPPER_HZ / bin_hz) + 1)
    if low >= high:
        return
    per_bin = 2 * math.pi * bin_hz
    velocity = rms_scale * MM_S2_PER_G / per_bin * math.sqrt(_weighted(power, inverse[0], low, high))
    twice = rms_scale * MM_S2_PER_G / per_bin**2 * math.sqrt(_weighted(power, inverse[1], low, high))
    row[_VELOCITY] = velocity
    row[_DISPLACEMENT] = 1_000.0 * twice


@compiled
def bands(power: Floats, n_bins: int, bin_hz: float, rms_scale: float, row: Floats) -> None:
    """RMS in each fixed band that begins below half the rate."""
    for i in range(_EDGES_HZ.shape[0] - 1):
        low, high = math.ceil(_EDGES_HZ[i] / bin_hz), math.ceil(_EDGES_HZ[i + 1] / bin_hz)
        if low < n_bins:
            row[_FIRST_BAND + i] = rms_scale * math.sqrt(span(power, low, min(high, n_bins)))


@compiled
def _chunk_sums(power: Floats, chunks: NDArray[np.float64], tops: Floats) -> None:
    """Per chunk of bins: sum, first and second moment about its start in `chunks`, the largest in `tops`."""
    bits, top_bits = power.view(np.int32), tops.view(np.int32)  # bits of floats >= 0 are ordered as they are
    for c in range(tops.shape[0]):
        part = power[c * CHUNK : (c + 1) * CHUNK]
        s0 = s1 = s2 = np.float32(0)
        for k in range(CHUNK):
            p, at = part[k], np.float32(k)
            s0 += p
            s1 += p * at
            s2 += p * at * at
        ordered = bits[c * CHUNK : (c + 1) * CHUNK]
        top = np.int32(0)
        for k in range(CHUNK):
            top = max(top, ordered[k])
        top_bits[c] = top
        chunks[0, c], chunks[1, c], chunks[2, c] = s0, s1, s2


@compiled
def _entropy_sum(power: Floats, unit: float, scratch: NDArray[np.int32]) -> float:
    """Sum of p ln p with p = power * unit; ln by exponent and series, good to 2e-6. unit keeps p in range."""
    total = 0.0
    by = np.float32(unit)
    mantissa = scratch.view(np.float32)
    for start in range(0, power.shape[0], CHUNK):
        part = power[start : start + CHUNK]
        for k in range(CHUNK):
            mantissa[k] = part[k] * by
        for k in range(CHUNK):
            bits = scratch[k]
            scratch[k + CHUNK] = (bits >> 23) - 127
            scratch[k + 2 * CHUNK] = (bits & _MANTISSA) | _EXPONENT_OF_ONE
        chunk = np.float32(0)
        for k in range(CHUNK):
            m = mantissa[k + 2 * CHUNK]
            t = (m - np.float32(1)) / (m + np.float32(1))
            u = t * t
            series = t + t * u * (_3RD + u * (_5TH + u * (_7TH + u * _9TH)))
            chunk += mantissa[k] * (np.float32(scratch[k + CHUNK]) * _LN_2 + series + series)
        total += float(chunk)
    return total


@compiled
def shape(
    power: Floats,
    n_bins: int,
    bin_hz: float,
    chunks: NDArray[np.float64],
    tops: Floats,
    scratch: NDArray[np.int32],
    row: Floats,
) -> float:
    """Centroid, spread, entropy, roll-off. Returns the total power; fills `chunks` and `tops`."""
    _chunk_sums(power, chunks, tops)
    total = first = second = 0.0
    for c in range(tops.shape[0]):
        at = c * CHUNK
        s0, s1 = chunks[0, c], chunks[1, c]
        total += s0
        first += s1 + at * s0
        second += chunks[2, c] + 2 * at * s1 + at * at * s0
    if total <= 0.0:
        return 0.0
    centroid = first / total
    row[_CENTROID] = centroid * bin_hz
    row[_SPREAD] = math.sqrt(max(0.0, second / total - centroid**2)) * bin_hz
    row[_ENTROPY] = max(0.0, -_entropy_sum(power, 1.0 / total, scratch) / math.log(n_bins))
    row[_ROLLOFF_HZ] = _rolloff(power, chunks[0], _ROLLOFF * total) * bin_hz
    return total


@compiled
def _rolloff(power: Floats, sums: NDArray[np.float64], goal: float) -> float:
    seen = 0.0
    c = 0
    while c < sums.shape[0] - 1 and seen + sums[c] < goal:
        seen += sums[c]
        c += 1
    for k in range(c * CHUNK, (c + 1) * CHUNK):
        if seen + power[k] >= goal:
            return k - 0.5 + (goal - seen) / float(power[k])
        seen += float(power[k])
    return (c + 1) * CHUNK - 0.5


@compiled
def _best_in(power: Floats, low: int, high: int, taken: NDArray[np.int64], n_taken: int) -> int:
    """The highest local maximum in [low, high) at least three bins away from those taken; -1 for none."""
    best, top = -1, np.float32(0)
    for k in range(low, high):
        p = power[k]
        if p > top and p >= power[k - 1] and p >= power[k + 1]:
            free = True
            for i in range(n_taken):
                free = free and abs(taken[i] - k) > 2
            if free:
                best, top = k, p
    return best


@compiled
def peaks(power: Floats, n_bins: int, bin_hz: float, line_scale: float, tops: Floats, row: Floats) -> None:
    """The loudest lines: frequency between bins and amplitude. A chunk is searched only when it may win."""
    n_chunks = tops.shape[0]
    opened = np.zeros(n_chunks, np.bool_)
    where, taken = np.zeros(n_chunks, np.int64), np.zeros(N_PEAKS, np.int64)
    rank = 0
    while rank < N_PEAKS:
        c = 0
        for i in range(1, n_chunks):
            if tops[i] > tops[c]:
                c = i
        if tops[c] <= 0:
            return
        if not opened[c]:
            k = _best_in(power, max(2, c * CHUNK), min(n_bins - 2, (c + 1) * CHUNK), taken, rank)
            tops[c] = power[k] if k >= 0 else np.float32(0)
            where[c], opened[c] = k, True
            continue
        k = where[c]
        row[_FIRST_PEAK + 2 * rank] = (k + _offset(power, k)) * bin_hz
        row[_FIRST_PEAK + 2 * rank + 1] = line_scale * math.sqrt(span(power, k - 2, k + 3))
        taken[rank] = k
        rank += 1
        for i in range(max(0, c - 1), min(n_chunks, c + 2)):
            opened[i] = False


@compiled
def _offset(power: Floats, k: int) -> float:
    """Where between the bins a Hann line lies, -0.5 to 0.5 (Grandke 1983)."""
    side = 1 if power[k + 1] > power[k - 1] else -1
    ratio = math.sqrt(power[k + side] / power[k])
    return side * min(0.5, max(0.0, (2 * ratio - 1) / (ratio + 1)))
