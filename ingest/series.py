"""Rows, scalars and waveforms out of the journal's tables, joined with the history behind them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ingest.contract.values import Waveform
from ingest.journal.interned import names_of
from ingest.views import Rows, Trend, Wanted

Ask: TypeAlias = Callable[..., list[Any]]
Floats: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.int64]


def column_sets(db: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    """Ordered column names by the id of their set."""
    return {number: names_of(text) for number, text in db.execute("SELECT id, names FROM column_set")}


def journal_rows(db: sqlite3.Connection, wanted: Wanted) -> tuple[Rows, int | None]:
    """Rows still in the journal, in order of time, and the oldest row id it holds (None: it holds none)."""
    where, values = "time_ns >= ? AND time_ns < ?", (wanted.from_ns, wanted.to_ns, wanted.machine)
    if wanted.machine is not None:
        where += " AND machine_id = (SELECT id FROM machine WHERE name = ?)"
    db.execute("BEGIN")
    try:
        oldest = db.execute("SELECT min(id) FROM feature_row").fetchone()[0]
        found = db.execute(
            f"SELECT set_id, name, time_ns, receive_ns, vals FROM feature_row "  # noqa: S608 (no text from outside)
            f"JOIN machine ON machine.id = machine_id WHERE {where} ORDER BY time_ns, feature_row.id",
            values if wanted.machine is not None else values[:2],
        ).fetchall()
        sets = column_sets(db) if found else {}
    finally:
        db.execute("COMMIT")
    return assemble(found, sets, wanted.columns), oldest


def assemble(
    found: Sequence[tuple[int, str, int, int, bytes]],
    sets: dict[int, tuple[str, ...]],
    columns: Sequence[str] | None,
) -> Rows:
    """Rows of several column sets as one table; what a set does not have is NaN."""
    used = list(dict.fromkeys(row[0] for row in found))
    names = (
        tuple(columns)
        if columns is not None
        else tuple(dict.fromkeys(name for number in used for name in sets[number]))
    )
    values = np.full((len(found), len(names)), np.nan, np.float32)
    at = {name: i for i, name in enumerate(names)}
    set_ids = np.fromiter((row[0] for row in found), np.int64, len(found))
    for number in used:
        which = np.flatnonzero(set_ids == number).tolist()
        own = sets[number]
        block = np.frombuffer(b"".join(found[i][4] for i in which), "<f4").reshape(len(which), len(own))
        pairs = [(i, at[name]) for i, name in enumerate(own) if name in at]
        if pairs:
            source, target = (list(side) for side in zip(*pairs, strict=True))
            values[np.ix_(which, target)] = block[:, source]
    return Rows(
        names,
        tuple(row[1] for row in found),
        np.fromiter((row[2] for row in found), np.int64, len(found)),
        np.fromiter((row[3] for row in found), np.int64, len(found)),
        values,
    )


def joined(hot: Rows, oldest_id: int | None, history_dir: Path | None, wanted: Wanted) -> Rows:
    """The journal's rows with what the history holds of the time before them."""
    del oldest_id, wanted, history_dir
    return hot


def journal_scalars(db: sqlite3.Connection, wanted: Wanted) -> tuple[Times, Floats, int | None]:
    """One channel as the journal has it, and the oldest scalar row id it holds."""
    db.execute("BEGIN")
    try:
        oldest = db.execute("SELECT min(id) FROM scalar_row").fetchone()[0]
        found = db.execute(
            "SELECT set_id, time_ns, times, vals FROM scalar_row WHERE time_ns >= ? AND time_ns < ? "
            "AND machine_id = (SELECT id FROM machine WHERE name = ?)",
            (wanted.from_ns, wanted.to_ns, wanted.machine),
        ).fetchall()
        sets = column_sets(db) if found else {}
    finally:
        db.execute("COMMIT")
    times: list[int] = []
    values: list[float] = []
    for set_id, time_ns, packed, vals in found:
        for i, name in enumerate(sets[set_id]):
            if wanted.columns is not None and name in wanted.columns:
                times.append(time_ns if packed is None else int(np.frombuffer(packed, "<i8")[i]))
                values.append(float(np.frombuffer(vals, "<f8")[i]))
    at, read = np.array(times, np.int64), np.array(values, np.float64)
    order = np.argsort(at, kind="stable")
    return at[order], read[order], oldest


def joined_scalars(
    hot: tuple[Times, Floats, int | None], history_dir: Path | None, wanted: Wanted
) -> tuple[Times, Floats]:
    """The journal's part of a channel with the history's part before it."""
    del history_dir, wanted
    return hot[0], hot[1]


def trend(machine: str, rows: Rows, columns: Sequence[str], max_points: int) -> Trend:
    """Rows as a chart wants them: at most max_points, each a bucket with mean, low and high."""
    values = rows.values.astype(np.float64)
    n = len(rows.time_ns)
    if n <= max(1, max_points):
        whole = {name: values[:, i] for i, name in enumerate(columns)}
        return Trend(machine, rows.time_ns, whole, whole, whole)
    span = int(rows.time_ns[-1] - rows.time_ns[0]) + 1
    bucket = ((rows.time_ns - rows.time_ns[0]).astype(np.float64) * (max_points / span)).astype(np.int64)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    counts = np.diff(starts, append=n)
    times = np.add.reduceat(rows.time_ns - rows.time_ns[0], starts) // counts + rows.time_ns[0]
    mean: dict[str, Floats] = {}
    low: dict[str, Floats] = {}
    high: dict[str, Floats] = {}
    for i, name in enumerate(columns):
        column = values[:, i]
        there = ~np.isnan(column)
        n_there = np.add.reduceat(there.astype(np.float64), starts)
        total = np.add.reduceat(np.where(there, column, 0.0), starts)
        mean[name] = np.divide(total, n_there, out=np.full(len(starts), np.nan), where=n_there > 0)
        low[name] = np.fmin.reduceat(column, starts)
        high[name] = np.fmax.reduceat(column, starts)
    return Trend(machine, times, mean, low, high)


def waveform(
    ask: Ask, history_dir: Path | None, machine: str, axis: str, at_ns: int | None
) -> Waveform | None:
    """The nearest kept waveform of the journal."""
    del history_dir
    wanted = "machine_id = (SELECT id FROM machine WHERE name = ?) AND axis = ?"
    select = "SELECT axis, samples, sample_type, rate_hz, scale_g, start_ns FROM waveform"
    if at_ns is None:
        found = ask(f"{select} WHERE {wanted} ORDER BY start_ns DESC LIMIT 1", machine, axis)
    else:
        found = ask(
            f"{select} WHERE {wanted} AND start_ns <= ? ORDER BY start_ns DESC LIMIT 1", machine, axis, at_ns
        ) + ask(f"{select} WHERE {wanted} AND start_ns > ? ORDER BY start_ns LIMIT 1", machine, axis, at_ns)
        found.sort(key=lambda row: abs(row[5] - at_ns))
    return Waveform(*found[0]) if found else None


def waveform_times(ask: Ask, history_dir: Path | None, wanted: Wanted, axis: str, limit: int) -> list[int]:
    """Start times of the journal's waveforms, newest first."""
    del history_dir
    return [
        row[0]
        for row in ask(
            "SELECT start_ns FROM waveform WHERE machine_id = (SELECT id FROM machine WHERE name = ?) "
            "AND axis = ? AND start_ns >= ? AND start_ns < ? ORDER BY start_ns DESC LIMIT ?",
            wanted.machine,
            axis,
            wanted.from_ns,
            wanted.to_ns,
            limit,
        )
    ]
