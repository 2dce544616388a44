"""From the journal into segments, and out of the journal what is safe in segments and no longer fresh."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ingest.historian.segments import Kind, name_of, write
from ingest.historian.tables import SOURCES, Source
from ingest.journal.journal import Journal

NS_PER_S = 1_000_000_000
DELETED_AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class HotPolicy:
    """How long the journal itself keeps what the history has too, and its dedup digests and old batches."""

    hot_s: float = 3_600.0
    waves_s: float = 900.0
    digests_s: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        if self.hot_s < 0 or self.waves_s < 0 or self.digests_s < 0:
            raise ValueError("the journal cannot keep things for a negative time")


def mark_of(source: Source) -> str:
    """Name under which the journal remembers how far a table is exported."""
    return f"history_{source.table}"


def export(journal: Journal, db: sqlite3.Connection, folder: Path, *, at_least: int = 1) -> dict[str, int]:
    """Write what is new into segments, read through `db`; rows by kind. Tables with fewer new rows wait.

    The mark moves after the files are in place: a crash between the two exports the same rows once more,
    under a name that supersedes, or equals, the first.
    """
    done: dict[str, int] = {}
    for source in SOURCES:
        while True:
            n_rows = _export_chunk(journal, db, folder, source, at_least)
            done[source.kind] = done.get(source.kind, 0) + n_rows
            if n_rows < source.chunk:
                break
    return done


def _export_chunk(
    journal: Journal, db: sqlite3.Connection, folder: Path, source: Source, at_least: int
) -> int:
    mark = journal.meta(mark_of(source))
    first = (mark if isinstance(mark, int) else 0) + 1
    db.execute("BEGIN")
    try:
        last, n_rows = db.execute(
            f"SELECT max(id), count(*) FROM "  # noqa: S608
            f"(SELECT id FROM {source.table} WHERE id >= ? ORDER BY id LIMIT ?)",
            (first, source.chunk),
        ).fetchone()
        if n_rows < max(1, at_least):
            return 0
        pieces = list(source.read(db, first, last))
    finally:
        db.execute("COMMIT")
    for set_id, table in pieces:
        write(folder, name_of(source.kind, set_id, (first, last), span_of(table)), table, table.schema)
    journal.remember(mark_of(source), last)
    return int(n_rows)


def span_of(table: pa.Table) -> tuple[int, int]:
    """First and last sensor time of a table; a negative time counts as 0."""
    low, high = pc.min(table["time_ns"]).as_py(), pc.max(table["time_ns"]).as_py()
    return max(0, low), max(0, high)


def forget(journal: Journal, policy: HotPolicy, now_ns: int) -> int:
    """Delete from the journal what the history has and nobody needs fresh; how many rows."""
    n_deleted = 0
    for source in SOURCES:
        mark = journal.meta(mark_of(source))
        if isinstance(mark, int):
            kept_s = policy.waves_s if source.kind is Kind.WAVES else policy.hot_s
            before = (source.age, now_ns - int(kept_s * NS_PER_S))
            n_deleted += journal.forget(source.table, mark, before, DELETED_AT_A_TIME)
    n_deleted += journal.forget_batches(DELETED_AT_A_TIME)
    n_deleted += journal.forget_digests(now_ns - int(policy.digests_s * NS_PER_S), DELETED_AT_A_TIME)
    return n_deleted
