"""The journal's writing side: one micro-batch, one transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ingest.contract.actions import Action
from ingest.contract.rows import FeatureRow, Outputs, StopAdvice
from ingest.journal import quarantine, told, written
from ingest.journal.entry import ClockVerdict, Intake, Quarantined
from ingest.journal.interned import Interned, Pen, signed64
from ingest.journal.schema import JournalError, open_writer
from ingest.journal.waveforms import WaveformPolicy, WaveformRule

LONG_LOG_PAGES = 8_192
LONG_LOG_BATCHES = 512
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
        self._log_pages = self._unmoved_batches = 0
        self.replay_from = 0
        """Batches after this one are kept for a restart, whatever the retention says."""
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
            done = False
            try:
                self._db.execute("BEGIN IMMEDIATE")
                batch_id = self._store(intake, outputs)
                self._db.execute("COMMIT")
                done = True
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorname", "") in DISK_FULL:
                    raise JournalFull(str(error)) from error
                raise
            finally:
                if not done:
                    self._undo()
            self.batch_id = batch_id
            self._next_row += len(outputs.rows)
            self._unmoved_batches += 1
            return batch_id

    def _undo(self) -> None:
        if self._db.in_transaction:  # a full disk rolls back by itself
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

    def replay_after(self, batch_id: int) -> Iterator[tuple[tuple[FeatureRow, ...], tuple[Action, ...]]]:
        """Rows and actions of each later batch, in the order in which they were folded."""
        return written.replay(self._db, self._lock, batch_id)

    def checkpoint(self) -> int:
        """Move the write-ahead log into the file; pages left in the log. The keeper does it in a thread."""
        with self._lock:
            _, pages, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return self.checkpointed(int(pages), int(moved))

    def checkpointed(self, pages: int, moved: int) -> int:
        """Note what a checkpoint found: pages in the log, and how many of them are moved."""
        self._log_pages = pages if moved < pages else 0
        self._unmoved_batches = 0
        return pages - moved

    def tend(self) -> None:
        """Let the write-ahead log start over once it is long; call it between batches.

        Another thread's checkpoint never sees the end of a log that grows; here nothing is being written.
        """
        if self._log_pages > LONG_LOG_PAGES or self._unmoved_batches > LONG_LOG_BATCHES:
            self.checkpoint()

    def advice_after(self, advice_id: int) -> list[tuple[int, int, StopAdvice]]:
        """Stop requests stored after one: their number, receive time and content, oldest first."""
        with self._lock:
            found = self._db.execute(
                "SELECT id, receive_ns, body FROM advice WHERE id > ? ORDER BY id", (advice_id,)
            ).fetchall()
        return [
            (number, receive_ns, msgspec.msgpack.decode(body, type=StopAdvice))
            for number, receive_ns, body in found
        ]

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

    def quarantined(self, node: str, after: int = 0, limit: int = 256) -> list[tuple[int, Quarantined]]:
        """Messages of a node whose clock was not believed, oldest first, by their number."""
        with self._lock:
            found = self._db.execute(
                "SELECT quarantine.id, body FROM quarantine JOIN node ON node.id = node_id "
                "WHERE node.name = ? AND quarantine.id > ? ORDER BY quarantine.id LIMIT ?",
                (node, after, limit),
            ).fetchall()
        return [(number, quarantine.unpack(body)) for number, body in found]

    def clocks(self) -> tuple[ClockVerdict, ...]:
        """The last verdict on every node's clock."""
        with self._lock:
            found = self._db.execute("SELECT body FROM clock").fetchall()
        return tuple(msgspec.msgpack.decode(body, type=ClockVerdict) for (body,) in found)

    def close(self) -> None:
        """Checkpoint and close."""
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()


__all__ = ["Journal", "JournalError", "JournalFull"]
