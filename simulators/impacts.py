"""Blows that make the structure ring: bearing spalls, cracked teeth, loose feet, collapsing bubbles."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from simulators.faults import FaultKind
from simulators.kinds import MODE_DAMPING, MODE_GAINS
from simulators.noise import Signal

RING_S: Final = 0.03
MAX_BLOWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Blows:
    """A train of blows.

    base, factor: what sets their pace; carrier, depth: what turns them in and out of the load zone;
    slip: random share of the interval by which each next blow comes early or late; peak_g: height of the
    ringing at severity 1; spread: random share of the height.
    """

    base: str
    factor: float
    carrier: str
    depth: float
    slip: float
    peak_g: float
    spread: float = 0.2


BLOWS: Final[dict[FaultKind, Blows]] = {
    FaultKind.BEARING_OUTER: Blows("bpfo", 1, "shaft", 0.15, 0.010, 9.0),
    FaultKind.BEARING_INNER: Blows("bpfi", 1, "shaft", 0.80, 0.010, 9.0),
    FaultKind.BEARING_BALL: Blows("bsf", 2, "ftf", 0.70, 0.015, 8.0),
    FaultKind.BEARING_CAGE: Blows("ftf", 1, "shaft", 0.30, 0.050, 6.0),
    FaultKind.LOOSENESS: Blows("shaft", 1, "shaft", 0.00, 0.030, 2.0, 0.5),
    FaultKind.GEAR: Blows("output", 1, "shaft", 0.00, 0.002, 7.0, 0.1),
    FaultKind.CAVITATION: Blows("vane", 4, "vane", 0.30, 0.900, 1.5, 0.8),
}


@dataclass(frozen=True, slots=True)
class Pace:
    """Where a train stands at the start of a block: blows and carrier turns a second, and turns so far."""

    rate_per_s: float
    turns: float
    carrier_hz: float
    carrier_turns: float


def strike(rng: np.random.Generator, blows: Blows, pace: Pace, n_samples: int, rate_hz: float) -> Signal:
    """A train of blows as impulses: (n_lead + n_samples,) float32, peak near 1.

    The train begins RING_S before the block, so that the block starts amid the ringing of earlier blows.
    Slip is a random walk: lines of high order are smeared, as in real bearings (Randall and Antoni, 2011).
    """
    n_lead = lead_samples(rate_hz)
    impulses = np.zeros(n_lead + n_samples, np.float32)
    seconds = (n_lead + n_samples) / rate_hz
    n_blows = min(int(seconds * pace.rate_per_s) + 2, MAX_BLOWS)
    if pace.rate_per_s <= 0:
        return impulses
    first_turns = pace.turns - n_lead / rate_hz * pace.rate_per_s
    into_train = np.ceil(first_turns) - first_turns + np.arange(n_blows)
    into_train += np.cumsum(rng.normal(0.0, blows.slip, n_blows))
    times_s = into_train / pace.rate_per_s
    carrier = pace.carrier_turns + (times_s - n_lead / rate_hz) * pace.carrier_hz
    zone = (1.0 + blows.depth * np.cos(2 * np.pi * carrier)) / (1.0 + blows.depth)
    heights = zone * np.maximum(1.0 + blows.spread * rng.standard_normal(n_blows), 0.0)
    place = times_s * rate_hz
    inside = (place >= 0) & (place < len(impulses) - 1)
    whole = place[inside].astype(np.int64)
    rest = place[inside] - whole
    np.add.at(impulses, whole, heights[inside] * (1.0 - rest))
    np.add.at(impulses, whole + 1, heights[inside] * rest)
    return impulses


def ring(impulses: Signal, n_samples: int, rate_hz: float, modes_hz: tuple[float, ...]) -> Signal:
    """What three axes feel of the blows: (3, n_samples), g a g of blow."""
    n_fft = scipy.fft.next_fast_len(len(impulses) + lead_samples(rate_hz), real=True)
    spectrum = scipy.fft.rfft(impulses, n_fft)
    rung = scipy.fft.irfft(spectrum * _response(rate_hz, modes_hz, n_fft), n_fft, axis=1)
    n_lead = len(impulses) - n_samples
    felt: Signal = rung[:, n_lead : n_lead + n_samples]
    return felt


def lead_samples(rate_hz: float) -> int:
    """Samples that ringing lasts."""
    return max(8, int(RING_S * rate_hz))


@functools.lru_cache(maxsize=48)
def _response(rate_hz: float, modes_hz: tuple[float, ...], n_fft: int) -> NDArray[np.complex64]:
    """Spectrum of the ringing after one blow: (3, n_fft // 2 + 1); each axis peaks at its strongest gain."""
    seconds = np.arange(lead_samples(rate_hz)) / rate_hz
    rings = np.zeros((3, len(seconds)))
    for mode_hz, damping, gains in zip(modes_hz, MODE_DAMPING, MODE_GAINS, strict=True):
        if mode_hz < 0.45 * rate_hz:
            decay = np.exp(-2 * np.pi * mode_hz * damping * seconds)
            rings += np.outer(gains, decay * np.sin(2 * np.pi * mode_hz * seconds))
    tallest = float(np.abs(rings).max())
    if tallest == 0.0:
        rings[:, 0], tallest = 1.0, 1.0
    spectrum: NDArray[np.complex64] = scipy.fft.rfft((rings / tallest).astype(np.float32), n_fft, axis=1)
    return spectrum
