"""Order tracking: from equal steps of time to equal steps of angle, when the speed moves within a block.

Computed order tracking with cubic interpolation (Fyfe and Munck, MSSP 11, 1997). On demand;
`mitra features` tells the cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from features.hann import hann

if TYPE_CHECKING:
    from numpy.typing import NDArray

Wave: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True, slots=True, eq=False)
class AngularWave:
    """samples: (n,) at equal angles; samples_per_turn: how many a turn holds, the rate at 1 Hz of shaft."""

    samples: Wave
    samples_per_turn: int


def turns_from_pulses(times_s: Wave, pulses_per_turn: int, at_s: Wave) -> Wave:
    """Angle in turns at the times `at_s`, from rising pulse times. NaN outside the pulses.

    Raises ValueError for fewer than four pulses or times that do not rise.
    """
    if len(times_s) < 4 or not (np.diff(times_s) > 0).all():
        raise ValueError("order tracking needs at least four tacho pulses at rising times")
    turns = np.arange(len(times_s)) / pulses_per_turn
    angle: Wave = PchipInterpolator(times_s, turns, extrapolate=False)(at_s)
    return angle


def turns_from_speed(speed_hz: Wave, rate_hz: float) -> Wave:
    """Angle in turns of each sample, from the speed at each sample (n,). Raises ValueError unless positive.

    >>> turns_from_speed(np.full(5, 25.0), 100.0)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    if not (speed_hz > 0).all():
        raise ValueError("order tracking needs a positive speed throughout the block")
    steps = (speed_hz[1:] + speed_hz[:-1]) / 2 / rate_hz
    return np.concatenate([[0.0], np.cumsum(steps)])


def to_angle(wave: Wave, turns: Wave, samples_per_turn: int) -> AngularWave:
    """Resample wave (n,) to equal angles. turns: (n,) rising angle of each sample, NaN where unknown.

    Raises ValueError when less than one turn is known, or when samples_per_turn asks for more than four times
    the samples that there are: the missing ones would be made up.
    """
    known = np.isfinite(turns)
    if known.sum() < 8 or not (np.diff(turns[known]) > 0).all():
        raise ValueError("order tracking needs an angle that rises")
    first, last = float(turns[known][0]), float(turns[known][-1])
    n = int((last - first) * samples_per_turn)
    if last - first < 1 or n > 4 * known.sum():
        found = f"{known.sum()} samples over {last - first:.2f} turns"
        raise ValueError(f"{found} do not give {samples_per_turn} a turn")
    at = first + np.arange(n) / samples_per_turn
    return AngularWave(CubicSpline(turns[known], wave[known])(at), samples_per_turn)


def order_spectrum(angular: AngularWave) -> tuple[Wave, Wave]:
    """Orders and amplitudes (Hann, peak value of a line) of an angular wave; both (n / 2 + 1,)."""
    n = len(angular.samples)
    amplitude: Wave = 4 / n * np.abs(np.fft.rfft((angular.samples - angular.samples.mean()) * hann(n)))
    orders: Wave = np.arange(len(amplitude), dtype=np.float64) * (angular.samples_per_turn / n)
    return orders, amplitude


def smear_bins(speed_hz: Wave, rate_hz: float, order: float) -> float:
    """Bins over which a line at `order` is smeared by the change of speed; above 1, track orders.

    >>> smear_bins(np.array([24.0, 24.0, 24.5]), 3.0, 10.0)
    5.0
    """
    return float(np.ptp(speed_hz) * order * len(speed_hz) / rate_hz)
