"""One machine: state, risk, remaining life; trend, spectrum, waveform, waterfall, why, history."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Form, Query, Response
from fastapi.responses import RedirectResponse

from dashboards.cases import similar_cases
from dashboards.charts import columns_of
from dashboards.describe import live_words
from dashboards.pages.alarms import alarm_tools, cards
from dashboards.picture import Level, MachineNow, risk
from dashboards.problems import Problem
from dashboards.reasons import top
from dashboards.say import checked_machine, note_of, say
from dashboards.spectra import cursor_lines
from dashboards.visit import Visit, keep_session, page, visit
from ingest.contract.actions import ActionKind
from ingest.contract.values import AXES
from ingest.views import AdviceView

router = APIRouter(include_in_schema=False)
TABS = ("trend", "spectrum", "waveform", "waterfall", "why", "history")
MAINTENANCE_HOURS = (1, 4, 8, 24)
MAX_HISTORY = 30
ADVICE_NS = 3_600_000_000_000

Found = Annotated[Visit, Depends(visit)]


@router.get("/machines/{machine}")
def machine_page(found: Found, machine: str, tab: Annotated[str, Query(max_length=12)] = "trend") -> Response:
    """The machine; as a fragment, one tab of it."""
    checked_machine(found, machine)
    house = found.house
    now = found.moment.picture.machines[machine]
    tab = tab if tab in TABS else "trend"
    with house.source.reader() as reader:
        past = (
            reader.alarms(open_only=False, limit=MAX_HISTORY, machine=machine)
            if tab in ("why", "history")
            else ()
        )
        newest = reader.alarm(past[0].alarm_id) if tab == "why" and past else None
        similar = similar_cases(reader, house.desk, newest) if newest is not None else ()
        gaps = reader.gaps(machine, limit=MAX_HISTORY) if tab == "history" else ()
        asked = () if found.fragment else reader.advice(MAX_HISTORY)
        axes = [axis for axis in AXES if reader.waveform_times(machine, axis, limit=1)]
    judgement = now.judgement
    return page(
        found,
        "machine_tab.html" if found.fragment else "machine.html",
        now=now,
        w=live_words(now, found.language),
        tab=tab,
        tabs=TABS,
        risk=risk(now),
        similar=similar,
        advice=request_of(now, asked, found.now_ns),
        columns=columns_of(now.latest),
        axes=axes,
        lines=cursor_lines(house.plant, now.machine, now.speed_rpm),
        reasons=top(judgement.reasons, found.language) if judgement else (),
        past=cards(found, past),
        open_cards=() if found.fragment else cards(found, (now.calling or now.alarms)[:1]),
        gaps=gaps,
        said=house.desk.about(machine=machine, limit=MAX_HISTORY) if tab == "history" else (),
        maintenance_hours=MAINTENANCE_HOURS,
        **alarm_tools(found),
    )


def request_of(now: MachineNow, asked: Sequence[AdviceView], now_ns: int) -> AdviceView | None:
    """The newest request to decide about a stop of this machine; none is left once it stands still."""
    if now.level is Level.STOPPED:
        return None
    mine = (
        one for one in asked if one.advice.machine == now.machine.id and now_ns - one.receive_ns < ADVICE_NS
    )
    return next(mine, None)


@router.post("/machines/{machine}/maintenance")
def maintenance(
    found: Found,
    machine: str,
    *,
    token: Annotated[str, Form(max_length=100)],
    action_id: Annotated[str, Form(max_length=64)],
    hours: Annotated[int, Form()],
    note: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    """Somebody works on the machine: the models must not learn from it, nor alarm."""
    checked_machine(found, machine)
    if hours not in MAINTENANCE_HOURS:
        raise Problem(422)
    values: dict[str, str | int | float] = {
        "from_ns": found.now_ns,
        "to_ns": found.now_ns + hours * 3_600_000_000_000,
        "note": note_of(note),
    }
    say(found, ActionKind.MAINTENANCE, (token, action_id), machine, values=values)
    return keep_session(found, RedirectResponse(f"/machines/{machine}?tab=history", status_code=303))


@router.get("/machines/{machine}/qr.svg")
def qr(found: Found, machine: str) -> Response:
    """A code to print and stick on the machine: it opens this page."""
    checked_machine(found, machine)
    code = segno.make(f"{found.house.config.origin}/machines/{machine}", error="m")
    out = BytesIO()
    code.save(out, kind="svg", scale=4, border=2, title=machine, xmldecl=True)
    return Response(out.getvalue(), media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})
