"""Order tracking: from equal steps of time to equal steps of angle, when the speed moves within a block.

Computed order tracking with cubic interpolation (Fyfe and Munck, MSSP 11, 1997). On demand, as in
`mitra diagnose --tacho`; `mitra features` tells the cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

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


def at_equal_angles(wave: Wave, rate_hz: float, pulses_s: Wave, pulses_per_turn: int) -> AngularWave:
    """A wave (n,) between the first and the last tacho pulse, as dense as its slowest turn was sampled.

    pulses_s: rising times of pulses from the first sample. Raises ValueError as the two steps do.

    >>> t = np.arange(1_000) / 1_000
    >>> turns = 5 * t + 5 * t**2  # from 5 to 15 turns a second
    >>> pulses_s = np.interp(np.arange(10), turns, t)
    >>> angular = at_equal_angles(np.sin(2 * np.pi * turns), 1_000.0, pulses_s, 1)
    >>> lines = np.abs(np.fft.rfft(angular.samples))
    >>> angular.samples_per_turn > 150, int(lines.argmax())
    (True, 9)
    """
    turns = turns_from_pulses(pulses_s, pulses_per_turn, np.arange(len(wave)) / rate_hz)
    slowest = float(np.nanmin(np.diff(turns), initial=np.inf))
    if not 0 < slowest < np.inf:
        raise ValueError("order tracking needs an angle that rises")
    return to_angle(wave, turns, int(np.ceil(1 / slowest)))
