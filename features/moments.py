"""First part of the fused kernel: samples in, time features out, the centred block laid out for the FFT."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from features.fft import Floats
from features.jit import compiled
from features.table import COLUMN

if TYPE_CHECKING:
    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.int16] | NDArray[np.float32]"

_MEAN, _RMS, _PEAK, _PEAK_TO_PEAK = (COLUMN[name] for name in ("mean_g", "rms_g", "peak_g", "peak_to_peak_g"))
_CREST, _KURTOSIS, _SKEWNESS = COLUMN["crest"], COLUMN["kurtosis"], COLUMN["skewness"]
_SHAPE, _IMPULSE, _CLEARANCE = COLUMN["shape"], COLUMN["impulse"], COLUMN["clearance"]
_CLIPPED = COLUMN["clipped_share"]
_ALL_BUT_SIGN = np.int32(0x7FFFFFFF)
_STEP = 256
"""Pairs summed in float32 before they join the float64 total: SIMD speed without drift."""


@compiled
def mean_of(samples: Samples) -> float:
    """Mean of one block in counts; not finite when any sample is not."""
    total = 0.0
    n = samples.shape[0]
    for start in range(0, n, 2 * _STEP):
        part = samples[start : start + 2 * _STEP]
        chunk = np.float32(0)
        for i in range(part.shape[0]):
            chunk += np.float32(part[i])
        total += float(chunk)
    mean: float = total / n
    return mean


@compiled
def centre(samples: Samples, mean: float, even: Floats, odd: Floats) -> None:
    """even[i], odd[i] = samples[2i], samples[2i + 1], less the mean: what a half-length FFT takes."""
    centre_of = np.float32(mean)
    for i in range(even.shape[0]):
        even[i] = np.float32(samples[2 * i]) - centre_of
        odd[i] = np.float32(samples[2 * i + 1]) - centre_of


@compiled
def _sums(part: Floats, totals: NDArray[np.float64]) -> None:
    s1 = s2 = s3 = s4 = root = np.float32(0)
    for i in range(part.shape[0]):
        x = part[i]
        size = abs(x)
        square = x * x
        s1 += size
        root += np.sqrt(size)
        s2 += square
        s3 += square * x
        s4 += square * square
    totals[0] += s1
    totals[1] += root
    totals[2] += s2
    totals[3] += s3
    totals[4] += s4


@compiled
def _extremes(part: Floats, ends: NDArray[np.int32]) -> None:
    """Widen ends (lowest, highest) by the part, as ordered bits: only integers get a SIMD minimum here."""
    bits = part.view(np.int32)
    low, high = ends[0], ends[1]
    for i in range(bits.shape[0]):
        ordered = bits[i] ^ ((bits[i] >> 31) & _ALL_BUT_SIGN)
        low = min(low, ordered)
        high = max(high, ordered)
    ends[0], ends[1] = low, high


@compiled
def _count_at(part: Floats, low: np.float32, high: np.float32) -> int:
    count = np.int32(0)
    for i in range(part.shape[0]):
        count += np.int32((part[i] == low) | (part[i] == high))
    return int(count)


@compiled
def time_features(even: Floats, odd: Floats, mean: float, scale_g: float, row: Floats) -> float:
    """Fill the time columns of `row` from the centred halves; returns the variance in counts squared."""
    totals = np.zeros(5)
    n_half = even.shape[0]
    for start in range(0, n_half, _STEP):
        _sums(even[start : start + _STEP], totals)
        _sums(odd[start : start + _STEP], totals)
    ends = np.zeros(2, np.int32)  # the mean is 0, so the lowest is not above it and the highest not below
    _extremes(even, ends)
    _extremes(odd, ends)
    ends ^= (ends >> np.int32(31)) & _ALL_BUT_SIGN
    low, high = ends.view(np.float32)
    n = 2 * n_half
    mean_size, mean_root, variance = totals[0] / n, totals[1] / n, totals[2] / n
    rms = math.sqrt(variance)
    peak = max(high, -low)
    row[_MEAN] = mean * scale_g
    row[_RMS] = rms * scale_g
    row[_PEAK] = peak * scale_g
    row[_PEAK_TO_PEAK] = (high - low) * scale_g
    row[_CLIPPED] = (_count_at(even, low, high) + _count_at(odd, low, high)) / n
    if variance > 0.0:
        row[_CREST] = peak / rms
        row[_KURTOSIS] = totals[4] / n / variance**2
        row[_SKEWNESS] = totals[3] / n / (variance * rms)
        row[_SHAPE] = rms / mean_size
        row[_IMPULSE] = peak / mean_size
        row[_CLEARANCE] = peak / mean_root**2
    return float(variance)
