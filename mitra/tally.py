"""The law of the wire in numbers: made = stored + in outbox + declared as a gap; what is missing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.outbox_rows import Rows
from edge.status import OUTBOX_NAME
from ingest.contract.values import MessageKey
from ingest.journal.interned import signed64

ROWS = (
    "SELECT count(*), count(DISTINCT node_id || ':' || boot_id || ':' || seq64) FROM feature_row "
    "WHERE seq64 IS NOT NULL"
)
HOLDS = (
    "SELECT 1 FROM feature_row JOIN node ON node.id = node_id "
    "WHERE name = ? AND boot_id = ? AND seq64 = ? LIMIT 1"
)
GAP_KIND = 2


@dataclass(frozen=True, slots=True)
class Tally:
    """Messages, over all gateways.

    stored: distinct keys with a feature row; in_outbox: waiting and not stored (a stored message whose
    watermark did not come back yet counts as stored); duplicates_stored: rows of a key beyond its first.
    """

    made: int
    stored: int
    in_outbox: int
    gap_declared: int
    duplicates_stored: int

    @property
    def lost(self) -> int:
        """Messages that nothing accounts for; negative would mean stored but never made."""
        return self.made - self.stored - self.in_outbox - self.gap_declared


def tally(journal: Path, edges: Sequence[tuple[str, Path]]) -> Tally:
    """Count at the ends, when nothing runs: edges are (gateway, folder of its outbox)."""
    made = declared = 0
    waiting: list[MessageKey] = []
    for gateway, folder in edges:
        if not (folder / OUTBOX_NAME).exists():
            continue  # an agent that never started made nothing
        with closing(_read_only(folder / OUTBOX_NAME)) as outbox:
            rows = Rows(outbox, gateway)
            found = rows.counts()
            made += found.made
            declared += found.gap_declared
            kept = outbox.execute("SELECT n FROM message WHERE kind != ?", (GAP_KIND,)).fetchall()
            waiting += [rows.key_of(n) for (n,) in kept]
    if not journal.exists():
        return Tally(made, 0, len(waiting), declared, 0)
    with closing(_read_only(journal)) as stored:
        rows_stored, distinct = stored.execute(ROWS).fetchone()
        not_stored = sum(not _holds(stored, key) for key in waiting)
    return Tally(made, distinct, not_stored, declared, rows_stored - distinct)


def _holds(journal: sqlite3.Connection, key: MessageKey) -> bool:
    values = (key.node, signed64(key.boot_id), key.seq64)
    return journal.execute(HOLDS, values).fetchone() is not None


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
