"""The alarm book: every alarm that is not normal, and what machines and people do to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.contract.actions import Action, ActionKind
from ingest.contract.rows import AlarmChange, AlarmState, Priority, Reason
from models.alarms.policy import DOMAINS, MAX_SHELF_NS, Domain
from models.alarms.states import Event, after, can


@dataclass(slots=True)
class Alarm:
    """One alarm of one machine and domain. active: whether its condition holds; until_ns: end of shelving."""

    alarm_id: str
    machine: str
    domain: Domain
    cause: str
    priority: Priority
    raised_ns: int
    state: AlarmState = AlarmState.NORMAL
    active: bool = False
    acknowledged: bool = False
    until_ns: int | None = None
    peak_ratio: float = 0.0
    peak_physics: float = 0.0
    health: float = 100.0
    confidence: float = 0.0


@dataclass(slots=True)
class AlarmBook:
    """Alarms by (machine, domain); machines out of service, and by whom; refused actions by reason."""

    alarms: dict[tuple[str, Domain], Alarm] = field(default_factory=dict)
    out_of_service: dict[str, str] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def of(self, machine: str) -> list[Alarm]:
        """Alarms of one machine that are not normal."""
        return [alarm for domain in DOMAINS if (alarm := self.alarms.get((machine, domain))) is not None]

    def has(self, machine: str) -> bool:
        """Whether any alarm of this machine is not normal."""
        return bool(self.alarms) and any((machine, domain) in self.alarms for domain in DOMAINS)

    def by_id(self, alarm_id: str) -> Alarm | None:
        """The alarm of this id, when its episode is still open."""
        return next((alarm for alarm in self.alarms.values() if alarm.alarm_id == alarm_id), None)

    def step(
        self,
        alarm: Alarm,
        event: Event,
        time_ns: int,
        *,
        by: str = "",
        note: str = "",
        reasons: tuple[Reason, ...] = (),
    ) -> AlarmChange:
        """Take one step of the table and say what changed. Raises AlarmError for an impossible step."""
        previous, alarm.state = alarm.state, after(alarm.state, event)
        if alarm.state != AlarmState.SHELVED:
            alarm.until_ns = None  # only a shelf ends by the clock
        if alarm.state == AlarmState.NORMAL:
            self.alarms.pop((alarm.machine, alarm.domain), None)
        return AlarmChange(
            alarm.alarm_id,
            alarm.machine,
            alarm.cause,
            alarm.state,
            previous,
            alarm.priority,
            time_ns,
            event.value,
            by=by,
            note=note,
            reasons=reasons,
            health=alarm.health,
            until_ns=alarm.until_ns,
        )

    def raise_alarm(
        self,
        machine: str,
        domain: Domain,
        time_ns: int,
        *,
        cause: str,
        priority: Priority,
        health: float,
        reasons: tuple[Reason, ...],
    ) -> tuple[Alarm, AlarmChange | None]:
        """The condition holds.

        A new alarm, the same episode again, or nothing while it is shelved or suppressed.
        """
        alarm = self.alarms.get((machine, domain))
        if alarm is None:
            alarm = Alarm(f"{machine}.{domain}.{time_ns}", machine, domain, cause, priority, time_ns)
            self.alarms[machine, domain] = alarm
        alarm.active, alarm.health = True, health
        if machine in self.out_of_service and alarm.state == AlarmState.NORMAL:
            return alarm, self.step(alarm, Event.REMOVED, time_ns, by=self.out_of_service[machine])
        if can(alarm.state, Event.RAISED):
            alarm.acknowledged = False
            return alarm, self.step(alarm, Event.RAISED, time_ns, reasons=reasons)
        return alarm, None

    def clear(self, alarm: Alarm, time_ns: int) -> AlarmChange | None:
        """The condition is gone; a shelved or suppressed alarm only remembers that."""
        alarm.active = False
        if can(alarm.state, Event.CLEARED):
            return self.step(alarm, Event.CLEARED, time_ns)
        return None

    def suppress(self, machine: str, time_ns: int) -> list[AlarmChange]:
        """The machine stands still: its alarms are suppressed by design until it runs again."""
        return [
            self.step(alarm, Event.SUPPRESSED, time_ns)
            for alarm in self.of(machine)
            if can(alarm.state, Event.SUPPRESSED)
        ]

    def unsuppress(self, machine: str, time_ns: int) -> list[AlarmChange]:
        """The machine runs again: what still holds comes back."""
        return [
            self._restore(alarm, time_ns)
            for alarm in self.of(machine)
            if alarm.state == AlarmState.SUPPRESSED
        ]

    def expire_shelves(self, now_ns: int) -> list[AlarmChange]:
        """Shelving is timed: what is over comes back, if its condition holds."""
        over = [
            alarm
            for alarm in self.alarms.values()
            if alarm.state == AlarmState.SHELVED and alarm.until_ns is not None and alarm.until_ns <= now_ns
        ]
        return [self._restore(alarm, now_ns, note="shelving ended") for alarm in over]

    def dismiss(self, machine: str, time_ns: int, by: str, note: str) -> list[AlarmChange]:
        """A false alarm, or a repaired machine: its alarms are over."""
        return [
            self.step(alarm, Event.DISMISSED, time_ns, by=by, note=note)
            for alarm in self.of(machine)
            if alarm.state != AlarmState.OUT_OF_SERVICE
        ]

    def _restore(self, alarm: Alarm, time_ns: int, by: str = "", note: str = "") -> AlarmChange:
        alarm.acknowledged = False
        event = Event.RESTORED_ACTIVE if alarm.active else Event.RESTORED_CALM
        return self.step(alarm, event, time_ns, by=by, note=note)

    def refuse(self, reason: str) -> None:
        """Count an action that does not fit; saying it again harms nobody."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def act(self, action: Action) -> list[AlarmChange]:
        """Acknowledge, shelve, unshelve, take out of service and back.

        What does not fit is counted, not raised.
        """
        if action.kind == ActionKind.OUT_OF_SERVICE:
            return self._remove(action)
        if action.kind == ActionKind.RETURN_TO_SERVICE:
            self.out_of_service.pop(action.machine, None)
            hidden = [a for a in self.of(action.machine) if a.state == AlarmState.OUT_OF_SERVICE]
            return [self._restore(alarm, action.time_ns, action.by) for alarm in hidden]
        alarm = self.by_id(action.alarm_id)
        if alarm is None:
            self.refuse(f"{action.kind.value}: no open alarm of this id")
            return []
        if action.kind == ActionKind.ACKNOWLEDGE:
            return self._acknowledge(alarm, action)
        if action.kind == ActionKind.SHELVE:
            return self._shelve(alarm, action)
        if action.kind == ActionKind.UNSHELVE and alarm.state == AlarmState.SHELVED:
            return [self._restore(alarm, action.time_ns, action.by)]
        self.refuse(f"{action.kind.value}: not while {alarm.state.value}")
        return []

    def _remove(self, action: Action) -> list[AlarmChange]:
        note = str(action.values.get("reason", ""))
        self.out_of_service[action.machine] = action.by
        return [
            self.step(alarm, Event.REMOVED, action.time_ns, by=action.by, note=note)
            for alarm in self.of(action.machine)
            if can(alarm.state, Event.REMOVED)
        ]

    def _acknowledge(self, alarm: Alarm, action: Action) -> list[AlarmChange]:
        if not can(alarm.state, Event.ACKNOWLEDGED):
            self.refuse(f"acknowledge: not while {alarm.state.value}")
            return []
        alarm.acknowledged = True
        note = str(action.values.get("note", ""))
        return [self.step(alarm, Event.ACKNOWLEDGED, action.time_ns, by=action.by, note=note)]

    def _shelve(self, alarm: Alarm, action: Action) -> list[AlarmChange]:
        reason, until = str(action.values.get("reason", "")).strip(), action.values.get("until_ns")
        if (
            not reason
            or not isinstance(until, int)
            or not action.time_ns < until <= action.time_ns + MAX_SHELF_NS
        ):
            self.refuse("shelve: needs a reason and an end within a week")
            return []
        if not can(alarm.state, Event.SHELVED):
            self.refuse(f"shelve: not while {alarm.state.value}")
            return []
        alarm.until_ns = until
        return [self.step(alarm, Event.SHELVED, action.time_ns, by=action.by, note=reason)]
