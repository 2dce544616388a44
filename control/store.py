"""Control's database: proposals, approvals, events, receipts. One SQLite file behind one lock."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingest.contract.approval.messages import Approval, Receipt
from ingest.contract.approval.states import OPEN, State, move
from ingest.contract.approval.states import Event as Happened

_SCHEMA = """
CREATE TABLE IF NOT EXISTS proposal (
    id TEXT PRIMARY KEY, site TEXT NOT NULL, machine TEXT NOT NULL, line TEXT NOT NULL, state TEXT NOT NULL,
    request BLOB NOT NULL, asked INTEGER NOT NULL, created INTEGER NOT NULL, shown INTEGER,
    deadline INTEGER NOT NULL, ticket BLOB, body BLOB, sent_sha256 TEXT, code TEXT NOT NULL DEFAULT '',
    closed INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS proposal_open ON proposal (site, closed);
CREATE INDEX IF NOT EXISTS proposal_sent ON proposal (site, sent_sha256);
CREATE TABLE IF NOT EXISTS approval (
    proposal TEXT, person TEXT, sha256 TEXT NOT NULL, at INTEGER NOT NULL, wire BLOB NOT NULL,
    PRIMARY KEY (proposal, person)) STRICT;
CREATE TABLE IF NOT EXISTS event (
    n INTEGER PRIMARY KEY, proposal TEXT NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL,
    state TEXT NOT NULL, who TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS event_of ON event (proposal, n);
CREATE TABLE IF NOT EXISTS receipt (
    site TEXT, edge TEXT, key TEXT, seq INTEGER, sha256 TEXT NOT NULL, machine TEXT NOT NULL,
    result TEXT NOT NULL, code TEXT NOT NULL, wall INTEGER NOT NULL, wire BLOB NOT NULL,
    PRIMARY KEY (site, edge, key, seq)) STRICT;
CREATE TABLE IF NOT EXISTS held (
    site TEXT, machine TEXT, at INTEGER NOT NULL, asked INTEGER NOT NULL, request BLOB NOT NULL,
    risk REAL NOT NULL, PRIMARY KEY (site, machine)) STRICT;
CREATE TABLE IF NOT EXISTS seen (
    site TEXT NOT NULL, dedup_key TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (site, dedup_key)) STRICT;
"""
MAX_HELD = 64
SCHEMA_VERSION = 2
_SELECT = (
    "SELECT id, site, machine, line, state, request, asked, created, shown, deadline, ticket, body, "
    "sent_sha256, code, closed FROM proposal WHERE site = ? "
)


@dataclass(frozen=True, slots=True)
class Row:
    """A stored proposal. request, ticket, body: the messages' bytes; times in Unix s."""

    id: str
    site: str
    machine: str
    line: str
    state: State
    request: bytes
    asked: int
    created: int
    shown: int | None
    deadline: int
    ticket: bytes | None = None
    body: bytes | None = None
    sent_sha256: str | None = None
    code: str = ""
    closed: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The newest request of a machine that has to wait, and how often it was asked."""

    machine: str
    at: int
    asked: int
    request: bytes


def connect_sqlite(path: Path | str) -> sqlite3.Connection:
    """Transactions are begun and ended by hand; the desk's lock is around every call."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


class Store:
    """Every query names its site, so that one tenant's id never reaches another's row.

    What people or edges are told of is written in a `transaction`, and is on the disk when that ends. What is
    only noted about requests is not: a power cut may forget it, and a flood of requests buys no syncs.
    `lock` is held by whoever calls: the desks of all sites share one connection, and so its transactions.
    """

    def __init__(
        self, path: Path | str, connect: Callable[[Path | str], sqlite3.Connection] = connect_sqlite
    ) -> None:
        """path: the database file; connect: another file system may lie underneath."""
        self.lock = threading.RLock()
        self._db = connect(path)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        tables = int(self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if tables and version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(
                f"{path} is of another version of Mitra; move it away and start again"
            )
        # As a whole: tables without their version would be taken for those of another Mitra.
        self._db.executescript("BEGIN;" + _SCHEMA + f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and safe from a power cut when it ends, with all that was written before."""
        self._db.execute("PRAGMA synchronous=FULL")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # Also when the disk refuses to commit: a transaction left open would refuse all later ones.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        finally:
            self._db.execute("PRAGMA synchronous=NORMAL")

    # Proposals.

    def add(self, row: Row) -> None:
        """A new proposal, in PROPOSED."""
        columns = ("id", "site", "machine", "line", "state", "request", "asked", "created", "deadline")
        self._db.execute(
            "INSERT INTO proposal (id, site, machine, line, state, request, asked, created, deadline) "
            "VALUES (?,?,?,?,?,?,?,?,?)",
            tuple(getattr(row, name) for name in columns),
        )
        self._event(row, "proposed", row.created, "analytics", "")

    def get(self, site: str, proposal_id: str) -> Row | None:
        """One proposal of this site."""
        return self._one("AND id = ?", site, proposal_id)

    def by_sent(self, site: str, sha256: str) -> Row | None:
        """The proposal whose signed bytes have this hash."""
        return self._one("AND sent_sha256 = ?", site, sha256)

    def open_of(self, site: str, machine: str) -> Row | None:
        """The one open proposal of a machine."""
        return self._one("AND machine = ? AND closed IS NULL", site, machine)

    def open(self, site: str) -> list[Row]:
        """Open proposals, oldest first."""
        return self._all("AND closed IS NULL ORDER BY created, id", site)

    def closed(self, site: str, limit: int) -> list[Row]:
        """Closed proposals, newest first."""
        return self._all("AND closed IS NOT NULL ORDER BY created DESC, id LIMIT ?", site, limit)

    def shown_since(self, site: str, since: int) -> list[int]:
        """When proposals were put before people, or are about to be, since a time."""
        query = (
            "SELECT coalesce(shown, created) FROM proposal WHERE site = ? AND created >= ? "
            "AND (shown IS NOT NULL OR state = ?) ORDER BY 1"
        )
        return [row[0] for row in self._db.execute(query, (site, since, State.PROPOSED))]

    def last_veto(self, site: str, machine: str) -> int | None:
        """When a stop of this machine was last rejected."""
        query = "SELECT max(closed) FROM proposal WHERE site = ? AND machine = ? AND state = ?"
        found = self._db.execute(query, (site, machine, State.DENIED)).fetchone()[0]
        return None if found is None else int(found)

    def advance(
        self, row: Row, happened: Happened, *, now: int, who: str, detail: str = "", **columns: Any
    ) -> Row:
        """Move a proposal by the table of states and note it. Raises IllegalMoveError for any other pair."""
        state = move(row.state, happened)
        moved = replace(row, state=state, closed=None if state in OPEN else now, **columns)
        self._db.execute(
            "UPDATE proposal SET state = ?, closed = ?, shown = ?, deadline = ?, ticket = ?, body = ?, "
            "sent_sha256 = ?, code = ? WHERE site = ? AND id = ?",
            (
                *(moved.state, moved.closed, moved.shown, moved.deadline, moved.ticket, moved.body),
                *(moved.sent_sha256, moved.code, moved.site, moved.id),
            ),
        )
        self._event(moved, happened, now, who, detail)
        return moved

    def asked_again(self, row: Row) -> None:
        """Count one more request for an open proposal."""
        self._db.execute(
            "UPDATE proposal SET asked = asked + 1 WHERE site = ? AND id = ?", (row.site, row.id)
        )

    def events(self, row: Row) -> list[dict[str, str | int]]:
        """What happened to a proposal, oldest first."""
        query = "SELECT at, event, state, who, detail FROM event WHERE proposal = ? ORDER BY n"
        names = ("at", "event", "state", "who", "detail")
        return [dict(zip(names, one, strict=True)) for one in self._db.execute(query, (row.id,))]

    # Approvals.

    def approve(self, row: Row, person: str, sha256: str, *, now: int, approval: Approval) -> None:
        """Keep a person's approval of exactly these bytes; his earlier one of other bytes is replaced."""
        self._db.execute(
            "INSERT OR REPLACE INTO approval VALUES (?,?,?,?,?)",
            (row.id, person, sha256, now, approval.to_bytes()),
        )

    def approvals(self, row: Row) -> list[tuple[str, str, bytes]]:
        """Person, hash of the approved bytes and the approval, oldest first."""
        query = "SELECT person, sha256, wire FROM approval WHERE proposal = ? ORDER BY at, person"
        return [(one[0], one[1], bytes(one[2])) for one in self._db.execute(query, (row.id,))]

    # Requests that wait.

    def hold(self, site: str, machine: str, request: bytes, *, risk: float, now: int) -> bool:
        """Let a request wait; a machine's newest replaces the older. False when too many machines wait."""
        count = self._db.execute(
            "SELECT count(*) FROM held WHERE site = ? AND machine != ?", (site, machine)
        ).fetchone()[0]
        if count >= MAX_HELD:
            return False
        self._db.execute(
            "INSERT INTO held VALUES (?,?,?,1,?,?) ON CONFLICT (site, machine) DO UPDATE SET "
            "at = excluded.at, asked = asked + 1, request = excluded.request, risk = excluded.risk",
            (site, machine, now, request, risk),
        )
        return True

    def held(self, site: str) -> list[Held]:
        """Waiting requests, the greatest risk first."""
        query = "SELECT machine, at, asked, request FROM held WHERE site = ? ORDER BY risk DESC, at"
        return [Held(one[0], one[1], one[2], bytes(one[3])) for one in self._db.execute(query, (site,))]

    def drop_held(self, site: str, machine: str) -> None:
        """Forget a waiting request."""
        self._db.execute("DELETE FROM held WHERE site = ? AND machine = ?", (site, machine))

    def is_seen(self, site: str, dedup_key: str, now: int, within_s: int) -> bool:
        """True when this key came before, within a time; notes it otherwise."""
        done = self._db.execute(
            "INSERT INTO seen VALUES (?,?,?) ON CONFLICT (site, dedup_key) DO UPDATE SET at = excluded.at "
            "WHERE at < ?",
            (site, dedup_key, now, now - within_s),
        )
        return done.rowcount == 0

    def forget_seen(self, site: str, before: int) -> None:
        """Drop keys that are too old to matter."""
        self._db.execute("DELETE FROM seen WHERE site = ? AND at < ?", (site, before))

    # Receipts.

    def keep_receipt(self, receipt: Receipt, key: str, wire: bytes) -> None:
        """Keep a receipt, signed by an edge's key, that is not there yet."""
        names = ("edge_seq", "proposal_sha256", "machine", "result", "code", "wall")
        values = (receipt.site, receipt.edge, key, *(getattr(receipt, name) for name in names), wire)
        self._db.execute("INSERT INTO receipt VALUES (?,?,?,?,?,?,?,?,?,?)", values)

    def receipt(self, site: str, edge: str, key: str, seq: int) -> bytes | None:
        """One receipt as it came."""
        query = "SELECT wire FROM receipt WHERE site = ? AND edge = ? AND key = ? AND seq = ?"
        row = self._db.execute(query, (site, edge, key, seq)).fetchone()
        return None if row is None else bytes(row[0])

    def last_receipt(self, site: str, edge: str, key: str) -> int:
        """The highest receipt number up to which none is missing; 0 when the first is."""
        query = (
            "SELECT min(seq) FROM (SELECT 0 AS seq UNION SELECT seq FROM receipt WHERE site = ?1 "
            "AND edge = ?2 AND key = ?3) AS here WHERE NOT EXISTS (SELECT 1 FROM receipt "
            "WHERE site = ?1 AND edge = ?2 AND key = ?3 AND seq = here.seq + 1)"
        )
        return int(self._db.execute(query, (site, edge, key)).fetchone()[0])

    def receipts(self, site: str, limit: int, sha256: str = "") -> list[dict[str, str | int]]:
        """Receipts of a site, newest first; of one proposal when its hash is given."""
        names = ("edge", "seq", "sha256", "machine", "result", "code", "wall")
        query = (
            "SELECT edge, seq, sha256, machine, result, code, wall FROM receipt "
            "WHERE site = ? AND (? = '' OR sha256 = ?) ORDER BY wall DESC, seq DESC LIMIT ?"
        )
        rows = self._db.execute(query, (site, sha256, sha256, limit))
        return [dict(zip(names, one, strict=True)) for one in rows]

    def _event(self, row: Row, event: str, at: int, who: str, detail: str) -> None:
        self._db.execute(
            "INSERT INTO event (proposal, at, event, state, who, detail) VALUES (?,?,?,?,?,?)",
            (row.id, at, event, row.state, who, detail[:280]),
        )

    def _one(self, where: str, *values: object) -> Row | None:
        found = self._db.execute(_SELECT + where, values).fetchone()
        return None if found is None else _row(found)

    def _all(self, where: str, *values: object) -> list[Row]:
        return [_row(one) for one in self._db.execute(_SELECT + where, values)]


def _row(found: tuple[Any, ...]) -> Row:
    values = list(found)
    values[4] = State(str(values[4]))
    return Row(*values)


def approval_of(wire: bytes) -> Approval:
    """A stored approval."""
    return Approval(**json.loads(wire))
