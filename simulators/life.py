"""The slow side of a machine: load, speed, power, warmth, meters and counters, as functions of time.

Everything follows from the seed and the moment, minute by minute on the plant clock, so a process that
starts again at the same moment says the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.contract.channels import RunState
from simulators.day import DAY_NS, MINUTE_NS, Column, Course, Orders, Rating, course_of_day, orders_of_day
from simulators.faults import EFFECTS, Fault
from simulators.plant_clock import PlantClock
from simulators.shifts import DAY_MINUTES, WorkPattern

MAX_DAYS: Final = 4_000
WINDING_RISE_K, BEARING_RISE_K = 72.0, 26.0
WINDING_TAU_MIN, BEARING_TAU_MIN = 40.0, 22.0
COAST_S: Final = 4.0
_CHUNK, _KEPT_DAYS = 60, 6
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Moment:
    """A machine at one moment. load: share of rated; energy_kwh, revolutions, total, good: counters since
    the origin of the clock; plant_ns: plant time."""

    plant_ns: int
    state: RunState
    load: float
    speed_rpm: float
    power_kw: float
    winding_degc: float
    bearing_degc: float
    ambient_degc: float
    energy_kwh: float
    revolutions: float
    total: float
    good: float


@dataclass(slots=True)
class Life:
    """What one machine does hour by hour.

    clock: maps sensor time to plant time and holds the origin of the counters; utc_offset_s: local time of
    the shifts. Raises ValueError for a moment more than 4,000 plant days from the origin.
    """

    rating: Rating
    seed: int
    faults: tuple[Fault, ...]
    clock: PlantClock
    pattern: WorkPattern
    utc_offset_s: int
    stops: tuple[tuple[int, int | None], ...] = ()
    _orders: dict[int, Orders] = field(default_factory=dict)
    _courses: dict[int, Course] = field(default_factory=dict)
    _warmth: dict[int, tuple[Column, Column]] = field(default_factory=dict)
    _run_up_to: dict[int, Column] = field(default_factory=dict)

    def stop(self, at_ns: int) -> None:
        """Somebody stops the machine at a moment of sensor time; it stays off until `resume`."""
        if not self.is_stopped:
            self.stops = (*self.stops, (at_ns, None))
            self._warmth.clear()

    def resume(self, at_ns: int) -> None:
        """Somebody lets the machine run again."""
        if self.is_stopped:
            from_ns = self.stops[-1][0]
            self.stops = (*self.stops[:-1], (from_ns, max(at_ns, from_ns)))
            self._warmth.clear()

    @property
    def is_stopped(self) -> bool:
        """True after `stop` and before `resume`."""
        return bool(self.stops) and self.stops[-1][1] is None

    def is_planned(self, time_ns: int) -> bool:
        """Whether a moment of sensor time is planned busy time."""
        day, minute, _ = self._place(self.clock.plant_ns(time_ns))
        weekday = (day + 3) % 7
        return any(shift.includes(weekday, minute) for shift in self.pattern.shifts)

    def moment(self, time_ns: int) -> Moment:
        """The machine at a moment of sensor time."""
        plant_ns = self.clock.plant_ns(time_ns)
        day, minute, share = self._place(plant_ns)
        course, (winding, bearing) = self._course(day), self._warm_day(day)
        speed_share = self._coasting(time_ns)
        running = speed_share == 1.0
        speed_rpm = _between(course.speed_rpm, minute, share) * speed_share
        energy_kwh, revolutions, total, good = self._counters(time_ns)
        return Moment(
            plant_ns=plant_ns,
            state=RunState(int(course.mode[minute])) if running else RunState.STOPPED,
            load=_between(course.load, minute, share) if running else 0.0,
            speed_rpm=speed_rpm if speed_rpm > 1.0 else 0.0,
            power_kw=_between(course.power_kw, minute, share) if running else 0.0,
            winding_degc=_between(winding, minute, share),
            bearing_degc=_between(bearing, minute, share),
            ambient_degc=_between(course.ambient_degc, minute, share),
            energy_kwh=energy_kwh,
            revolutions=revolutions,
            total=total,
            good=good,
        )

    def _place(self, plant_ns: int) -> tuple[int, int, float]:
        """Local day, minute of it, and share of that minute gone by."""
        day, in_day = divmod(plant_ns + self.utc_offset_s * 1_000_000_000, DAY_NS)
        minute, rest = divmod(in_day, MINUTE_NS)
        return day, minute, rest / MINUTE_NS

    def _midnight_ns(self, day: int) -> int:
        return day * DAY_NS - self.utc_offset_s * 1_000_000_000

    def _coasting(self, time_ns: int) -> float:
        """Share of speed left: 1 while running, falling towards 0 after a stop."""
        for from_ns, to_ns in reversed(self.stops):
            if from_ns <= time_ns and (to_ns is None or time_ns < to_ns):
                return math.exp(-(time_ns - from_ns + 1) / (COAST_S * 1e9))
        return 1.0

    def _ordered(self, day: int) -> Orders:
        if day not in self._orders:
            orders = orders_of_day(self.rating.kind, self.pattern, self.seed, day)
            _keep(self._orders, day, orders)
        return self._orders[day]

    def _course(self, day: int) -> Course:
        if day not in self._courses:
            course = course_of_day(
                self.rating,
                (self._ordered(day), self._ordered(day + 1)),
                self.faults,
                start_ns=self._midnight_ns(day),
                speedup=self.clock.speedup,
            )
            _keep(self._courses, day, course)
        return self._courses[day]

    def _warm_day(self, day: int) -> tuple[Column, Column]:
        """Winding and bearing temperature of a day: (1441,) degC, warm from the day before."""
        if day not in self._warmth:
            taus = (WINDING_TAU_MIN, BEARING_TAU_MIN)
            warmed = [
                _warm(today, tau_min, float(_warm(before, tau_min, float(before[0]))[-1]))
                for before, today, tau_min in zip(
                    self._targets(day - 1), self._targets(day), taus, strict=True
                )
            ]
            _keep(self._warmth, day, (warmed[0], warmed[1]))
        return self._warmth[day]

    def _targets(self, day: int) -> tuple[Column, Column]:
        """Where winding and bearing temperature are heading at each minute of a day."""
        course = self._course(day)
        turning = (course.speed_rpm > 0) & ~self._stopped_minutes(day)
        pace = turning * course.speed_rpm / self.rating.rated_rpm
        draw = course.power_kw / self.rating.full_power_kw
        winding = course.ambient_degc + turning * WINDING_RISE_K * draw**1.6
        bearing = course.ambient_degc + BEARING_RISE_K * pace * (0.7 + 0.4 * course.load)
        for fault, severity in zip(self.faults, course.severities, strict=True):
            winding += turning * EFFECTS[fault.kind].winding_rise_k * severity
            bearing += pace * EFFECTS[fault.kind].bearing_rise_k * severity
        return winding, bearing

    def _stopped_minutes(self, day: int) -> NDArray[np.bool_]:
        minutes_ns = self._midnight_ns(day) + np.arange(DAY_MINUTES + 1, dtype=np.int64) * MINUTE_NS
        stopped = np.zeros(DAY_MINUTES + 1, bool)
        for from_ns, to_ns in self.stops:
            since = minutes_ns >= self.clock.plant_ns(from_ns)
            stopped |= since if to_ns is None else since & (minutes_ns < self.clock.plant_ns(to_ns))
        return stopped

    def _counters(self, time_ns: int) -> list[float]:
        """Energy (kWh), revolutions, parts and good parts since the origin, less what stops took away."""
        counted = self._run_up(time_ns) - self._run_up(self.clock.origin_ns)
        for from_ns, to_ns in self.stops:
            if from_ns < time_ns:
                until_ns = time_ns if to_ns is None else min(to_ns, time_ns)
                counted = counted - (self._run_up(until_ns) - self._run_up(from_ns))
        values: list[float] = counted.tolist()
        return values

    def _run_up(self, time_ns: int) -> Column:
        """The four counters at a moment, were there no stops: (4,), since the origin's midnight."""
        day, minute, share = self._place(self.clock.plant_ns(time_ns))
        course = self._course(day)
        now, slope = course.rates[:, minute], course.rates[:, minute + 1] - course.rates[:, minute]
        counted: Column = self._before(day) + course.sums[:, minute] + now * share + slope * share**2 / 2
        return counted

    def _before(self, day: int) -> Column:
        """The four counters at a day's midnight: (4,)."""
        counted = self._run_up_to
        if day in counted:
            return counted[day]
        first_day = self._place(self.clock.origin_ns)[0]
        if abs(day - first_day) > MAX_DAYS:
            raise ValueError(
                f"a simulated machine lives {MAX_DAYS} plant days around its origin, not {day - first_day}"
            )
        counted.setdefault(first_day, np.zeros(4))
        for one in range(first_day, day):
            if one + 1 not in counted:
                counted[one + 1] = counted[one] + self._course(one).sums[:, -1]
        for one in range(first_day, day, -1):
            if one - 1 not in counted:
                counted[one - 1] = counted[one] - self._course(one - 1).sums[:, -1]
        return counted[day]


def _between(column: Column, minute: int, share: float) -> float:
    here = float(column[minute])
    return here + (float(column[minute + 1]) - here) * share


def _keep(days: dict[int, _Value], day: int, value: _Value) -> None:
    """Remember a day, and no more than a few."""
    if len(days) >= _KEPT_DAYS:
        days.pop(next(iter(days)))
    days[day] = value


def _warm(target: Column, tau_min: float, start: float) -> Column:
    """First-order response, minute by minute, to a target: (n,) -> (n,), beginning at `start`."""
    decay = math.exp(-1.0 / tau_min)
    steps = np.arange(_CHUNK)
    lag = steps[:, None] - steps[None, :]
    kernel = np.where(lag >= 0, (1.0 - decay) * decay ** np.maximum(lag, 0), 0.0)
    fading = decay ** (steps + 1.0)
    warmed = np.empty_like(target)
    warmed[0] = start
    for first in range(1, len(target), _CHUNK):
        goal = target[first - 1 : first - 1 + min(_CHUNK, len(target) - first)]
        n = len(goal)
        warmed[first : first + n] = kernel[:n, :n] @ goal + fading[:n] * warmed[first - 1]
    return warmed
