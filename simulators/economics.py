"""Months of a plant's life in minutes: faults, breakdowns, technicians, output and electricity.

The same faults befall the plant whatever watches over it (common random numbers); only what people learn in
time differs. What a watch knows it knows from the machines' signals alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

import numpy as np

from ingest.contract.channels import RunState
from simulators.day import DAY_NS, GOOD_SHARE, MINUTE_NS
from simulators.faults import EFFECTS, SENSOR_FAULTS, Fault, FaultKind
from simulators.kinds import can_have
from simulators.machine import MachineModel

HOUR_NS: Final = 60 * MINUTE_NS

FAULT_WEIGHTS: Final[dict[FaultKind, float]] = {
    FaultKind.BEARING_OUTER: 15,
    FaultKind.BEARING_INNER: 12,
    FaultKind.BEARING_BALL: 7,
    FaultKind.BEARING_CAGE: 6,
    FaultKind.IMBALANCE: 12,
    FaultKind.MISALIGNMENT: 12,
    FaultKind.LOOSENESS: 8,
    FaultKind.LUBRICATION: 10,
    FaultKind.ELECTRICAL: 8,
    FaultKind.GEAR: 10,
    FaultKind.CAVITATION: 10,
}
"""How often each fault comes, relative; about 40 % bearings, as surveys of rotating machines find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Everything about the plant that is assumed, not measured. Change one and run again.

    mtbf_days: mean healthy time from a repair to the first trace of the next fault; growth_days,
    growth_spread: median and log-spread of the time from there to breakdown (the P-F interval); sudden:
    share of breakdowns without any trace; unplanned_h, planned_h, short_notice_h: median time to repair after
    a breakdown, in a prepared repair, and after a stop at a day's notice; repair_spread: their log-spread;
    parts_days: from finding a fault to parts and crew; clear_severity: at which an inspection surely finds
    it; dismissal: chance that technicians who find nothing call it a false alarm, else they are not sure and
    look again after recheck_days; approval: chance that they follow an advice to stop a machine that is truly
    ill; per kWh prices in rupiah; switch_off: share of reported idle running that people end, after
    report_days.
    """

    mtbf_days: float = 240.0
    growth_days: float = 25.0
    growth_spread: float = 0.6
    sudden: float = 0.2
    unplanned_h: float = 30.0
    planned_h: float = 8.0
    short_notice_h: float = 14.0
    repair_spread: float = 0.4
    parts_days: float = 3.0
    clear_severity: float = 0.1
    dismissal: float = 0.5
    recheck_days: float = 4.0
    approval: float = 0.9
    peak_per_kwh: float = 1553.67
    off_peak_per_kwh: float = 1035.78
    switch_off: float = 0.5
    report_days: float = 30.0

    def __post_init__(self) -> None:
        for name in ("sudden", "dismissal", "approval", "switch_off"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in (
            "mtbf_days",
            "growth_days",
            "unplanned_h",
            "planned_h",
            "short_notice_h",
            "clear_severity",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Destiny:
    """What befalls a machine after a repair, whoever watches. growth_days 0: it breaks without a trace."""

    healthy_days: float
    kind: FaultKind
    growth_days: float
    unplanned_h: float
    planned_h: float
    short_notice_h: float


def destinies(kind: str, seed: tuple[int, ...], assumed: Assumptions) -> Iterator[Destiny]:
    """The destinies of one machine, one after each repair, without end."""
    rng = np.random.default_rng(seed)
    kinds = [fault for fault in FAULT_WEIGHTS if fault not in SENSOR_FAULTS and can_have(kind, fault)]
    weights = np.array([FAULT_WEIGHTS[fault] for fault in kinds])
    while True:
        spread = np.exp(assumed.repair_spread * rng.standard_normal())
        is_sudden = rng.random() < assumed.sudden
        growth_days = assumed.growth_days * math.exp(assumed.growth_spread * rng.standard_normal())
        yield Destiny(
            healthy_days=float(rng.exponential(assumed.mtbf_days)),
            kind=kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))],
            growth_days=0.0 if is_sudden else growth_days,
            unplanned_h=float(assumed.unplanned_h * spread),
            planned_h=float(assumed.planned_h * spread),
            short_notice_h=float(assumed.short_notice_h * spread),
        )


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody or something asks technicians to look at a machine, or, when urgent, to stop it now."""

    machine: str
    urgent: bool = False


class Watch(Protocol):
    """What keeps an eye on the plant. It sees signals only, never the truth."""

    reports_idling: bool

    def look(self, now_ns: int, models: Mapping[str, MachineModel]) -> Sequence[Call]:
        """An hour's look at the machines that are there."""
        ...

    def tell(self, now_ns: int, machine: str, found: FaultKind | None) -> None:
        """What technicians found at a machine that it called them to."""
        ...

    def repaired(self, now_ns: int, machine: str) -> None:
        """A machine was repaired and starts anew."""
        ...


