"""The audit log: an append-only Merkle tree in a file of its own, with signed checkpoints.

Each decision, refusal, login, roster change and receipt is an entry. What cannot be written here is not done.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from control.merkle import leaf_hash
from control.merkle_proof import append, consistency_proof, range_hash
from ingest.contract.approval.keys import PrivateKey, PublicKey, public_of, sign
from ingest.contract.approval.strict import b64, canonical

CHECKPOINT_DOMAIN = b"mitra.checkpoint.v1"
COSIGN_DOMAIN = b"mitra.cosign.v1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (n INTEGER PRIMARY KEY, site TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS node (level INTEGER, i INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, i)) STRICT;
CREATE TABLE IF NOT EXISTS checkpoint (
    size INTEGER PRIMARY KEY, body BLOB NOT NULL, signature TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS cosign (
    size INTEGER, key TEXT, signature TEXT NOT NULL, PRIMARY KEY (size, key)) STRICT;
"""


class AuditError(Exception):
    """The log could not be written: the action that it was to record must not happen."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is recorded. at: Unix s; kind: a fixed word; who: a person, an edge or control."""

    at: int
    site: str
    kind: str
    who: str
    what: Mapping[str, str | int | list[str]]

    def to_bytes(self) -> bytes:
        """Canonical bytes: the leaf."""
        return canonical(
            {"at": self.at, "site": self.site, "kind": self.kind, "who": self.who, "what": self.what}
        )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log's word that its first `size` entries have this root."""

    size: int
    body: bytes
    signature: str


class Audit:
    """One log. Safe to call from several threads."""

    def __init__(self, path: Path | str, log_id: str, key: PrivateKey) -> None:
        """path: the database file; log_id: this log's name; key: signs checkpoints."""
        self.log_id = log_id
        self._key = key
        self.public = public_of(log_id, key)
        self._lock = threading.Lock()
        self.on_written: Callable[[Entry], None] = lambda _entry: None
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self.size = int(self._db.execute("SELECT count(*) FROM entry").fetchone()[0])

    def write(self, *entries: Entry) -> None:
        """Append entries in one transaction, on the disk when this returns. Raises AuditError."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                for number, entry in enumerate(entries, self.size):
                    body = entry.to_bytes()
                    self._db.execute("INSERT INTO entry VALUES (?, ?, ?)", (number, entry.site, body))
                    append(self._get, self._put, number, leaf_hash(body))
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise AuditError(str(error)) from error
            self.size += len(entries)
        for entry in entries:
            self.on_written(entry)

    def checkpoint(self, at: int) -> Checkpoint:
        """Sign the log as it is now; the same size is signed once. Raises AuditError."""
        with self._lock:
            found = self._latest()
            if found is not None and found.size == self.size:
                return found
            root = range_hash(self._get, 0, self.size)
            body = canonical({"v": 1, "log": self.log_id, "size": self.size, "root": root.hex(), "at": at})
            made = Checkpoint(self.size, body, b64(sign(self._key, CHECKPOINT_DOMAIN + b"\0" + body)))
            try:
                self._db.execute(
                    "INSERT INTO checkpoint VALUES (?, ?, ?)", (made.size, made.body, made.signature)
                )
            except sqlite3.Error as error:
                raise AuditError(str(error)) from error
            return made

    def proof(self, old: int, new: int) -> list[bytes]:
        """That the first `old` entries are unchanged among the first `new`."""
        with self._lock:
            return consistency_proof(self._get, old, min(new, self.size))

    def cosigned(self, size: int, witness: PublicKey, signature: str) -> None:
        """Keep a witness's signature of the checkpoint of this size."""
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO cosign VALUES (?, ?, ?)", (size, witness.key_id, signature)
            )

    def entries(self, start: int, limit: int, site: str) -> list[tuple[int, Mapping[str, object]]]:
        """Entries of one site, newest first, before number `start`."""
        query = "SELECT n, body FROM entry WHERE n < ? AND site = ? ORDER BY n DESC LIMIT ?"
        with self._lock:
            rows = self._db.execute(query, (start, site, limit)).fetchall()
        return [(row[0], json.loads(row[1])) for row in rows]

    def witnessed(self) -> tuple[int, int]:
        """Size of the newest checkpoint that any witness cosigned, and by how many."""
        with self._lock:
            row = self._db.execute(
                "SELECT size, count(*) FROM cosign GROUP BY size ORDER BY size DESC LIMIT 1"
            ).fetchone()
        return (0, 0) if row is None else (row[0], row[1])

    def export(self) -> Iterable[bytes]:
        """The whole log as JSON lines for a third party: entries, then cosigned checkpoints."""
        with self._lock:
            bodies = self._db.execute("SELECT body FROM entry ORDER BY n").fetchall()
            checkpoints = self._db.execute(
                "SELECT size, body, signature FROM checkpoint ORDER BY size"
            ).fetchall()
            cosigns = self._db.execute("SELECT size, key, signature FROM cosign").fetchall()
        for (body,) in bodies:
            yield canonical({"entry": b64(body)}) + b"\n"
        for size, body, signature in checkpoints:
            given = {key: text for at, key, text in cosigns if at == size}
            yield canonical({"checkpoint": b64(body), "signature": signature, "cosigned": given}) + b"\n"

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _latest(self) -> Checkpoint | None:
        row = self._db.execute(
            "SELECT size, body, signature FROM checkpoint ORDER BY size DESC LIMIT 1"
        ).fetchone()
        return None if row is None else Checkpoint(row[0], bytes(row[1]), row[2])

    def _get(self, level: int, index: int) -> bytes:
        row = self._db.execute("SELECT hash FROM node WHERE level = ? AND i = ?", (level, index)).fetchone()
        return bytes(row[0])

    def _put(self, level: int, index: int, found: bytes) -> None:
        self._db.execute("INSERT INTO node VALUES (?, ?, ?)", (level, index, found))
