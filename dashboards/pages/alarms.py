"""Alarms: ISA-18.2 states, acknowledge, verdict with undo, shelve with a reason and an end."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Response
from fastapi.responses import RedirectResponse

from dashboards.cases import similar_cases
from dashboards.desk_view import Card, card, folded
from dashboards.picture import CALLING
from dashboards.problems import Problem
from dashboards.reasons import top
from dashboards.say import checked_alarm, note_of, say
from dashboards.visit import Visit, keep_session, page, visit
from dashboards.words import FAULTS, called, sentence_case
from ingest.contract.actions import Action, ActionKind, Verdict
from ingest.contract.rows import AlarmChange, AlarmState, Priority, Reason
from ingest.views import AlarmView

router = APIRouter(include_in_schema=False)
PAGE_SIZE = 30
MAX_PICKED = 100
SHELVE_HOURS = (1, 4, 8, 24)
FAULT_CHOICES = ("bearing_outer", "bearing_inner", "bearing_ball", "imbalance", "misalignment", "looseness")
RANK = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}

Found = Annotated[Visit, Depends(visit)]
Token = Annotated[str, Form(max_length=100)]
ActionId = Annotated[str, Form(max_length=64)]
Note = Annotated[str, Form(max_length=2_000)]


@router.get("/alarms")
def alarms(
    found: Found,
    show: Annotated[str, Query(pattern="^(open|all|calling|shelved)$")] = "open",
    before: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """A page of alarms; those that call come first, then the newest."""
    with found.house.source.reader() as reader:
        rows = reader.alarms(open_only=show != "all", limit=PAGE_SIZE + 1, before=position_of(before))
    more, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE]
    kept = [row for row in rows if _shown(row, show)]
    if show != "all":
        kept.sort(key=lambda row: (row.last.state not in CALLING, RANK[row.last.priority], -row.opened_ns))
    last = rows[-1] if rows else None
    return page(
        found,
        "alarm_list.html" if found.fragment else "alarms.html",
        cards=cards(found, kept),
        show=show,
        next=f"{last.opened_ns}~{last.alarm_id}" if more and last else "",
        **alarm_tools(found),
    )


@router.get("/alarms/{alarm_id}")
def alarm(found: Found, alarm_id: str) -> Response:
    """One alarm with everything that happened to it; as a fragment, its card alone."""
    return _one(found, alarm_id)


@router.post("/alarms/{alarm_id}/acknowledge")
def acknowledge(found: Found, alarm_id: str, token: Token, action_id: ActionId, note: Note = "") -> Response:
    """One tap; a second one is harmless."""
    return _said(found, alarm_id, ActionKind.ACKNOWLEDGE, (token, action_id), _noted(note))


@router.post("/alarms/{alarm_id}/verdict")
def verdict(
    found: Found,
    *,
    alarm_id: str,
    token: Token,
    action_id: ActionId,
    verdict: Annotated[Verdict, Form()],
    fault: Annotated[str, Form(max_length=40)] = "",
    note: Note = "",
) -> Response:
    """Confirmed, false alarm or not sure: one tap, and it can be taken back."""
    values: dict[str, str | int | float] = {"verdict": verdict.value, **_noted(note)}
    if fault:
        if fault not in FAULTS:
            raise Problem(422)
        values["fault"] = fault
    return _said(found, alarm_id, ActionKind.VERDICT, (token, action_id), values)


@router.post("/alarms/{alarm_id}/undo")
def undo(
    found: Found,
    alarm_id: str,
    token: Token,
    action_id: ActionId,
    undoes: Annotated[str, Form(max_length=64)],
) -> Response:
    """Take back a verdict."""
    return _said(found, alarm_id, ActionKind.UNDO, (token, action_id), {"undoes": undoes})


@router.post("/alarms/{alarm_id}/shelve")
def shelve(
    found: Found,
    *,
    alarm_id: str,
    token: Token,
    action_id: ActionId,
    hours: Annotated[int, Form()],
    reason: Note = "",
) -> Response:
    """Silence for a stated time and for a stated reason, never for ever."""
    why = note_of(reason)
    if hours not in SHELVE_HOURS or len(why) < 3:
        raise Problem(422, found.language.say("Shelving needs a reason and an end."))
    until_ns = found.now_ns + hours * 3_600_000_000_000
    return _said(
        found, alarm_id, ActionKind.SHELVE, (token, action_id), {"reason": why, "until_ns": until_ns}
    )


@router.post("/alarms/{alarm_id}/unshelve")
def unshelve(found: Found, alarm_id: str, token: Token, action_id: ActionId) -> Response:
    """Let it call again."""
    return _said(found, alarm_id, ActionKind.UNSHELVE, (token, action_id), {})


@router.post("/alarms")
def acknowledge_many(
    found: Found, token: Token, action_id: ActionId, picked: Annotated[list[str], Form()]
) -> Response:
    """Acknowledge every picked alarm; each gets an action of its own, so a repeat is harmless."""
    found.demand(ActionKind.ACKNOWLEDGE, token)
    if not 0 < len(picked) <= MAX_PICKED:
        raise Problem(422)
    for number, alarm_id in enumerate(sorted(set(picked))):
        with found.house.source.reader() as reader:
            history = reader.alarm(checked_alarm(alarm_id))
        if history is not None:
            one = f"{action_id[:56]}-{number}"
            say(found, ActionKind.ACKNOWLEDGE, (token, one), history.alarm.machine, alarm_id)
    return keep_session(found, RedirectResponse("/alarms", status_code=303))


def cards(found: Visit, rows: Sequence[AlarmView]) -> list[Card]:
    """Alarms with what people said of them."""
    return [card(row, folded(found.house.desk.about(alarm_id=row.alarm_id))) for row in rows]


def alarm_tools(found: Visit) -> dict[str, Any]:
    """What the alarm templates call."""
    machines = found.moment.picture.machines

    def title(one: AlarmView) -> str:
        return sentence_case(called(FAULTS, one.last.cause, found.language))

    def machine_name(machine: str) -> str:
        return machines[machine].machine.name if machine in machines else machine

    def why(one: AlarmView) -> tuple[str, ...]:
        reasons = one.last.reasons or last_reasons(_history(found, one.alarm_id))
        return top(reasons, found.language)

    return {
        "title": title,
        "machine_name": machine_name,
        "why": why,
        "fresh_id": lambda: secrets.token_hex(12),
        "shelve_hours": SHELVE_HOURS,
        "fault_choices": FAULT_CHOICES,
        "states": AlarmState,
    }


def last_reasons(changes: Sequence[AlarmChange]) -> tuple[Reason, ...]:
    """What the models gave last. changes: oldest first; a step that a person takes carries no reasons."""
    return next((one.reasons for one in reversed(changes) if one.reasons), ())


def _history(found: Visit, alarm_id: str) -> tuple[AlarmChange, ...]:
    with found.house.source.reader() as reader:
        history = reader.alarm(alarm_id)
    return history.changes if history is not None else ()


def _shown(row: AlarmView, show: str) -> bool:
    state = row.last.state
    if show == "calling":
        return state in CALLING
    if show == "shelved":
        return state is AlarmState.SHELVED
    return True


def position_of(before: str) -> tuple[int, str] | None:
    """The keyset position in an address; None at the first page. Raises Problem(400)."""
    if not before:
        return None
    opened, _, alarm_id = before.partition("~")
    if not opened.isdigit() or len(opened) > 19:
        raise Problem(400)
    return int(opened), checked_alarm(alarm_id)


def _noted(note: str) -> dict[str, str | int | float]:
    clean = note_of(note)
    return {"note": clean} if clean else {}


def _said(
    found: Visit,
    alarm_id: str,
    kind: ActionKind,
    said: tuple[str, str],
    values: dict[str, str | int | float],
) -> Response:
    with found.house.source.reader() as reader:
        history = reader.alarm(checked_alarm(alarm_id))
    if history is None:
        raise Problem(404)
    say(found, kind, said, history.alarm.machine, alarm_id, values=values)
    if found.fragment:
        return _one(found, alarm_id)
    return RedirectResponse(f"/alarms/{alarm_id}", status_code=303)


def _one(found: Visit, alarm_id: str) -> Response:
    with found.house.source.reader() as reader:
        history = reader.alarm(checked_alarm(alarm_id))
        similar = (
            () if found.fragment or history is None else similar_cases(reader, found.house.desk, history)
        )
    if history is None:
        raise Problem(404)
    actions: tuple[Action, ...] = found.house.desk.about(alarm_id=alarm_id)
    return page(
        found,
        "alarm_card.html" if found.fragment else "alarm.html",
        card=card(history.alarm, folded(actions)),
        changes=history.changes,
        actions=actions,
        similar=similar,
        **alarm_tools(found),
    )
