"""From conditions to alarms and advice: one alarm a machine and cause, one advice an episode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.contract.rows import AlarmChange, FeatureRow, Reason, StopAdvice
from models.alarms.book import Alarm
from models.alarms.policy import DOMAIN_OF, PRIORITY, RANK, Domain, Severity
from models.diagnosis.rules import UNKNOWN, Diagnosis
from models.diagnosis.sensor import FAULTS as SENSOR_FAULTS
from models.health.assess import ALARM, THERMAL
from models.online.columns import COMPONENTS
from models.online.step import DEAD, PASSING, RISKY, SATURATED, SILENT, STANDS
from models.state import Advised, SensorWatch

if TYPE_CHECKING:
    from models.rows import Judged
    from models.state import StreamState

MODEL_ID = "online-1"
HOT_BELOW = 34.0
"""Only a declared temperature limit brings health so low: an alarm of its own. A mere rise is a symptom."""
CALM_DOMAIN_ABOVE = 75.0
MIN_CONFIDENCE = 0.4
SURER = 0.1
"""How much surer a later diagnosis must be to rename an alarm."""
DOUBT = 0.97
"""What is left of the certainty of an alarm's name after each row that names another fault."""
WORSE_HEALTH = 10.0
WORSE_VELOCITY = 1.2
WORSE_AFTER = 5.0
SENSOR_CALM_ROWS = 20


def follow(
    state: StreamState,
    row: FeatureRow,
    judged: Judged,
    diagnosis: Diagnosis | None,
    reasons: tuple[Reason, ...],
) -> tuple[list[AlarmChange], StopAdvice | None]:
    """Alarm changes and, if the risk stands, one advice to stop."""
    i, flags = judged.i, judged.lists.flags[judged.i]
    has_open = state.book.has(row.machine)
    in_alarm = judged.lists.condition[i] == ALARM
    if not (has_open or in_alarm or flags & (DEAD | SATURATED) or row.machine in state.sensors):
        return [], None
    if flags & STANDS:
        return state.book.suppress(row.machine, row.time_ns), None
    if flags & (PASSING | SILENT):
        return [], None
    changes = state.book.unsuppress(row.machine, row.time_ns) if has_open else []
    changes += _sensor(state, row, flags, diagnosis, reasons)
    if flags & (DEAD | SATURATED):
        return changes, None
    if in_alarm:
        changes += _raise(state, row, judged, diagnosis, reasons)
    changes += _clear(state, row, judged, in_alarm)
    stop = None
    if flags & RISKY and (diagnosis is None or diagnosis.fault not in SENSOR_FAULTS):
        stop = _advise(state, row, judged, diagnosis, reasons)
    return changes, stop


def _domain_health(judged: Judged) -> dict[Domain, tuple[float, str]]:
    """Worst health and its component, by domain."""
    worst: dict[Domain, tuple[float, str]] = {}
    for component, health in zip(COMPONENTS, judged.lists.health_by[judged.i], strict=True):
        domain = DOMAIN_OF[component]
        if domain not in worst or health < worst[domain][0]:
            worst[domain] = (health, component)
    return worst


def _severity(state: StreamState, judged: Judged) -> Severity:
    i, lists = judged.i, judged.lists
    if lists.physics[i] < 1.0:
        return "statistical"
    in_zone_d = lists.zone[i] == 4
    return "dangerous" if in_zone_d or lists.health[i] < state.settings.stop_health else "physical"


def _raise(
    state: StreamState,
    row: FeatureRow,
    judged: Judged,
    diagnosis: Diagnosis | None,
    reasons: tuple[Reason, ...],
) -> list[AlarmChange]:
    changes: list[AlarmChange] = []
    machine = state.machines[judged.m]
    worst = _domain_health(judged)
    sick = [min(worst, key=lambda domain: worst[domain][0])]
    standing = [
        alarm.domain for alarm in state.book.of(row.machine) if alarm.active and alarm.domain != "sensor"
    ]
    if standing and sick[0] not in standing:
        sick[0] = standing[0]
    if "thermal" not in sick and judged.lists.health_by[judged.i][THERMAL] < HOT_BELOW:
        sick.append("thermal")
    named = diagnosis is not None and diagnosis.fault != UNKNOWN and diagnosis.confidence >= MIN_CONFIDENCE
    for domain in sick:
        health, component = worst[domain]
        # A fault of the windings is first felt as vibration: what shakes is named after what is wrong.
        explains = {domain, "sensor", "electrical"} if domain == "mechanical" else {domain, "sensor"}
        fits = named and diagnosis is not None and DOMAIN_OF[diagnosis.component] in explains
        cause = diagnosis.fault if fits and diagnosis is not None else component
        if fits and diagnosis is not None and diagnosis.component == "sensor":
            domain = "sensor"  # noqa: PLW2901  (a lying sensor is one alarm, whatever it makes of the machine)
        severity: Severity = "sensor" if domain == "sensor" else _severity(state, judged)
        priority = PRIORITY[severity, machine.criticality]
        alarm, change = state.book.raise_alarm(
            row.machine,
            domain,
            row.time_ns,
            cause=cause,
            priority=priority,
            health=health,
            reasons=reasons,
        )
        alarm.peak_ratio = max(alarm.peak_ratio, judged.lists.ratio[judged.i])
        alarm.peak_physics = max(alarm.peak_physics, judged.lists.physics[judged.i])
        sure = diagnosis.confidence if fits and diagnosis is not None else 0.0
        better = alarm.cause != cause and sure > alarm.confidence + SURER
        graver = RANK[priority] > RANK[alarm.priority]
        if graver:
            alarm.priority = priority
        if change is not None:
            changes.append(change)
        elif better or graver:
            event = "diagnosed" if better else "escalated"
            changes.append(_reword(alarm, cause if better else alarm.cause, event, row.time_ns, reasons))
        if alarm.cause == cause:
            alarm.confidence = max(alarm.confidence, sure)
        elif fits:
            alarm.confidence *= DOUBT
    return changes


