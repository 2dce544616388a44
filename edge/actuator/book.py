"""What the actuator may not forget: spent proposals, the clock floor, the receipts, the believed roster root.

One SQLite file, one writer. A stop is written here, and on the disk, before anything moves.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MAX_RECEIPTS = 100_000
KEEP_SPENT_S = 400 * 24 * 3_600
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (
    nonce TEXT PRIMARY KEY, proposal_id TEXT NOT NULL UNIQUE, machine TEXT NOT NULL, sha256 TEXT NOT NULL,
    wall INTEGER NOT NULL, stage TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS receipt (seq INTEGER PRIMARY KEY, wire BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS sign_count (credential TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
"""


class Stage(StrEnum):
    """How far a verified stop has come."""

    HOLDING = "holding"
    ACTING = "acting"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A stop that a crash left behind."""

    nonce: str
    machine: str
    sha256: str
    stage: Stage


class Book:
    """The actuator's memory. Every method may raise sqlite3.Error: then nothing is done to any machine."""

    def __init__(self, path: Path | str) -> None:
        """path: the database file, or ":memory:" where nothing needs to outlive the process."""
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self.floor_s = int(self.fact("clock_floor") or b"0")
        self.seq = int(self.fact("seq") or b"0")
        self.last_hash = (self.fact("last_hash") or b"0" * 64).decode()

    def fact(self, name: str) -> bytes | None:
        """A single remembered value."""
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def remember(self, **facts: bytes) -> None:
        """Write single values in one transaction."""
        with self._transaction():
            self._put(facts)

    def is_spent(self, nonce: str, proposal_id: str) -> bool:
        """True when a stop with this nonce or proposal id was verified before, in this life or an earlier."""
        query = "SELECT 1 FROM spent WHERE nonce = ? OR proposal_id = ?"
        return self._db.execute(query, (nonce, proposal_id)).fetchone() is not None

    def spend(self, nonce: str, proposal_id: str, machine: str, sha256: str, wall_s: int) -> None:
        """Commit, before anything else happens, that this stop can never be taken again."""
        floor_s = max(self.floor_s, wall_s)
        with self._transaction():
            self._db.execute(
                "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?)",
                (nonce, proposal_id, machine, sha256, wall_s, Stage.HOLDING),
            )
            # An expired proposal is refused by the clock floor, so very old ids need not be kept.
            self._db.execute("DELETE FROM spent WHERE wall < ?", (floor_s - KEEP_SPENT_S,))
            self._put({"clock_floor": str(floor_s).encode()})
        self.floor_s = floor_s

    def count(self, credential: str, count: int) -> bool:
        """Note an authenticator's sign count; False when it did not grow (0 means that it does not count)."""
        row = self._db.execute("SELECT count FROM sign_count WHERE credential = ?", (credential,)).fetchone()
        before = 0 if row is None else int(row[0])
        self._db.execute(
            "INSERT INTO sign_count VALUES (?, ?) "
            "ON CONFLICT (credential) DO UPDATE SET count = excluded.count",
            (credential, max(before, count)),
        )
        return count > before or count == before == 0

    def stage(self, nonce: str, stage: Stage) -> None:
        """Commit how far a stop has come."""
        with self._transaction():
            self._db.execute("UPDATE spent SET stage = ? WHERE nonce = ?", (stage, nonce))

    def unfinished(self) -> list[Unfinished]:
        """Stops that were neither finished nor given up when the process ended."""
        query = "SELECT nonce, machine, sha256, stage FROM spent WHERE stage != ?"
        rows = self._db.execute(query, (Stage.DONE,)).fetchall()
        return [Unfinished(row[0], row[1], row[2], Stage(row[3])) for row in rows]

    def keep_receipts(self, wires: list[tuple[int, bytes]], last_hash: str, wall_s: int) -> None:
        """Commit receipts and the end of their chain; only then may they be published."""
        floor_s = max(self.floor_s, wall_s)
        seq = wires[-1][0]
        with self._transaction():
            self._db.executemany("INSERT INTO receipt VALUES (?, ?)", wires)
            self._db.execute("DELETE FROM receipt WHERE seq <= ?", (seq - MAX_RECEIPTS,))
            facts = {"seq": str(seq), "last_hash": last_hash, "clock_floor": str(floor_s)}
            self._put({name: value.encode() for name, value in facts.items()})
        self.seq, self.last_hash, self.floor_s = seq, last_hash, floor_s

    def receipts_after(self, seq: int, limit: int) -> list[bytes]:
        """Kept receipts after a sequence number, oldest first."""
        query = "SELECT wire FROM receipt WHERE seq > ? ORDER BY seq LIMIT ?"
        return [bytes(row[0]) for row in self._db.execute(query, (seq, limit))]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _put(self, facts: dict[str, bytes]) -> None:
        query = "INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        self._db.executemany(query, facts.items())

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK when the body raises."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
