"""Fourth part of the fused kernel: the envelope of one band and its lines.

Only the demodulated band is transformed back: its bins, moved to zero, go through an inverse FFT of a
quarter of the block, whose magnitude is the envelope at a quarter of the rate (Randall and Antoni, MSSP 25,
2011). The envelope lasts as long as the block, so its bins have the same width.
"""

# ruff: noqa: PLR0917  (compiled functions are called by place)

from __future__ import annotations

import math

import numpy as np

from features.fft import Floats, Settings, fft
from features.jit import compiled
from features.lines import line_square
from features.spectrum import LINE_SCALE, hann_power, span
from features.table import BEARING_PARTS, COLUMN, N_HARMONICS

_RMS, _MEAN, _KURTOSIS = COLUMN["envelope_rms_g"], COLUMN["envelope_mean_g"], COLUMN["envelope_kurtosis"]
_FLOOR, _ORDER_1, _FIRST_LINE = (
    COLUMN["envelope_floor_g"],
    COLUMN["envelope_order_1_g"],
    COLUMN["envelope_bpfo_1_g"],
)
_BPFI_SIDES, _BSF_SIDES = COLUMN["envelope_bpfi_sidebands_g"], COLUMN["envelope_bsf_sidebands_g"]
_N_PARTS = len(BEARING_PARTS)
_STEP = 256


@compiled
def band_bins(low_hz: float, high_hz: float, n: int, rate_hz: float, n_envelope: int) -> tuple[int, int]:
    """Bins [low, high) of the band: at most 3/4 of the envelope's own points, so that its lines do not alias.

    An unknown band (NaN) is 1/8 to 5/16 of the rate; a band too wide is cut above.
    """
    bin_hz = rate_hz / n
    if not low_hz < high_hz:
        low_hz, high_hz = rate_hz / 8, rate_hz * 5 / 16
    low = min(max(1, round(low_hz / bin_hz)), n // 2 - 8)
    high = min(round(high_hz / bin_hz), n // 2, low + n_envelope * 3 // 4)
    return low, max(high, low + 8)


@compiled
def envelope_of(xr: Floats, xi: Floats, low: int, high: int, scratch: Floats, w: Floats, out: Floats) -> None:
    """out: (n_envelope,) |inverse FFT| of bins [low, high), not yet divided by half the block's length."""
    width, n = high - low, out.shape[0]
    ar, ai, br, bi = scratch[0, :n], scratch[1, :n], scratch[2, :n], scratch[3, :n]
    ar[:width], ai[:width] = xr[low:high], xi[low:high]
    ar[width:], ai[width:] = np.float32(0), np.float32(0)
    if fft(ai, ar, bi, br, w):
        ar, ai = br, bi
    for i in range(n):
        out[i] = np.sqrt(ar[i] * ar[i] + ai[i] * ai[i])


@compiled
def _centre(envelope: Floats) -> tuple[float, float, float]:
    """Mean of the envelope, which is taken off it, and its second and fourth central moments."""
    n = envelope.shape[0]
    mean = span(envelope, 0, n) / n
    off = np.float32(mean)
    second = fourth = 0.0
    for start in range(0, n, _STEP):
        part = envelope[start : start + _STEP]
        s2 = s4 = np.float32(0)
        for i in range(part.shape[0]):
            x = part[i] - off
            part[i] = x
            square = x * x
            s2 += square
            s4 += square * square
        second += float(s2)
        fourth += float(s4)
    return mean, second / n, fourth / n


@compiled
def envelope_features(
    envelope: Floats,
    scratch: Floats,
    w: Floats,
    power: Floats,
    bin_hz: float,
    half_n: float,
    known: Settings,
    row: Floats,
) -> None:
    """Fill the envelope columns. envelope: from `envelope_of`; power (>= n / 2,) is overwritten."""
    n = envelope.shape[0]
    mean, second, fourth = _centre(envelope)
    scale = known[0] / half_n
    row[_MEAN], row[_RMS] = mean * scale, math.sqrt(second) * scale
    if second > 0.0:
        row[_KURTOSIS] = fourth / second**2
    ar, ai, br, bi = scratch[0, :n], scratch[1, :n], scratch[2, :n], scratch[3, :n]
    ar[:] = envelope
    ai[:] = np.float32(0)
    if fft(ar, ai, br, bi, w):
        ar, ai = br, bi
    n_bins = n // 2
    hann_power(ar, ai, n_bins, power)
    line_scale = scale * math.sqrt(LINE_SCALE) / n
    row[_FLOOR] = line_scale * math.sqrt(5.0 * span(power, 2, n_bins // 2) / (n_bins // 2 - 2))
    shaft = known[2] / bin_hz
    row[_ORDER_1] = line_scale * math.sqrt(line_square(power, n_bins, shaft))
    for part in range(_N_PARTS):
        for harmonic in range(N_HARMONICS):
            square = line_square(power, n_bins, (harmonic + 1) * known[3 + part] * shaft)
            row[_FIRST_LINE + part * N_HARMONICS + harmonic] = line_scale * math.sqrt(square)
    row[_BPFI_SIDES] = line_scale * _sides(power, n_bins, known[4] * shaft, shaft)
    row[_BSF_SIDES] = line_scale * _sides(power, n_bins, 2 * known[5] * shaft, known[6] * shaft)


@compiled
def _sides(power: Floats, n_bins: int, place: float, step: float) -> float:
    return math.sqrt(line_square(power, n_bins, place - step) + line_square(power, n_bins, place + step))
