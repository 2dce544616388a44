"""Rows, scalars and waveforms out of the journal's tables, joined with the history behind them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ingest.contract.values import Waveform
from ingest.historian import query
from ingest.historian.planes import unplanes
from ingest.historian.query import Store
from ingest.journal.interned import column_sets
from ingest.views import END_NS, Rows, Trend, Wanted

Ask: TypeAlias = Callable[..., list[Any]]
Floats: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.int64]


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


def joined(hot: Rows, oldest_id: int | None, store: Store | None, wanted: Wanted) -> Rows:
    """The journal's rows with what the history holds of the time before them."""
    found = query.rows(store, wanted, oldest_id) if store is not None else None
    if found is None or not len(found[1]["time_ns"]):
        return hot
    held, columns = found
    n_old, n_hot = len(columns["time_ns"]), len(hot.time_ns)
    names = wanted.columns if wanted.columns is not None else tuple(dict.fromkeys((*held, *hot.names)))
    values = np.full((n_old + n_hot, len(names)), np.nan, np.float32)
    at = {name: i for i, name in enumerate(names)}
    if held:
        values[:n_old, [at[name] for name in held]] = query.values_of(columns, held, n_old)
    if hot.names:
        values[n_old:, [at[name] for name in hot.names]] = hot.values
    times = np.concatenate([columns["time_ns"], hot.time_ns])
    order = np.argsort(times, kind="stable")
    machines = [*columns["machine"].tolist(), *hot.machines]
    return Rows(
        names,
        tuple(machines[i] for i in order.tolist()),
        times[order],
        np.concatenate([columns["receive_ns"], hot.receive_ns])[order],
        values[order],
    )


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
    hot: tuple[Times, Floats, int | None], store: Store | None, wanted: Wanted
) -> tuple[Times, Floats]:
    """The journal's part of a channel with the history's part before it."""
    found = query.scalars(store, wanted, hot[2]) if store is not None else None
    if found is None:
        return hot[0], hot[1]
    times, values = np.concatenate([found[0], hot[0]]), np.concatenate([found[1], hot[1]])
    order = np.argsort(times, kind="stable")
    return times[order], values[order]


def journal_judgements(db: sqlite3.Connection, wanted: Wanted) -> tuple[list[bytes], int | None]:
    """Judgements still in the journal, in order of time, and the oldest id it holds."""
    db.execute("BEGIN")
    try:
        oldest = db.execute("SELECT min(id) FROM judgement").fetchone()[0]
        found = db.execute(
            "SELECT body FROM judgement WHERE machine_id = (SELECT id FROM machine WHERE name = ?) "
            "AND time_ns >= ? AND time_ns < ? ORDER BY time_ns, id",
            (wanted.machine, wanted.from_ns, wanted.to_ns),
        ).fetchall()
    finally:
        db.execute("COMMIT")
    return [row[0] for row in found], oldest


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


def waveform(ask: Ask, store: Store | None, wanted: Wanted, axis: str, at_ns: int | None) -> Waveform | None:
    """The nearest kept waveform; the journal's newest when at_ns is None and it has one."""
    machine = wanted.machine
    own = "machine_id = (SELECT id FROM machine WHERE name = ?) AND axis = ?"
    select = f"SELECT axis, samples, sample_type, rate_hz, scale_g, start_ns FROM waveform WHERE {own}"  # noqa: S608
    if at_ns is None:
        found = ask(f"{select} ORDER BY start_ns DESC LIMIT 1", machine, axis)
    else:
        found = ask(f"{select} AND start_ns <= ? ORDER BY start_ns DESC LIMIT 1", machine, axis, at_ns)
        found += ask(f"{select} AND start_ns > ? ORDER BY start_ns LIMIT 1", machine, axis, at_ns)
    is_exact = bool(found) and (at_ns is None or any(row[5] == at_ns for row in found))
    if store is not None and not is_exact:  # nothing in the history can be nearer
        found += [
            (one[0], unplanes(one[1], one[2]), *one[2:])
            for one in query.waves(store, wanted, axis, END_NS if at_ns is None else at_ns)
        ]
    if not found:
        return None
    return Waveform(*min(found, key=lambda row: abs(row[5] - (END_NS if at_ns is None else at_ns))))


