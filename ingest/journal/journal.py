"""The journal's writing side: one micro-batch, one transaction."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ingest.contract.rows import Judgement, Outputs, StopAdvice
from ingest.journal import quarantine, told, written
from ingest.journal.entry import ClockVerdict, Intake, Quarantined
from ingest.journal.interned import Interned, Pen, signed64
from ingest.journal.schema import JournalError, open_writer
from ingest.journal.waveforms import WaveformPolicy, WaveformRule

MAX_ID = (1 << 63) - 1
YIELD_S = 0.002
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
        self._chosen: tuple[Intake, written.Kept, tuple[Judgement, ...]] | None = None
        self._log_pages = self._unmoved_batches = 0
        self.replay_from: int | None = None
        """Batches after this one are kept for a restart; None: nothing is folded."""
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
            self._chosen = None
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
        receipts = written.receipts_of(intake, outputs.rows)
        chosen, thinned = self._choose(intake, outputs, receipts)
        kept = written.waveforms(pen, chosen)
        written.feature_rows(pen, outputs.rows, receipts, first, kept)
        written.scalars(pen, intake)
        written.latest(pen, self._latest, intake, outputs)
        told.judgements(pen, thinned)
        told.alarms(pen, outputs.alarms)
        told.advice(pen, outputs.advice)
        told.gaps(pen, intake.batch.gaps)
        told.actions(pen, intake)
        told.refusals(pen, intake)
        told.keys(pen, intake)
        told.nodes(pen, intake)
        told.counters(pen, intake, outputs)
        return pen.batch_id

    def _choose(
        self, intake: Intake, outputs: Outputs, receipts: Sequence[written.Receipt]
    ) -> tuple[written.Kept, tuple[Judgement, ...]]:
        """What the retention rules keep of a batch; the same again when its transaction is tried again."""
        if self._chosen is None or self._chosen[0] is not intake:
            kept = written.choose(self._rule, outputs, receipts, self._next_row)
            thinned = tuple(one for one in outputs.judgements if self._thin.keeps(one))
            self._chosen = (intake, kept, thinned)
        return self._chosen[1], self._chosen[2]

    def replay_after(self, batch_id: int) -> Iterator[written.Replayed]:
        """Rows, actions and time of each later batch, in the order in which they were folded."""
        return written.replay(self._db, self._lock, batch_id)

    def checkpoint(self) -> int:
        """Move the write-ahead log into the file; pages left in the log. The keeper does it in a thread."""
        with self._lock:
            try:
                _, pages, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname not in DISK_FULL:
                    raise
                pages, moved = LONG_LOG_PAGES, 0  # no room to tidy up: the log holds everything, try later
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

    def forget(self, table: str, upto_id: int, before: tuple[str, int], at_a_time: int) -> int:
        """Delete rows with id <= upto_id that are older than before = (time column, ns); how many.

        Each transaction is short. What a restart has to fold stays, and so does the newest row: numbers must
        never be given twice.
        """
        n_deleted = 0
        while True:
            with self._lock:
                newest_id = self._one(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608
                limit = min(upto_id, newest_id - 1, self._foldable_from(table))
                last, newest, n_rows = self._db.execute(
                    f"SELECT max(id), max({before[0]}), count(*) FROM "  # noqa: S608 (names of our own tables)
                    f"(SELECT id, {before[0]} FROM {table} ORDER BY id LIMIT ?)",
                    (at_a_time,),
                ).fetchone()
                if n_rows and last == newest_id:
                    last, n_rows = last - 1, n_rows - 1
                if n_rows == 0 or last > limit or newest >= before[1]:
                    return n_deleted
                self._db.execute(f"DELETE FROM {table} WHERE id <= ?", (last,))  # noqa: S608
            n_deleted += int(n_rows)
            time.sleep(YIELD_S)  # the stream's commits come first

    def _foldable_from(self, table: str) -> int:
        """The last id of a table that a restart does not need."""
        if table != "feature_row" or self.replay_from is None:
            return MAX_ID
        found = self._db.execute(
            "SELECT last_row FROM batch WHERE id <= ? ORDER BY id DESC", (self.replay_from,)
        )
        row = found.fetchone()
        return int(row[0]) if row else 0

    def forget_batches(self, at_a_time: int) -> int:
        """Delete the lines of batches that no restart needs; how many."""
        with self._lock:
            upto = self.batch_id if self.replay_from is None else self.replay_from
            return self._db.execute(
                "DELETE FROM batch WHERE id IN (SELECT id FROM batch WHERE id < ? ORDER BY id LIMIT ?)",
                (upto, at_a_time),
            ).rowcount

    def forget_digests(self, before_ns: int, at_a_time: int) -> int:
        """Delete digests of re-sends that are older than before_ns; how many."""
        with self._lock:
            return self._db.execute(
                "DELETE FROM seen WHERE (machine_id, digest) IN "
                "(SELECT machine_id, digest FROM seen WHERE receive_ns < ? LIMIT ?)",
                (before_ns, at_a_time),
            ).rowcount

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
        """Checkpoint, if there is room for it, and close."""
        self.checkpoint()
        with self._lock:
            self._db.close()


__all__ = ["Journal", "JournalError", "JournalFull"]
