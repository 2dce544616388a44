"""The routes. Each is one line of what `Http` or the desk of the caller's own site does."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from control.bodies import Approve, Login, Reject, me, summary, whole
from control.guard import Guard
from control.sessions import Session
from control.store import Row
from control.web import Http, Problem
from control.words import languages, words
from ingest.contract.approval.codes import Code
from ingest.contract.approval.messages import Approval
from ingest.contract.rejected import Rejected

STATUS: dict[str, int] = {
    Code.NOT_OPEN: 409,
    Code.EXPIRED: 409,
    Code.NO_ROLE: 403,
    Code.BAD_FIELD: 422,
    Code.PRESENCE_WRONG: 422,
    Code.AUDIT_UNWRITABLE: 503,
    Code.ROSTER_MISSING: 503,
    Code.ROSTER_STALE: 503,
    Code.ROSTER_UNVERIFIED: 503,
    Code.ROSTER_ROLLBACK: 503,
}
router = APIRouter()


def _http(request: Request) -> Http:
    found: Http = request.app.state.http
    return found


def _session(request: Request) -> Session:
    return _http(request).session(request)


Web = Annotated[Http, Depends(_http)]
Caller = Annotated[Session, Depends(_session)]


@router.get("/healthz", tags=["service"])
def healthz(http: Web) -> dict[str, Any]:
    """Alive, and the edges that cannot be served; why is in the log."""
    return {"status": "ok", "not_served": [f"{site}/{edge}" for site, edge in http.not_served()]}


@router.get("/metrics", tags=["service"], response_class=PlainTextResponse)
def metrics(http: Web) -> str:
    """Counters in Prometheus text form."""
    return http.metrics()


@router.get("/api/v1/about", tags=["session"])
def about(http: Web) -> dict[str, Any]:
    """The sites and the approver's page."""
    sites = [{"id": one.id, "name": one.name} for one in http.settings.site]
    return {"origin": http.settings.origin, "rp_id": http.settings.rp_id, "sites": sites, "now": http.now_s()}


@router.post("/api/v1/login/nonce", tags=["session"])
def nonce(http: Web) -> dict[str, str]:
    """A number to sign for one login."""
    return {"nonce": http.nonce()}


@router.post("/api/v1/login", tags=["session"])
def login(body: Login, response: Response, http: Web) -> dict[str, Any]:
    """Log in with a key. Sets the session cookie."""
    return http.login(body, response)


@router.get("/api/v1/session", tags=["session"])
def who(request: Request, http: Web) -> dict[str, Any]:
    """Who is logged in; `person` is null when nobody is."""
    found = http.holder(request)
    return me(found) if found else {"person": None}


@router.delete("/api/v1/session", tags=["session"], dependencies=[Depends(_session)])
def logout(request: Request, response: Response, http: Web) -> dict[str, str]:
    """Log out."""
    http.logout(request, response)
    return {"status": "ok"}


@router.get("/api/v1/proposals", tags=["proposals"])
def proposals(
    caller: Caller, http: Web, state: Annotated[str, Query(pattern="^(open|closed)$")] = "open"
) -> dict[str, Any]:
    """What people are asked now (open), or what became of earlier ones (closed, newest first)."""
    desk = http.desk(caller)
    found = [summary(one) for one in desk.listing(is_open=state == "open")]
    return {"proposals": found, "waiting_by_line": desk.held_by_line(), "now": http.now_s()}


@router.get("/api/v1/proposals/{proposal_id}", tags=["proposals"])
def proposal(proposal_id: str, caller: Caller, http: Web) -> dict[str, Any]:
    """One proposal: the exact bytes to sign, the edge's signed ticket, evidence, events, receipts."""
    found = http.desk(caller).detail(proposal_id)
    if found is None:
        raise Problem(404, "not_found")
    return {**whole(found), "now": http.now_s()}


@router.post("/api/v1/proposals/{proposal_id}/approvals", tags=["proposals"])
def approve(proposal_id: str, body: Approve, caller: Caller, http: Web) -> dict[str, Any]:
    """Approve with a signature over the proposal's bytes, its presence code filled in."""
    desk = http.desk(caller)
    try:
        approval: Approval = body.assertion.approval()
    except ValueError as error:
        raise Problem(422, Code.BAD_FIELD, "assertion") from error
    if desk.detail(proposal_id) is None:
        raise Problem(404, "not_found")
    return _state_of(desk.approve(proposal_id, caller.person, body.presence, approval))


@router.post("/api/v1/proposals/{proposal_id}/rejection", tags=["proposals"])
def reject(proposal_id: str, body: Reject, caller: Caller, http: Web) -> dict[str, Any]:
    """Reject: the machine runs on, whoever approves afterwards."""
    desk = http.desk(caller)
    if desk.detail(proposal_id) is None:
        raise Problem(404, "not_found")
    return _state_of(desk.reject(proposal_id, caller.person, body.reason))


@router.get("/api/v1/receipts", tags=["receipts"])
def receipts(caller: Caller, http: Web) -> dict[str, Any]:
    """What the edges did and refused, newest first."""
    return {"receipts": http.desk(caller).receipts()}


@router.get("/api/v1/audit", tags=["audit"])
def entries(caller: Caller, http: Web, before: Annotated[int, Query(ge=0)] = 2**53) -> dict[str, Any]:
    """Entries of this site's audit log, newest first, a hundred at a time."""
    found = [{"n": n, **body} for n, body in http.audit.entries(before, 100, caller.site)]
    size, count = http.audit.witnessed()
    return {"entries": found, "size": http.audit.size, "witnessed": {"size": size, "witnesses": count}}


@router.get("/api/v1/audit/export", tags=["audit"])
def export(caller: Caller, http: Web) -> StreamingResponse:
    """The whole log as JSON lines for the offline verifier. Only for leads, where control has one site."""
    if caller.person.role != "lead" or len(http.settings.site) > 1:
        raise Problem(403, Code.NO_ROLE)
    return StreamingResponse(http.audit.export(), media_type="application/jsonl")


def _state_of(found: Row | Rejected) -> dict[str, Any]:
    if isinstance(found, Rejected):
        raise Problem(STATUS.get(found.reason, 403), found.reason, found.detail)
    return {"id": found.id, "state": found.state}


def _answer(request: Request, status: int, code: str, detail: str) -> JSONResponse:
    language = languages(request.headers.get("accept-language", ""))
    text = words(language).get(f"code.{code}", code)
    kind = f"urn:mitra:control:{code}"
    body = {"type": kind, "title": text, "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status, media_type="application/problem+json")


def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return _answer(request, error.status, error.code, error.detail)


def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    where = ".".join(str(part) for part in error.errors()[0]["loc"])[:100]
    return _answer(request, 422, Code.BAD_FIELD, where)


def make_app(http: Http) -> FastAPI:
    """The application."""
    app = FastAPI(
        title="Mitra control",
        version="1",
        summary="People decide here whether a machine is stopped. A session approves nothing; signatures do.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.http = http
    app.include_router(router)
    app.add_middleware(Guard, origin=http.settings.origin)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    return app
