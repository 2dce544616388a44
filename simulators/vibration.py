"""The fast side of a machine: three axes of acceleration from its speed, load and faults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.bearings import Orders
from simulators.day import Rating
from simulators.faults import Fault, FaultKind
from simulators.impacts import BLOWS, Blows, Pace, ring, strike
from simulators.life import Moment
from simulators.lines import BASES, FAULT_LINES, TURNING, WORKING, acceleration_g, mixing, synthesise
from simulators.noise import Signal, noise

LINE_HZ: Final = 50.0
NOISE_GROWTH: Final[dict[FaultKind, tuple[float, float, float]]] = {
    FaultKind.LUBRICATION: (6.0, 5.0, 14.0),
    FaultKind.CAVITATION: (9.0, 6.0, 16.0),
    FaultKind.LOOSENESS: (1.0, 2.0, 0.5),
    FaultKind.BEARING_OUTER: (1.0, 3.0, 3.0),
    FaultKind.BEARING_INNER: (1.0, 3.0, 3.0),
    FaultKind.BEARING_BALL: (1.0, 3.0, 3.0),
    FaultKind.BEARING_CAGE: (1.5, 3.0, 3.0),
    FaultKind.GEAR: (0.5, 2.0, 1.0),
}
"""By how much severity 1 multiplies flow, structure and hiss noise, beyond the healthy level."""


def limit_c_d_mm_s(rated_power_kw: float) -> float:
    """ISO 10816-3:2009, rigid support: the C/D boundary, velocity RMS.

    >>> limit_c_d_mm_s(75.0), limit_c_d_mm_s(400.0)
    (4.5, 7.1)
    """
    return 7.1 if rated_power_kw > 300.0 else 4.5


@dataclass(frozen=True, slots=True)
class _Score:
    """All lines of one machine. mixing: (k, bases); level_mm_s and phase: (3, k); grows: (k,); of_fault: (k,)
    index into the faults, -1 for a turning and -2 for a working line."""

    mixing: NDArray[np.float64]
    level_mm_s: NDArray[np.float64]
    phase: NDArray[np.float64]
    grows: NDArray[np.float64]
    of_fault: NDArray[np.int64]


class Vibration:
    """Acceleration of one machine. Parameters as for `MachineModel`."""

    def __init__(self, rating: Rating, orders: Orders, seed: int, faults: tuple[Fault, ...]) -> None:
        self.rating = rating
        self.orders = orders
        self.faults = faults
        rng = np.random.default_rng((seed, 11))
        self._character = rng.lognormal(0.0, 0.12, 3)
        spread = float(rng.uniform(0.94, 1.06))
        self.modes_hz = tuple(round(mode_hz * spread, -1) for mode_hz in rating.kind.modes_hz)
        self._score = self._write_score(rng)

    def _write_score(self, rng: np.random.Generator) -> _Score:
        lines = [(-1, line) for line in TURNING] + [(-2, line) for line in WORKING]
        for index, fault in enumerate(self.faults):
            lines += [(index, line) for line in FAULT_LINES[fault.kind]]
        shares = np.array([line.share for _, line in lines]).T
        own = np.array([rng.lognormal(0.0, 0.15) if index < 0 else 1.0 for index, _ in lines])
        phase = rng.random((1, len(lines))) + np.array([[0.0], [0.25], [0.4]])
        limit_mm_s = limit_c_d_mm_s(self.rating.rated_power_kw)
        return _Score(
            mixing=mixing([line for _, line in lines]),
            level_mm_s=shares * own * limit_mm_s * self._character[:, None],
            phase=phase,
            grows=np.array([line.grows for _, line in lines]),
            of_fault=np.array([index for index, _ in lines]),
        )

    def signal(
        self, rng: np.random.Generator, moment: Moment, seconds: float, n_samples: int, rate_hz: float
    ) -> Signal:
        """Acceleration of x, y and z: (3, n_samples) g. seconds: sensor time of the mains."""
        pace = moment.speed_rpm / self.rating.rated_rpm
        severities = np.array([fault.severity_at(moment.plant_ns) for fault in self.faults])
        bases_hz, bases_turns = self._bases(moment, seconds)
        signal = noise(
            rng, self._noise_levels(rng, moment, pace, severities), rate_hz, self.modes_hz, n_samples
        )
        if pace > 0.0:
            score = self._score
            frequency_hz = score.mixing @ bases_hz
            phase = score.phase + score.mixing @ bases_turns
            velocity = score.level_mm_s * self._strengths(pace, moment.load, severities)
            velocity[:, (frequency_hz < 0.1) | (frequency_hz > 0.45 * rate_hz)] = 0.0
            heights = acceleration_g(velocity, frequency_hz)
            heard = heights.max(axis=0) > 1e-6
            signal += synthesise(frequency_hz[heard], phase[:, heard], heights[:, heard], n_samples, rate_hz)
            signal += self._blows(rng, bases_hz, bases_turns, severities, (n_samples, rate_hz))
        return signal

    def _strengths(self, pace: float, load: float, severities: NDArray[np.float64]) -> NDArray[np.float64]:
        """How strongly each line sounds, 1 at rated speed and load and severity 1: (k,)."""
        of_fault = self._score.of_fault
        known = np.append(severities, (pace**2 * load, pace**2))
        strength = known[of_fault]
        faulty = of_fault >= 0
        strength[faulty] = strength[faulty] ** self._score.grows[faulty] * pace**1.5
        return strength

    def _bases(self, moment: Moment, seconds: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Frequency (Hz) and turns so far of each of BASES."""
        kind, shaft_hz, turns = self.rating.kind, moment.speed_rpm / 60.0, moment.revolutions
        pole_pairs = round(3000.0 / self.rating.synchronous_rpm)
        if kind.variable_speed:
            line = (shaft_hz * pole_pairs, turns * pole_pairs)
        else:
            line = (LINE_HZ, (seconds % 1.0) * LINE_HZ)
        order = {
            "shaft": 1.0,
            "bpfo": self.orders.bpfo,
            "bpfi": self.orders.bpfi,
            "bsf": self.orders.bsf,
            "ftf": self.orders.ftf,
            "mesh": float(kind.gear_teeth),
            "vane": float(kind.vanes),
            "output": 1.0 / kind.gear_ratio if kind.gear_teeth else 0.0,
        }
        bases = {base: (factor * shaft_hz, factor * turns) for base, factor in order.items()}
        bases["line"] = line
        bases["pole"] = (2 * (line[0] - pole_pairs * shaft_hz), 2 * (line[1] - pole_pairs * turns))
        pairs = np.array([bases[base] for base in BASES])
        return pairs[:, 0], pairs[:, 1] % 1e6

    def _noise_levels(
        self, rng: np.random.Generator, moment: Moment, pace: float, severities: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Noise of each band on each axis: (3 bands, 3 axes), in the units of `noise.tapes`."""
        kind = self.rating.kind
        growth = np.ones(3)
        for fault, severity in zip(self.faults, severities, strict=True):
            growth += severity * np.array(NOISE_GROWTH.get(fault.kind, (0.0, 0.0, 0.0)))
        work = 0.4 + 0.6 * moment.load
        size = limit_c_d_mm_s(self.rating.rated_power_kw) / 4.5
        bands = np.array(
            [
                kind.flow_mm_s * pace**2 * work * size,
                kind.structure_g * pace**1.5 * work,
                kind.hiss_g * pace**1.5,
            ]
        )
        bands = bands * growth + np.array([0.0, 0.0004, 0.0003])
        wobble = rng.lognormal(0.0, 0.05, 3)
        levels: NDArray[np.float64] = np.outer(bands * wobble, self._character * (1.0, 0.9, 0.7))
        return levels

    def _blows(
        self,
        rng: np.random.Generator,
        bases_hz: NDArray[np.float64],
        bases_turns: NDArray[np.float64],
        severities: NDArray[np.float64],
        block: tuple[int, float],
    ) -> Signal:
        """Ringing after all trains of blows: (3, n) g, or a zero when nothing strikes."""
        n_samples, rate_hz = block
        pace_now = bases_hz[0] * 60.0 / self.rating.rated_rpm
        total: Signal | None = None
        for fault, severity in zip(self.faults, severities, strict=True):
            blows = BLOWS.get(fault.kind)
            if blows is None or severity <= 0.0:
                continue
            pace = _pace(blows, bases_hz, bases_turns)
            height = np.float32(blows.peak_g * severity * math.sqrt(pace_now))
            impulses = strike(rng, blows, pace, n_samples, rate_hz) * height
            total = impulses if total is None else total + impulses
        if total is None:
            return np.zeros((3, 1), np.float32)
        return ring(total, n_samples, rate_hz, self.modes_hz)


def _pace(blows: Blows, bases_hz: NDArray[np.float64], bases_turns: NDArray[np.float64]) -> Pace:
    base, carrier = BASES.index(blows.base), BASES.index(blows.carrier)
    return Pace(
        rate_per_s=float(blows.factor * bases_hz[base]),
        turns=float(blows.factor * bases_turns[base]),
        carrier_hz=float(bases_hz[carrier]),
        carrier_turns=float(bases_turns[carrier]),
    )
