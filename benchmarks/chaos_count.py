"""Who has which message, counted key by key at both ends when nothing runs any more."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edge.outbox_rows import RowKind, Rows
from edge.status import OUTBOX_NAME

MASK = (1 << 64) - 1
Key = tuple[str, int, int]
_JOINED = "JOIN node ON node.id = node_id WHERE seq64 NOT NULL"
_GAPS = f"SELECT name, boot_id, seq64, n_messages FROM gap {_JOINED}"


@dataclass(slots=True)
class Ledger:
    """The two ends. gaps: messages that each gap record stands for, by its key."""

    made: int = 0
    thinned: int = 0
    stored: set[Key] = field(default_factory=set)
    rows_stored: int = 0
    waiting: set[Key] = field(default_factory=set)
    gaps: dict[Key, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0

    def summary(self) -> dict[str, int]:
        """The law: made = stored + in_outbox + gap_declared, and what breaks it."""
        in_outbox = len(self.waiting - self.stored)
        # A gap under a key that is stored as a message was never needed, and the host did not count it.
        declared = sum(n for key, n in self.gaps.items() if key not in self.stored)
        return {
            "made": self.made,
            "stored": len(self.stored),
            "in_outbox": in_outbox,
            "gap_declared": declared,
            "lost": self.made - len(self.stored) - in_outbox - declared,
            "duplicates_stored": self.rows_stored - len(self.stored),
            "keys_missing": self._keys_missing(),
        }

    def _keys_missing(self) -> int:
        """Holes among the keys of each boot, when no gap was declared: a proof that does not trust `made`."""
        by_boot: dict[tuple[str, int], set[int]] = defaultdict(set)
        for node, boot, seq in self.stored | self.waiting | set(self.gaps):
            by_boot[node, boot].add(seq)
        return sum(max(seqs) + 1 - len(seqs) for seqs in by_boot.values())


def count(journal: Path, edges: Iterable[tuple[str, Path]]) -> Ledger:
    """Read both ends. edges: (gateway, folder of its outbox)."""
    ledger = Ledger()
    with closing(sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True)) as db:
        query = (
            "SELECT name, boot_id, seq64 FROM feature_row JOIN node ON node.id = node_id WHERE seq64 NOT NULL"
        )
        for node, boot, seq in db.execute(query):
            ledger.stored.add((node, boot & MASK, seq))
            ledger.rows_stored += 1
        for node, boot, seq, n_messages in db.execute(_GAPS):
            ledger.gaps[node, boot & MASK, seq] = n_messages
        ledger.dead_letters = dict(db.execute("SELECT reason, count(*) FROM dead_letter GROUP BY reason"))
        (ledger.quarantined,) = db.execute("SELECT count(*) FROM quarantine").fetchone()
    for gateway, folder in edges:
        with closing(sqlite3.connect(f"{(folder / OUTBOX_NAME).resolve().as_uri()}?mode=ro", uri=True)) as db:
            rows = Rows(db, gateway)
            ledger.made += rows.tally.made
            ledger.thinned += rows.tally.thinned
            for n, kind, covers in db.execute("SELECT n, kind, covers FROM message").fetchall():
                key = rows.key_of(n)
                if kind == RowKind.GAP:
                    ledger.gaps.setdefault((gateway, key.boot_id, key.seq64), covers)
                else:
                    ledger.waiting.add((gateway, key.boot_id, key.seq64))
    return ledger
