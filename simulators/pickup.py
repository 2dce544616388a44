"""The accelerometer and its converter: counts, and the ways in which a pickup lies."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.faults import FaultKind
from simulators.noise import Signal

FULL_SCALE_G: Final = 50.0
SCALE_G: Final = FULL_SCALE_G / 32768.0
"""g per count of a 50 g pickup on a 16-bit converter."""


def counts(signal_g: Signal) -> NDArray[np.int16]:
    """Acceleration in g to counts of the converter, clipped at full scale.

    >>> counts(np.array([0.0, 1.0, 80.0], np.float32)).tolist()
    [0, 655, 32767]
    """
    scaled = signal_g * np.float32(1.0 / SCALE_G)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32768, 32767, out=scaled)
    return scaled.astype(np.int16)


def falsify(signal_g: Signal, fault: FaultKind, severity: float, rng: np.random.Generator) -> Signal:
    """What a faulty pickup says instead of the truth: (3, n) -> (3, n). Other faults change nothing here."""
    return _LIES[fault](signal_g, severity, rng) if fault in _LIES else signal_g


def _loose(signal_g: Signal, severity: float, rng: np.random.Generator) -> Signal:
    """A loose mount loses high frequencies and adds slow swings (the "ski slope") and rattles."""
    n = signal_g.shape[1]
    width = 1 + int(24 * severity)
    summed = np.cumsum(np.pad(signal_g, ((0, 0), (width, 0))), axis=1, dtype=np.float64)
    dull = ((summed[:, width:] - summed[:, :-width]) / width).astype(np.float32)
    steps = rng.standard_normal((3, n), dtype=np.float32)
    swings = np.cumsum(steps, axis=1) / np.float32(np.sqrt(n))
    swings -= swings.mean(axis=1, keepdims=True)
    n_rattles = int(rng.poisson(6 * severity))
    dull += np.float32(4.0 * severity) * swings
    dull[:, rng.integers(0, n, n_rattles)] += np.float32(12.0 * severity) * rng.standard_normal(
        (3, n_rattles), dtype=np.float32
    )
    return dull


def _saturated(signal_g: Signal, severity: float, rng: np.random.Generator) -> Signal:  # noqa: ARG001
    """A drifting amplifier multiplies until the tops are cut off at full scale."""
    deviation = signal_g.std(axis=1, keepdims=True) + np.float32(1e-6)
    full_gain = FULL_SCALE_G / (0.7 * deviation)
    gain: Signal = (1.0 + severity * (np.maximum(full_gain, 1.0) - 1.0)).astype(np.float32)
    return signal_g * gain


def _dead(signal_g: Signal, severity: float, rng: np.random.Generator) -> Signal:
    """A broken cable: the contact fails ever more often, then for good; what is left is a count of noise."""
    if rng.random() >= 1.1 * severity:
        return signal_g
    return rng.normal(0.0, 0.3 * SCALE_G, signal_g.shape).astype(np.float32)


_LIES: Final = {
    FaultKind.SENSOR_LOOSE: _loose,
    FaultKind.SENSOR_SATURATED: _saturated,
    FaultKind.SENSOR_DEAD: _dead,
}