class NoWatch:
    """Run to failure."""

    reports_idling = False

    def look(
        self,
        now_ns: int,  # noqa: ARG002  # the same call for every watch
        models: Mapping[str, MachineModel],  # noqa: ARG002
    ) -> Sequence[Call]:
        """Nobody looks."""
        return ()

    def tell(self, now_ns: int, machine: str, found: FaultKind | None) -> None:
        """Nobody listens."""

    def repaired(self, now_ns: int, machine: str) -> None:
        """Nobody listens."""


class Down(StrEnum):
    """Why a machine stands still."""

    BREAKDOWN = "breakdown"
    SHORT_NOTICE = "short_notice"
    PLANNED = "planned"


@dataclass(slots=True)
class Ledger:
    """What a stretch of plant life came to.

    Line hours: planned_h, and of these lost to each Down; work: load x hours of running lines; good: its good
    share; energy by use in kWh and rupiah; breakdowns, and faults repaired before they broke; calls and
    inspections, and those where nothing was wrong.
    """

    planned_h: float = 0.0
    lost_h: dict[Down, float] = field(default_factory=lambda: dict.fromkeys(Down, 0.0))
    work: float = 0.0
    good: float = 0.0
    running_kwh: float = 0.0
    idle_kwh: float = 0.0
    running_cost: float = 0.0
    idle_cost: float = 0.0
    breakdowns: int = 0
    sudden_breakdowns: int = 0
    caught: int = 0
    calls: int = 0
    false_calls: int = 0
    inspections: int = 0
    needless_inspections: int = 0
    stops_advised: int = 0
    stops_rejected: int = 0

    @property
    def availability(self) -> float:
        """Share of planned line time that was not lost."""
        return 1.0 - sum(self.lost_h.values()) / self.planned_h if self.planned_h else math.nan

    @property
    def quality(self) -> float:
        """Good share of what was made."""
        return self.good / self.work if self.work else math.nan

    @property
    def oee(self) -> float:
        """Good work as a share of planned line time at full load (ISO 22400: A x E x Q)."""
        return self.good / self.planned_h if self.planned_h else math.nan

    @property
    def unplanned_h(self) -> float:
        """Line hours lost to breakdowns and to stops at short notice."""
        return self.lost_h[Down.BREAKDOWN] + self.lost_h[Down.SHORT_NOTICE]

    @property
    def energy_cost(self) -> float:
        """Rupiah for electricity."""
        return self.running_cost + self.idle_cost


@dataclass(frozen=True, slots=True)
class Member:
    """One machine of the plant. make: its model with the given faults."""

    machine: str
    line: str
    kind: str
    make: Callable[[tuple[Fault, ...]], MachineModel]


@dataclass(slots=True)
class _Place:
    member: Member
    fates: Iterator[Destiny]
    destiny: Destiny
    onset_ns: int
    model: MachineModel
    down: Down | None = None
    until_ns: int = 0
    inspect_ns: int | None = None
    repair_ns: int | None = None

    @property
    def breaks_ns(self) -> int:
        return self.onset_ns + round(self.destiny.growth_days * DAY_NS)


