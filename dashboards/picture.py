"""The plant as the screens see it now: every machine of the plant file, heard of or not.

Pure: values in, values out. Unknown is a state of its own and never looks healthy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ingest.contract.channels import AMBIENT, POWER_KW, SPEED_RPM, TEMPERATURE
from ingest.contract.plant import Machine, Plant
from ingest.contract.rows import AlarmState, Condition, Judgement, Priority
from ingest.views import AlarmView, Latest

VELOCITY = "velocity_rms_mm_s"
VELOCITY_COLUMNS = (VELOCITY, "x.velocity_rms_mm_s", "y.velocity_rms_mm_s", "z.velocity_rms_mm_s")
CRITICALITY_WEIGHT = {"low": 0.5, "normal": 1.0, "high": 1.5, "critical": 2.5}
PRIORITY_WEIGHT = {Priority.LOW: 0.2, Priority.MEDIUM: 0.5, Priority.HIGH: 0.9}
CALLING = frozenset({AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED})
SILENT = frozenset({AlarmState.NORMAL, AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE})
FLOOD_FROM = 10
MAX_STEP_S = 60.0
"""Longer pauses are silence, not a pace."""
STEPS_UNTIL_STALE = 3.0


class Level(StrEnum):
    """How a machine is drawn: only WARNING and ALARM have a colour."""

    ALARM = "alarm"
    WARNING = "warning"
    NORMAL = "normal"
    STOPPED = "stopped"
    LEARNING = "learning"
    UNKNOWN = "unknown"


LEVEL_OF = {
    Condition.ALARM: Level.ALARM,
    Condition.WARNING: Level.WARNING,
    Condition.NORMAL: Level.NORMAL,
    Condition.STOPPED: Level.STOPPED,
    Condition.LEARNING: Level.LEARNING,
    Condition.UNKNOWN: Level.UNKNOWN,
}
LEVEL_OF_ZONE = {"C": Level.WARNING, "D": Level.ALARM}
RANK = {level: i for i, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class MachineNow:
    """One machine now.

    latest: None when it never spoke; velocity_mm_s: None when not measured; step_s: usual time from one
    message to the next, 0 while it is not known.
    """

    machine: Machine
    latest: Latest | None = None
    velocity_mm_s: float | None = None
    alarms: tuple[AlarmView, ...] = ()
    step_s: float = 0.0

    @property
    def judgement(self) -> Judgement | None:
        """The models' last word, None before the first."""
        return self.latest.judgement if self.latest else None

    @property
    def zone(self) -> str:
        """ISO zone letter, "" when it cannot be judged."""
        return self.judgement.zone if self.judgement else ""

    @property
    def level(self) -> Level:
        """The worse of the models' condition and the ISO zone."""
        if self.judgement is None:
            return Level.UNKNOWN
        by_condition = LEVEL_OF[self.judgement.condition]
        if by_condition is Level.STOPPED:
            return by_condition  # its zone is of the time when it ran
        by_zone = LEVEL_OF_ZONE.get(self.zone, by_condition)
        return min(by_condition, by_zone, key=RANK.__getitem__)

    @property
    def received_ns(self) -> int:
        """When the host last heard of it; 0 = never."""
        return self.latest.receive_ns if self.latest else 0

    def stale(self, now_ns: int, stale_after_s: float) -> bool:
        """Whether what is shown is old."""
        return now_ns - self.received_ns > self.patience_s(stale_after_s) * 1e9

    def patience_s(self, stale_after_s: float) -> float:
        """How long it may be silent before what is shown counts as old: a slow sensor is not a dead one."""
        return max(stale_after_s, STEPS_UNTIL_STALE * self.step_s)

    def scalar(self, channel: str) -> float | None:
        """The last value of a channel, None when it has none."""
        found = self.latest.scalars.get(channel) if self.latest else None
        return None if found is None or not math.isfinite(found[0]) else found[0]

    @property
    def temperature_c(self) -> float | None:
        """The hottest measured point; ambient is not the machine."""
        if self.latest is None:
            return None
        points = [
            value
            for name, (value, _) in self.latest.scalars.items()
            if name.startswith(TEMPERATURE) and name != AMBIENT and math.isfinite(value)
        ]
        return max(points, default=None)

    @property
    def power_kw(self) -> float | None:
        """Active power now."""
        return self.scalar(POWER_KW)

    @property
    def speed_rpm(self) -> float | None:
        """Shaft speed now."""
        return self.scalar(SPEED_RPM)

    @property
    def calling(self) -> tuple[AlarmView, ...]:
        """Alarms that nobody has acknowledged yet."""
        return tuple(alarm for alarm in self.alarms if alarm.last.state in CALLING)


def risk(now: MachineNow) -> float:
    """How likely a failure looks, in [0, 1]: lost health, the score, or the worst open alarm.

    What stands still is not judged: then only its open alarms count.
    """
    judgement = now.judgement
    by_health = by_score = 0.0
    if judgement is not None and judgement.condition is not Condition.STOPPED:
        by_health = 1.0 - max(0.0, min(100.0, judgement.health)) / 100.0
        by_score = judgement.score if judgement.score >= judgement.threshold else 0.5 * judgement.score
    by_alarm = max(
        (PRIORITY_WEIGHT[a.last.priority] for a in now.alarms if a.last.state not in SILENT), default=0.0
    )
    return max(0.0, min(1.0, max(by_health, by_score, by_alarm)))


