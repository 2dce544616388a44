"""The JSON interface: what the pages show, for programs and for the pages' own charts."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse, Response

from dashboards.api_models import ActionIn, AlarmOut, AlarmsOut, MachineOut, ProblemOut, ReasonOut, SaidOut
from dashboards.charts import (
    columns_of,
    health_json,
    spectrum_json,
    trend_json,
    waterfall_json,
    waveform_json,
)
from dashboards.desk_view import folded
from dashboards.pages.alarms import position_of
from dashboards.picture import MachineNow, risk
from dashboards.problems import MEDIA_TYPE, Problem
from dashboards.reasons import sentence
from dashboards.say import checked_alarm, checked_machine, say
from dashboards.visit import Visit, visit
from ingest.contract.actions import ActionKind, Verdict
from ingest.contract.rows import Condition
from ingest.contract.values import Waveform
from ingest.views import AlarmView

NS_PER_H = 3_600_000_000_000
MAX_WATERFALL = 60
MAX_POINTS = 1_000
Found = Annotated[Visit, Depends(visit)]
Axis = Annotated[str, Query(pattern="^[xyz]$")]
Hours = Annotated[float, Query(gt=0, le=24 * 366)]
AtMs = Annotated[int | None, Query(ge=0, le=1 << 50)]
ALARM_KINDS = frozenset(
    {ActionKind.ACKNOWLEDGE, ActionKind.VERDICT, ActionKind.SHELVE, ActionKind.UNSHELVE, ActionKind.UNDO}
)
"""What may be said of an alarm; the rest has pages of its own."""

router = APIRouter(
    prefix="/api",
    responses={
        status: {"model": ProblemOut, "content": {MEDIA_TYPE: {}}} for status in (401, 403, 404, 422, 503)
    },
)


@router.get("/machines", summary="Every machine now")
def machines(found: Found) -> list[MachineOut]:
    """Every machine of the plant file, in its order; those never heard of are there too, as unknown."""
    return [_machine(found, now) for now in found.moment.picture.machines.values()]


@router.get("/machines/{machine}", summary="One machine now")
def one_machine(found: Found, machine: str) -> MachineOut:
    """The present of one machine."""
    return _machine(found, found.moment.picture.machines[checked_machine(found, machine)])


@router.get("/machines/{machine}/trend", summary="One column over time")
def trend(
    found: Found, machine: str, column: Annotated[str, Query(max_length=128)], hours: Hours = 1.0
) -> Response:
    """At most 1,000 points with the lowest and highest value of each; missing stretches are null."""
    now = found.moment.picture.machines[checked_machine(found, machine)]
    about = columns_of(now.latest).get(column)
    if about is None:
        raise Problem(404)
    until = found.now_ns
    start = until - int(hours * NS_PER_H)
    with found.house.source.reader() as reader:
        data = reader.trend(machine, (column,), start, until + NS_PER_H, MAX_POINTS)
        gaps = reader.gaps(machine, start, until)
    return JSONResponse(
        trend_json(data, column, now.machine, gaps=gaps, about=about, language=found.language)
    )


@router.get("/machines/{machine}/health", summary="Health over time")
def health(found: Found, machine: str, hours: Hours = 1.0) -> Response:
    """The judgements that the journal keeps: every change, and one a minute."""
    checked_machine(found, machine)
    with found.house.source.reader() as reader:
        kept = reader.judgements(machine, found.now_ns - int(hours * NS_PER_H), max_points=MAX_POINTS)
    return JSONResponse(health_json(kept, found.language))


@router.get("/machines/{machine}/waveform", summary="A kept waveform")
def waveform(found: Found, machine: str, axis: Axis = "x", at_ms: AtMs = None) -> Response:
    """The kept block nearest to a time, or the newest; in g."""
    return JSONResponse(waveform_json(_kept(found, machine, axis, at_ms), found.language))


@router.get("/machines/{machine}/spectrum", summary="Spectrum of a kept waveform")
def spectrum(
    found: Found,
    machine: str,
    *,
    kind: Annotated[str, Query(pattern="^(amplitude|envelope)$")] = "amplitude",
    axis: Axis = "x",
    at_ms: AtMs = None,
) -> Response:
    """Amplitude or envelope spectrum, with the places where faults would show at the present speed."""
    kept = _kept(found, machine, axis, at_ms)
    now = found.moment.picture.machines[machine]
    return JSONResponse(
        spectrum_json(
            kept,
            found.house.plant,
            now.machine,
            speed_rpm=now.speed_rpm,
            language=found.language,
            envelope=kind == "envelope",
        )
    )


@router.get("/machines/{machine}/waterfall", summary="Spectra over time")
def waterfall(found: Found, machine: str, axis: Axis = "x", hours: Hours = 24.0) -> Response:
    """Spectra of up to 60 kept waveforms, oldest first, in dB below the loudest line."""
    checked_machine(found, machine)
    with found.house.source.reader() as reader:
        since = found.now_ns - int(hours * NS_PER_H)
        times = reader.waveform_times(machine, axis, since, limit=10 * MAX_WATERFALL)
        step = max(1, math.ceil(len(times) / MAX_WATERFALL))
        kept = reader.waveforms(machine, axis, times[::step])
    max_hz = min(2_000.0, min((one.rate_hz for one in kept), default=2_000.0) / 2)
    return JSONResponse(waterfall_json(kept, found.language, max_hz))


@router.get("/alarms", summary="A page of alarms")
def alarms(
    found: Found,
    *,
    all_states: bool = False,
    machine: Annotated[str | None, Query(max_length=64)] = None,
    before: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AlarmsOut:
    """Newest opened first; ask on with `before` = the `next` of the page before."""
    with found.house.source.reader() as reader:
        rows = reader.alarms(not all_states, limit + 1, position_of(before), machine)
    more, rows = len(rows) > limit, rows[:limit]
    following = f"{rows[-1].opened_ns}~{rows[-1].alarm_id}" if more else None
    return AlarmsOut(alarms=[_alarm(found, row) for row in rows], next=following)


@router.post("/alarms/{alarm_id}/actions", summary="Say something of an alarm")
def act(
    found: Found, alarm_id: str, action: ActionIn, x_mitra_token: Annotated[str, Header(max_length=100)] = ""
) -> SaidOut:
    """Acknowledge, give a verdict, shelve, take back. Needs the session cookie and its form token."""
    if action.kind not in ALARM_KINDS:
        raise Problem(422)
    values = dict(action.values)
    if action.kind is ActionKind.VERDICT and values.get("verdict") not in {one.value for one in Verdict}:
        raise Problem(422)
    if action.kind is ActionKind.SHELVE and not (
        values.get("reason") and _future(values.get("until_ns"), found)
    ):
        raise Problem(422)
    with found.house.source.reader() as reader:
        history = reader.alarm(checked_alarm(alarm_id))
    if history is None:
        raise Problem(404)
    form = (x_mitra_token, action.action_id)
    return SaidOut(new=say(found, action.kind, form, history.alarm.machine, alarm_id, values=values))


def _future(until_ns: object, found: Visit) -> bool:
    return isinstance(until_ns, int) and until_ns > found.now_ns


def _kept(found: Visit, machine: str, axis: str, at_ms: int | None) -> Waveform:
    checked_machine(found, machine)
    with found.house.source.reader() as reader:
        block = reader.waveform(machine, axis, None if at_ms is None else at_ms * 1_000_000)
    if block is None:
        raise Problem(404)
    return block


def _machine(found: Visit, now: MachineNow) -> MachineOut:
    judgement = now.judgement
    life = judgement.remaining_life if judgement else None
    interval = None
    if life is not None and life.lower_hours is not None and life.upper_hours is not None:
        interval = (life.lower_hours, life.upper_hours)
    age_s = (found.now_ns - now.received_ns) / 1e9 if now.received_ns else None
    return MachineOut(
        id=now.machine.id,
        name=now.machine.name,
        area=now.machine.area,
        line=now.machine.line,
        criticality=now.machine.criticality,
        condition=judgement.condition if judgement else Condition.UNKNOWN,
        level=now.level.value,
        zone=now.zone,
        health=judgement.health if judgement else None,
        risk=risk(now) if judgement else None,
        velocity_mm_s=now.velocity_mm_s,
        temperature_c=now.temperature_c,
        power_kw=now.power_kw,
        speed_rpm=now.speed_rpm,
        fault=judgement.fault if judgement else "",
        confidence=judgement.confidence if judgement else None,
        remaining_life_h=life.hours if life else None,
        remaining_life_interval_h=interval,
        reasons=[
            ReasonOut(code=one.code, sentence=sentence(one, found.language), weight=one.weight)
            for one in (judgement.reasons if judgement else ())
        ],
        received_ns=now.received_ns or None,
        age_s=age_s,
        stale=now.stale(found.now_ns, found.house.config.stale_after_s),
    )


def _alarm(found: Visit, row: AlarmView) -> AlarmOut:
    said = folded(found.house.desk.about(alarm_id=row.alarm_id))
    return AlarmOut(
        id=row.alarm_id,
        machine=row.machine,
        cause=row.last.cause,
        state=row.last.state,
        priority=row.last.priority,
        opened_ns=row.opened_ns,
        changed_ns=row.changed_ns,
        verdict=str(said.verdict.values.get("verdict")) if said.verdict else None,
        acknowledged_by=said.acknowledged.by if said.acknowledged else None,
    )
