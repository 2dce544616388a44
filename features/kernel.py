"""The fused kernel: blocks of one axis in, a row of `FEATURES` for each out.

One FFT a block, no Python inside, all scratch small enough for the cache; a block's row depends on nothing
but the block and its settings, so it has the same bits alone and among 64.
"""

# ruff: noqa: PLR0917  (compiled functions are called by place)

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from features.envelope import band_bins, envelope_features, envelope_of
from features.fft import MIN_FFT, Floats, Settings, fft, twiddles
from features.jit import compiled
from features.lines import raw_lines
from features.moments import Samples, centre, mean_of, time_features
from features.spectrum import CHUNK, LINE_SCALE, bands, hann_power, peaks, severity, shape, unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray


SETTINGS = (
    "scale_g",
    "rate_hz",
    "speed_hz",
    "bpfo",
    "bpfi",
    "bsf",
    "ftf",
    "gear_teeth",
    "vanes",
    "mains_hz",
    "band_low_hz",
    "band_high_hz",
)
"""Columns of the settings of a block; NaN where the machine's fact is unknown."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Tables for one block length. own_fft: it is a power of two, else scipy makes the spectrum."""

    own_fft: bool
    main: Floats
    unpacking: Floats
    inverse: Floats
    envelope: Floats


@lru_cache(maxsize=32)
def plan(n_samples: int) -> Plan:
    """The tables for blocks of n_samples. Raises ValueError below 256 samples."""
    if n_samples < 4 * MIN_FFT:
        raise ValueError(f"a block needs at least {4 * MIN_FFT} samples, got {n_samples}")
    half = n_samples // 2
    own = n_samples & (n_samples - 1) == 0
    turns = np.pi * np.arange(half if own else 1) / half
    k = np.maximum(np.arange(half, dtype=np.float64), 1.0)
    return Plan(
        own_fft=own,
        main=twiddles(half if own else MIN_FFT),
        unpacking=np.array([np.cos(turns), -np.sin(turns)], np.float32),
        inverse=np.array([k**-2, k**-4], np.float32),
        envelope=twiddles(1 << ((n_samples // 4).bit_length() - 1)),
    )


@compiled
def run(
    blocks: Samples,
    settings: Settings,
    spectra: NDArray[np.complex64],
    own_fft: bool,
    main: Floats,
    unpacking: Floats,
    inverse: Floats,
    envelope: Floats,
    out: Floats,
) -> None:
    """Fill out (n_blocks, n_features) from blocks (n_blocks, n), n even, and settings (n_blocks, n_settings).

    spectra: (n_blocks, n / 2 + 1) of the blocks without their mean, read only when not own_fft. A block
    with a NaN or an infinity gives NaN in every column.
    """
    n_half = blocks.shape[1] // 2
    n_padded = (n_half + CHUNK) // CHUNK * CHUNK
    work = np.empty((7, n_padded + CHUNK), np.float32)
    even, odd, back_r, back_i = work[0, :n_half], work[1, :n_half], work[2, :n_half], work[3, :n_half]
    xr, xi, power = work[4, : n_half + 1], work[5, : n_half + 1], work[6, :n_padded]
    n_envelope = envelope.shape[1]
    small = np.empty((4, n_envelope + CHUNK), np.float32)
    wave, wave_power = np.empty(n_envelope, np.float32), np.empty(n_envelope // 2, np.float32)
    chunks, tops = np.empty((3, n_padded // CHUNK)), np.empty(n_padded // CHUNK, np.float32)
    bits = np.empty(3 * CHUNK, np.int32)
    for b in range(blocks.shape[0]):
        row, known = out[b], settings[b]
        row[:] = np.nan
        mean = mean_of(blocks[b])
        if not math.isfinite(mean):
            continue
        centre(blocks[b], mean, even, odd)
        time_features(even, odd, mean, known[0], row)
        if own_fft:
            if fft(even, odd, back_r, back_i, main):
                unpack(back_r, back_i, unpacking[0], unpacking[1], xr, xi)
            else:
                unpack(even, odd, unpacking[0], unpacking[1], xr, xi)
        else:
            for k in range(n_half + 1):
                xr[k], xi[k] = spectra[b, k].real, spectra[b, k].imag
        hann_power(xr, xi, n_half, power)
        _spectral(power, n_half, known, inverse, chunks, tops, bits, row)
        low, high = band_bins(known[10], known[11], 2 * n_half, known[1], n_envelope)
        envelope_of(xr, xi, low, high, small, envelope, wave)
        envelope_features(wave, small, envelope, wave_power, known[1] / (2 * n_half), n_half, known, row)


@compiled
def _spectral(
    power: Floats,
    n_half: int,
    known: Settings,
    inverse: Floats,
    chunks: NDArray[np.float64],
    tops: Floats,
    bits: NDArray[np.int32],
    row: Floats,
) -> None:
    n, bin_hz = 2 * n_half, known[1] / (2 * n_half)
    line_scale = known[0] * math.sqrt(LINE_SCALE) / n
    rms_scale = line_scale / math.sqrt(2.0)
    severity(power, n_half, bin_hz, rms_scale, known[2], inverse, row)
    bands(power, n_half, bin_hz, rms_scale, row)
    total = shape(power, n_half, bin_hz, chunks, tops, bits, row)
    if total > 0.0:
        peaks(power, n_half, bin_hz, line_scale, tops, row)
    raw_lines(power, n_half, bin_hz, line_scale, known, row)
