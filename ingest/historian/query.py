"""Reading segments through DuckDB. A file that is merged into another meanwhile is looked for again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
from numpy.typing import NDArray

from ingest.historian.segments import Kind, Segment, segments
from ingest.views import Wanted

T = TypeVar("T")
TRIES = 5
MEMORY = "512MB"
VALUE = "v:"
TEN_MINUTES_NS = 600_000_000_000


class Store:
    """A DuckDB connection over a history folder; usable from several threads, one query at a time.

    Raises duckdb.Error when a segment is damaged; `mitra history verify` names it.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._db = duckdb.connect(":memory:", config={"threads": threads, "memory_limit": MEMORY})

    def ask(self, kind: Kind, wanted: Wanted, use: Callable[[duckdb.DuckDBPyConnection, str], T]) -> T | None:
        """Run use(connection, source) on the segments that may hold what is wanted; None when there are none.

        source is a `read_parquet(...)` of them all, columns united by name.
        """
        for left in reversed(range(TRIES)):
            files = self.files(kind, wanted)
            if not files:
                return None
            try:
                with self._lock:
                    return use(self._db, source_of(files))
            except (duckdb.IOException, duckdb.InvalidInputException):
                if left == 0 or all(one.path.exists() for one in files):
                    raise
        return None

    def run(self, use: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run use(connection), again when a file went away meanwhile."""
        for left in reversed(range(TRIES)):
            try:
                with self._lock:
                    return use(self._db)
            except duckdb.IOException:
                if left == 0:
                    raise
        raise AssertionError("the last try returns or raises")

    def files(self, kind: Kind, wanted: Wanted) -> list[Segment]:
        """Segments that may hold something of the wanted time."""
        return [one for one in segments(self.folder, kind) if one.overlaps(wanted.from_ns, wanted.to_ns)]

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()


def source_of(files: Sequence[Segment]) -> str:
    """A table function over the files."""
    listed = ", ".join(quoted(str(one.path)) for one in files)
    return f"read_parquet([{listed}], union_by_name = true)"


def columns_of(db: duckdb.DuckDBPyConnection, source: str) -> list[str]:
    """Names of the columns of a source."""
    described = db.execute(f"DESCRIBE SELECT * FROM {source}")  # noqa: S608
    return [row[0] for row in described.fetchall()]


def quoted(text: str) -> str:
    """A string literal.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def named(text: str) -> str:
    """A quoted name.

    >>> named('a"b')
    '"a""b"'
    """
    return '"' + text.replace('"', '""') + '"'


def where(wanted: Wanted, before_id: int | None) -> tuple[str, list[Any]]:
    """The condition of one wanted part, and its values. before_id: the first that the journal has itself."""
    text = "time_ns >= ? AND time_ns < ?"
    values: list[Any] = [wanted.from_ns, wanted.to_ns]
    if wanted.machine is not None:
        text += " AND machine = ?"
        values.append(wanted.machine)
    if before_id is not None:
        text += " AND (id IS NULL OR id < ?)"
        values.append(before_id)
    return text, values


def rows(
    store: Store, wanted: Wanted, before_id: int | None
) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    """Feature rows as arrays by column, in order of time, and the names of the value columns."""

    def use(db: duckdb.DuckDBPyConnection, source: str) -> tuple[tuple[str, ...], dict[str, Any]]:
        there = columns_of(db, source)
        held = [name[len(VALUE) :] for name in there if name.startswith(VALUE)]
        names = tuple(held if wanted.columns is None else [name for name in wanted.columns if name in held])
        listed = ", ".join(["machine", "time_ns", "receive_ns", *(named(VALUE + name) for name in names)])
        condition, values = where(wanted, before_id)
        query = f"SELECT {listed} FROM {source} WHERE {condition} ORDER BY time_ns, id"  # noqa: S608 (quoted)
        return names, db.execute(query, values).fetchnumpy()

    return store.ask(Kind.ROWS, wanted, use)


def values_of(columns: dict[str, Any], names: Sequence[str], n_rows: int) -> NDArray[np.float32]:
    """(n, len(names)) float32 of what `rows` found; NULL becomes NaN."""
    values = np.full((n_rows, len(names)), np.nan, np.float32)
    for i, name in enumerate(names):
        column = columns[VALUE + name]
        values[:, i] = np.ma.filled(column, np.nan) if np.ma.isMaskedArray(column) else column
    return values


def scalars(
    store: Store, wanted: Wanted, before_id: int | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """One channel: times and values, in order of time."""

    def use(db: duckdb.DuckDBPyConnection, source: str) -> dict[str, Any]:
        condition, values = where(wanted, before_id)
        query = (
            f"SELECT time_ns, value FROM {source} WHERE {condition} AND channel = ? "  # noqa: S608
            "ORDER BY time_ns, id"
        )
        return db.execute(query, [*values, *(wanted.columns or ())]).fetchnumpy()

    found = store.ask(Kind.SCALARS, wanted, use)
    if found is None:
        return None
    value = found["value"]
    return found["time_ns"], np.ma.filled(value, np.nan) if np.ma.isMaskedArray(value) else value


def waves(store: Store, wanted: Wanted, axis: str, at_ns: int) -> list[Any]:
    """The kept waveform nearest to at_ns: (axis, samples as stored, type, rate, scale, start), or nothing."""

    def use(db: duckdb.DuckDBPyConnection, source: str) -> list[Any]:
        query = (
            f"SELECT axis, samples, sample_type, rate_hz, scale_g, time_ns FROM {source} "  # noqa: S608
            "WHERE machine = ? AND axis = ? ORDER BY abs(time_ns - ?) LIMIT 1"
        )
        return db.execute(query, [wanted.machine, axis, at_ns]).fetchall()

    nearest = sorted(
        store.files(Kind.WAVES, Wanted(wanted.machine)),
        key=lambda one: max(one.from_ns - at_ns, at_ns - one.to_ns, 0),
    )
    best: list[Any] = []
    for one in nearest:
        if best and abs(best[0][5] - at_ns) <= max(one.from_ns - at_ns, at_ns - one.to_ns, 0):
            break
        found = store.ask(Kind.WAVES, Wanted(wanted.machine, one.from_ns, one.to_ns + 1), use) or []
        if found and (not best or abs(found[0][5] - at_ns) < abs(best[0][5] - at_ns)):
            best = found
    return best


def waves_at(store: Store, machine: str, axis: str, starts: Sequence[int]) -> list[Any]:
    """The kept waveforms that begin exactly then, in one question: as of `waves`, in no order."""
    if not starts:
        return []

    def use(db: duckdb.DuckDBPyConnection, source: str) -> list[Any]:
        marks = ", ".join("?" * len(starts))
        query = (
            f"SELECT axis, samples, sample_type, rate_hz, scale_g, time_ns FROM {source} "  # noqa: S608
            f"WHERE machine = ? AND axis = ? AND time_ns IN ({marks})"
        )
        return db.execute(query, [machine, axis, *starts]).fetchall()

    return store.ask(Kind.WAVES, Wanted(machine, min(starts), max(starts) + 1), use) or []


def wave_times(store: Store, wanted: Wanted, axis: str, limit: int) -> list[int]:
    """Start times of kept waveforms, newest first."""

    def use(db: duckdb.DuckDBPyConnection, source: str) -> list[int]:
        condition, values = where(wanted, None)
        query = f"SELECT time_ns FROM {source} WHERE {condition} AND axis = ? ORDER BY time_ns DESC LIMIT ?"  # noqa: S608
        return [row[0] for row in db.execute(query, [*values, axis, limit]).fetchall()]

    return store.ask(Kind.WAVES, wanted, use) or []


def judgements(store: Store, wanted: Wanted, before_id: int | None) -> list[bytes]:
    """Judgements as they were encoded, in order of time."""

    def use(db: duckdb.DuckDBPyConnection, source: str) -> list[bytes]:
        condition, values = where(wanted, before_id)
        query = f"SELECT body FROM {source} WHERE {condition} ORDER BY time_ns, id"  # noqa: S608
        return [row[0] for row in db.execute(query, values).fetchall()]

    return store.ask(Kind.JUDGEMENTS, wanted, use) or []


def tens(store: Store, wanted: Wanted) -> dict[str, Any] | None:
    """Ten-minute points of one machine from the aggregates, and from rows that none covers yet.

    time_ns (n,), and for each wanted column the mean `m:`, lowest `l:` and highest `h:`; partial aggregates
    of the same ten minutes are added up, weighted by their rows.
    """
    held = segments(store.folder, Kind.TENS)
    loose = [one for one in store.files(Kind.ROWS, wanted) if not covered(one, held)]
    kept = [one for one in held if one.overlaps(wanted.from_ns, wanted.to_ns)]
    condition, values = where(wanted, None)

    def parts(db: duckdb.DuckDBPyConnection) -> dict[str, Any] | None:
        unions: list[str] = []
        for files, made in ((kept, True), (loose, False)):
            if files:
                source = source_of(files)
                there = set(columns_of(db, source))
                picked = ", ".join(_point(name, there, made=made) for name in wanted.columns or ())
                count = "n" if made else "1::BIGINT AS n"
                unions.append(f"SELECT time_ns, {count}, {picked} FROM {source} WHERE {condition}")  # noqa: S608
        if not unions:
            return None
        sums = ", ".join(_sum(name) for name in wanted.columns or ())
        query = (
            f"SELECT time_ns // {TEN_MINUTES_NS} * {TEN_MINUTES_NS} AS time_ns, {sums} "  # noqa: S608
            f"FROM ({' UNION ALL '.join(unions)}) GROUP BY 1 ORDER BY 1"
        )
        return db.execute(query, values * len(unions)).fetchnumpy()

    return store.run(parts)


def _point(name: str, there: set[str], *, made: bool) -> str:
    """Mean, lowest and highest of one column in one source: of aggregates, or of rows themselves."""
    picked = []
    for prefix in ("m:", "l:", "h:"):
        column = (prefix if made else VALUE) + name
        value = f"nullif({named(column)}, 'nan'::FLOAT)" if column in there else "NULL::FLOAT"
        picked.append(f"{value} AS {named(prefix + name)}")
    return ", ".join(picked)


def _sum(name: str) -> str:
    mean, low, high = (named(prefix + name) for prefix in ("m:", "l:", "h:"))
    weight = f"sum(n) FILTER (WHERE {mean} IS NOT NULL)"
    return f"sum({mean} * n) / {weight} AS {mean}, min({low}) AS {low}, max({high}) AS {high}"


def covered(rows_of: Segment, held: Sequence[Segment]) -> bool:
    """True when the aggregates hold all of a segment of rows."""
    return any(
        ten.set_id == rows_of.set_id
        and ten.imported == rows_of.imported
        and ten.first <= rows_of.first
        and rows_of.last <= ten.last
        for ten in held
    )
