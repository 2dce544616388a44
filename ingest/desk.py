"""The desk: what people said, written by the dashboards only and read by ingest.

A database of its own, so that a screen never takes the journal's write lock. Every action is chained to the
one before it by SHA-256, so that an entry edited, removed or slipped in later shows.
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from ingest.contract.actions import Action

TABLES = """
CREATE TABLE IF NOT EXISTS action (
    id INTEGER PRIMARY KEY AUTOINCREMENT, action_id TEXT NOT NULL UNIQUE, time_ns INTEGER NOT NULL,
    machine TEXT NOT NULL, alarm_id TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS action_alarm ON action (alarm_id);
CREATE INDEX IF NOT EXISTS action_machine ON action (machine);
CREATE TABLE IF NOT EXISTS chain (id INTEGER PRIMARY KEY, digest BLOB NOT NULL);
"""
START = bytes(32)
STEP = 1_000
END = (1 << 63) - 1
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Action).decode


@dataclass(frozen=True, slots=True)
class Chain:
    """What a walk along the chain found. n: entries that hold; broken_at: number of the first that does not.

    last: number and digest of the last entry that holds.
    """

    n: int
    last: tuple[int, bytes] = (0, START)
    broken_at: int | None = None


def link(before: bytes, number: int, body: bytes) -> bytes:
    """The digest of an entry: of the one before it, its number and its bytes."""
    return sha256(before + number.to_bytes(8, "big") + body).digest()


class Desk:
    """Open the desk of a plant; usable from several threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(TABLES)

    def say(self, action: Action) -> bool:
        """Write down an action. False when the same action_id was said before: that is harmless."""
        body = _ENCODE(action)
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                done = self._db.execute(
                    "INSERT OR IGNORE INTO action (action_id, time_ns, machine, alarm_id, body) "
                    "VALUES (?,?,?,?,?)",
                    (action.action_id, action.time_ns, action.machine, action.alarm_id, body),
                )
                if done.rowcount == 1:
                    self._link(int(done.lastrowid or 0), body)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            return done.rowcount == 1

    def _link(self, number: int, body: bytes) -> None:
        """Chain a new entry; the first one ever chained takes those before the chain along."""
        last = self._db.execute("SELECT digest FROM chain ORDER BY id DESC LIMIT 1").fetchone()
        digest = last[0] if last else START
        if last is None:
            for older, said in self._db.execute(
                "SELECT id, body FROM action WHERE id < ? ORDER BY id", (number,)
            ).fetchall():
                digest = link(digest, older, said)
                self._db.execute("INSERT INTO chain VALUES (?, ?)", (older, digest))
        self._db.execute("INSERT INTO chain VALUES (?, ?)", (number, link(digest, number, body)))

    def digest(self, number: int) -> bytes:
        """The digest of an entry; that of the start for number 0, b"" for one that is not there."""
        if number == 0:
            return START
        with self._lock:
            found = self._db.execute("SELECT digest FROM chain WHERE id = ?", (number,)).fetchone()
        return bytes(found[0]) if found else b""

    def check(self) -> Chain:
        """Walk along the whole chain, a thousand entries at a time."""
        found = Chain(0)
        while True:
            after = found.last[0]
            with self._lock:
                rows = self._db.execute(
                    "SELECT a.id, a.body, c.digest FROM action a LEFT JOIN chain c ON c.id = a.id "
                    "WHERE a.id > ? ORDER BY a.id LIMIT ?",
                    (after, STEP),
                ).fetchall()
                (orphans,) = self._db.execute(
                    "SELECT count(*) FROM chain c WHERE id > ? AND id <= ? "
                    "AND NOT EXISTS (SELECT 1 FROM action a WHERE a.id = c.id)",
                    (after, rows[-1][0] if len(rows) == STEP else END),
                ).fetchone()
                chained = self._db.execute("SELECT 1 FROM chain LIMIT 1").fetchone()
            if not chained:
                return Chain(0)  # nothing was said since there is a chain
            for number, body, digest in rows:
                if digest is None or digest != link(found.last[1], number, body):
                    return Chain(found.n, found.last, number)
                found = Chain(found.n + 1, (number, digest))
            if orphans:
                return Chain(found.n, found.last, after + 1)
            if len(rows) < STEP:
                return found

    def since(self, cursor: int, limit: int = 256) -> tuple[int, tuple[Action, ...]]:
        """Actions after cursor (0 = from the start) in the order they were said, and the next cursor."""
        with self._lock:
            found = self._db.execute(
                "SELECT id, body FROM action WHERE id > ? ORDER BY id LIMIT ?", (cursor, limit)
            ).fetchall()
        return (found[-1][0] if found else cursor), tuple(_DECODE(body) for _, body in found)

    def newest(self, before: int = 0, limit: int = 256) -> tuple[tuple[int, Action], ...]:
        """Actions with their numbers, newest first; before: only those older than this number (0: all)."""
        with self._lock:
            found = self._db.execute(
                "SELECT id, body FROM action WHERE ? = 0 OR id < ? ORDER BY id DESC LIMIT ?",
                (before, before, limit),
            ).fetchall()
        return tuple((number, _DECODE(body)) for number, body in found)

    def about(self, *, alarm_id: str = "", machine: str = "", limit: int = 256) -> tuple[Action, ...]:
        """What was said of one alarm or one machine, newest first."""
        column, wanted = ("alarm_id", alarm_id) if alarm_id else ("machine", machine)
        with self._lock:
            found = self._db.execute(
                f"SELECT body FROM action WHERE {column} = ? ORDER BY id DESC LIMIT ?",  # noqa: S608 (two fixed names)
                (wanted, limit),
            ).fetchall()
        return tuple(_DECODE(body) for (body,) in found)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
