"""Control's HTTP side: who may call what. JSON for the approver's page and for scripts; it serves no page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response

from control.audit import Audit, AuditError, Entry
from control.bodies import Login, me
from control.config import ControlSettings
from control.desk import Desk
from control.guard import CHANGING
from control.sessions import Session, Sessions, is_csrf, login_challenge
from ingest.contract.approval.assertion import Pins, check_assertion
from ingest.contract.approval.codes import Code
from ingest.contract.approval.roster import Roster
from ingest.contract.rejected import Rejected


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is a refusal."""

    def __init__(self, status: int, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail


class Http:
    """The routes, and what they stand on."""

    def __init__(
        self,
        settings: ControlSettings,
        desks: Mapping[str, Desk],
        sessions: Sessions,
        *,
        audit: Audit,
        now_s: Callable[[], int],
        metrics: Callable[[], str],
        not_served: Callable[[], list[tuple[str, str]]],
    ) -> None:
        """One desk a site; not_served: (site, edge) of those whose key is missing."""
        self.metrics, self.not_served = metrics, not_served
        self.settings, self._desks, self._sessions = settings, desks, sessions
        self.audit, self.now_s = audit, now_s
        self._pins = Pins(settings.origin, settings.rp_id, settings.allow_software_keys)
        secure = settings.origin.startswith("https://")
        self.cookie = "__Host-mitra-control" if secure else "mitra-control"
        self._secure = secure

    def session(self, request: Request) -> Session:
        """The caller's session; with a change also its CSRF token. Raises Problem."""
        found = self.holder(request)
        if found is None:
            raise Problem(401, "not_logged_in")
        return found

    def holder(self, request: Request) -> Session | None:
        """As `session`, but nobody is an answer too. Raises Problem for a wrong token or a broken roster."""
        found = self._sessions.find(request.cookies.get(self.cookie, ""), self.now_s())
        if found is None:
            return None
        if request.method in CHANGING and not is_csrf(found, request.headers.get("x-csrf-token", "")):
            raise Problem(403, "csrf")
        roster = self._desks[found.site].roster()
        if isinstance(roster, Rejected):
            raise Problem(503, roster.reason, roster.detail)
        if found.person not in roster:
            # Revoked or changed since the login: the roster, not the cookie, says who he is.
            return None
        return found

    def desk(self, session: Session) -> Desk:
        """The session's own site; there is no way to name another."""
        return self._desks[session.site]

    def nonce(self) -> str:
        """A number to sign for one login."""
        return self._sessions.nonce(self.now_s())

    def login(self, body: Login, response: Response) -> dict[str, Any]:
        """Check a login's assertion and open a session."""
        now = self.now_s()
        if not self._sessions.take_nonce(body.nonce, now):
            raise Problem(401, "login_refused")
        desk = self._desks.get(body.site)
        roster = None if desk is None else desk.roster()
        if roster is None or isinstance(roster, Rejected):
            raise Problem(503 if roster else 401, roster.reason if roster else "login_refused")
        challenge = login_challenge(body.site, body.nonce)
        try:
            approval = body.assertion.approval()
        except ValueError as error:
            raise Problem(422, Code.BAD_FIELD, "assertion") from error
        given = check_assertion(approval, challenge, Roster(body.site, roster), self._pins)
        if isinstance(given, Rejected):
            self._record(body.site, "login_refused", "unknown", code=given.reason)
            raise Problem(401, given.reason)
        self._record(body.site, "login", given.person.id, key=given.credential.kind)
        token, session = self._sessions.open(body.site, given.person, now)
        response.set_cookie(
            self.cookie, token, httponly=True, samesite="strict", secure=self._secure, path="/"
        )
        return me(session)

    def logout(self, request: Request, response: Response) -> None:
        """Close the caller's session."""
        self._sessions.close(request.cookies.get(self.cookie, ""))
        response.delete_cookie(self.cookie, path="/", samesite="strict", httponly=True, secure=self._secure)

    def _record(self, site: str, kind: str, who: str, **what: str | int) -> None:
        try:
            self.audit.write(Entry(self.now_s(), site, kind, who, what))
        except AuditError as error:
            raise Problem(503, Code.AUDIT_UNWRITABLE, str(error)) from error
