"""Spectral lines: which frequencies a machine sings at, how loudly, and their sum as a waveform.

Levels are shares of the machine's C/D limit (ISO 10816-3, velocity RMS), so that a fault of severity 1
means the same on every size of machine. The pictures follow the usual charts of vibration diagnosis
(ISO 13373-3): imbalance 1x radial; misalignment 2x and axial; looseness many harmonics and halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.faults import FaultKind
from simulators.noise import G_MM_S2, Signal

BASES: Final = ("shaft", "bpfo", "bpfi", "bsf", "ftf", "mesh", "vane", "output", "line", "pole")
"""Frequencies that lines are built from: shaft speed, bearing orders, gear mesh, vane pass, output shaft,
electrical line, and pole pass (poles x slip)."""
_ROW: Final = 64


@dataclass(frozen=True, slots=True)
class Line:
    """One spectral line. terms: its frequency as a sum of (base, factor); share: velocity RMS of x, y and z
    as a share of the C/D limit when `strength` is 1; grows: power of severity (faults only)."""

    terms: tuple[tuple[str, float], ...]
    share: tuple[float, float, float]
    grows: float = 1.0


Shares = tuple[float, float, float]


def _at(base: str, factor: float, share: Shares, grows: float = 1.0) -> Line:
    return Line(((base, factor),), share, grows)


def _beside(
    centre: tuple[str, float], offset: tuple[str, float], share: Shares, grows: float = 1.0
) -> tuple[Line, ...]:
    """The two sidebands of a line."""
    side, distance = offset
    return tuple(Line((centre, (side, sign * distance)), share, grows) for sign in (-1.0, 1.0))


TURNING: Final = (
    _at("shaft", 1, (0.15, 0.13, 0.06)),
    _at("shaft", 2, (0.04, 0.04, 0.03)),
    _at("shaft", 3, (0.02, 0.02, 0.015)),
    _at("shaft", 4, (0.01, 0.01, 0.008)),
    _at("line", 2, (0.02, 0.02, 0.01)),
)
"""What every healthy machine shows; grows with the square of speed."""

WORKING: Final = (
    _at("vane", 1, (0.05, 0.05, 0.04)),
    _at("vane", 2, (0.015, 0.015, 0.01)),
    _at("mesh", 1, (0.03, 0.03, 0.03)),
    _at("mesh", 2, (0.012, 0.012, 0.012)),
    *_beside(("mesh", 1), ("shaft", 1), (0.004, 0.004, 0.004)),
    _at("output", 1, (0.04, 0.04, 0.03)),
)
"""What the driven load adds; grows with load as well."""


def _loose() -> tuple[Line, ...]:
    whole = (_at("shaft", k, (1.1 * 0.8**k, 0.9 * 0.8**k, 0.4 * 0.8**k)) for k in range(1, 9))
    halves = (_at("shaft", k + 0.5, (0.3 * 0.8**k, 0.25 * 0.8**k, 0.1 * 0.8**k)) for k in range(4))
    return (*whole, *halves)


def _race(base: str, side: str) -> tuple[Line, ...]:
    """A spalled race or element: its order with sidebands, and late the whole rotor moves."""
    return (
        _at(base, 1, (0.55, 0.45, 0.2), 1.5),
        _at(base, 2, (0.35, 0.3, 0.15), 1.5),
        _at(base, 3, (0.2, 0.18, 0.1), 1.5),
        *_beside((base, 1), (side, 1), (0.15, 0.12, 0.06), 1.5),
        _at("shaft", 1, (0.6, 0.5, 0.2), 2.5),
        _at("shaft", 2, (0.3, 0.25, 0.15), 2.5),
    )


FAULT_LINES: Final[dict[FaultKind, tuple[Line, ...]]] = {
    FaultKind.IMBALANCE: (_at("shaft", 1, (1.4, 1.25, 0.25)),),
    FaultKind.MISALIGNMENT: (
        _at("shaft", 1, (0.5, 0.45, 0.8)),
        _at("shaft", 2, (1.05, 0.9, 0.9)),
        _at("shaft", 3, (0.35, 0.3, 0.35)),
    ),
    FaultKind.LOOSENESS: _loose(),
    FaultKind.BEARING_OUTER: _race("bpfo", "ftf"),
    FaultKind.BEARING_INNER: _race("bpfi", "shaft"),
    FaultKind.BEARING_BALL: (
        *_beside(("bsf", 2), ("ftf", 1), (0.25, 0.2, 0.1), 1.5),
        _at("bsf", 1, (0.2, 0.2, 0.1), 1.5),
        _at("bsf", 2, (0.55, 0.45, 0.2), 1.5),
        _at("bsf", 4, (0.3, 0.25, 0.1), 1.5),
        _at("shaft", 1, (0.6, 0.5, 0.2), 2.5),
        _at("shaft", 2, (0.3, 0.25, 0.15), 2.5),
    ),
    FaultKind.BEARING_CAGE: (
        _at("ftf", 1, (0.5, 0.4, 0.2), 1.5),
        _at("ftf", 2, (0.3, 0.25, 0.1), 1.5),
        _at("ftf", 3, (0.15, 0.12, 0.1), 1.5),
        *_beside(("shaft", 1), ("ftf", 1), (0.3, 0.25, 0.1), 1.5),
        _at("shaft", 1, (0.6, 0.5, 0.2), 2.5),
    ),
    FaultKind.LUBRICATION: (_at("shaft", 1, (0.55, 0.5, 0.2), 2.0),),
    FaultKind.CAVITATION: (_at("vane", 1, (0.4, 0.4, 0.25)), _at("vane", 2, (0.2, 0.2, 0.1))),
    FaultKind.GEAR: (
        _at("mesh", 1, (0.5, 0.45, 0.4)),
        _at("mesh", 2, (0.2, 0.2, 0.2)),
        *_beside(("mesh", 1), ("output", 1), (0.25, 0.2, 0.2)),
        *_beside(("mesh", 1), ("output", 2), (0.12, 0.1, 0.1)),
        *_beside(("mesh", 1), ("shaft", 1), (0.12, 0.1, 0.1)),
        _at("output", 1, (0.5, 0.45, 0.3)),
        _at("shaft", 1, (0.4, 0.35, 0.2), 2.0),
    ),
    FaultKind.ELECTRICAL: (
        _at("line", 2, (1.15, 1.0, 0.3)),
        *_beside(("line", 2), ("pole", 1), (0.25, 0.2, 0.06)),
        *_beside(("shaft", 1), ("pole", 1), (0.12, 0.1, 0.05)),
    ),
    FaultKind.SENSOR_LOOSE: (),
    FaultKind.SENSOR_SATURATED: (),
    FaultKind.SENSOR_DEAD: (),
}


def mixing(lines: Sequence[Line]) -> NDArray[np.float64]:
    """How lines follow from the bases: (n_lines, n_bases), so that frequencies = mixing @ bases."""
    matrix = np.zeros((len(lines), len(BASES)))
    for row, line in enumerate(lines):
        for base, factor in line.terms:
            matrix[row, BASES.index(base)] += factor
    return matrix


def acceleration_g(
    velocity_rms_mm_s: NDArray[np.float64], frequency_hz: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Peak acceleration of sine lines from their velocity RMS: (..., n) and (n,) -> (..., n).

    >>> acceleration_g(np.array([1.0]), np.array([100.0])).round(4)
    array([0.0906])
    """
    peak_g: NDArray[np.float64] = velocity_rms_mm_s * np.sqrt(2.0) * 2 * np.pi * frequency_hz / G_MM_S2
    return peak_g


