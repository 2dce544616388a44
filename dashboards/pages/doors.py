"""Doors of the house: sign in and out, language, live events, health, metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from dashboards.accounts import Role, word_matches
from dashboards.house import House
from dashboards.language import LANGUAGES
from dashboards.problems import Problem
from dashboards.stream import events
from dashboards.visit import A_YEAR_S, LANGUAGE_COOKIE, Visit, keep_session, own_path, page, page_path, visit
from ingest.metrics import Health, IngestState, quantile_ms, read_health

router = APIRouter(include_in_schema=False)
Found = Annotated[Visit, Depends(visit)]
DEMO_NAMES = {
    Role.TECHNICIAN: "demo-technician",
    Role.DATA_SCIENTIST: "demo-scientist",
    Role.ENERGY_MANAGER: "demo-energy",
}


def visitor(request: Request) -> Visit:
    """As `visit`, but the door itself is open to those without a name."""
    try:
        return visit(request)
    except Problem:
        house: House = request.app.state.house
        language = house.language(request.cookies.get(LANGUAGE_COOKIE))
        now_ns = house.now_ns()
        session, menu, moment = house.sessions.start(now_ns), request.app.state.menu, house.hub.moment
        path = page_path(request.method, request.url.path, "")
        return Visit(house, language, session, True, path, False, now_ns, menu, moment)


Visitor = Annotated[Visit, Depends(visitor)]


@router.get("/sign-in")
def sign_in_page(found: Visitor, back: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """Who are you."""
    return page(found, "sign_in.html", back=own_path(back), wrong="")


@router.post("/sign-in")
def sign_in(
    found: Visitor,
    name: Annotated[str, Form(max_length=64)],
    word: Annotated[str, Form(max_length=256)],
    back: Annotated[str, Form(max_length=500)] = "/",
) -> Response:
    """Check the password; wrong ones are slow, counted and braked."""
    house = found.house
    name = name.strip().lower()
    if not house.brake.may_guess(name, found.now_ns):
        raise Problem(429)
    account = house.accounts.get(name)
    if not word_matches(account, word) or account is None:
        wrong = found.language.say("Name or password is wrong.")
        return page(found, "sign_in.html", status=401, back=own_path(back), wrong=wrong)
    house.brake.was_right(name, found.now_ns)
    session = house.sessions.start(found.now_ns, account.name, account.role)
    return keep_session(found, RedirectResponse(own_path(back), status_code=303), session)


@router.post("/sign-in/role")
def sign_in_role(
    found: Visitor, role: Annotated[Role, Form()], back: Annotated[str, Form(max_length=500)] = "/"
) -> Response:
    """One tap in the demo. Anywhere else this door does not exist."""
    if not found.house.config.open_roles:
        raise Problem(404)
    session = found.house.sessions.start(found.now_ns, DEMO_NAMES[role], role)
    return keep_session(found, RedirectResponse(own_path(back), status_code=303), session)


@router.post("/sign-out")
def sign_out(found: Found, token: Annotated[str, Form(max_length=100)]) -> Response:
    """The session is worth nothing from now on."""
    if not found.house.sessions.token_matches(found.session, token):
        raise Problem(403)
    found.house.sessions.end(found.session, found.now_ns)
    return keep_session(
        found, RedirectResponse("/", status_code=303), found.house.sessions.start(found.now_ns)
    )


@router.get("/language/{code}")
def language(found: Visitor, code: str, back: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """Remember a language and go back."""
    if code not in LANGUAGES:
        raise Problem(404)
    response = RedirectResponse(own_path(back), status_code=303)
    response.set_cookie(
        LANGUAGE_COOKIE,
        code,
        max_age=A_YEAR_S,
        httponly=True,
        secure=found.house.config.secure,
        samesite="lax",
    )
    return response


@router.get("/events")
async def live_events(
    request: Request,
    found: Found,
    seq: Annotated[int, Query(ge=0)] = 0,
    boot: Annotated[str, Query(max_length=16)] = "",
    machine: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """The live stream. Over the limit of viewers it says so instead of slowing everybody down."""
    house = found.house
    if house.hub.viewers >= house.config.max_viewers:
        house.measures.refused.labels("too_many_viewers").inc()
        raise Problem(503)
    known = seq if boot == house.hub.boot else 0
    return StreamingResponse(
        events(house, request.app.state.shared, known, found.language, machine),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/healthz")
def healthz(request: Request) -> Response:
    """200 while the journal can be read; 503 with the reason otherwise."""
    house: House = request.app.state.house
    moment = house.hub.moment
    age_s = (house.now_ns() - moment.fed_ns) / 1e9 if moment.fed_ns else None
    body = {
        "status": "pass" if moment.reading else "fail",
        "journal_readable": moment.reading,
        "last_telemetry_age_s": age_s,
        "machines": len(moment.picture.machines),
        "viewers": house.hub.viewers,
    }
    return JSONResponse(
        body, status_code=200 if moment.reading else 503, media_type="application/health+json"
    )


INGEST_METRICS = "ingest.metrics"
"""Beside the journal: what ingest says of itself."""


def add_ingest(registry: CollectorRegistry, health: Health | None, now_ns: int) -> None:
    """What ingest says of itself; nothing when it never ran here."""
    if health is None:
        return
    state = Gauge("mitra_ingest_state", "1 for what ingest does now", ("state",), registry=registry)
    for one in IngestState:
        state.labels(one.value).set(one is health.state)
    age = Gauge("mitra_ingest_age_seconds", "Since ingest last said how it is", registry=registry)
    age.set((now_ns - health.updated_ns) / 1e9)
    counters = Gauge(
        "mitra_ingest_total", "Counters of ingest since it started", ("name",), registry=registry
    )
    for name, value in health.counters.items():
        counters.labels(name).set(value)
    late = Gauge(
        "mitra_ingest_latency_ms",
        "From reception, or from the sensor's clock, to storage",
        ("since", "quantile"),
        registry=registry,
    )
    for since, by_bound in (("received", health.stored), ("sensed", health.aged)):
        for share in (0.5, 0.95, 0.99):
            late.labels(since, str(share)).set(quantile_ms(by_bound, share))


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus text: measures of the screens and of ingest, and every counter of the journal."""
    house: House = request.app.state.house
    moment = house.hub.moment
    registry = CollectorRegistry()
    gauge = Gauge("mitra_journal_total", "Counters of the journal", ("name",), registry=registry)
    try:
        with house.source.reader() as reader:
            for name, value in reader.counters().items():
                gauge.labels(name).set(value)
    except Problem:
        house.measures.refused.labels("journal_unreadable").inc()
    counts = moment.picture.counts(house.now_ns(), house.config.stale_after_s)
    zones = Gauge("mitra_machines", "Machines by ISO zone, stale and unknown", ("zone",), registry=registry)
    for zone, n in (
        *counts.by_zone.items(),
        ("unjudged", counts.unjudged),
        ("stale", counts.stale),
        ("unknown", counts.unknown),
    ):
        zones.labels(zone).set(n)
    Gauge("mitra_alarms_calling", "Unacknowledged alarms", registry=registry).set(counts.calling)
    Gauge("mitra_screens_viewers", "Live viewers", registry=registry).set(house.hub.viewers)
    age = Gauge("mitra_last_telemetry_age_seconds", "Since any machine was heard", registry=registry)
    age.set((house.now_ns() - moment.fed_ns) / 1e9 if moment.fed_ns else float("inf"))
    add_ingest(registry, read_health(Path(house.config.journal).with_name(INGEST_METRICS)), house.now_ns())
    text = generate_latest(house.measures.registry) + generate_latest(registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
