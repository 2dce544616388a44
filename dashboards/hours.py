"""One machine's hour in numbers: energy by tariff, idling, running, counts, stops. Pure.

A sample holds until the next one, but never longer than five usual steps: what is missing stays missing
and is reported, it is not filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dashboards.shifts import clock_minutes, shift_spans
from ingest.contract.channels import RunState
from ingest.contract.plant import Machine, Shift, Tariff

NS_PER_S = 1_000_000_000
HOUR_NS = 3_600 * NS_PER_S
MIN_HOLD_S, MAX_HOLD_S = 10.0, 300.0
MIN_STOP_S = 60.0
MAX_STOPS = 120
UNKNOWN, STOPPED, IDLE, RUNNING = -1, 0, 1, 2

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Modes = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """What was measured in the hour, in order of time; NaN where a channel was silent.

    times_ns: (n,); power_kw, state: (n,); total, good: counters with times of their own, may be empty.
    """

    times_ns: Times
    power_kw: Floats
    state: Floats
    total: Floats
    good: Floats
    energy_kwh: Floats


@dataclass(frozen=True, slots=True)
class Stop:
    """A planned stretch without production."""

    from_ns: int
    to_ns: int
    mode: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.to_ns - self.from_ns) / NS_PER_S


@dataclass(frozen=True, slots=True)
class Hour:
    """start_ns: full hour; kWh split by tariff; seconds by mode; made and good: None when nothing counts."""

    machine: str
    start_ns: int
    peak_kwh: float = 0.0
    off_peak_kwh: float = 0.0
    idle_peak_kwh: float = 0.0
    idle_off_peak_kwh: float = 0.0
    metered_s: float = 0.0
    known_s: float = 0.0
    running_s: float = 0.0
    idle_s: float = 0.0
    planned_s: float = 0.0
    planned_known_s: float = 0.0
    planned_running_s: float = 0.0
    made: float | None = None
    good: float | None = None
    stops: tuple[Stop, ...] = ()

    @property
    def kwh(self) -> float:
        """All energy of the hour."""
        return self.peak_kwh + self.off_peak_kwh


def modes(samples: Samples, machine: Machine) -> Modes:
    """What the machine did at each sample: by its own State, else by its power, else unknown."""
    found = np.full(len(samples.times_ns), UNKNOWN, np.int8)
    if machine.idle_power_kw:
        power = samples.power_kw
        found[power < 0.25 * machine.idle_power_kw] = STOPPED
        found[(power >= 0.25 * machine.idle_power_kw) & (power <= 1.25 * machine.idle_power_kw)] = IDLE
        found[power > 1.25 * machine.idle_power_kw] = RUNNING
    said = np.isfinite(samples.state)
    state = samples.state[said].astype(np.int8)
    by_state = np.full(len(state), STOPPED, np.int8)
    by_state[state == RunState.IDLE] = IDLE
    by_state[state == RunState.RUNNING] = RUNNING
    found[said] = by_state
    return found


def holds_s(times_ns: Times, end_ns: int) -> Floats:
    """How long each sample stands, in seconds."""
    if not len(times_ns):
        return np.zeros(0)
    steps = np.diff(times_ns, append=end_ns) / NS_PER_S
    usual = float(np.median(steps[:-1])) if len(steps) > 1 else MIN_HOLD_S
    return np.asarray(np.minimum(steps, min(MAX_HOLD_S, max(MIN_HOLD_S, 5.0 * usual))))


def counted(counter: Floats) -> float | None:
    """What a rising counter added, across resets; None when it never spoke twice.

    >>> counted(np.array([10.0, 12.0, np.nan, 1.0, 4.0]))
    6.0
    """
    said = counter[np.isfinite(counter)]
    if len(said) < 2:
        return None
    steps = np.diff(said)
    return float(np.where(steps >= 0, steps, said[1:]).sum())


def hour_of(
    machine: Machine,
    start_ns: int,
    samples: Samples,
    *,
    tariff: Tariff,
    shifts: tuple[Shift, ...],
    zone: ZoneInfo,
    seen_ns: tuple[int, int] | None = None,
) -> Hour:
    """Everything that the screens want to know of one hour.

    seen_ns: from when to when the machine could be heard, when that is not the whole hour: planned time
    before it was born or after now is not planned time that nobody watched.
    """
    first_ns, end_ns = seen_ns or (start_ns, start_ns + HOUR_NS)
    first_ns, end_ns = max(first_ns, start_ns), min(end_ns, start_ns + HOUR_NS)
    local = datetime.fromtimestamp(start_ns / NS_PER_S, UTC).astimezone(zone)
    holds = holds_s(samples.times_ns, end_ns)
    mode = modes(samples, machine)
    known = mode != UNKNOWN
    planned = _planned(samples.times_ns, shifts, local, start_ns)
    peak = _peak(samples.times_ns, tariff, local, start_ns)
    kwh, metered_s = _energy(samples, holds)
    idle = mode == IDLE
    return Hour(
        machine.id,
        start_ns,
        peak_kwh=float(kwh[peak].sum()),
        off_peak_kwh=float(kwh[~peak].sum()),
        idle_peak_kwh=float(kwh[peak & idle].sum()),
        idle_off_peak_kwh=float(kwh[~peak & idle].sum()),
        metered_s=metered_s,
        known_s=float(holds[known].sum()),
        running_s=float(holds[mode == RUNNING].sum()),
        idle_s=float(holds[idle].sum()),
        planned_s=_planned_seconds(shifts, local, first_ns, end_ns),
        planned_known_s=float(holds[known & planned].sum()),
        planned_running_s=float(holds[(mode == RUNNING) & planned].sum()),
        made=counted(samples.total),
        good=counted(samples.good),
        stops=_stops(samples.times_ns, holds, mode, planned),
    )


def _energy(samples: Samples, holds: Floats) -> tuple[Floats, float]:
    """kWh of each sample, and the seconds that were metered. A counter without a power channel is enough."""
    metered = np.isfinite(samples.power_kw)
    if metered.any():
        kwh = np.where(metered, np.nan_to_num(samples.power_kw), 0.0) * holds / 3600.0
        return kwh, float(holds[metered].sum())
    said = np.isfinite(samples.energy_kwh)
    kwh = np.zeros(len(holds))
    where = np.flatnonzero(said)
    if len(where) >= 2:
        steps = np.diff(samples.energy_kwh[where])
        kwh[where[:-1]] = np.where(steps >= 0, steps, samples.energy_kwh[where[1:]])
    return kwh, float(holds[said].sum())


def _peak(times_ns: Times, tariff: Tariff, local: datetime, start_ns: int) -> NDArray[np.bool_]:
    first, last = clock_minutes(tariff.peak_from), clock_minutes(tariff.peak_to)
    minute = (local.hour * 60 + local.minute) + (times_ns - start_ns) / (60 * NS_PER_S)
    minute = np.mod(minute, 24 * 60)
    if first <= last:
        return np.asarray((minute >= first) & (minute < last))
    return np.asarray((minute >= first) | (minute < last))


def _spans_ns(shifts: tuple[Shift, ...], local: datetime) -> list[tuple[int, int]]:
    """Planned spans around this hour, in nanoseconds."""
    days = (local - timedelta(days=1), local)
    spans = [(a, b) for day in days for a, b, _ in shift_spans(shifts, day)]
    return [(int(a.timestamp()) * NS_PER_S, int(b.timestamp()) * NS_PER_S) for a, b in spans]


def _planned(times_ns: Times, shifts: tuple[Shift, ...], local: datetime, start_ns: int) -> NDArray[np.bool_]:
    if not shifts:
        return np.ones(len(times_ns), np.bool_)
    found = np.zeros(len(times_ns), np.bool_)
    for a, b in _spans_ns(shifts, local):
        if b > start_ns and a < start_ns + HOUR_NS:
            found |= (times_ns >= a) & (times_ns < b)
    return found


def _planned_seconds(shifts: tuple[Shift, ...], local: datetime, first_ns: int, end_ns: int) -> float:
    """Planned seconds in [first_ns, end_ns); overlapping shifts count once."""
    spans = _spans_ns(shifts, local) if shifts else [(first_ns, end_ns)]
    total, until = 0, first_ns
    for start, stop in sorted(spans):
        a, b = max(start, until), min(stop, end_ns)
        if b > a:
            total, until = total + b - a, b
    return total / NS_PER_S


def _stops(times_ns: Times, holds: Floats, mode: Modes, planned: NDArray[np.bool_]) -> tuple[Stop, ...]:
    """Planned stretches in which it stood or idled, the longest 120 of them, in order of time."""
    still = planned & ((mode == STOPPED) | (mode == IDLE))
    edges = np.flatnonzero(np.diff(still.astype(np.int8), prepend=0, append=0))
    found = []
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        end_ns = int(times_ns[last - 1]) + int(holds[last - 1] * NS_PER_S)
        found.append(Stop(int(times_ns[first]), end_ns, int(mode[first])))
    found.sort(key=lambda stop: -stop.seconds)
    return tuple(sorted(found[:MAX_STOPS], key=lambda stop: stop.from_ns))


def joined_stops(hours: list[Hour]) -> list[tuple[str, Stop]]:
    """Stops of one machine across full hours, at least a minute long, in order of time."""
    joined: list[tuple[str, Stop]] = []
    for hour in sorted(hours, key=lambda one: one.start_ns):
        for stop in hour.stops:
            if joined and stop.from_ns - joined[-1][1].to_ns <= MIN_HOLD_S * NS_PER_S:
                joined[-1] = (hour.machine, Stop(joined[-1][1].from_ns, stop.to_ns, joined[-1][1].mode))
            else:
                joined.append((hour.machine, stop))
    return [(machine, stop) for machine, stop in joined if stop.seconds >= MIN_STOP_S]