def waveforms(
    ask: Ask, store: Store | None, machine: str, axis: str, starts: Sequence[int]
) -> tuple[Waveform, ...]:
    """The kept waveforms that begin at these times, oldest first; those that are gone by now are left out."""
    marks = ", ".join("?" * len(starts))
    rows = ask(
        "SELECT axis, samples, sample_type, rate_hz, scale_g, start_ns FROM waveform "  # noqa: S608
        f"WHERE machine_id = (SELECT id FROM machine WHERE name = ?) AND axis = ? AND start_ns IN ({marks})",
        machine,
        axis,
        *starts,
    )
    found = {row[5]: row for row in rows}
    missing = [start for start in starts if start not in found]
    for one in query.waves_at(store, machine, axis, missing) if store is not None else ():
        found[one[5]] = (one[0], unplanes(one[1], one[2]), *one[2:])
    return tuple(Waveform(*found[start]) for start in sorted(found))


def waveform_times(ask: Ask, store: Store | None, wanted: Wanted, axis: str, limit: int) -> list[int]:
    """Start times of the kept waveforms, newest first."""
    held = query.wave_times(store, wanted, axis, limit) if store is not None else []
    fresh = ask(
        "SELECT start_ns FROM waveform WHERE machine_id = (SELECT id FROM machine WHERE name = ?) "
        "AND axis = ? AND start_ns >= ? AND start_ns < ? ORDER BY start_ns DESC LIMIT ?",
        wanted.machine,
        axis,
        wanted.from_ns,
        wanted.to_ns,
        limit,
    )
    return sorted({*held, *(row[0] for row in fresh)}, reverse=True)[:limit]


def since(rows: Rows, from_ns: int) -> Rows:
    """The rows from from_ns on."""
    first = int(np.searchsorted(rows.time_ns, from_ns))
    return Rows(
        rows.names, rows.machines[first:], rows.time_ns[first:], rows.receive_ns[first:], rows.values[first:]
    )


def long_trend(hot: Rows, store: Store, wanted: Wanted, max_points: int) -> Trend:
    """A trend over days: ten-minute aggregates, and the journal's rows after them."""
    columns = wanted.columns or ()
    held = query.tens(store, wanted)
    if held is None or not len(held["time_ns"]):
        return trend(wanted.machine or "", hot, columns, max_points)
    # The last ten minutes of the history may be unfinished: a journal that has them whole tells them better.
    last_ns, n_old = int(held["time_ns"][-1]), len(held["time_ns"])
    if len(hot.time_ns) and hot.time_ns[0] <= last_ns:
        n_old -= 1
    else:
        last_ns += query.TEN_MINUTES_NS
    whole = trend(wanted.machine or "", since(hot, last_ns), columns, max_points)
    step = max(1, -(-n_old // max(1, max_points)))
    starts = np.arange(0, n_old, step)

    def old(prefix: str, name: str, how: np.ufunc) -> Floats:
        column = held[f"{prefix}:{name}"]
        filled = np.ma.filled(column.astype(np.float64), np.nan)[:n_old]
        return how.reduceat(filled, starts) if n_old else filled

    def joined_by(prefix: str, how: np.ufunc, fresh: Mapping[str, Floats]) -> dict[str, Floats]:
        return {name: np.concatenate([old(prefix, name, how), fresh[name]]) for name in columns}

    counts = np.diff(starts, append=n_old)
    means = joined_by("m", np.add, whole.values)
    for name in columns:
        means[name][: len(starts)] /= counts
    return Trend(
        wanted.machine or "",
        np.concatenate([held["time_ns"][:n_old][starts], whole.time_ns]),
        means,
        joined_by("l", np.fmin, whole.low),
        joined_by("h", np.fmax, whole.high),
    )
