"""Broadband vibration: flow, structure-borne rumble and bearing hiss, cut from long prepared tapes."""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from simulators.kinds import MODE_DAMPING

BANDS: Final = ("flow", "structure", "hiss")
SHORTEST_TAPE: Final = 1 << 16
G_MM_S2: Final = 9806.65
VELOCITY_BAND_HZ: Final = (10.0, 1000.0)
Signal = NDArray[np.float32]


@functools.lru_cache(maxsize=24)
def tapes(rate_hz: float, modes_hz: tuple[float, ...], n_samples: int) -> Signal:
    """One noise tape a band: (3, n) float32, n >= 2 x n_samples, the second half repeating the first.

    flow: random velocity of 1 mm/s RMS in 10-1000 Hz, in g; structure: 1 g RMS around the resonances;
    hiss: 1 g RMS in the upper half of the spectrum.
    """
    n_tape = max(SHORTEST_TAPE, 1 << (n_samples - 1).bit_length())
    rng = np.random.default_rng((len(modes_hz), round(rate_hz), n_tape))
    frequency_hz = scipy.fft.rfftfreq(n_tape, 1.0 / rate_hz)
    white = rng.standard_normal((len(BANDS), len(frequency_hz), 2)).view(np.complex128)[..., 0]
    low, high = VELOCITY_BAND_HZ
    in_velocity_band = (frequency_hz >= low) & (frequency_hz <= min(high, 0.45 * rate_hz))
    flow = white[0] * in_velocity_band * 2 * np.pi * frequency_hz / G_MM_S2
    flow_velocity_mm_s = _rms(white[0] * in_velocity_band, n_tape)
    structure = white[1] * _resonance(frequency_hz, modes_hz)
    hiss = white[2] * (frequency_hz > 0.2 * rate_hz) * (frequency_hz < 0.47 * rate_hz)
    shaped = np.stack(
        [flow / flow_velocity_mm_s, structure / _rms(structure, n_tape), hiss / _rms(hiss, n_tape)]
    )
    tape = scipy.fft.irfft(shaped, n_tape, axis=1).astype(np.float32)
    return np.concatenate([tape, tape], axis=1)


def noise(
    rng: np.random.Generator, levels: NDArray[np.float64], rate_hz: float, modes_hz: tuple[float, ...], n: int
) -> Signal:
    """Noise of three axes: (3, n) g. levels: (3 bands, 3 axes), in the unit of each band's tape."""
    tape = tapes(rate_hz, modes_hz, n)
    starts = rng.integers(0, tape.shape[1] // 2, levels.shape)
    signs = np.where(rng.random(levels.shape) < 0.5, -1.0, 1.0)
    signed = (levels * signs).astype(np.float32)
    signal = np.empty((levels.shape[1], n), np.float32)
    part = np.empty(n, np.float32)
    for axis in range(levels.shape[1]):
        np.multiply(tape[0, starts[0, axis] : starts[0, axis] + n], signed[0, axis], out=signal[axis])
        for band in range(1, len(BANDS)):
            start = starts[band, axis]
            np.multiply(tape[band, start : start + n], signed[band, axis], out=part)
            signal[axis] += part
    return signal


def _resonance(frequency_hz: NDArray[np.float64], modes_hz: tuple[float, ...]) -> NDArray[np.float64]:
    """Magnitude of a structure's response to force, summed over its modes."""
    response = np.zeros_like(frequency_hz)
    for mode_hz, damping in zip(modes_hz, MODE_DAMPING, strict=True):
        ratio = frequency_hz / mode_hz
        response += ratio**2 / np.sqrt((1 - ratio**2) ** 2 + (4 * damping * ratio) ** 2)
    return response * (frequency_hz > 0)


def _rms(spectrum: NDArray[np.complex128], n: int) -> float:
    return float(np.sqrt(np.mean(scipy.fft.irfft(spectrum, n) ** 2)))
