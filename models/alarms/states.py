"""The alarm's life by ISA-18.2 as a table: every legal step, nothing else."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ingest.contract.rows import AlarmState


class Event(StrEnum):
    """What may happen to an alarm."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    REMOVED = "removed_from_service"
    RESTORED_ACTIVE = "restored_active"
    RESTORED_CALM = "restored_calm"
    DISMISSED = "dismissed"


class AlarmError(ValueError):
    """An event that an alarm in this state cannot have: the code that sent it is wrong."""


_S, _E = AlarmState, Event
NEXT: Final[dict[tuple[AlarmState, Event], AlarmState]] = {
    (_S.NORMAL, _E.RAISED): _S.UNACKNOWLEDGED,
    (_S.NORMAL, _E.REMOVED): _S.OUT_OF_SERVICE,
    (_S.NORMAL, _E.SHELVED): _S.SHELVED,
    (_S.UNACKNOWLEDGED, _E.ACKNOWLEDGED): _S.ACKNOWLEDGED,
    (_S.UNACKNOWLEDGED, _E.CLEARED): _S.RETURNED,
    (_S.UNACKNOWLEDGED, _E.SHELVED): _S.SHELVED,
    (_S.UNACKNOWLEDGED, _E.SUPPRESSED): _S.SUPPRESSED,
    (_S.UNACKNOWLEDGED, _E.REMOVED): _S.OUT_OF_SERVICE,
    (_S.UNACKNOWLEDGED, _E.DISMISSED): _S.NORMAL,
    (_S.ACKNOWLEDGED, _E.CLEARED): _S.NORMAL,
    (_S.ACKNOWLEDGED, _E.SHELVED): _S.SHELVED,
    (_S.ACKNOWLEDGED, _E.SUPPRESSED): _S.SUPPRESSED,
    (_S.ACKNOWLEDGED, _E.REMOVED): _S.OUT_OF_SERVICE,
    (_S.ACKNOWLEDGED, _E.DISMISSED): _S.NORMAL,
    (_S.RETURNED, _E.ACKNOWLEDGED): _S.NORMAL,
    (_S.RETURNED, _E.RAISED): _S.UNACKNOWLEDGED,
    (_S.RETURNED, _E.SHELVED): _S.SHELVED,
    (_S.RETURNED, _E.SUPPRESSED): _S.SUPPRESSED,
    (_S.RETURNED, _E.REMOVED): _S.OUT_OF_SERVICE,
    (_S.RETURNED, _E.DISMISSED): _S.NORMAL,
    (_S.SHELVED, _E.RESTORED_ACTIVE): _S.UNACKNOWLEDGED,
    (_S.SHELVED, _E.RESTORED_CALM): _S.NORMAL,
    (_S.SHELVED, _E.REMOVED): _S.OUT_OF_SERVICE,
    (_S.SHELVED, _E.DISMISSED): _S.NORMAL,
    (_S.SUPPRESSED, _E.ACKNOWLEDGED): _S.SUPPRESSED,
    (_S.SUPPRESSED, _E.RESTORED_ACTIVE): _S.UNACKNOWLEDGED,
    (_S.SUPPRESSED, _E.RESTORED_CALM): _S.NORMAL,
    (_S.SUPPRESSED, _E.SHELVED): _S.SHELVED,
    (_S.SUPPRESSED, _E.REMOVED): _S.OUT_OF_SERVICE,
    (_S.SUPPRESSED, _E.DISMISSED): _S.NORMAL,
    (_S.OUT_OF_SERVICE, _E.RESTORED_ACTIVE): _S.UNACKNOWLEDGED,
    (_S.OUT_OF_SERVICE, _E.RESTORED_CALM): _S.NORMAL,
    (_S.OUT_OF_SERVICE, _E.DISMISSED): _S.OUT_OF_SERVICE,
}


def can(state: AlarmState, event: Event) -> bool:
    """Whether the table has this step."""
    return (state, event) in NEXT


def after(state: AlarmState, event: Event) -> AlarmState:
    """The state after an event. Raises AlarmError for a pair that is not in the table.

    >>> after(AlarmState.NORMAL, Event.RAISED).value
    'unacknowledged'
    """
    try:
        return NEXT[state, event]
    except KeyError:
        raise AlarmError(f"an alarm that is {state.value} cannot be {event.value}") from None
