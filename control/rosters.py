"""Control's own reading of a site's roster: verified like at the edge, read again when a file changes."""

from __future__ import annotations

import threading
from pathlib import Path

from control.roster import read_public
from ingest.contract.approval.codes import Code
from ingest.contract.approval.roster import Roster
from ingest.contract.approval.trust import Floor, Trusted, trust
from ingest.contract.rejected import Rejected

UNFIT = frozenset({Code.ROSTER_MISSING, Code.ROSTER_UNVERIFIED})
PUBLISHING_S = 5
"""Files that do not fit each other may be a roster that is just being laid down, one file after the other:
for so long the one believed before still stands. What must be refused is, a moment later."""


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
        self._unfit_s: int | None = None

    def current(self, now_s: int) -> Roster | Rejected:
        """The roster at this wall clock."""
        with self._lock:
            return self._current(now_s)

    def _current(self, now_s: int) -> Roster | Rejected:
        try:
            seen = frozenset((path.name, path.stat().st_mtime_ns) for path in self._public.glob("*.json"))
            if seen != self._seen or isinstance(self._answer, Rejected):
                found = self._judge(now_s)
                if not self._is_being_laid_down(found, now_s):
                    self._answer, self._seen = found, seen
        except OSError as error:
            self._answer = Rejected(Code.ROSTER_MISSING, str(error))
        if isinstance(self._answer, Rejected):
            return self._answer
        return Rejected(Code.ROSTER_STALE) if now_s >= self._answer.expires else self._answer.roster

    def _is_being_laid_down(self, found: Trusted | Rejected, now_s: int) -> bool:
        if isinstance(found, Trusted) or found.reason not in UNFIT or isinstance(self._answer, Rejected):
            self._unfit_s = None
            return False
        if self._unfit_s is None:
            self._unfit_s = now_s
        return 0 <= now_s - self._unfit_s < PUBLISHING_S

    @property
    def floor(self) -> Floor:
        """The believed versions of its parts; the leads' is `targets`; each refresh moves `timestamp`."""
        return self._floor

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
