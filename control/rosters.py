"""Control's own reading of a site's roster: verified like at the edge, read again when a file changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Snapshot, Targets, Timestamp

from control.roster import read_public
from ingest.contract.approval.codes import Code
from ingest.contract.approval.roster import Roster, parse_roster
from ingest.contract.approval.trust import ROSTER, SNAPSHOT, TARGETS, TIMESTAMP, Floor, Trusted, trust
from ingest.contract.rejected import Rejected

UNFIT = frozenset({Code.ROSTER_MISSING, Code.ROSTER_UNVERIFIED})
PUBLISHING_S = 5
"""Files that do not fit each other may be a roster that is just being laid down, one file after the other:
for so long the one believed before still stands, less whom the files already leave out. What must be refused
is, a moment later."""
READINGS = 3
Listing = frozenset[tuple[str, int, int, int]]


class RosterView:
    """The current roster of one site, or why there is none. Safe from any thread: web requests and the desk's
    clock ask for it together, and nobody is answered from the old one while the new one is being judged."""

    def __init__(self, public: Path, pinned_root: Path, site: str) -> None:
        """public: the roster's public folder; pinned_root: laid down at installation."""
        self._public, self._pinned_root, self._site = public, pinned_root, site
        self._lock = threading.Lock()
        self._floor = Floor()
        self._seen: Listing = frozenset()
        self._answer: Trusted | Rejected = Rejected(Code.ROSTER_MISSING)
        self._unfit_s: int | None = None

    def current(self, now_s: int) -> Roster | Rejected:
        """The roster at this wall clock."""
        with self._lock:
            return self._current(now_s)

    def _current(self, now_s: int) -> Roster | Rejected:
        answer = self._answer
        try:
            seen = self._listing()
            if seen != self._seen or isinstance(self._answer, Rejected):
                seen, files = self._read()
                answer = self._judge(files, now_s)
                if isinstance(self._answer, Trusted) and self._is_being_laid_down(answer, now_s):
                    answer = _less_whom_they_leave_out(self._answer, files)
                else:
                    self._answer, self._seen = answer, seen
        except OSError as error:
            self._answer = answer = Rejected(Code.ROSTER_MISSING, str(error))
        if isinstance(answer, Rejected):
            return answer
        return Rejected(Code.ROSTER_STALE) if now_s >= answer.expires else answer.roster

    def _listing(self) -> Listing:
        found = ((path.name, path.stat()) for path in self._public.glob("*.json"))
        # A file that replaces another within one tick of the file system's clock differs by its inode.
        return frozenset((name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in found)

    def _read(self) -> tuple[Listing, dict[str, bytes]]:
        """The files of one moment, if there is one: none of them changed while they were read."""
        for _ in range(READINGS):
            seen, files = self._listing(), self.files()
            if self._listing() == seen:
                break
        return seen, files

    def _is_being_laid_down(self, found: Trusted | Rejected, now_s: int) -> bool:
        if isinstance(found, Trusted) or found.reason not in UNFIT:
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

    def _judge(self, files: Mapping[str, bytes], now_s: int) -> Trusted | Rejected:
        found = trust(self._pinned_root.read_bytes(), files, self._floor, now_s)
        if isinstance(found, Trusted):
            if found.roster.site != self._site:
                return Rejected(Code.ROSTER_UNVERIFIED, "another site's roster")
            self._floor = found.floor
        return found


def _less_whom_they_leave_out(believed: Trusted, files: Mapping[str, bytes]) -> Trusted | Rejected:
    """What holds while new files come: of persons and keys believed, those that the coming roster has, too.

    Nothing vouches for it yet: it may take away, and never give. Where it cannot be known whom it will leave
    out, nobody is believed.
    """
    coming = parse_roster(files.get(ROSTER, b""))
    if isinstance(coming, Rejected) or (coming == believed.roster and _is_another_named(files)):
        return Rejected(Code.ROSTER_UNVERIFIED, "a newer roster is being laid down")
    roles = {one.id: one.role for one in coming.persons}
    keys = {key for one in coming.persons for key in one.credentials}
    persons = tuple(
        replace(one, credentials=tuple(key for key in one.credentials if key in keys))
        for one in believed.roster.persons
        if roles.get(one.id) == one.role
    )
    return replace(believed, roster=replace(believed.roster, persons=persons))


def _is_another_named(files: Mapping[str, bytes]) -> bool:
    """True when one of the files names another that is not here yet, or cannot be read."""
    try:
        timestamp = Metadata[Timestamp].from_bytes(files[TIMESTAMP]).signed
        snapshot = Metadata[Snapshot].from_bytes(files[SNAPSHOT]).signed
        targets = Metadata[Targets].from_bytes(files[TARGETS]).signed
        targets.targets[ROSTER].verify_length_and_hashes(files[ROSTER])
        return bool(
            timestamp.snapshot_meta.version > snapshot.version
            or snapshot.meta[TARGETS].version > targets.version
        )
    except (RepositoryError, ValueError, KeyError, TypeError, AttributeError):
        return True
