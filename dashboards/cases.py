"""Similar past cases of an alarm: which earlier one showed the same evidence, what it was, how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboards.desk_view import folded
from features.likeness import likeness
from ingest.contract.actions import Action, ActionKind, Verdict
from ingest.contract.rows import AlarmState, Reason
from ingest.desk import Desk
from ingest.reader import Reader
from ingest.views import AlarmHistory, AlarmView

SHOWN = 5
LOOKED_AT = 300
COMPARED = 40
CLEARLY_ALIKE = 0.6
REPAIRED_WITHIN_NS = 90 * 86_400 * 10**9
REPAIRS = frozenset({ActionKind.MAINTENANCE, ActionKind.OUT_OF_SERVICE})


@dataclass(frozen=True, slots=True)
class Case:
    """An earlier alarm beside a new one.

    alike: cosine of their evidence in [0, 1]; said: the standing verdict, None without one; ended:
    "repaired", "returned" (to normal by itself) or "" (unknown); after_s: seconds from alarm to that end.
    """

    alarm: AlarmView
    alike: float
    said: Action | None
    ended: str
    after_s: float


def pattern_of(reasons: Iterable[Reason]) -> dict[str, float]:
    """The evidence of an alarm as strengths by channel, or by kind of evidence where there is none.

    >>> pattern_of([Reason("level_rise", {"channel": "x.rms_g"}, 0.7), Reason("impacts", {}, 0.2)])
    {'x.rms_g': 0.7, 'impacts': 0.2}
    """
    found: dict[str, float] = {}
    for reason in reasons:
        part = str(reason.values.get("channel") or reason.values.get("part") or "")
        name = part if reason.code in {"level_rise", "evidence"} and part else f"{reason.code} {part}".strip()
        found[name] = max(found.get(name, 0.0), reason.weight)
    return found


def evidence(history: AlarmHistory) -> dict[str, float]:
    """What the models showed when the alarm came: a step that a person takes carries no reasons."""
    return pattern_of(next((one.reasons for one in history.changes if one.reasons), ()))


def ranked(
    now: AlarmHistory, past: Iterable[AlarmHistory], n: int = SHOWN
) -> list[tuple[float, AlarmHistory]]:
    """The n most similar of earlier alarms with their likeness; other causes only when clearly alike. Pure.

    The same cause or component counts as much as the same evidence; among equals the newest comes first.
    """
    pattern, found = evidence(now), []
    for one in past:
        alike = max(0.0, likeness(pattern, evidence(one)))
        kin = kinship(now.alarm.last.cause, one.alarm.last.cause)
        if kin or alike >= CLEARLY_ALIKE:
            found.append((alike + kin, one.alarm.opened_ns, alike, one))
    found.sort(key=lambda entry: entry[:2], reverse=True)
    return [(alike, one) for _, _, alike, one in found[:n]]


def kinship(cause: str, other: str) -> float:
    """1 for the same cause, 0.5 for the same component, else 0.

    >>> kinship("gear", "gear"), kinship("bearing_outer", "bearing"), kinship("gear", "flow")
    (1.0, 0.5, 0.0)
    """
    if cause == other:
        return 1.0
    return 0.5 if cause.split("_", maxsplit=1)[0] == other.split("_", maxsplit=1)[0] else 0.0


def similar_cases(reader: Reader, desk: Desk, now: AlarmHistory) -> tuple[Case, ...]:
    """Earlier alarms of the plant like this one, with what people said and how long it took."""
    earlier = [
        one
        for one in reader.alarms(open_only=False, limit=LOOKED_AT, before=(now.alarm.opened_ns, ""))
        if one.alarm_id != now.alarm.alarm_id
    ]
    earlier.sort(key=lambda one: -kinship(now.alarm.last.cause, one.last.cause))  # stable: the newest first
    histories = [reader.alarm(one.alarm_id) for one in earlier[:COMPARED]]
    found = ranked(now, [one for one in histories if one is not None])
    return tuple(
        _case(alike, one, desk.about(alarm_id=one.alarm.alarm_id), desk.about(machine=one.alarm.machine))
        for alike, one in found
    )


def _case(
    alike: float, history: AlarmHistory, on_alarm: Sequence[Action], on_machine: Sequence[Action]
) -> Case:
    alarm, verdict = history.alarm, folded(on_alarm).verdict
    orders = [one for one in on_machine if _is_order_of(one.values, alarm.opened_ns)]
    ends = [("repaired", int(one.values["to_ns"])) for one in orders]
    ends += [
        ("repaired", one.time_ns)
        for one in on_machine
        if one.kind in REPAIRS and 0 <= one.time_ns - alarm.opened_ns <= REPAIRED_WITHIN_NS
    ]
    ends = ends or [
        ("returned", one.time_ns) for one in history.changes[1:] if one.state is AlarmState.NORMAL
    ]
    ended, at_ns = min(ends, key=lambda end: end[1], default=("", alarm.opened_ns))
    said = verdict or (orders[-1] if orders else None)
    return Case(alarm, alike, said, ended, (at_ns - alarm.opened_ns) / 1e9)


def _is_order_of(said: Mapping[str, str | int | float], opened_ns: int) -> bool:
    """Whether a word is a closed work order on a fault that this alarm may have announced."""
    if said.get("source") != "work_order" or said.get("verdict") != Verdict.CONFIRMED:
        return False
    return 0 <= int(said.get("to_ns", 0)) - opened_ns <= REPAIRED_WITHIN_NS
