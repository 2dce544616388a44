"""The outbox: what a gateway has accepted and the host has not yet stored.

One SQLite file (WAL, FULL sync) written by one thread. `commit` is one transaction for everything that
waits: new messages, what the host has stored, what had to be given up. A message may be published only
after the `commit` that returned it. The law, kept at every instant and over crashes:

    made = committed + in_outbox + gap_declared

A row number `n` orders everything the gateway ever stored; the key on the wire is `(boot_id, n - first n
of that boot)`. Every start is a new boot with a random id, and older boots are still delivered. Gap
records are rows too and reach the host like messages; a message that the host may already have (it was
handed out) is never merged into one, but replaced by one under its own key, so that only one can count.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge.channels import Channels
from edge.outbox_file import Connect, OutboxUnavailable, connect_sqlite, failure, open_outbox
from edge.outbox_rows import Counts, Loss, RowKind, Rows, Stored
from edge.room import Room
from ingest.contract.payload import Committed
from ingest.contract.rejected import Rejected
from ingest.contract.values import Message

DAMAGED = "outbox_damaged"
_NS_PER_H = 3_600_000_000_000
_READ_BYTES = 16 * 1024 * 1024
_FREE_CHECK_COMMITS = 64
_MAX_HOLES = 24
"""Holes among the keys of one boot: the host's word can name only so many runs (MAX_COMMITTED_RANGES)."""
_READ = "SELECT n, machine, time_ns, kind, body FROM message WHERE n >= ? AND n < ? ORDER BY n LIMIT ?"


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """What may be stored, and how.

    max_bytes: bodies and overhead; max_age_h: hours of running time; min_free_bytes: what the disk keeps.

    The reserve is there because deleting needs room in the write-ahead log too. by_name: no room is saved by
    aliases, for hosts that cannot read them.
    """

    max_bytes: int = 4 * 1024**3
    max_age_h: float = 24 * 14.0
    min_free_bytes: int = 64 * 1024**2
    by_name: bool = False

    def __post_init__(self) -> None:
        if self.max_bytes < 65_536 or self.max_age_h <= 0 or self.min_free_bytes < 0:
            raise ValueError("an outbox holds at least 64 KiB, for some time, beside a reserve of 0 or more")


@dataclass(frozen=True, slots=True)
class Commit:
    """What a transaction did.

    stored: one entry for each message offered, in order; gaps: their rows; forgotten: row numbers that the
    host has; reborn: machines that met a channel for the first time.
    """

    stored: tuple[Stored | Rejected, ...] = ()
    gaps: tuple[Stored, ...] = ()
    forgotten: tuple[int, ...] = ()
    reborn: frozenset[str] = frozenset()


