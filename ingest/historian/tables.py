"""Journal tables as Arrow tables, ready to become segments. Every one has its journal id in `id`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ingest.historian.planes import planes
from ingest.historian.segments import Kind
from ingest.journal.interned import column_sets

Piece: TypeAlias = tuple[int, pa.Table]


@dataclass(frozen=True, slots=True)
class Source:
    """How one journal table becomes segments of one kind. age: the column that says how old a row is.

    read: (journal, first, last) -> pieces by column set; chunk: rows a segment takes at most.
    """

    kind: Kind
    table: str
    age: str
    chunk: int
    read: Callable[[sqlite3.Connection, int, int], Iterator[Piece]]


def _names(db: sqlite3.Connection) -> dict[int, str]:
    return dict(db.execute("SELECT id, name FROM machine").fetchall())


def _between(db: sqlite3.Connection, select: str, first: int, last: int) -> list[Any]:
    ordered = f"{select} WHERE id BETWEEN ? AND ? ORDER BY machine_id, 3, id"
    return db.execute(ordered, (first, last)).fetchall()


def _rows(db: sqlite3.Connection, first: int, last: int) -> Iterator[Piece]:
    found = _between(
        db,
        "SELECT id, machine_id, time_ns, receive_ns, set_id, historical, waveform_kept, vals "
        "FROM feature_row",
        first,
        last,
    )
    names, sets = _names(db), column_sets(db)
    for set_id in sorted({row[4] for row in found}):
        own = [row for row in found if row[4] == set_id]
        columns = sets[set_id]
        values = np.frombuffer(b"".join(row[7] for row in own), "<f4").reshape(len(own), len(columns))
        table = {
            "id": pa.array([row[0] for row in own], pa.int64()),
            "machine": pa.array([names[row[1]] for row in own], pa.string()),
            "time_ns": pa.array([row[2] for row in own], pa.int64()),
            "receive_ns": pa.array([row[3] for row in own], pa.int64()),
            "historical": pa.array([bool(row[5]) for row in own], pa.bool_()),
            "waveform_kept": pa.array([bool(row[6]) for row in own], pa.bool_()),
        }
        for i, column in enumerate(columns):
            table[f"v:{column}"] = pa.array(np.ascontiguousarray(values[:, i]), pa.float32())
        yield set_id, pa.table(table)


def _scalars(db: sqlite3.Connection, first: int, last: int) -> Iterator[Piece]:
    found = _between(
        db, "SELECT id, machine_id, time_ns, receive_ns, set_id, times, vals FROM scalar_row", first, last
    )
    names, sets = _names(db), column_sets(db)
    columns: dict[str, list[Any]] = {name: [] for name in ("id", "machine", "channel", "time_ns", "value")}
    for number, machine_id, time_ns, _, set_id, times, vals in found:
        channels = sets[set_id]
        columns["id"] += [number] * len(channels)
        columns["machine"] += [names[machine_id]] * len(channels)
        columns["channel"] += channels
        columns["time_ns"] += (
            [time_ns] * len(channels) if times is None else np.frombuffer(times, "<i8").tolist()
        )
        columns["value"] += np.frombuffer(vals, "<f8").tolist()
    if found:
        yield 0, pa.table(columns, SCALARS)


def _waves(db: sqlite3.Connection, first: int, last: int) -> Iterator[Piece]:
    found = _between(
        db,
        "SELECT id, machine_id, start_ns, receive_ns, axis, rate_hz, scale_g, sample_type, kept_for, samples "
        "FROM waveform",
        first,
        last,
    )
    names = _names(db)
    if found:
        columns = list(zip(*found, strict=True))
        columns[1] = tuple(names[number] for number in columns[1])
        columns[9] = tuple(planes(row[9], row[7]) for row in found)
        yield 0, pa.table([list(column) for column in columns], WAVES)


def _judgements(db: sqlite3.Connection, first: int, last: int) -> Iterator[Piece]:
    found = _between(
        db,
        "SELECT id, machine_id, time_ns, condition, zone, fault, score, health, body FROM judgement",
        first,
        last,
    )
    names = _names(db)
    if found:
        columns = list(zip(*found, strict=True))
        columns[1] = tuple(names[number] for number in columns[1])
        yield 0, pa.table([list(column) for column in columns], JUDGEMENTS)


SCALARS = pa.schema(
    {
        "id": pa.int64(),
        "machine": pa.string(),
        "channel": pa.string(),
        "time_ns": pa.int64(),
        "value": pa.float64(),
    }
)
WAVES = pa.schema(
    {
        "id": pa.int64(),
        "machine": pa.string(),
        "time_ns": pa.int64(),
        "receive_ns": pa.int64(),
        "axis": pa.string(),
        "rate_hz": pa.float64(),
        "scale_g": pa.float64(),
        "sample_type": pa.string(),
        "kept_for": pa.string(),
        "samples": pa.binary(),
    }
)
JUDGEMENTS = pa.schema(
    {
        "id": pa.int64(),
        "machine": pa.string(),
        "time_ns": pa.int64(),
        "condition": pa.string(),
        "zone": pa.string(),
        "fault": pa.string(),
        "score": pa.float64(),
        "health": pa.float64(),
        "body": pa.binary(),
    }
)

SOURCES = (
    Source(Kind.ROWS, "feature_row", "receive_ns", 65_536, _rows),
    Source(Kind.SCALARS, "scalar_row", "receive_ns", 65_536, _scalars),
    Source(Kind.WAVES, "waveform", "receive_ns", 1_024, _waves),
    Source(Kind.JUDGEMENTS, "judgement", "time_ns", 65_536, _judgements),
)
