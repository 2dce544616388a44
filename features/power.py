"""Power features: load factor, apparent and reactive power, unbalance; cycles, starts, idle, energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from features.hann import hann
from ingest.contract.channels import POWER_FACTOR, POWER_KW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Series: TypeAlias = "NDArray[np.float64]"

CURRENTS = ("Current/L1", "Current/L2", "Current/L3")
VOLTAGES = ("Voltage/L1", "Voltage/L2", "Voltage/L3")
NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class DerivedPower:
    """One column that messages with all the channels of `needs` get."""

    name: str
    unit: str
    fault: str
    needs: frozenset[str]


DERIVED_POWER: tuple[DerivedPower, ...] = (
    DerivedPower(
        "Power/Active.load_factor", "1", "Overload, or a motor too big for its work", frozenset({POWER_KW})
    ),
    DerivedPower(
        "Power/Active.apparent_kva",
        "kVA",
        "Load on cables and transformer",
        frozenset({POWER_KW, POWER_FACTOR}),
    ),
    DerivedPower(
        "Power/Active.reactive_kvar",
        "kvar",
        "Capacitor banks, idle motors",
        frozenset({POWER_KW, POWER_FACTOR}),
    ),
    DerivedPower(
        "Current.unbalance", "1", "A bad phase, contact or winding (NEMA MG 1)", frozenset(CURRENTS)
    ),
    DerivedPower(
        "Voltage.unbalance", "1", "Supply; 1 % heats a motor by several (NEMA MG 1)", frozenset(VOLTAGES)
    ),
)


def derive_power(scalars: Mapping[str, Series], rated_kw: Series) -> list[Series]:
    """Columns of `DERIVED_POWER` whose channels are there, in order. rated_kw: (n,), NaN = undeclared."""
    columns: list[Series] = []
    with np.errstate(divide="ignore", invalid="ignore"):
        if POWER_KW in scalars:
            columns.append(scalars[POWER_KW] / rated_kw)
        if POWER_KW in scalars and POWER_FACTOR in scalars:
            kw, factor = scalars[POWER_KW], scalars[POWER_FACTOR]
            apparent = np.where((np.abs(factor) > 0) & (np.abs(factor) <= 1), np.abs(kw / factor), np.nan)
            columns += [apparent, np.sqrt(np.maximum(apparent**2 - kw**2, 0))]
        columns += [
            unbalance(np.stack([scalars[phase] for phase in phases]))
            for phases in (CURRENTS, VOLTAGES)
            if all(phase in scalars for phase in phases)
        ]
    return columns


def unbalance(phases: NDArray[np.float64]) -> Series:
    """Largest deviation from the mean of three phases (3, n), over the mean (NEMA MG 1); NaN when all are 0.

    >>> unbalance(np.array([[100.0], [100.0], [91.0]])).round(4)
    array([0.0619])
    """
    mean = phases.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean > 0, np.abs(phases - mean).max(axis=0) / mean, np.nan)


@dataclass(frozen=True, slots=True)
class Cycle:
    """One run above idle power: from start_ns to end_ns, its energy and its mean and highest power."""

    start_ns: int
    end_ns: int
    energy_kwh: float
    mean_kw: float
    peak_kw: float


def energy_kwh(times_ns: NDArray[np.int64], kw: Series, max_gap_s: float) -> float:
    """Energy by trapezoids, kWh. Intervals over `max_gap_s` or with an unknown end count as nothing.

    >>> energy_kwh(np.array([0, 1800, 3600]) * 10**9, np.array([10.0, 10.0, 10.0]), 3600)
    10.0
    """
    if len(times_ns) < 2:
        return 0.0
    step_s = np.diff(times_ns) / NS_PER_S
    mean_kw = (kw[1:] + kw[:-1]) / 2
    good = (step_s > 0) & (step_s <= max_gap_s) & np.isfinite(mean_kw)
    return float((mean_kw[good] * step_s[good]).sum() / 3_600)


def cycles(
    times_ns: NDArray[np.int64], kw: Series, idle_kw: float, min_on_s: float, max_gap_s: float
) -> list[Cycle]:
    """Runs above `idle_kw` that last at least `min_on_s`; a gap longer than `max_gap_s` ends a run.

    Raises ValueError when idle_kw is negative.

    >>> power_kw = np.array([1.0, 9.0, 9.0, 1.0, 9.0, 1.0])
    >>> [(c.start_ns, c.end_ns) for c in cycles(np.arange(6) * 10**9, power_kw, 2.0, 0.5, 5.0)]
    [(1000000000, 2000000000)]
    """
    if idle_kw < 0:
        raise ValueError(f"idle_kw must not be negative, got {idle_kw}")
    on = np.isfinite(kw) & (kw > idle_kw)
    broken = np.diff(times_ns, prepend=times_ns[:1]) > max_gap_s * NS_PER_S
    run = np.cumsum(~on | broken)  # each pause or gap opens a new number
    found = []
    for number in np.unique(run[on]):
        inside = np.flatnonzero(on & (run == number))
        at_ns, power_kw = times_ns[inside], kw[inside]
        if at_ns[-1] - at_ns[0] >= min_on_s * NS_PER_S:
            found.append(
                Cycle(
                    int(at_ns[0]),
                    int(at_ns[-1]),
                    energy_kwh(at_ns, power_kw, max_gap_s),
                    float(power_kw.mean()),
                    float(power_kw.max()),
                )
            )
    return found


def starts(kw: Series, idle_kw: float) -> int:
    """Times that power rises above idle: starts wear contactors and windings.

    >>> starts(np.array([0.0, 5.0, 5.0, 0.0, 5.0]), 1.0)
    2
    """
    on = np.isfinite(kw) & (kw > idle_kw)
    return int(np.count_nonzero(on[1:] & ~on[:-1]))


def idle_share(kw: Series, idle_kw: float, off_kw: float) -> float:
    """Share of readings in which the machine draws power but does no work; NaN with no readings.

    >>> idle_share(np.array([0.0, 1.0, 1.0, 9.0]), 2.0, 0.2)
    0.5
    """
    known = kw[np.isfinite(kw)]
    if not len(known):
        return float("nan")
    return float(np.mean((known > off_kw) & (known <= idle_kw)))


@dataclass(frozen=True, slots=True)
class CurrentSignature:
    """Lines of one phase's current: RMS, harmonic distortion, and the sidebands of broken rotor bars."""

    rms: float
    mains_hz: float
    thd: float
    bar_sidebands_db: float


