"""What people tell the models: acknowledgements, verdicts, shelving, maintenance, downtime reasons.

The dashboards write actions into the desk (a database of their own); the stream reads them in order and
folds them, so that a restart gives the same state again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class ActionKind(StrEnum):
    """What a person may say."""

    ACKNOWLEDGE = "acknowledge"
    VERDICT = "verdict"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    OUT_OF_SERVICE = "out_of_service"
    RETURN_TO_SERVICE = "return_to_service"
    MAINTENANCE = "maintenance"
    DOWNTIME_REASON = "downtime_reason"
    CLOCK_RELEASE = "clock_release"
    UNDO = "undo"
    PROMOTE_MODEL = "promote_model"
    ROLL_BACK_MODEL = "roll_back_model"
    REFUSE_MODEL = "refuse_model"


MODEL_KINDS = frozenset(
    {ActionKind.PROMOTE_MODEL, ActionKind.ROLL_BACK_MODEL, ActionKind.REFUSE_MODEL},
)
"""Said of a model of the registry, not of a machine: the registry's gate answers, the stream passes by."""


class Verdict(StrEnum):
    """A technician's word on an alarm."""

    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"
    NOT_SURE = "not_sure"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person said.

    action_id: made by the client, so that saying it twice is harmless; time_ns: when it was said;
    alarm_id or machine: what it is about; values: what the kind needs (verdict, fault, component, from_ns,
    to_ns, reason, until_ns, note, undoes; of a model: model, champion, challenger, reason).
    """

    action_id: str
    kind: ActionKind
    by: str
    time_ns: int
    machine: str
    alarm_id: str = ""
    values: dict[str, str | int | float] = field(default_factory=dict)
