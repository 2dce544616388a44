"""The application: routes, errors as Problem Details, static files, the live hub's life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from dashboards import api
from dashboards.guard import Guard
from dashboards.house import House
from dashboards.menu import Screen
from dashboards.pages import PAGES
from dashboards.pages.doors import visitor
from dashboards.problems import MEDIA_TYPE, PROBLEMS, Problem
from dashboards.stream import Shared
from dashboards.visit import STATIC_DIR, page, warm_up

LEDGER_EVERY_S = 30.0
log = structlog.get_logger("dashboards")
DESCRIPTION = (
    "Everything that the screens show, as JSON. Reading is open unless the plant demands a name; acting "
    "needs the session cookie of a signed-in person and the form token of that session."
)


class KeptFiles(StaticFiles):
    """Static files whose address carries their hash: a browser may keep them for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with its cache rule."""
        response = await super().get_response(path, scope)
        hashed = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response


def build_app(house: House) -> Guard:
    """The whole of the screens over one house; the guard is outermost, so that even a failure is guarded."""
    return Guard(
        build_inner(house), origin=house.config.origin, measures=house.measures, secure=house.config.secure
    )


def build_inner(house: House, pages: Sequence[Screen] = PAGES) -> FastAPI:
    """Routes and error pages without the guard: for the OpenAPI file and for tests of pages alone."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(warm_up)
        await asyncio.to_thread(house.hub.pulse)
        tasks = (asyncio.create_task(house.hub.run()), asyncio.create_task(_keep_ledger(house)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            house.source.close()
            house.ledger.close()

    app = FastAPI(
        title="Mitra screens",
        version="1",
        description=DESCRIPTION,
        lifespan=life,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.house = house
    app.state.shared = Shared()
    app.include_router(api.router)
    app.state.menu = tuple(screen for screen in pages if screen.path)
    for screen in pages:
        app.include_router(screen.router)
    app.mount("/static", KeptFiles(directory=STATIC_DIR), name="static")
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(GZipMiddleware, minimum_size=600)
    return app


async def _keep_ledger(house: House) -> None:
    """Keep the hours up to date with at most a tenth of one core."""
    while True:
        started = time.monotonic()
        await asyncio.to_thread(house.ledger.advance)
        await asyncio.sleep(max(LEDGER_EVERY_S, 9 * (time.monotonic() - started)))


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(request, error)


def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = (
        error.status_code if error.status_code in PROBLEMS else (404 if error.status_code == 405 else 400)
    )
    return answer(request, Problem(status))


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = ", ".join(sorted({".".join(map(str, one["loc"][1:])) for one in error.errors()}))
    return answer(request, Problem(422, places[:200]))


def _failed(request: Request, error: Exception) -> Response:
    log.error("page_failed", path=request.url.path, correlation=_correlation(request), exc_info=error)
    return answer(request, Problem(500))


def answer(request: Request, problem: Problem) -> Response:
    """The problem in the caller's form and language: JSON under /api, a page for people."""
    found = visitor(request)
    say, words = found.language.say, PROBLEMS[problem.status]
    if request.url.path.startswith("/api") or request.url.path == "/events" or found.fragment:
        body = {
            "type": "about:blank",
            "title": say(words.title),
            "status": problem.status,
            "detail": " ".join(filter(None, (problem.detail, say(words.means), say(words.remedy)))),
            "instance": request.url.path,
            "correlation_id": _correlation(request),
        }
        return JSONResponse(body, status_code=problem.status, media_type=MEDIA_TYPE)
    return page(
        found,
        "problem.html",
        status=HTTPStatus(problem.status),
        code=problem.status,
        title=say(words.title),
        means=say(words.means),
        remedy=say(words.remedy),
        detail=problem.detail,
        correlation=_correlation(request),
    )


def _correlation(request: Request) -> str:
    return str(getattr(request.state, "correlation", ""))
