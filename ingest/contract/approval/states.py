"""The states of a proposal. Every legal move is in NEXT; a pair that is not there is an error."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a proposal stands."""

    PROPOSED = "proposed"
    TICKETED = "ticketed"
    AWAITING = "awaiting"
    APPROVED = "approved"
    VERIFIED = "verified"
    HOLD_OFF = "hold_off"
    ACTUATING = "actuating"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DENIED = "denied"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


class Event(StrEnum):
    """What can happen to it."""

    TICKET_CAME = "ticket_came"
    SHOWN = "shown"
    APPROVAL_CAME = "approval_came"
    THRESHOLD_MET = "threshold_met"
    VETOED = "vetoed"
    TIMED_OUT = "timed_out"
    RESTARTED = "restarted"
    OVERTAKEN = "overtaken"
    AUDIT_FAILED = "audit_failed"
    EDGE_VERIFIED = "edge_verified"
    EDGE_HOLDS = "edge_holds"
    EDGE_ACTS = "edge_acts"
    EDGE_CONFIRMED = "edge_confirmed"
    EDGE_FAILED = "edge_failed"
    EDGE_UNKNOWN = "edge_unknown"
    EDGE_REFUSED = "edge_refused"


PENDING = (State.PROPOSED, State.TICKETED, State.AWAITING)
"""Nothing has been sent to the edge: time-out, veto, restart or a newer one ends it without a command."""
SENT = (State.APPROVED, State.VERIFIED, State.HOLD_OFF, State.ACTUATING)
"""The edge has, or may have, the envelope: only its receipts, or their absence, move it on."""
OPEN = frozenset(PENDING + SENT)

NEXT: dict[tuple[State, Event], State] = {
    (State.PROPOSED, Event.TICKET_CAME): State.TICKETED,
    (State.TICKETED, Event.SHOWN): State.AWAITING,
    (State.AWAITING, Event.APPROVAL_CAME): State.AWAITING,
    (State.AWAITING, Event.THRESHOLD_MET): State.APPROVED,
    (State.AWAITING, Event.AUDIT_FAILED): State.REFUSED,
    (State.APPROVED, Event.EDGE_VERIFIED): State.VERIFIED,
    (State.VERIFIED, Event.EDGE_HOLDS): State.HOLD_OFF,
    (State.VERIFIED, Event.EDGE_ACTS): State.ACTUATING,
    (State.HOLD_OFF, Event.EDGE_ACTS): State.ACTUATING,
    (State.UNKNOWN, Event.TIMED_OUT): State.UNKNOWN,
    # Anybody on the broker can send half an envelope; its refusal must not end what people still judge.
    (State.AWAITING, Event.EDGE_REFUSED): State.AWAITING,
}
for _state in PENDING:
    NEXT[_state, Event.VETOED] = State.DENIED
    NEXT[_state, Event.TIMED_OUT] = State.EXPIRED
    NEXT[_state, Event.RESTARTED] = State.EXPIRED
    NEXT[_state, Event.OVERTAKEN] = State.SUPERSEDED
for _state in SENT:
    NEXT[_state, Event.TIMED_OUT] = State.UNKNOWN
    NEXT[_state, Event.EDGE_REFUSED] = State.REFUSED
# A receipt is the truth about the machine. Links lose messages, so a later receipt may come first.
for _state in (*SENT, State.UNKNOWN):
    NEXT[_state, Event.EDGE_CONFIRMED] = State.CONFIRMED
    NEXT[_state, Event.EDGE_FAILED] = State.FAILED
    NEXT[_state, Event.EDGE_UNKNOWN] = State.UNKNOWN
NEXT[State.APPROVED, Event.EDGE_HOLDS] = State.HOLD_OFF
NEXT[State.APPROVED, Event.EDGE_ACTS] = State.ACTUATING
NEXT[State.UNKNOWN, Event.EDGE_REFUSED] = State.REFUSED

EVENT_OF_RESULT: dict[str, Event] = {
    "verified": Event.EDGE_VERIFIED,
    "hold_off": Event.EDGE_HOLDS,
    "acting": Event.EDGE_ACTS,
    "confirmed": Event.EDGE_CONFIRMED,
    "failed": Event.EDGE_FAILED,
    "unknown": Event.EDGE_UNKNOWN,
    "refused": Event.EDGE_REFUSED,
}


class IllegalMoveError(Exception):
    """A pair of state and event that is not in NEXT."""


def move(state: State, event: Event) -> State:
    """The state after event, or IllegalMoveError.

    >>> move(State.AWAITING, Event.VETOED).name, move(State.AWAITING, Event.TIMED_OUT).name
    ('DENIED', 'EXPIRED')
    """
    try:
        return NEXT[state, event]
    except KeyError:
        raise IllegalMoveError(f"{state} cannot take {event}") from None