def synthesise(
    frequency_hz: NDArray[np.float64],
    phase_cycles: NDArray[np.float64],
    amplitude: NDArray[np.float64],
    n_samples: int,
    rate_hz: float,
) -> Signal:
    """The sum of sine lines on each axis: (3, n_samples) float32.

    frequency_hz: (k,); phase_cycles and amplitude: (3, k). A sample number is split as 64 a + b, and
    cos(A + B) = cos A cos B - sin A sin B makes the sum over all lines one matrix product.

    >>> wave = synthesise(np.array([250.0]), np.zeros((3, 1)), np.ones((3, 1)), 8, 1000.0)
    >>> wave[0].round(3).astype(int).tolist()
    [1, 0, -1, 0, 1, 0, -1, 0]
    """
    n_rows = -(-n_samples // _ROW)
    cycles = frequency_hz / rate_hz
    coarse = phase_cycles[:, None, :] + (np.arange(n_rows) * _ROW)[None, :, None] * cycles
    fine = np.arange(_ROW) * cycles[:, None]
    coarse_cos, coarse_sin = _circle(coarse)
    fine_cos, fine_sin = _circle(fine)
    height = amplitude[:, None, :].astype(np.float32)
    left = np.concatenate([height * coarse_cos, -height * coarse_sin], axis=2)
    right = np.concatenate([fine_cos, fine_sin], axis=0)
    # Sizes are said, not inferred: no line at all, as when a machine runs out, is silence.
    flat = left.reshape(len(amplitude) * n_rows, left.shape[2])
    wave: Signal = (flat @ right).reshape(len(amplitude), n_rows * _ROW)
    return wave[:, :n_samples]


def _circle(cycles: NDArray[np.float64]) -> tuple[Signal, Signal]:
    """Cosine and sine of an angle in turns; whole turns go first, in double precision."""
    angle = ((cycles - np.floor(cycles)) * (2 * np.pi)).astype(np.float32)
    return np.cos(angle), np.sin(angle)
