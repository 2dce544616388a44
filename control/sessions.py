"""Who is logged in. In memory: a restart logs everybody out. A session lets a person look and reject; it can
approve nothing, because an approval is a signature."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from dataclasses import dataclass

from ingest.contract.approval.messages import LOGIN_DOMAIN, digest
from ingest.contract.approval.roster import Person
from ingest.contract.approval.strict import canonical

MAX_SESSIONS = 2_000
MAX_NONCES = 500
NONCE_LIFE_S = 120


@dataclass(frozen=True, slots=True)
class Session:
    """One login. csrf: must come back in a header with everything that changes something."""

    site: str
    person: Person
    csrf: str
    began_s: int


class Sessions:
    """Login challenges and sessions, both bounded."""

    def __init__(self, life_s: int, idle_s: int) -> None:
        """life_s: the longest a session lives; idle_s: how long it survives without a request."""
        self._life_s, self._idle_s = life_s, idle_s
        self._lock = threading.Lock()
        self._nonces: dict[str, int] = {}
        self._sessions: dict[str, tuple[Session, int]] = {}

    def nonce(self, now_s: int) -> str:
        """A fresh number for one login."""
        with self._lock:
            self._nonces = {one: until for one, until in self._nonces.items() if until > now_s}
            while len(self._nonces) >= MAX_NONCES:
                self._nonces.pop(next(iter(self._nonces)))
            made = secrets.token_hex(16)
            self._nonces[made] = now_s + NONCE_LIFE_S
            return made

    def take_nonce(self, nonce: str, now_s: int) -> bool:
        """True once for each nonce given out and still fresh."""
        with self._lock:
            until = self._nonces.pop(nonce, 0)
            return until > now_s

    def open(self, site: str, person: Person, now_s: int) -> tuple[str, Session]:
        """A new session and the token for its cookie; only the token's hash is kept."""
        token = secrets.token_urlsafe(32)
        session = Session(site, person, secrets.token_urlsafe(24), now_s)
        with self._lock:
            while len(self._sessions) >= MAX_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[_hash(token)] = (session, now_s)
        return token, session

    def find(self, token: str, now_s: int) -> Session | None:
        """The live session of a token."""
        name = _hash(token)
        with self._lock:
            found = self._sessions.get(name)
            if found is None:
                return None
            session, seen_s = found
            if now_s - session.began_s >= self._life_s or now_s - seen_s >= self._idle_s:
                del self._sessions[name]
                return None
            self._sessions[name] = (session, now_s)
            return session

    def close(self, token: str) -> None:
        """Log out."""
        with self._lock:
            self._sessions.pop(_hash(token), None)


def login_challenge(site: str, nonce: str) -> bytes:
    """What a login signs. Its domain is not the approval's, so one can never be used as the other."""
    return digest(LOGIN_DOMAIN, canonical({"nonce": nonce, "site": site}))


def is_csrf(session: Session, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(session.csrf.encode(), given.encode())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
