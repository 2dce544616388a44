"""OEE: availability, performance, quality; the loss waterfall; downtime reasons in two taps."""

from __future__ import annotations

import secrets
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Response
from fastapi.responses import JSONResponse, RedirectResponse

from dashboards.hours import joined_stops
from dashboards.oee import REASONS, Oee, Told, losses, of_machine, pareto, told
from dashboards.period import MAX_DAYS, PERIODS, WRONG_DAYS, Period, period
from dashboards.problems import Problem
from dashboards.say import checked_machine, note_of, say
from dashboards.visit import Visit, keep_session, own_path, page, visit
from ingest.contract.actions import ActionKind

router = APIRouter()
Found = Annotated[Visit, Depends(visit)]
Key = Annotated[str, Query(alias="period", max_length=12)]
Day = Annotated[date | None, Query()]
MAX_STOPS = 40


def reckon(
    found: Visit, key: str, first: date | None, last: date | None
) -> tuple[Period, list[Oee], list[Told]]:
    """OEE of every machine with a planned hour, and its stops with their reasons. Raises Problem(422)."""
    house = found.house
    try:
        asked = period(key, found.language.local(found.now_ns), house.zone, first, last)
    except ValueError as error:
        raise Problem(422, found.language.say(WRONG_DAYS).format(days=MAX_DAYS)) from error
    facts = {machine.id: machine for machine in house.plant.machine}
    hours = house.ledger.hours(asked.from_ns, asked.to_ns)
    ones = [of_machine(facts[machine], these) for machine, these in hours.items() if machine in facts]
    stops = [stop for these in hours.values() for stop in joined_stops(these)]
    actions = [
        action
        for machine in hours
        for action in house.desk.about(machine=machine)
        if action.kind is ActionKind.DOWNTIME_REASON
    ]
    return (
        asked,
        sorted(ones, key=lambda one: (one.oee is None, one.oee or 0.0, one.machine)),
        told(stops, actions),
    )


@router.get("/oee", include_in_schema=False)
def oee_page(found: Found, key: Key = "today", first: Day = None, last: Day = None) -> Response:
    """Effectiveness of a period, the weakest machine first."""
    asked, ones, stops = reckon(found, key, first, last)
    open_stops = sorted((one for one in stops if not one.reason), key=lambda one: -one.stop.seconds)[
        :MAX_STOPS
    ]
    return page(
        found,
        "oee.html",
        period=asked,
        periods=PERIODS,
        ones=ones,
        losses=losses(ones),
        pareto=pareto(stops),
        open_stops=open_stops,
        reasons=REASONS,
        names={machine.id: machine.name for machine in found.house.plant.machine},
        fresh_id=lambda: secrets.token_hex(12),
    )


@router.post("/oee/reason", include_in_schema=False)
def downtime_reason(
    found: Found,
    *,
    token: Annotated[str, Form(max_length=100)],
    action_id: Annotated[str, Form(max_length=64)],
    machine: Annotated[str, Form(max_length=64)],
    from_ns: Annotated[int, Form(ge=0)],
    to_ns: Annotated[int, Form(ge=0)],
    reason: Annotated[str, Form(max_length=40)],
    back: Annotated[str, Form(max_length=200)] = "/oee",
    note: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Why it stood: one tap opens the stop, one tap gives the reason."""
    checked_machine(found, machine)
    if reason not in REASONS or from_ns >= to_ns:
        raise Problem(422)
    values: dict[str, str | int | float] = {"from_ns": from_ns, "to_ns": to_ns, "reason": reason}
    if note:
        values["note"] = note_of(note)
    say(found, ActionKind.DOWNTIME_REASON, (token, action_id), machine, values=values)
    if found.fragment:
        return page(found, "oee_told.html", reason=reason, reasons=REASONS)
    return keep_session(found, RedirectResponse(own_path(back), status_code=303))


@router.get("/api/oee", tags=["oee"], summary="OEE of a period")
def oee_json(found: Found, key: Key = "today", first: Day = None, last: Day = None) -> Response:
    """Per machine; null where it cannot be computed."""
    asked, ones, stops = reckon(found, key, first, last)
    return JSONResponse(
        {
            "from_ns": asked.from_ns,
            "to_ns": asked.to_ns,
            "machines": [
                {
                    "machine": one.machine,
                    "oee": one.oee,
                    "availability": one.availability,
                    "performance": one.performance,
                    "quality": one.quality,
                    "known": one.known,
                    "planned_s": one.planned_s,
                }
                for one in ones
            ],
            "pareto": [{"reason": reason, "hours": hours, "stops": n} for reason, hours, n in pareto(stops)],
        }
    )
