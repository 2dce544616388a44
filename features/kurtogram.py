"""The band to demodulate: where the envelope is most impulsive (fast kurtogram, Antoni, MSSP 21, 2007).

On demand, for one recording: the band of the stream is fixed (docs/decisions/0006). `Facts.band_hz` is for
whoever knows the resonance of a machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

Wave: TypeAlias = "NDArray[np.float64]"

TOP_SHARE = 0.96
"""Share of the spectrum that is used: above it lies the skirt of the anti-aliasing filter."""
MIN_ENERGY_SHARE = 1e-4
"""Bands with less of the energy are the converter's noise, whose kurtosis says nothing."""
_MAX_SPLITS = 64


@dataclass(frozen=True, slots=True)
class Band:
    """A band, its spectral kurtosis (0 for Gaussian noise, more for impacts) and its share of energy."""

    low_hz: float
    high_hz: float
    kurtosis: float
    energy_share: float


def kurtogram(wave: Wave, rate_hz: float, min_width_hz: float) -> list[Band]:
    """Bands of the 1/2-1/3 binary tree at least `min_width_hz` wide, the whole spectrum first.

    The tree begins at `min_width_hz`: a carrier lies above what modulates it. wave: (n,) in any unit. The
    kurtosis is that of the analytic signal of the band, E|z|^4 / (E|z|^2)^2 - 2. Raises ValueError when the
    record is not finite or too short for even one band.
    """
    if len(wave) < 256 or not np.isfinite(wave).all():
        raise ValueError("a kurtogram needs at least 256 finite samples")
    spectrum = scipy.fft.rfft(wave - wave.mean())
    bin_hz = rate_hz / len(wave)
    first, last = max(1, int(min_width_hz / bin_hz)), int(TOP_SHARE * len(spectrum))
    if last - first < 8:
        raise ValueError(f"a rate of {rate_hz} Hz leaves no band of {min_width_hz:.0f} Hz to demodulate")
    total = float(np.sum(np.abs(spectrum[first:last]) ** 2))
    if total == 0.0:
        return []
    found = []
    for n_bands in _splits(int((last - first) * bin_hz / min_width_hz)):
        edges = np.linspace(first, last, n_bands + 1).astype(int)
        for low, high in pairwise(edges):
            square = np.abs(scipy.fft.ifft(spectrum[low:high], _fast(2 * (high - low)))) ** 2
            energy = float(np.sum(np.abs(spectrum[low:high]) ** 2)) / total
            if energy >= MIN_ENERGY_SHARE:
                kurtosis = float(np.mean(square**2) / np.mean(square) ** 2 - 2)
                found.append(Band(float(low * bin_hz), float(high * bin_hz), kurtosis, energy))
    return found


def best_band(wave: Wave, rate_hz: float, min_width_hz: float) -> Band | None:
    """The most impulsive band; None for silence.

    min_width_hz: at least three times the highest fault frequency, or its modulation does not fit into the
    band.

    >>> rng = np.random.default_rng(0)
    >>> t = np.arange(40_000) / 20_000
    >>> hits = np.exp(-900 * np.mod(t, 0.02)) * np.sin(2 * np.pi * 4_100 * t)
    >>> band = best_band(hits + 0.2 * rng.normal(size=t.size), 20_000, 500)
    >>> band.low_hz < 4_100 < band.high_hz
    True
    """
    bands = kurtogram(wave, rate_hz, min_width_hz)
    return max(bands, key=lambda band: band.kurtosis, default=None)


def _splits(at_most: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, ...: halves and thirds in turn, up to `at_most`."""
    tree = sorted({1, *(2**k for k in range(1, 7)), *(3 * 2**k for k in range(5))})
    return [n for n in tree if n <= max(1, min(at_most, _MAX_SPLITS))]


def _fast(n: int) -> int:
    return int(scipy.fft.next_fast_len(n))
