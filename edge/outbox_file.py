"""The outbox's file: its schema, how it is opened, and what the errors of SQLite mean for the plant."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tally (
    one INTEGER PRIMARY KEY CHECK (one = 1), made INTEGER, committed INTEGER, gap_declared INTEGER,
    thinned INTEGER, bdseq INTEGER, ran_ns INTEGER);
INSERT OR IGNORE INTO tally VALUES (1, 0, 0, 0, 0, -1, 0);
CREATE TABLE IF NOT EXISTS boot (first_n INTEGER PRIMARY KEY, boot_id INTEGER NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS channel (
    alias INTEGER PRIMARY KEY, machine TEXT NOT NULL, name TEXT NOT NULL, datatype INTEGER NOT NULL,
    UNIQUE (machine, name));
CREATE TABLE IF NOT EXISTS message (
    n INTEGER PRIMARY KEY, machine TEXT NOT NULL, time_ns INTEGER NOT NULL, kind INTEGER NOT NULL,
    covers INTEGER NOT NULL, ran_ns INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS handed (n INTEGER PRIMARY KEY);
"""
_TABLES = {"tally", "boot", "channel", "message", "handed"}
_PAGE_BYTES = 8192
_WAL_LIMIT_BYTES = 16 * 1024 * 1024
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class OutboxUnavailable(Exception):  # noqa: N818  # it is a state of the disk, not a mistake
    """The disk refuses to store now; nothing was changed, and it is worth trying again."""


class OutboxCorrupt(Exception):  # noqa: N818
    """The file cannot be trusted any more: it has to be set aside."""


class Cursor(Protocol):
    """What a statement answers."""

    def __iter__(self) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """The part of `sqlite3.Connection` in use, so that a test can lay another file system underneath."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> object: ...
    def close(self) -> None: ...


Connect = Callable[[Path], Connection]


def connect_sqlite(path: Path) -> Connection:
    """The real thing; transactions are begun and ended by hand."""
    return sqlite3.connect(path, isolation_level=None, timeout=5.0, check_same_thread=False)


def failure(error: sqlite3.Error) -> OutboxUnavailable | OutboxCorrupt:
    """What an error of SQLite means. Errors of our own SQL are bugs and are raised again."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        code &= 0xFF
    if code in _CORRUPT:
        return OutboxCorrupt(str(error))
    if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
        return OutboxUnavailable(str(error))
    raise error


def open_outbox(path: Path, connect: Connect) -> Connection:
    """Open or make the file. Raises OutboxUnavailable or OutboxCorrupt."""
    try:
        connection = connect(path)
        for pragma in (
            f"page_size = {_PAGE_BYTES}",
            "journal_mode = WAL",
            "synchronous = FULL",
            f"journal_size_limit = {_WAL_LIMIT_BYTES}",
            "wal_autocheckpoint = 1000",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise OutboxCorrupt(f"schema {version} is not {SCHEMA_VERSION}")
        if version == 0:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        found = {row[0] for row in connection.execute("SELECT name FROM sqlite_master").fetchall()}
        if not found >= _TABLES:
            raise OutboxCorrupt(f"tables are missing: {', '.join(sorted(_TABLES - found))}")
    except sqlite3.Error as error:
        raise failure(error) from error
    return connection


def set_aside(path: Path, now_ns: int) -> Path:
    """Move a file that cannot be trusted out of the way, journals too, and say where it lies.

    The three newest are kept: a disk that keeps on failing must not be filled with its own failures.
    """
    target = path.with_name(f"{path.name}.corrupt-{now_ns}")
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(target.with_name(target.name + suffix))
    kept = sorted(path.parent.glob(f"{path.name}.corrupt-*[0-9]"))
    for old in kept[:-3]:
        for suffix in ("", "-wal", "-shm"):
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    return target
