"""Overall equipment effectiveness as ISO 22400 defines it. Pure.

What cannot be computed is None and shown as such: a missing count is not a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboards.hours import Hour, Stop
from dashboards.language import N_
from ingest.contract.actions import Action
from ingest.contract.plant import Machine

MIN_KNOWN = 0.5
REASONS: dict[str, str] = {
    "breakdown": N_("Breakdown"),
    "setup": N_("Set-up or change-over"),
    "material": N_("No material"),
    "operator": N_("No operator"),
    "quality": N_("Quality problem"),
    "utility": N_("No power, air or water"),
    "planned": N_("Planned maintenance"),
    "other": N_("Other"),
}
NO_REASON = ""


@dataclass(frozen=True, slots=True)
class Oee:
    """availability, performance, quality: shares, None when they cannot be computed; times in seconds.

    known: share of the planned time whose state is known.
    """

    machine: str
    planned_s: float
    known_s: float
    running_s: float
    made: float | None
    good: float | None
    ideal_s: float | None

    @property
    def known(self) -> float:
        """How much of the planned time was observed, in [0, 1]."""
        return min(1.0, self.known_s / self.planned_s) if self.planned_s > 0 else 0.0

    @property
    def availability(self) -> float | None:
        """Production time over planned busy time, both as far as known."""
        return self.running_s / self.known_s if self.known_s > 0 and self.known >= MIN_KNOWN else None

    @property
    def performance(self) -> float | None:
        """Planned run time per item x produced quantity / actual production time."""
        if self.ideal_s is None or self.made is None or self.running_s <= 0:
            return None
        return self.ideal_s * self.made / self.running_s

    @property
    def quality(self) -> float | None:
        """Good quantity over produced quantity."""
        return self.good / self.made if self.good is not None and self.made else None

    @property
    def oee(self) -> float | None:
        """The product of the three."""
        parts = (self.availability, self.performance, self.quality)
        if any(part is None for part in parts):
            return None
        availability, performance, quality = (part or 0.0 for part in parts)
        return availability * performance * quality


def of_machine(machine: Machine, hours: Sequence[Hour]) -> Oee:
    """One machine over a period."""
    made = [one.made for one in hours if one.made is not None]
    good = [one.good for one in hours if one.good is not None]
    return Oee(
        machine.id,
        sum(one.planned_s for one in hours),
        sum(one.planned_known_s for one in hours),
        sum(one.planned_running_s for one in hours),
        float(sum(made)) if made else None,
        float(sum(good)) if good else None,
        machine.ideal_cycle_s,
    )


@dataclass(frozen=True, slots=True)
class Losses:
    """The loss waterfall in hours: known planned time, then what each loss takes, then what is left."""

    planned_h: float
    availability_h: float
    performance_h: float
    quality_h: float
    effective_h: float


def losses(ones: Iterable[Oee]) -> Losses:
    """Sums over the machines whose OEE can be computed; the parts add up to the planned time."""
    planned = available = performing = effective = 0.0
    for one in ones:
        if one.oee is None:
            continue
        planned += one.known_s / 3600.0
        available += one.running_s / 3600.0
        ideal_h = (one.ideal_s or 0.0) * (one.made or 0.0) / 3600.0
        performing += ideal_h
        effective += ideal_h * (one.quality or 0.0)
    return Losses(planned, planned - available, available - performing, performing - effective, effective)


@dataclass(frozen=True, slots=True)
class Told:
    """A stop with the reason that people gave, "" when nobody did."""

    machine: str
    stop: Stop
    reason: str
    by: str = ""


def told(stops: Iterable[tuple[str, Stop]], actions: Iterable[Action]) -> list[Told]:
    """Join stops with downtime reasons: the newest reason whose start lies in the stop counts."""
    said: dict[str, list[Action]] = {}
    for action in actions:
        said.setdefault(action.machine, []).append(action)
    found = []
    for machine, stop in stops:
        fitting = [
            one
            for one in said.get(machine, ())
            if stop.from_ns <= int(one.values.get("from_ns", -1)) < max(stop.to_ns, stop.from_ns + 1)
        ]
        newest = max(fitting, key=lambda one: one.time_ns, default=None)
        reason = str(newest.values.get("reason", NO_REASON)) if newest else NO_REASON
        found.append(Told(machine, stop, reason, newest.by if newest else ""))
    return found


def pareto(ones: Iterable[Told]) -> list[tuple[str, float, int]]:
    """Reason, hours and stops, the largest loss first."""
    sums: dict[str, tuple[float, int]] = {}
    for one in ones:
        hours, n = sums.get(one.reason, (0.0, 0))
        sums[one.reason] = (hours + one.stop.seconds / 3600.0, n + 1)
    return sorted(((reason, hours, n) for reason, (hours, n) in sums.items()), key=lambda line: -line[1])
