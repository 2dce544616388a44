"""Shaft speed: from tacho pulses, or read off the spectrum with a confidence.

Once a minute where a machine tells no speed (`rounds`), or on demand; `mitra features` tells the cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import scipy.fft

from features.hann import hann

if TYPE_CHECKING:
    from numpy.typing import NDArray

Wave: TypeAlias = "NDArray[np.float64]"

N_HARMONICS = 6
POLE_PAIRS = (1, 2, 3, 4)
HUM_SHARE = 0.001
"""A comb this near to a harmonic comb of the mains may be hum."""
CLEAR_LEAD = 0.1
"""Lead over the second pole number, as a share, from which the first is taken at its word."""
NOISE_DB, CLEAR_DB, SLOPE_DB = 8.0, 15.0, 10.0
"""A harmonic has a vote from 8 dB over the spectrum around it and a whole one from 23 dB; a speed gets it
as far as it lies within 10 dB of that harmonic's top."""
POINTS_PER_BIN = 4
"""The spectrum is interpolated, so that the comb can be laid between bins."""
FLAT = 0.02
"""Speeds whose score is within this share of the best are as good as it."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Shaft speed in Hz with a confidence in [0, 1]; NaN and 0 when it cannot be told."""

    hz: float
    confidence: float
    source: Literal["tacho", "spectrum"]

    @property
    def rpm(self) -> float:
        """Turns a minute."""
        return 60 * self.hz


NOTHING = Speed(float("nan"), 0.0, "spectrum")


def from_pulses(times_s: Wave, pulses_per_turn: int = 1) -> Speed:
    """Speed from the times of tacho pulses: the median gap, so that a lost or a double pulse does no harm.

    The confidence is the share of gaps within 5 % of it. Raises ValueError when pulses_per_turn is not
    positive.

    >>> from_pulses(np.array([0.0, 0.04, 0.08, 0.12, 0.16])).hz
    25.0
    """
    if pulses_per_turn < 1:
        raise ValueError(f"pulses_per_turn must be at least 1, got {pulses_per_turn}")
    gaps = np.diff(np.sort(times_s))
    gaps = gaps[gaps > 0]
    if len(gaps) < 3:
        return Speed(float("nan"), 0.0, "tacho")
    gap = float(np.median(gaps))
    steady = float(np.mean(np.abs(gaps / gap - 1) < 0.05))
    return Speed(round(1 / (gap * pulses_per_turn), 9), steady, "tacho")


def from_spectrum(wave: Wave, rate_hz: float, nominal_hz: float, tolerance: float = 0.05) -> Speed:
    """Speed near `nominal_hz` that a comb of harmonics fits best.

    wave: (n,) or (n_axes, n) in any unit, axes speak together; tolerance: how far from nominal it may be, as
    a share of it. The score of a speed is the mean level in dB of its harmonics over the spectrum around
    them; the confidence is how far the best stands above the median speed (10 dB and more: 1). A best speed
    at the edge of the range is no answer: the true one lies outside. Raises ValueError for a tolerance
    outside (0, 0.5).

    >>> t = np.arange(8_192) / 4_096
    >>> wave = sum(np.sin(2 * np.pi * 24.6 * k * t) / k for k in (1, 2, 3))
    >>> round(from_spectrum(wave, 4_096, 25.0).hz, 2)
    24.6
    """
    if not 0 < tolerance < 0.5:
        raise ValueError(f"tolerance must be in (0, 0.5), got {tolerance}")
    axes = np.atleast_2d(wave)
    n = axes.shape[1]
    bin_hz = rate_hz / n
    n_harmonics = min(N_HARMONICS, int(rate_hz / 2 / (nominal_hz * (1 + tolerance))) - 1)
    if nominal_hz < 4 * bin_hz or n_harmonics < 1 or not np.isfinite(axes).all():
        return NOTHING
    step_hz = bin_hz / POINTS_PER_BIN
    levels = _levels(axes, int((n_harmonics + 1) * nominal_hz * (1 + tolerance) / bin_hz) + 8)
    if levels is None:
        return NOTHING
    # Steps so fine that even the highest harmonic moves by no more than a quarter of a bin.
    speeds = np.arange(nominal_hz * (1 - tolerance), nominal_hz * (1 + tolerance), step_hz / n_harmonics)
    scores, weights = np.zeros(len(speeds)), 1 / np.arange(1, n_harmonics + 1)
    for harmonic, weight in enumerate(weights / weights.sum(), start=1):
        at = np.minimum(np.round(harmonic * speeds / step_hz).astype(int), levels.shape[1] - 1)
        centre = harmonic * nominal_hz / step_hz
        around = max(int(centre * tolerance), 32)
        floor = np.median(levels[:, max(1, int(centre) - around) : int(centre) + around + 1], axis=1)
        top = levels[:, at].max(axis=1)
        stands_out = np.clip((top - floor - NOISE_DB) / CLEAR_DB, 0.0, 1.0)[:, None]
        near = np.clip(1 - (top[:, None] - levels[:, at]) / SLOPE_DB, 0.0, 1.0)
        scores += weight * (stands_out * near).max(axis=0)
    best = float(scores.max())
    first, last = _stretch(scores, (1 - FLAT) * best)
    if best == 0.0 or first == 0 or last == len(speeds) - 1:
        return NOTHING
    hz = (
        _refined(levels.max(axis=0), float(speeds[first] + speeds[last]) / 2 / step_hz, n_harmonics) * step_hz
    )
    return Speed(hz, best, "spectrum")