def urgency(now: MachineNow) -> float:
    """Risk x criticality x time left: what a technician should look at first.

    Time left doubles the urgency of what fails today and leaves that of next month alone.
    """
    judgement = now.judgement
    life = judgement.remaining_life if judgement else None
    soon = 1.0
    if life is not None and life.hours is not None:
        soon = 1.0 + 24.0 / (24.0 + max(0.0, life.hours))
    return risk(now) * CRITICALITY_WEIGHT[now.machine.criticality] * soon


def needs_action(now: MachineNow) -> bool:
    """Whether a person should look: abnormal, or an alarm calls. Stale machines keep calling."""
    return now.level in (Level.ALARM, Level.WARNING) or bool(now.calling)


@dataclass(frozen=True, slots=True)
class Counts:
    """Machines by zone letter; stale and unknown counted apart, so that neither hides in a zone."""

    total: int
    by_zone: Mapping[str, int]
    unjudged: int
    stale: int
    unknown: int
    calling: int


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole plant at one moment. Machines stand in the order of the plant file, so nothing jumps."""

    machines: Mapping[str, MachineNow] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()
    """Machines that speak but are not in the plant file."""

    def counts(self, now_ns: int, stale_after_s: float) -> Counts:
        """What the overview says at a glance."""
        zones = dict.fromkeys("ABCD", 0)
        unjudged = stale = unknown = calling = 0
        for one in self.machines.values():
            calling += len(one.calling)
            if one.latest is None:
                unknown += 1
            elif one.stale(now_ns, stale_after_s):
                stale += 1
            elif one.zone in zones:
                zones[one.zone] += 1
            else:
                unjudged += 1
        return Counts(len(self.machines), zones, unjudged, stale, unknown, calling)

    def patience_s(self, stale_after_s: float) -> float:
        """How long the whole plant may be silent before all that is shown counts as old."""
        return min((one.patience_s(stale_after_s) for one in self.machines.values()), default=stale_after_s)

    def needs(self) -> tuple[MachineNow, ...]:
        """Machines that need a person, the most urgent first."""
        return tuple(
            sorted(
                filter(needs_action, self.machines.values()), key=lambda one: (-urgency(one), one.machine.id)
            )
        )

    def areas(self) -> dict[str, tuple[MachineNow, ...]]:
        """Machines by area, in the order of the plant file."""
        found: dict[str, list[MachineNow]] = {}
        for one in self.machines.values():
            found.setdefault(one.machine.area, []).append(one)
        return {area: tuple(ones) for area, ones in found.items()}

    def lines(self, ones: Iterable[MachineNow]) -> dict[str, tuple[MachineNow, ...]]:
        """Machines grouped by line, for a flood: one cause often shows on a whole line."""
        found: dict[str, list[MachineNow]] = {}
        for one in ones:
            found.setdefault(one.machine.line or one.machine.area, []).append(one)
        return {line: tuple(grouped) for line, grouped in found.items()}


def first_picture(plant: Plant, alarms: Iterable[AlarmView]) -> Picture:
    """The picture at start: every machine of the plant file, silent, with its open alarms."""
    picture = Picture({machine.id: MachineNow(machine) for machine in plant.machine})
    return with_changes(picture, (), alarms, {})


def usual_step_s(before: MachineNow, receive_ns: int) -> float:
    """The usual time between messages, once another one is here; a pause much longer than usual is none."""
    if before.latest is None:
        return 0.0
    step_s = (receive_ns - before.received_ns) / 1e9
    known = before.step_s
    if not 0 < step_s <= MAX_STEP_S or (known and step_s > 5 * known):
        return known
    return 0.8 * known + 0.2 * step_s if known else step_s


def with_changes(
    picture: Picture,
    machines: Iterable[Latest],
    alarms: Iterable[AlarmView],
    velocities: Mapping[str, float],
) -> Picture:
    """The picture after some machines spoke and some alarms moved. An alarm back to normal leaves it."""
    now = dict(picture.machines)
    strangers = set(picture.strangers)
    for latest in machines:
        if latest.machine in now:
            before = now[latest.machine]
            velocity = velocities.get(latest.machine, before.velocity_mm_s)
            step_s = usual_step_s(before, latest.receive_ns)
            now[latest.machine] = replace(before, latest=latest, velocity_mm_s=velocity, step_s=step_s)
        else:
            strangers.add(latest.machine)
    for alarm in alarms:
        if alarm.machine not in now:
            continue
        kept = [one for one in now[alarm.machine].alarms if one.alarm_id != alarm.alarm_id]
        if alarm.last.state != AlarmState.NORMAL:
            kept.append(alarm)
        kept.sort(key=lambda one: (-one.opened_ns, one.alarm_id))
        now[alarm.machine] = replace(now[alarm.machine], alarms=tuple(kept))
    return Picture(now, tuple(sorted(strangers)))
