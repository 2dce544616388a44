"""The journal's writing side: one micro-batch, one transaction."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from ingest.contract.rows import Outputs
from ingest.journal import told, written
from ingest.journal.entry import Intake
from ingest.journal.interned import Interned, Pen, signed64
from ingest.journal.schema import JournalError, open_writer
from ingest.journal.waveforms import WaveformPolicy, WaveformRule

DISK_FULL = frozenset(
    {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR", "SQLITE_READONLY"}
)


class JournalFull(Exception):  # noqa: N818 (a state of the disk, not a fault of the program)
    """Nothing of this batch was stored: the disk is full or read-only. Try this batch again."""


class Journal:
    """The one writer of `journal.db`.

    commit() stores a whole micro-batch or nothing. Raises JournalError when the file cannot be opened.
    """

    def __init__(
        self, path: Path, policy: WaveformPolicy | None = None, *, judgement_every_s: float = 60.0
    ) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._db = open_writer(path)
        self._names = Interned(self._db)
        self._rule = WaveformRule(policy or WaveformPolicy())
        self._thin = told.Thinning(judgement_every_s)
        self._latest = written.LatestScalars(self._db)
        self.batch_id: int = self._one("SELECT coalesce(max(id), 0) FROM batch")
        self._next_row = 1 + max(
            self._one("SELECT coalesce(max(id), 0) FROM feature_row"),
            self._one("SELECT coalesce(max(last_row), 0) FROM batch"),
        )

    def _one(self, statement: str, *values: object) -> int:
        return int(self._db.execute(statement, values).fetchone()[0])

    def commit(self, intake: Intake, outputs: Outputs) -> int:
        """Store a batch with all that `update` made of it, in one synced transaction; its batch id.

        Raises JournalFull when the disk does not take it: then nothing of it is stored.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                batch_id = self._store(intake, outputs)
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorname", "") in DISK_FULL:
                    raise JournalFull(str(error)) from error
                raise
            finally:
                self._undo_unfinished()
            self.batch_id = batch_id
            self._next_row += len(outputs.rows)
            return batch_id

    def _undo_unfinished(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
            self._names.reload()
            self._latest.reload()

    def _store(self, intake: Intake, outputs: Outputs) -> int:
        pen = Pen(self._db, self._names, self.batch_id + 1, intake.batch.now_ns)
        first, last = self._next_row, self._next_row + len(outputs.rows) - 1
        self._db.execute("INSERT INTO batch VALUES (?,?,?,?)", (pen.batch_id, pen.now_ns, first, last))
        receipts = written.Receipts(intake)
        kept = written.waveforms(pen, self._rule, outputs, receipts, first)
        written.feature_rows(pen, outputs.rows, receipts, first, kept)
        written.scalars(pen, intake)
        written.latest(pen, self._latest, intake, outputs)
        told.judgements(pen, self._thin, outputs.judgements)
        told.alarms(pen, outputs.alarms)
        told.advice(pen, outputs.advice)
        told.gaps(pen, intake.batch.gaps)
        told.actions(pen, intake)
        told.refusals(pen, intake)
        told.keys(pen, intake)
        told.nodes(pen, intake)
        told.counters(pen, intake, outputs)
        return pen.batch_id

    def checkpoint(self) -> int:
        """Move the write-ahead log into the file; pages left in the log. Call it when idle, or often."""
        with self._lock:
            _, pages, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(pages) - int(moved)

    def meta(self, name: str) -> str | int | bytes | None:
        """A remembered value, or None."""
        with self._lock:
            found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def remember(self, name: str, value: str | int | bytes) -> None:
        """Remember a value under a name."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))

    def stored_runs(self, node: str, boot_id: int) -> list[tuple[int, int]]:
        """Runs (first, last) of the counts stored for one boot of a node's outbox, in order."""
        with self._lock:
            return self._db.execute(
                "SELECT first, last FROM stored_run JOIN node ON node.id = node_id "
                "WHERE name = ? AND boot_id = ? ORDER BY first",
                (node, signed64(boot_id)),
            ).fetchall()

    def was_seen(self, machine: str, digest: int) -> bool:
        """True when a message without a key and with this digest is stored already."""
        with self._lock:
            found = self._db.execute(
                "SELECT 1 FROM seen WHERE digest = ? "
                "AND machine_id = (SELECT id FROM machine WHERE name = ?)",
                (digest, machine),
            ).fetchone()
        return found is not None

    def close(self) -> None:
        """Checkpoint and close."""
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()


__all__ = ["Journal", "JournalError", "JournalFull"]
