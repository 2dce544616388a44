"""Cepstrum: one number for a whole family of harmonics or sidebands (Randall, MSSP 97, 2017).

Once an hour in the stream (`listening`), or on demand; `mitra features` tells the cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.fft

from features.hann import hann

if TYPE_CHECKING:
    from numpy.typing import NDArray

Wave: TypeAlias = "NDArray[np.float64]"

FLOOR = 1e-12
"""Bins below this share of the loudest are held there, or the logarithm of an empty bin would rule."""


@dataclass(frozen=True, slots=True)
class Rahmonic:
    """The strongest family: spacing in Hz, gamnitude, and how often it exceeds the median of its range."""

    spacing_hz: float
    gamnitude: float
    prominence: float


def real_cepstrum(wave: Wave) -> Wave:
    """Inverse transform of the log magnitude spectrum, (n,): entry k belongs to a spacing of rate / k.

    Scaling the wave changes entry 0 only. Raises ValueError when a sample is not finite.
    """
    if not np.isfinite(wave).all():
        raise ValueError("a cepstrum needs finite samples")
    size = np.abs(scipy.fft.rfft((wave - wave.mean()) * hann(len(wave))))
    top = size.max()
    if top == 0.0:
        return np.zeros(len(wave))
    cepstrum: Wave = scipy.fft.irfft(np.log(np.maximum(size / top, FLOOR)), len(wave))
    return cepstrum


def strongest_family(wave: Wave, rate_hz: float, low_hz: float, high_hz: float) -> Rahmonic | None:
    """The most prominent spacing from low_hz to high_hz: gear and bearing faults. None for silence.

    Raises ValueError when the range holds fewer than eight quefrencies.

    >>> t = np.arange(16_384) / 8_192
    >>> wave = sum(np.sin(2 * np.pi * 50 * k * t + k * k) for k in range(1, 40))
    >>> noise = 0.05 * np.random.default_rng(0).normal(size=t.size)
    >>> round(strongest_family(wave + noise, 8_192, 30, 90).spacing_hz)
    50
    """
    first, last = int(np.ceil(rate_hz / high_hz)), int(rate_hz / low_hz)
    last = min(last, len(wave) // 2)
    if last - first < 8:
        raise ValueError(f"{len(wave)} samples hold too few spacings from {low_hz} to {high_hz} Hz")
    part = real_cepstrum(wave)[first:last]
    if not part.any():
        return None
    at = int(np.argmax(part))
    typical = float(np.median(np.abs(part)))
    return Rahmonic(
        rate_hz / (first + at), float(part[at]), float(part[at]) / typical if typical > 0 else np.inf
    )
