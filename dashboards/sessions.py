"""Sessions without a table: a signed cookie says who and until when; its token guards every form.

Bytes and times in, values out, from any thread. A session that was signed out is remembered until it would
have ended.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

from dashboards.accounts import Role

LASTS_NS = 12 * 3600 * 1_000_000_000
MAX_REVOKED = 50_000
MAX_COOKIE_CHARS = 400


@dataclass(frozen=True, slots=True)
class Session:
    """One browser. name "" and role None: a visitor who may look only."""

    sid: str
    until_ns: int
    name: str = ""
    role: Role | None = None

    @property
    def signed_in(self) -> bool:
        """Whether a person with a name is behind it."""
        return self.role is not None


@dataclass(slots=True)
class Sessions:
    """Makes and reads session cookies with one key (at least 32 bytes)."""

    key: bytes
    revoked: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if len(self.key) < 32:
            raise ValueError("the session key needs at least 32 bytes")

    def start(self, now_ns: int, name: str = "", role: Role | None = None) -> Session:
        """A new session; signing in always makes a new one, so that nobody can plant theirs."""
        return Session(secrets.token_hex(16), now_ns + LASTS_NS, name, role)

    def cookie(self, session: Session) -> str:
        """The cookie's text."""
        text = "~".join((session.sid, str(session.until_ns), session.name, session.role or ""))
        return f"{text}~{self._sign('session', text)}"

    def read(self, cookie: str | None, now_ns: int) -> Session | None:
        """The session of a cookie, None when it is forged, old, signed out or malformed."""
        if not cookie or len(cookie) > MAX_COOKIE_CHARS or not cookie.isascii():
            return None
        text, _, signature = cookie.rpartition("~")
        if not hmac.compare_digest(self._sign("session", text), signature):
            return None
        sid, until, name, role = text.split("~")
        if now_ns >= int(until) or sid in self.revoked:
            return None
        return Session(sid, int(until), name, Role(role) if role else None)

    def token(self, session: Session) -> str:
        """What every form of this session must carry."""
        return self._sign("form", session.sid)

    def token_matches(self, session: Session, token: str) -> bool:
        """Whether a form came from a page of this session."""
        return token.isascii() and hmac.compare_digest(self.token(session), token)

    def end(self, session: Session, now_ns: int) -> None:
        """Sign out: the cookie is worth nothing from now on."""
        with self._lock:
            left = {sid: until for sid, until in self.revoked.items() if until > now_ns}
            left[session.sid] = session.until_ns
            while len(left) > MAX_REVOKED:
                left.pop(next(iter(left)))
            self.revoked = left

    def _sign(self, use: str, text: str) -> str:
        made = hmac.new(self.key, f"{use}\n{text}".encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(made).decode().rstrip("=")