def current_signature(current: Series, rate_hz: float, mains_hz: float, slip: float) -> CurrentSignature:
    """Current signature of one phase at waveform rate (Thomson and Fenger 2001).

    current: (n,) in A; slip: 0 to 1, NaN = unknown. THD over harmonics 2 to 40 (IEC 61000-4-7). Bar
    sidebands at (1 +- 2 slip) mains, relative to the mains line: above about -45 dB a bar is suspect. NaN
    where the record is too short to part them from the mains line. Raises ValueError when the mains line is
    not within the spectrum.
    """
    n = len(current)
    bin_hz = rate_hz / n
    if not 8 * bin_hz < mains_hz < rate_hz / 2:
        raise ValueError(f"{n} samples at {rate_hz} Hz cannot show a mains line at {mains_hz} Hz")
    wave = current - current.mean()
    power = np.abs(np.fft.rfft(wave * hann(n))) ** 2
    mains = _line(power, mains_hz / bin_hz, 0.02 * mains_hz / bin_hz)
    at_hz = _top(power, mains_hz / bin_hz, 0.02 * mains_hz / bin_hz) * bin_hz
    n_harmonics = min(40, int((rate_hz / 2 - 4 * bin_hz) / at_hz))
    distortion = sum(_line(power, harmonic * at_hz / bin_hz, 2) for harmonic in range(2, n_harmonics + 1))
    away = 2 * slip * at_hz / bin_hz
    if np.isfinite(away) and away >= 5:
        sides = max(_line(power, at_hz / bin_hz + side * away, 1) for side in (-1, 1))
        bars = 10 * np.log10(sides / mains)
    else:
        bars = np.nan
    thd = np.sqrt(distortion / mains) if mains > 0 else np.nan
    return CurrentSignature(float(np.sqrt(np.mean(wave**2))), float(at_hz), float(thd), float(bars))


def _top(power: Series, place: float, slack: float) -> int:
    low, high = max(2, int(np.floor(place - slack))), int(np.ceil(place + slack)) + 1
    return low + int(np.argmax(power[low:high]))


def _line(power: Series, place: float, slack: float) -> float:
    top = _top(power, place, slack)
    return float(power[top - 2 : top + 3].sum())
