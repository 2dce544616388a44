"""One plant day of one machine, minute by minute: what it is asked to do, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.faults import EFFECTS, Fault
from simulators.kinds import MachineKind
from simulators.shifts import DAY_MINUTES, IDLE, RUN, WorkPattern, modes_of_day

MINUTE_NS: Final = 60_000_000_000
DAY_NS: Final = DAY_MINUTES * MINUTE_NS
FULL_LOAD_EFFICIENCY: Final = 0.94
GOOD_SHARE: Final = 0.985
KNOT_MINUTES: Final = 20
TROPICS_DEGC: Final = 29.0
NO_LOAD_SLIP: Final = 0.08
"""Share of the rated slip that friction and the fan take: an induction motor never reaches its field."""
Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rating:
    """The name plate. rated_power_kw: at the shaft."""

    kind: MachineKind
    rated_power_kw: float
    rated_rpm: float

    @property
    def full_power_kw(self) -> float:
        """Electrical power at full load."""
        return self.rated_power_kw / FULL_LOAD_EFFICIENCY

    @property
    def synchronous_rpm(self) -> float:
        """Speed without slip: the lowest speed of a 50 Hz field that is not below the rated one.

        >>> from simulators.kinds import KINDS
        >>> Rating(KINDS["pump"], 75.0, 1480.0).synchronous_rpm
        1500.0
        """
        pole_pairs = max(1, math.floor(3000.0 / self.rated_rpm))
        return max(3000.0 / pole_pairs, self.rated_rpm)


@dataclass(frozen=True, slots=True)
class Orders:
    """What chance and the shift plan ask of one local day: each (1440,)."""

    mode: NDArray[np.int8]
    load: Column
    ambient_degc: Column


@dataclass(frozen=True, slots=True)
class Course:
    """One local day as it runs, closed by the next day's first minute: columns are (1441,).

    severities: (n_faults, 1441); rates and sums: (4, 1441), the speed of the counters per plant minute and
    their sum since midnight: kWh, revolutions, parts, good parts.
    """

    mode: NDArray[np.int8]
    load: Column
    ambient_degc: Column
    speed_rpm: Column
    power_kw: Column
    severities: Column
    rates: Column
    sums: Column


def orders_of_day(kind: MachineKind, pattern: WorkPattern, seed: int, day: int) -> Orders:
    """The orders of one day, counted from 1970-01-01 (a Thursday)."""
    mode = modes_of_day(pattern, (day + 3) % 7, _rng(seed, day, 1))
    n_knots = DAY_MINUTES // KNOT_MINUTES
    knots = np.append(
        _rng(seed, day, 2).standard_normal(n_knots), _rng(seed, day + 1, 2).standard_normal(n_knots)[0]
    )
    minutes = np.arange(DAY_MINUTES)
    sway = np.interp(minutes, np.arange(n_knots + 1) * KNOT_MINUTES, knots)
    load = np.clip(kind.load_mean + kind.load_spread * sway, 0.2, 1.05) * (mode == RUN)
    weather = [float(_rng(0, one, 3).normal(0.0, 1.2)) for one in (day, day + 1)]
    warmth = 3.5 * np.sin(2 * np.pi * (minutes - 540) / DAY_MINUTES)
    return Orders(mode, load, TROPICS_DEGC + warmth + np.interp(minutes, (0, DAY_MINUTES), weather))


def course_of_day(
    rating: Rating,
    orders: tuple[Orders, Orders],
    faults: Sequence[Fault],
    *,
    start_ns: int,
    speedup: float,
) -> Course:
    """How a day runs. orders: of this day and the next; start_ns: plant time of its midnight; speedup: plant
    seconds in a sensor second."""
    kind, (today, tomorrow) = rating.kind, orders
    mode = np.append(today.mode, tomorrow.mode[0])
    load = np.append(today.load, tomorrow.load[0])
    on = (mode == RUN) | (mode == IDLE)
    if kind.variable_speed:
        speed_rpm = rating.rated_rpm * ((mode == RUN) * (0.7 + 0.3 * load) + (mode == IDLE) * kind.idle_speed)
        pace = np.minimum(speed_rpm / rating.rated_rpm, 1.0) ** 2
    else:
        slip = (rating.synchronous_rpm - rating.rated_rpm) * (NO_LOAD_SLIP + (1.0 - NO_LOAD_SLIP) * load)
        speed_rpm = on * (rating.synchronous_rpm - slip)
        pace = np.ones_like(load)
    minutes_ns = start_ns + np.arange(DAY_MINUTES + 1, dtype=np.int64) * MINUTE_NS
    severities = np.array([fault.severities_at(minutes_ns) for fault in faults]).reshape(-1, len(load))
    share = on * pace * (kind.no_load + (1.0 - kind.no_load) * load)
    lost = np.zeros_like(load)
    for fault, severity in zip(faults, severities, strict=True):
        share = share * (1.0 + EFFECTS[fault.kind].extra_power * severity)
        lost = lost + EFFECTS[fault.kind].lost_quality * severity
    power_kw = rating.full_power_kw * share
    parts = kind.units_per_hour * load / 60.0
    rates = (
        np.stack([power_kw / 60.0, speed_rpm, parts, parts * np.maximum(GOOD_SHARE - lost, 0.0)]) / speedup
    )
    sums = np.zeros_like(rates)
    np.cumsum((rates[:, 1:] + rates[:, :-1]) / 2, axis=1, out=sums[:, 1:])
    ambient_degc = np.append(today.ambient_degc, tomorrow.ambient_degc[0])
    return Course(mode, load, ambient_degc, speed_rpm, power_kw, severities, rates, sums)


def _rng(seed: int, day: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng((seed, day & 0xFFFFFFFF, purpose))
