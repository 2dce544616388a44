"""Names as small numbers: machines, nodes and sets of column names are written once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec

MOST_ROWS = 64
FEW_NAMES, MOST_SHARED = 32, 1_024


class Interned:
    """Ids of the names in a journal; new names are inserted within the running transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._machines: dict[str, int] = {}
        self._nodes: dict[str, int] = {}
        self._sets: dict[tuple[str, ...], int] = {}
        self._shared: dict[int, tuple[tuple[str, ...], int]] = {}
        self.reload()

    def reload(self) -> None:
        """Read all names again: after a rollback the cache may know ids that are not on disk."""
        self._machines = dict(self._db.execute("SELECT name, id FROM machine").fetchall())
        self._nodes = dict(self._db.execute("SELECT name, id FROM node").fetchall())
        self._sets = {
            names_of(text): number for text, number in self._db.execute("SELECT names, id FROM column_set")
        }
        self._shared = {}

    def machine(self, name: str) -> int:
        """The id of a machine."""
        found = self._machines.get(name)
        if found is None:
            found = self._insert("INSERT INTO machine (name) VALUES (?)", name)
            self._machines[name] = found
        return found

    def node(self, name: str) -> int:
        """The id of an edge node."""
        found = self._nodes.get(name)
        if found is None:
            found = self._insert("INSERT INTO node (name) VALUES (?)", name)
            self._nodes[name] = found
        return found

    def column_set(self, names: tuple[str, ...]) -> int:
        """The id of an ordered set of column names.

        Rows share their names: a tuple that was met before need not be hashed, two hundred names long.
        """
        shared = self._shared.get(id(names))
        if shared is not None and shared[0] is names:
            return shared[1]
        found = self._sets.get(names)
        if found is None:
            found = self._insert("INSERT INTO column_set (names) VALUES (?)", text_of(names))
            self._sets[names] = found
        if len(names) > FEW_NAMES:
            if len(self._shared) >= MOST_SHARED:
                self._shared.clear()
            self._shared[id(names)] = (names, found)
        return found

    def _insert(self, statement: str, value: str) -> int:
        row_id = self._db.execute(statement, (value,)).lastrowid
        if row_id is None:
            raise sqlite3.DatabaseError("an insert gave no row id")
        return row_id


@dataclass(frozen=True, slots=True)
class Pen:
    """The running transaction: its connection, the names, the batch it writes and the host's time."""

    db: sqlite3.Connection
    names: Interned
    batch_id: int
    now_ns: int

    def insert(self, into: str, rows: Sequence[tuple[object, ...]], on_conflict: str = "") -> None:
        """`INSERT INTO {into} VALUES` these rows, in order, many rows a statement.

        SQLite lets the interpreter go for every statement, and each time the thread must wait to have it
        back; so few long statements beat `executemany`. Their sizes are powers of two: few texts to prepare.
        """
        at, size = 0, MOST_ROWS
        while at < len(rows):
            if at + size > len(rows):
                size //= 2
                continue
            places = f"({','.join('?' * len(rows[at]))})"
            self.db.execute(
                f"INSERT INTO {into} VALUES {','.join([places] * size)} {on_conflict}",  # noqa: S608 (own names)
                tuple(chain.from_iterable(rows[at : at + size])),
            )
            at += size


def text_of(names: tuple[str, ...]) -> str:
    """Column names as stored.

    >>> names_of(text_of(("x.rms_g", "Power/Active")))
    ('x.rms_g', 'Power/Active')
    """
    return msgspec.json.encode(names).decode()


def names_of(text: str) -> tuple[str, ...]:
    """Column names as they were stored; one shared tuple a set is the caller's to keep."""
    return msgspec.json.decode(text, type=tuple[str, ...])


def column_sets(db: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    """Ordered column names by the id of their set."""
    return {number: names_of(text) for number, text in db.execute("SELECT id, names FROM column_set")}


def signed64(count: int) -> int:
    """SQLite integers are signed: a count above 2^63 wraps.

    >>> unsigned64(signed64(2**64 - 1)) == 2**64 - 1
    True
    """
    return count - (1 << 64) if count >> 63 else count


def unsigned64(stored: int) -> int:
    """The count behind a stored integer."""
    return stored & ((1 << 64) - 1)
