"""One visit of one browser: who, in which language, at what time; and how its pages are rendered."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dashboards import words
from dashboards.accounts import MAY, Role
from dashboards.house import House
from dashboards.language import LANGUAGES, Language
from dashboards.live import Moment
from dashboards.menu import Screen
from dashboards.parts import Part
from dashboards.problems import Problem
from dashboards.sessions import Session
from dashboards.shifts import shift_now
from ingest.contract.actions import ActionKind

HERE = Path(__file__).parent
STATIC_DIR = HERE / "static"
LANGUAGE_COOKIE = "mitra_language"
A_YEAR_S = 365 * 24 * 3600
TYPED = re.compile("`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Visit:
    """What every page knows of its reader."""

    house: House
    language: Language
    session: Session
    is_new: bool
    path: str
    fragment: bool
    now_ns: int
    menu: tuple[Screen, ...]
    moment: Moment
    """The plant as it was when the visit began: everything on one page is of one moment."""

    @property
    def screen(self) -> Screen | None:
        """The row of the menu that this page belongs to; None where it belongs to none."""
        return next((one for one in self.menu if one.holds(self.path)), None)

    @property
    def token(self) -> str:
        """What this reader's forms carry."""
        return self.house.sessions.token(self.session)

    def may(self, kind: ActionKind | str) -> bool:
        """Whether this reader may say this."""
        return self.session.role is not None and ActionKind(kind) in MAY[self.session.role]

    def demand(self, kind: ActionKind, token: str) -> None:
        """Raise Problem unless this reader may say this and the form is of this session."""
        if not self.house.sessions.token_matches(self.session, token):
            raise Problem(403)
        if self.session.role is None:
            raise Problem(401)
        if not self.may(kind):
            raise Problem(403)


def cookie_name(house: House) -> str:
    """The session cookie; its prefix makes browsers refuse one that was planted without TLS."""
    return "__Host-mitra" if house.config.secure else "mitra"


def visit(request: Request) -> Visit:
    """The dependency of every page. Raises Problem(401) where looking needs a name."""
    house: House = request.app.state.house
    now_ns = house.now_ns()
    session = house.sessions.read(request.cookies.get(cookie_name(house)), now_ns)
    if session is not None and session.name and not house.config.open_roles:
        account = house.accounts.get(session.name)
        if account is None or account.role != session.role:
            session = None  # The account is gone, or its role has changed since.
    is_new = session is None
    session = session or house.sessions.start(now_ns)
    if house.config.looking_needs_name and not session.signed_in:
        raise Problem(401)
    wanted = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    path = page_path(request.method, request.url.path, request.url.query)
    fragment = request.headers.get("hx-request") == "true"
    menu, moment = request.app.state.menu, house.hub.moment
    return Visit(house, house.language(wanted), session, is_new, path, fragment, now_ns, menu, moment)


def page_path(method: str, path: str, query: str) -> str:
    """The page that a request belongs to: a form's own address is no page, the one above it is.

    >>> page_path("GET", "/alarms", "show=all"), page_path("POST", "/alarms/a:b:1/shelve", "")
    ('/alarms?show=all', '/alarms/a:b:1')
    """
    if method not in ("GET", "HEAD"):
        return path.rsplit("/", 1)[0] or path
    return f"{path}?{query}" if query else path


def own_path(path: str) -> str:
    """A path of this site to go back to; anything else becomes the overview.

    >>> own_path("/alarms?show=all"), own_path("//evil.example"), own_path("https://evil.example/")
    ('/alarms?show=all', '/', '/')
    """
    parts = urlsplit(path)
    bad = parts.scheme or parts.netloc or not path.startswith("/") or path.startswith(("//", "/\\"))
    return "/" if bad or any(ord(letter) < 32 for letter in path) else path


def keep_session(found: Visit, response: Response, session: Session | None = None) -> Response:
    """Hand the session to the browser."""
    house = found.house
    response.set_cookie(
        cookie_name(house),
        house.sessions.cookie(session or found.session),
        max_age=12 * 3600,
        httponly=True,
        secure=house.config.secure,
        samesite="strict",
        path="/",
    )
    return response


@cache
def asset(path: str) -> str:
    """The address of a static file, with its hash, so that browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC_DIR / path).read_bytes()).hexdigest()[:12]
    return f"/static/{path}?v={digest}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(asset=asset, words=words, languages=LANGUAGES, quote=quote, Role=Role)
    environment.filters["sentence"] = words.sentence_case
    environment.filters["commands"] = commands
    return environment


def commands(text: str) -> Markup:
    """Text in which what stands between backticks is shown as something to type.

    >>> commands("Start `mitra serve` <now>")
    Markup('Start <code>mitra serve</code> &lt;now&gt;')
    """
    return Markup(TYPED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  (escaped before)


def warm_up() -> None:
    """Compile every template, so that nobody's first page waits for it."""
    environment = _environment()
    for name in environment.list_templates(extensions=("html",)):
        environment.get_template(name)


def _say(language: Language) -> Callable[..., str]:
    def say(message: str, **values: object) -> str:
        text = language.say(message)
        return text.format(**values) if values else text

    return say


def html(found: Visit, template: str, **context: Any) -> str:
    """A template as text in the reader's language."""
    language, house, moment = found.language, found.house, found.moment
    return (
        _environment()
        .get_template(template)
        .render(
            visit=found,
            lang=language,
            say=_say(language),
            plant=house.plant,
            config=house.config,
            shift=shift_now(house.plant.shift, language.local(found.now_ns)),
            called=lambda table, code: words.called(getattr(words, table), code, language),
            moment=moment,
            boot=house.hub.boot,
            n_calling=sum(len(one.calling) for one in moment.picture.machines.values()),
            **context,
        )
    )


def shared_page(
    found: Visit,
    name: str,
    key: tuple[object, ...],
    max_age_s: float,
    context: Callable[[Visit], dict[str, Any]],
) -> Response:
    """A page whose main part is the same for all its readers: made once in a while, by one of them.

    name: of the templates NAME.html and NAME_main.html; key: what else its content depends on. The page is of
    the moment when its main part was made: the live stream brings what changed since.
    """
    made = found.house.parts.get(
        (name, found.language.code, *key),
        max_age_s,
        lambda: Part(found.moment, Markup(html(found, f"{name}_main.html", **context(found)))),  # noqa: S704
    )
    return page(replace(found, moment=made.moment), f"{name}.html", main=made.main)


def page(found: Visit, template: str, status: int = 200, **context: Any) -> Response:
    """A whole page as an answer."""
    response = HTMLResponse(html(found, template, **context), status_code=status)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Cookie, HX-Request"
    return keep_session(found, response) if found.is_new else response
