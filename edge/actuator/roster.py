"""The actuator's own copy of the roster: TUF files in a folder, believed only as far as `trust` goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from edge.actuator.book import Book
from edge.actuator.outputs import write_atomically
from ingest.contract.approval.codes import Code
from ingest.contract.approval.roster import Roster
from ingest.contract.approval.trust import Floor, Trusted, read_bundle, trust
from ingest.contract.rejected import Rejected

MAX_FILES = 128
Listing = frozenset[tuple[str, int, int, int]]
BUNDLE = "roster_bundle"
"""A believed bundle on its way into the folder: half of it there would be no roster at all."""


class RosterFiles:
    """Gives the current roster, or why there is none. The believed root and versions are in the book."""

    def __init__(self, folder: Path, pinned_root: Path, site: str, book: Book) -> None:
        """folder: where roster files lie; pinned_root: the root metadata laid down at installation."""
        self._folder = folder
        self._site = site
        self._book = book
        self._seen: Listing = frozenset()
        self._answer: Trusted | Rejected = Rejected(Code.ROSTER_MISSING)
        self._judged_s = -1
        if book.fact("root") is None and pinned_root.exists():
            # Pinned once, at installation: a file that changes later is not believed.
            book.remember(root=pinned_root.read_bytes())
        self._lay_down(read_bundle(book.fact(BUNDLE) or b"{}"))

    def current(self, now_s: int) -> Roster | Rejected:
        """The roster at this wall clock. Files are judged again when any of them changed."""
        seen = self._listing()
        is_old = isinstance(self._answer, Rejected) and now_s != self._judged_s
        if seen != self._seen or is_old:
            # At most once a second: a flood of envelopes must not buy a flood of signature checks.
            self._judged_s = now_s
            self._answer = self._judge(self._read(), now_s)
            self._seen = seen  # only now: when judging fails, the old answer must not pass for the new one
        if isinstance(self._answer, Trusted) and now_s >= self._answer.expires:
            return Rejected(Code.ROSTER_STALE)
        return self._answer if isinstance(self._answer, Rejected) else self._answer.roster

    def take(self, bundle: bytes, now_s: int) -> Rejected | None:
        """Accept newer roster files that came over the link, if they can be believed; else say why not."""
        files = read_bundle(bundle)
        if isinstance(files, Rejected):
            return files
        answer = self._judge(files, now_s, **{BUNDLE: bundle})
        if isinstance(answer, Rejected):
            return answer
        self._lay_down(files)
        return None

    def _lay_down(self, files: Mapping[str, bytes] | Rejected) -> None:
        """Write the files of a believed bundle; the book keeps it until the last one lies there."""
        if isinstance(files, Rejected) or not files:
            return
        for name, data in files.items():
            write_atomically(self._folder / name, data)
        self._book.remember(**{BUNDLE: b"{}"})

    def _judge(self, files: Mapping[str, bytes], now_s: int, **kept: bytes) -> Trusted | Rejected:
        """kept: facts to be remembered in the same transaction, if the files are believed."""
        root = self._book.fact("root")
        if root is None:
            return Rejected(Code.ROSTER_MISSING, "no pinned root")
        floor = Floor(**json.loads(self._book.fact("roster_floor") or b"{}"))
        answer = trust(root, files, floor, now_s)
        if isinstance(answer, Trusted):
            if answer.roster.site != self._site:
                return Rejected(Code.ROSTER_UNVERIFIED, "another site's roster")
            numbers = {name: getattr(answer.floor, name) for name in ("timestamp", "snapshot", "targets")}
            self._book.remember(root=answer.root, roster_floor=json.dumps(numbers).encode(), **kept)
        return answer

    def _listing(self) -> Listing:
        try:
            found = [(path.name, path.stat()) for path in self._folder.glob("*.json")]
        except OSError:
            return frozenset()
        # A file that replaces another within one tick of the file system's clock differs by its inode.
        return frozenset((name, stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in found)

    def _read(self) -> dict[str, bytes]:
        try:
            return {path.name: path.read_bytes() for path in sorted(self._folder.glob("*.json"))[:MAX_FILES]}
        except OSError:
            return {}