def from_mains(wave: Wave, rate_hz: float, mains_hz: float) -> Speed:
    """Speed of a motor on the mains of which nothing is declared: the pole pairs whose comb fits best.

    wave: as for `from_spectrum`. Asynchronous motors of one to four pole pairs turn at 92 to 100 % of
    mains / pairs. A comb of 25 Hz holds every other tooth of one of 50 Hz, so the confidence falls to nothing
    as the runner-up comes near. At exactly mains / pairs hum cannot be told from a shaft: no answer.

    >>> t = np.arange(16_384) / 8_192
    >>> wave = sum(np.sin(2 * np.pi * 24.6 * k * t + k) / k for k in range(1, 7))
    >>> round(from_mains(wave, 8_192, 50.0).hz, 1)
    24.6
    """
    found = [from_spectrum(wave, rate_hz, 0.97 * mains_hz / pairs, 0.05) for pairs in POLE_PAIRS]
    first, second = sorted(found, key=lambda one: -one.confidence)[:2]
    pairs = POLE_PAIRS[found.index(first)]
    if not abs(first.hz * pairs / mains_hz - 1) > HUM_SHARE:
        return NOTHING
    lead = (first.confidence - second.confidence) / first.confidence
    return Speed(first.hz, first.confidence * min(1.0, lead / CLEAR_LEAD), "spectrum")


def _levels(axes: Wave, n_bins: int) -> Wave | None:
    """Level in dB of each axis up to bin `n_bins` (at least), POINTS_PER_BIN points a bin; None for silence.

    The low bins alone are transformed back and padded: the same points as those of a padded block, for a
    fraction of the work.
    """
    kept = 1 << (n_bins - 1).bit_length()
    spectra = scipy.fft.rfft((axes - axes.mean(axis=1, keepdims=True)) * hann(axes.shape[1]))[:, : kept + 1]
    if spectra.shape[1] < kept + 1:
        spectra = np.pad(spectra, ((0, 0), (0, kept + 1 - spectra.shape[1])))
    slow = scipy.fft.irfft(spectra, 2 * kept)
    power = np.abs(scipy.fft.rfft(slow, 2 * kept * POINTS_PER_BIN)) ** 2
    if not power.any(axis=1).all():
        power = power[power.any(axis=1)]
        if not len(power):
            return None
    level: Wave = 10 * np.log10(power + 1e-12 * power.max(axis=1, keepdims=True))
    return level


def _stretch(scores: Wave, least: float) -> tuple[int, int]:
    """First and last index around the best score that stay at `least` or above."""
    first = last = int(np.argmax(scores))
    while first > 0 and scores[first - 1] >= least:
        first -= 1
    while last < len(scores) - 1 and scores[last + 1] >= least:
        last += 1
    return first, last


def _refined(level: Wave, place: float, n_harmonics: int) -> float:
    """Place of the fundamental in points, from the loudest harmonics' own tops, weighted by their number."""
    tops, weights = [], []
    for harmonic in range(1, n_harmonics + 1):
        centre = round(harmonic * place)
        low, high = max(1, centre - 3), min(len(level) - 1, centre + 4)
        top = low + int(np.argmax(level[low:high]))
        if low < top < high - 1 and level[top] > np.median(level) + 2 * NOISE_DB:
            left, middle, right = level[top - 1 : top + 2]
            bend = left - 2 * middle + right
            tops.append((top + 0.5 * (left - right) / bend if bend < 0 else top) / harmonic)
            weights.append(harmonic)
    return float(np.average(tops, weights=weights)) if tops else place
