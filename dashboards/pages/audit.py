"""Audit: who said what, what was refused and why, clocks, gaps, and every limit that was hit."""

from __future__ import annotations

import csv
import io
import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Response
from fastapi.responses import JSONResponse, RedirectResponse

from dashboards.language import N_, Language
from dashboards.oee import REASONS
from dashboards.problems import Problem
from dashboards.say import MACHINE_ID, say
from dashboards.visit import Visit, keep_session, page, visit
from dashboards.words import FAULTS, VERDICTS
from ingest.contract.actions import Action, ActionKind

router = APIRouter()
Found = Annotated[Visit, Depends(visit)]
Machine = Annotated[str, Query(max_length=64)]
By = Annotated[str, Query(max_length=64)]
Before = Annotated[int, Query(ge=0)]
PAGE_SIZE = 50
MAX_EXPORT = 10_000
MAX_LETTERS = 50
MAX_GAPS = 50
STEP = 256
VALUES: dict[str, str] = {
    "verdict": N_("verdict: {0}"),
    "fault": N_("fault: {0}"),
    "component": N_("component: {0}"),
    "reason": N_("reason: {0}"),
    "note": N_("note: {0}"),
    "from_ns": N_("from {0}"),
    "to_ns": N_("to {0}"),
    "until_ns": N_("until {0}"),
    "undoes": N_("takes back {0}"),
    "node": N_("gateway: {0}"),
    "model": N_("model: {0}"),
    "champion": N_("champion then: {0}"),
    "challenger": N_("challenger then: {0}"),
    "source": N_("from: {0}"),
    "order": N_("work order: {0}"),
    "time": N_("time taken: {0}"),
}
"""What people set, as a clause; a name of another version is shown by its value alone."""
TABLES: dict[str, dict[str, str]] = {"verdict": VERDICTS, "fault": FAULTS, "reason": REASONS}


def said(
    found: Visit, before: int, machine: str, by: str, *, limit: int
) -> tuple[list[tuple[int, Action]], int]:
    """Fitting actions older than `before` (0: from the newest), and the number to go on from (0: the end)."""
    position = before
    kept: list[tuple[int, Action]] = []
    while True:
        rows = found.house.desk.newest(position, STEP)
        for number, action in rows:
            if (not machine or action.machine == machine) and (not by or action.by == by):
                kept.append((number, action))
                if len(kept) == limit:
                    return kept, number
        if len(rows) < STEP:
            return kept, 0
        position = rows[-1][0]


@router.get("/audit", include_in_schema=False)
def audit_page(found: Found, before: Before = 0, machine: Machine = "", by: By = "") -> Response:
    """What people said, and what the house refused."""
    actions, following = said(found, before, machine, by, limit=PAGE_SIZE)
    with found.house.source.reader() as reader:
        letters = reader.dead_letters(MAX_LETTERS)
        clocks = reader.clocks()
        gaps = reader.gaps(limit=MAX_GAPS)
        counters = reader.counters()
    return page(
        found,
        "audit.html",
        actions=actions,
        next=following,
        machine=machine,
        by=by,
        letters=letters,
        clocks=clocks,
        gaps=gaps,
        refused={name: n for name, n in counters.items() if name.startswith("refused_") and n},
        counters={name: n for name, n in counters.items() if not name.startswith("refused_")},
        names={one.id: one.name for one in found.house.plant.machine},
        fresh_id=lambda: secrets.token_hex(12),
        described=lambda action: described(action, found.language),
        chain=found.house.chain.verdict(),
    )


def described(action: Action, language: Language) -> str:
    """What an action set, in words: the after of "before and after"."""
    return ", ".join(
        language.say(VALUES[name]).format(_value(name, value, language)) if name in VALUES else str(value)
        for name, value in action.values.items()
        if value != ""
    )


def _value(name: str, value: str | int | float, language: Language) -> str:
    if name.endswith("_ns"):
        return language.when(int(value))
    word = TABLES.get(name, {}).get(str(value))
    return language.say(word) if word else str(value)


@router.get("/audit.csv", include_in_schema=False)
def audit_csv(found: Found, machine: Machine = "", by: By = "") -> Response:
    """Everything that people said, newest first, at most 10,000 lines."""
    actions, _ = said(found, 0, machine, by, limit=MAX_EXPORT)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["number", "time_ns", "time", "by", "kind", "machine", "alarm_id", "action_id", "values"])
    for number, one in actions:
        when = found.language.local(one.time_ns).isoformat()
        values = "; ".join(f"{name}={value}" for name, value in one.values.items())
        line = [
            number,
            one.time_ns,
            when,
            one.by,
            one.kind.value,
            one.machine,
            one.alarm_id,
            one.action_id,
            values,
        ]
        writer.writerow([f"'{cell}" if str(cell)[:1] in "=+-@" else cell for cell in line])
    return Response(
        out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
    )


@router.get("/api/audit", tags=["audit"], summary="What people said")
def audit_json(found: Found, before: Before = 0, machine: Machine = "", by: By = "") -> Response:
    """Newest first, fifty at a time; go on with `before` = `next` until that is 0."""
    actions, following = said(found, before, machine, by, limit=PAGE_SIZE)
    return JSONResponse(
        {
            "actions": [
                {
                    "number": number,
                    "time_ns": one.time_ns,
                    "by": one.by,
                    "kind": one.kind.value,
                    "machine": one.machine,
                    "alarm_id": one.alarm_id,
                    "values": one.values,
                }
                for number, one in actions
            ],
            "next": following,
        }
    )


@router.post("/audit/clock", include_in_schema=False)
def clock_release(
    found: Found,
    token: Annotated[str, Form(max_length=100)],
    action_id: Annotated[str, Form(max_length=64)],
    node: Annotated[str, Form(max_length=64)],
) -> Response:
    """A person vouches for a node's clock: its quarantined data goes on."""
    if not MACHINE_ID.match(node):
        raise Problem(422)
    with found.house.source.reader() as reader:
        if node not in reader.clocks():
            raise Problem(404)
    say(found, ActionKind.CLOCK_RELEASE, (token, action_id), node, values={"node": node})
    return keep_session(found, RedirectResponse("/audit", status_code=303))