class Outbox:
    """See the module. Not for two threads at once.

    Every method but `close` may raise OutboxUnavailable (nothing changed, try again) or OutboxCorrupt (the
    file has to be set aside). mono_ns is a monotonic clock's reading.
    """

    def __init__(
        self, path: Path, node: str, limits: OutboxLimits, mono_ns: int, connect: Connect = connect_sqlite
    ) -> None:
        self.path, self.limits = path, limits
        self.boot_id = 0
        self._mono_ns = mono_ns
        self._n_commits = 0
        self._connection = open_outbox(path, connect)
        try:
            self._rows = Rows(self._connection, node, by_name=limits.by_name)
            self._begin_boot()
        except sqlite3.Error as error:
            self._connection.close()
            raise failure(error) from error
        self._room = Room(self._rows)

    def _begin_boot(self) -> None:
        boot_id = secrets.randbits(63)
        with self._transaction():
            self._rows.begin_boot(boot_id)
        self.boot_id = boot_id

    @property
    def channels(self) -> Channels:
        """Aliases of every machine: what birth certificates declare."""
        return self._rows.channels

    @property
    def next_n(self) -> int:
        """Row number of the next message."""
        return int(self._rows.next_n)

    @property
    def first_n(self) -> int:
        """Row number of the oldest row, or that of the next one when there is none."""
        with self._meaning():
            first = self._rows.run("SELECT min(n) FROM message").fetchone()[0]
        return int(first) if first is not None else self.next_n

    def counts(self) -> Counts:
        """The law in numbers."""
        with self._meaning():
            return self._rows.counts()

    def commit(
        self,
        mono_ns: int,
        messages: Sequence[Message] = (),
        committed: Sequence[Committed] = (),
        losses: Sequence[Loss] = (),
        hand: int = 0,
    ) -> Commit:
        """Store messages, forget what the host has stored, declare losses: all of it or, on error, nothing.

        The first `hand` messages count as handed out for sending. A message that breaks a limit is
        Rejected in its place; when there is no room, older ones are thinned and dropped for it.
        """
        if messages or losses:
            self._check_free()
        if self._rows.holes > _MAX_HOLES:
            self._begin_boot()
        with self._transaction():
            self._rows.count(ran_ns=max(0, mono_ns - self._mono_ns))
            forgotten = tuple(n for one in committed for n in self._forget(one))
            self._room.drop_aged(int(self.limits.max_age_h * _NS_PER_H))
            stored, reborn = self._store(messages, hand)
            self._rows.count(made=sum(loss.n_messages for loss in losses))
            gaps = tuple(self._rows.add_gap(loss) for loss in losses)
            self._rows.write_tally()
        self._mono_ns = max(mono_ns, self._mono_ns)
        return Commit(stored, gaps, forgotten, reborn)

    def read(self, from_n: int, to_n: int, limit: int) -> list[Stored]:
        """Rows with from_n <= n < to_n, oldest first, which from now on count as handed out for sending.

        At most 16 MiB, but at least one row when there is any.
        """
        with self._meaning():
            rows: list[Stored] = []
            room = _READ_BYTES
            for n, machine, time_ns, kind, body in self._rows.run(_READ, (from_n, to_n, limit)):
                room -= len(body)
                if rows and room < 0:
                    break
                rows.append(Stored(n, machine, time_ns, RowKind(kind), body))
        new = [row.n for row in rows if row.n not in self._rows.handed]
        if new:
            with self._transaction():
                self._rows.hand(new)
        return rows

    def replace_damaged(self, row: Stored) -> Stored:
        """A gap record in the place and under the key of a row whose body cannot be read."""
        with self._transaction():
            return self._rows.replace_by_gap(row.n, row.machine, row.time_ns, len(row.body), DAMAGED)

    def next_bdseq(self) -> int:
        """Number of the next MQTT session, 0 to 255; kept, so that no old will is taken for a new one."""
        bdseq = (self._rows.tally.bdseq + 1) % 256
        with self._transaction():
            self._rows.tally = replace(self._rows.tally, bdseq=bdseq)
            self._rows.write_tally()
        return bdseq

    def relieve(self) -> None:
        """Give the disk back what the write-ahead log holds; what cannot be given stays."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _store(
        self, messages: Sequence[Message], hand: int
    ) -> tuple[tuple[Stored | Rejected, ...], frozenset[str]]:
        stored: list[Stored | Rejected] = []
        reborn: set[str] = set()
        for message in messages:
            one = self._rows.encode(message)
            if isinstance(one, Rejected):
                stored.append(one)
                continue
            row, has_new_channels = one
            stored.append(row)
            if has_new_channels:
                reborn.add(row.machine)
        rows = [one for one in stored if isinstance(one, Stored)]
        if rows:
            self._rows.insert(rows)
            self._rows.count(made=len(rows), in_outbox=len(rows))
            self._rows.hand([row.n for row in rows[:hand]])
            if self._rows.tally.n_bytes > self.limits.max_bytes:
                self._room.make(self.limits.max_bytes, keep_from=rows[0].n)
        return tuple(stored), frozenset(reborn)

    def _forget(self, committed: Committed) -> list[int]:
        span = self._rows.span_of(committed.boot_id)
        if span is None:
            return []
        first, last = span
        gone: list[int] = []
        for low, high in ((0, committed.through), *committed.ranges):
            # A host may name any 64-bit number; rows end earlier.
            if low <= high and low <= last - first:
                numbers, n_messages = self._rows.delete(first + low, min(first + high, last))
                self._rows.count(committed=n_messages, in_outbox=-n_messages)
                gone += numbers
        if self._rows.tally.in_outbox == 0:
            self._room.reset()
        return gone

    def _check_free(self) -> None:
        # Asking costs a system call; a batch is small against the reserve.
        self._n_commits += 1
        if self._n_commits % _FREE_CHECK_COMMITS != 1:
            return
        free = shutil.disk_usage(self.path.parent).free
        if free < self.limits.min_free_bytes:
            self._n_commits -= 1
            raise OutboxUnavailable(
                f"only {free >> 20} MiB are free on the disk of {self.path}; it keeps a reserve of "
                f"{self.limits.min_free_bytes >> 20} MiB"
            )

    @contextmanager
    def _meaning(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise failure(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Everything inside or nothing; memory follows the file. What was raised inside leaves no trace."""
        with self._meaning():
            try:
                self._rows.run("BEGIN IMMEDIATE")
                yield
                self._rows.run("COMMIT")
            except BaseException:
                # SQLite may have rolled back by itself: then there is no transaction any more.
                with contextlib.suppress(sqlite3.OperationalError):
                    self._rows.run("ROLLBACK")
                self._rows.load()
                raise


def counts(path: Path) -> Counts:
    """The law in numbers, read beside a running agent. Raises OutboxUnavailable or OutboxCorrupt."""
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
        try:
            return Rows(connection, "reader").counts()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise failure(error) from error