class Works:
    """A plant hour by hour. start_ns: local midnight; seed: of destinies and of technicians' chance."""

    def __init__(self, members: Sequence[Member], assumed: Assumptions, seed: int, start_ns: int) -> None:
        self.assumed = assumed
        self.start_ns = start_ns
        self.ledger = Ledger()
        self._rng = np.random.default_rng((seed, 77))
        self._places: dict[str, _Place] = {}
        for index, member in enumerate(members):
            fates = destinies(member.kind, (seed, 41, index), assumed)
            self._places[member.machine] = self._begin(member, fates, start_ns)

    def live(self, watch: Watch, days: int) -> Ledger:
        """Let so many days pass under a watch."""
        for hour in range(24 * days):
            self._hour(self.start_ns + hour * HOUR_NS, watch)
        return self.ledger

    def _hour(self, now_ns: int, watch: Watch) -> None:
        for place in self._places.values():
            self._happen(place, now_ns, watch)
        models = {name: place.model for name, place in self._places.items()}
        for call in watch.look(now_ns, models):
            self._answer(self._places[call.machine], call, now_ns, watch)
        self._account(now_ns, watch)

    def _begin(self, member: Member, fates: Iterator[Destiny], now_ns: int) -> _Place:
        destiny = next(fates)
        onset_ns = now_ns + round(destiny.healthy_days * DAY_NS)
        faults: tuple[Fault, ...] = ()
        if destiny.growth_days > 0:
            faults = (Fault(destiny.kind, onset_ns, destiny.growth_days * 86_400.0),)
        return _Place(member, fates, destiny, onset_ns, member.make(faults))

    def _happen(self, place: _Place, now_ns: int, watch: Watch) -> None:
        """What is due at this machine: a start after repair, a breakdown, a planned repair, an inspection."""
        if place.down is not None:
            if now_ns >= place.until_ns:
                self._places[place.member.machine] = self._begin(place.member, place.fates, now_ns)
                watch.repaired(now_ns, place.member.machine)
        elif now_ns >= place.breaks_ns:
            self.ledger.breakdowns += 1
            self.ledger.sudden_breakdowns += place.destiny.growth_days == 0
            self._stop(place, Down.BREAKDOWN, place.destiny.unplanned_h, now_ns)
        elif place.repair_ns is not None and now_ns >= place.repair_ns:
            self.ledger.caught += 1
            self._stop(place, Down.PLANNED, place.destiny.planned_h, now_ns)
        elif place.inspect_ns is not None and now_ns >= place.inspect_ns:
            self._inspect(place, now_ns, watch)

    def _stop(self, place: _Place, down: Down, hours: float, now_ns: int) -> None:
        place.down, place.until_ns = down, now_ns + round(hours * HOUR_NS)
        place.inspect_ns = place.repair_ns = None
        place.model.stop(now_ns)

    def _inspect(self, place: _Place, now_ns: int, watch: Watch) -> None:
        """A technician with an instrument looks; a small fault may escape him."""
        place.inspect_ns = None
        severity = place.model.severity(now_ns)
        self.ledger.inspections += 1
        self.ledger.needless_inspections += severity == 0.0
        if self._rng.random() < severity / self.assumed.clear_severity:
            place.repair_ns = _next(now_ns + round(self.assumed.parts_days * DAY_NS), self.start_ns, 6)
            watch.tell(now_ns, place.member.machine, place.destiny.kind)
        elif self._rng.random() < self.assumed.dismissal:
            watch.tell(now_ns, place.member.machine, None)
        else:
            place.inspect_ns = _next(now_ns + round(self.assumed.recheck_days * DAY_NS), self.start_ns, 8)

    def _answer(self, place: _Place, call: Call, now_ns: int, watch: Watch) -> None:
        if place.down is not None:
            return
        if call.urgent:
            self.ledger.stops_advised += 1
            is_ill = self._rng.random() < place.model.severity(now_ns) / self.assumed.clear_severity
            if is_ill and self._rng.random() < self.assumed.approval:
                self.ledger.caught += 1
                self._stop(place, Down.SHORT_NOTICE, place.destiny.short_notice_h, now_ns)
            else:
                self.ledger.stops_rejected += 1
                watch.tell(now_ns, place.member.machine, place.destiny.kind if is_ill else None)
        elif place.inspect_ns is None and place.repair_ns is None:
            self.ledger.calls += 1
            self.ledger.false_calls += place.model.severity(now_ns) == 0.0
            place.inspect_ns = _next(now_ns + HOUR_NS, self.start_ns, 8)

    def _account(self, now_ns: int, watch: Watch) -> None:
        """Book one hour of every line."""
        lines: dict[str, list[_Place]] = {}
        for place in self._places.values():
            lines.setdefault(place.member.line, []).append(place)
        is_reported = watch.reports_idling and now_ns - self.start_ns >= self.assumed.report_days * DAY_NS
        left_idle = 1.0 - self.assumed.switch_off if is_reported else 1.0
        local_hour = (now_ns - self.start_ns) // HOUR_NS % 24
        price = self.assumed.peak_per_kwh if 18 <= local_hour < 22 else self.assumed.off_peak_per_kwh
        for places in lines.values():
            reasons = [place.down for place in places if place.down is not None]
            if all(place.model.is_planned(now_ns) for place in places):
                self.ledger.planned_h += 1.0
                if reasons:
                    self.ledger.lost_h[min(reasons, key=list(Down).index)] += 1.0
            self._account_line(places, bool(reasons), now_ns, (price, left_idle))

    def _account_line(
        self, places: list[_Place], is_down: bool, now_ns: int, terms: tuple[float, float]
    ) -> None:
        price, left_idle = terms
        loads, quality = [], GOOD_SHARE
        for place in places:
            if place.down is not None:
                continue
            moment = place.model.moment(now_ns + HOUR_NS // 2)
            idles = moment.state == RunState.IDLE or (is_down and moment.state == RunState.RUNNING)
            rating = place.model.rating
            if idles:
                kwh = left_idle * min(moment.power_kw, rating.full_power_kw * rating.kind.no_load)
                self.ledger.idle_kwh += kwh
                self.ledger.idle_cost += kwh * price
            else:
                self.ledger.running_kwh += moment.power_kw
                self.ledger.running_cost += moment.power_kw * price
            loads.append(moment.load)
            quality *= 1.0 - EFFECTS[place.destiny.kind].lost_quality * place.model.severity(now_ns)
        if not is_down and all(place.model.is_planned(now_ns) for place in places):
            work = float(np.mean(loads))
            self.ledger.work += work
            self.ledger.good += work * quality


def _next(after_ns: int, midnight_ns: int, hour: int) -> int:
    """The first such hour of a local day that is not before a moment."""
    day_ns = (after_ns - midnight_ns) // DAY_NS * DAY_NS + midnight_ns
    at_ns = day_ns + hour * HOUR_NS
    return at_ns if at_ns >= after_ns else at_ns + DAY_NS
