"""The desk: what people said, written by the dashboards only and read by ingest.

A database of its own, so that a screen never takes the journal's write lock.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import msgspec

from ingest.contract.actions import Action

TABLES = """
CREATE TABLE IF NOT EXISTS action (
    id INTEGER PRIMARY KEY AUTOINCREMENT, action_id TEXT NOT NULL UNIQUE, time_ns INTEGER NOT NULL,
    machine TEXT NOT NULL, alarm_id TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS action_alarm ON action (alarm_id);
CREATE INDEX IF NOT EXISTS action_machine ON action (machine);
"""
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Action).decode


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
        with self._lock:
            done = self._db.execute(
                "INSERT OR IGNORE INTO action (action_id, time_ns, machine, alarm_id, body) "
                "VALUES (?,?,?,?,?)",
                (action.action_id, action.time_ns, action.machine, action.alarm_id, _ENCODE(action)),
            )
            return done.rowcount == 1

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
