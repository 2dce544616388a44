"""Control's own reading of a site's roster: verified like at the edge, read again when a file changes."""

from __future__ import annotations

import threading
from pathlib import Path

from control.roster import read_public
from ingest.contract.approval.codes import Code
from ingest.contract.approval.roster import Roster
from ingest.contract.approval.trust import Floor, Trusted, trust
from ingest.contract.rejected import Rejected


class RosterView:
    """The current roster of one site, or why there is none. Safe from any thread: web requests and the desk's
    clock ask for it together, and nobody is answered from the old one while the new one is being judged."""

    def __init__(self, public: Path, pinned_root: Path, site: str) -> None:
        """public: the roster's public folder; pinned_root: laid down at installation."""
        self._public, self._pinned_root, self._site = public, pinned_root, site
        self._lock = threading.Lock()
        self._floor = Floor()
        self._seen: frozenset[tuple[str, int]] = frozenset()
        self._answer: Trusted | Rejected = Rejected(Code.ROSTER_MISSING)

    def current(self, now_s: int) -> Roster | Rejected:
        """The roster at this wall clock."""
        with self._lock:
            return self._current(now_s)

    def _current(self, now_s: int) -> Roster | Rejected:
        try:
            seen = frozenset((path.name, path.stat().st_mtime_ns) for path in self._public.glob("*.json"))
            if seen != self._seen or isinstance(self._answer, Rejected):
                self._answer = self._judge(now_s)
                self._seen = seen
        except OSError as error:
            self._answer = Rejected(Code.ROSTER_MISSING, str(error))
        if isinstance(self._answer, Rejected):
            return self._answer
        return Rejected(Code.ROSTER_STALE) if now_s >= self._answer.expires else self._answer.roster

    @property
    def version(self) -> int:
        """The believed version of the leads' part; 0 before the first."""
        return self._floor.targets

    def files(self) -> dict[str, bytes]:
        """The files as they are, for an edge to judge."""
        return read_public(self._public)

    def _judge(self, now_s: int) -> Trusted | Rejected:
        found = trust(self._pinned_root.read_bytes(), self.files(), self._floor, now_s)
        if isinstance(found, Trusted):
            if found.roster.site != self._site:
                return Rejected(Code.ROSTER_UNVERIFIED, "another site's roster")
            self._floor = found.floor
        return found