def _reword(alarm: Alarm, cause: str, event: str, time_ns: int, reasons: tuple[Reason, ...]) -> AlarmChange:
    """The same alarm, better understood or more urgent."""
    alarm.cause = cause
    return AlarmChange(
        alarm.alarm_id,
        alarm.machine,
        cause,
        alarm.state,
        alarm.state,
        alarm.priority,
        time_ns,
        event,
        reasons=reasons,
        health=alarm.health,
        until_ns=alarm.until_ns,
    )


def _clear(state: StreamState, row: FeatureRow, judged: Judged, in_alarm: bool) -> list[AlarmChange]:
    changes: list[AlarmChange] = []
    worst = _domain_health(judged)
    standing = state.book.of(row.machine)
    for alarm in standing:
        if not alarm.active or alarm.domain == "sensor":
            continue
        # Beside another alarm, heat is an alarm of its own and ends on its own.
        beside = any(one.active and one.domain not in {"thermal", "sensor"} for one in standing)
        cooled = alarm.domain == "thermal" and beside and worst["thermal"][0] > CALM_DOMAIN_ABOVE
        if not in_alarm or cooled:
            alarm.health = worst[alarm.domain][0]
            change = state.book.clear(alarm, row.time_ns)
            changes += [] if change is None else [change]
    return changes


def _sensor(
    state: StreamState, row: FeatureRow, flags: int, diagnosis: Diagnosis | None, reasons: tuple[Reason, ...]
) -> list[AlarmChange]:
    """A sensor that is dead or saturated for long enough has an alarm of its own."""
    watch = state.sensors.get(row.machine)
    faulty = bool(flags & (DEAD | SATURATED)) or (diagnosis is not None and diagnosis.fault in SENSOR_FAULTS)
    if not faulty:
        return [] if watch is None else _sensor_calms(state, row, watch)
    if watch is None:
        fault = "sensor" if diagnosis is None else diagnosis.fault
        watch = state.sensors[row.machine] = SensorWatch(fault, 0, row.time_ns)
    watch.rows = min(watch.rows + 1, state.settings.persist_rows + SENSOR_CALM_ROWS)
    stands_s = (row.time_ns - watch.since_ns) * 1e-9
    if watch.rows < state.settings.persist_rows or stands_s < state.settings.persist_s:
        return []
    criticality = state.machines[state.index[row.machine]].criticality
    _, change = state.book.raise_alarm(
        row.machine,
        "sensor",
        row.time_ns,
        cause=watch.fault,
        priority=PRIORITY["sensor", criticality],
        health=50.0,
        reasons=reasons,
    )
    return [] if change is None else [change]


def _sensor_calms(state: StreamState, row: FeatureRow, watch: SensorWatch) -> list[AlarmChange]:
    watch.rows -= 1
    if watch.rows > 0:
        return []
    del state.sensors[row.machine]
    alarm = state.book.alarms.get((row.machine, "sensor"))
    change = None if alarm is None else state.book.clear(alarm, row.time_ns)
    return [] if change is None else [change]


def _advise(
    state: StreamState,
    row: FeatureRow,
    judged: Judged,
    diagnosis: Diagnosis | None,
    reasons: tuple[Reason, ...],
) -> StopAdvice | None:
    """One advice an episode; again when things got clearly worse, or after `readvise_s` of standing risk.

    Whether people are then asked again is decided by control, which knows what they answered and how often
    they may be disturbed; nothing flows back from there.
    """
    alarm = next((a for a in state.book.of(row.machine) if a.active and a.domain != "sensor"), None)
    if alarm is None:
        return None
    health = judged.lists.health[judged.i]
    velocity = float(judged.verdicts.velocity_mm_s[judged.i])
    last = state.advised.get(row.machine)
    if last is not None and last.alarm_id == alarm.alarm_id:
        worse = health < last.health - WORSE_HEALTH or velocity > last.velocity_mm_s * WORSE_VELOCITY
        since_s = (row.time_ns - last.time_ns) * 1e-9
        if not (
            since_s >= state.settings.readvise_s or (worse and since_s >= WORSE_AFTER * state.settings.stop_s)
        ):
            return None
    state.advised[row.machine] = Advised(alarm.alarm_id, row.time_ns, health, velocity)
    since_ns = int(row.time_ns - state.settings.stop_s * 1e9)
    cause = alarm.cause if diagnosis is None or diagnosis.fault == UNKNOWN else diagnosis.fault
    return StopAdvice(
        machine=row.machine,
        time_ns=row.time_ns,
        cause=cause,
        risk=round(1.0 - health / 100.0, 3),
        reason=f"{cause}: health {health:.0f} of 100",
        model_id=MODEL_ID,
        window_ns=(min(since_ns, alarm.raised_ns), row.time_ns),
        evidence=reasons,
    )
