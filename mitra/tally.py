"""The law of the wire in numbers: made = stored + in outbox + declared as a gap; what is missing is lost."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from edge.outbox import counts
from edge.outbox_file import OutboxUnavailable
from edge.status import OUTBOX_NAME

STORED = (
    "SELECT count(*), count(DISTINCT node_id || ':' || boot_id || ':' || seq64) FROM feature_row "
    "WHERE seq64 IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Tally:
    """Messages, over all gateways. duplicates_stored: rows of a key beyond its first."""

    made: int
    stored: int
    in_outbox: int
    gap_declared: int
    duplicates_stored: int

    @property
    def lost(self) -> int:
        """Messages that nothing accounts for; negative would mean stored but never made."""
        return self.made - self.stored - self.in_outbox - self.gap_declared


def tally(journal: Path, edges: list[Path]) -> Tally:
    """Count at the ends: the edges' outboxes and the journal's rows, when nothing is on the way."""
    made = waiting = declared = 0
    for folder in edges:
        try:
            found = counts(folder / OUTBOX_NAME)
        except OutboxUnavailable:
            continue  # an agent that never started made nothing
        made += found.made
        waiting += found.in_outbox
        declared += found.gap_declared
    rows, distinct = 0, 0
    if journal.exists():
        connection = sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True)
        try:
            rows, distinct = connection.execute(STORED).fetchone()
        finally:
            connection.close()
    return Tally(made, distinct, waiting, declared, rows - distinct)
