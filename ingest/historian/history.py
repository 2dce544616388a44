"""What `mitra history` does: export, import, verify, compact."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.contract.ids import is_id
from ingest.historian.compact import HistoryPolicy, upkeep
from ingest.historian.query import Store, quoted, where
from ingest.historian.segments import Kind, Segment, checksum, name_of, segment_of, segments, write
from ingest.views import END_NS, Wanted

REQUIRED = {"machine": pa.string(), "time_ns": pa.int64()}
IMPORT_ROWS = 65_536


class HistoryError(Exception):
    """The history cannot do what was asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a segment."""

    file: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found. missing: (kind, first, last) of ids that lie between segments but in none."""

    n_segments: int
    n_rows: int
    n_bytes: int
    findings: tuple[Finding, ...]
    missing: tuple[tuple[str, int, int], ...]
    by_kind: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """True when nothing is wrong."""
        return not self.findings and not self.missing


def export(
    folder: Path,
    target: Path,
    *,
    kind: Kind = Kind.ROWS,
    machine: str | None = None,
    from_ns: int = 0,
    to_ns: int = END_NS,
    form: Literal["parquet", "csv"] = "parquet",
) -> int:
    """Copy a part of the history into one file; how many rows. Raises HistoryError."""
    wanted = Wanted(machine, from_ns, to_ns)
    condition, values = where(wanted, None)
    options = "FORMAT PARQUET, COMPRESSION ZSTD" if form == "parquet" else "FORMAT CSV, HEADER"

    def copy(db: duckdb.DuckDBPyConnection, source: str) -> int:
        select = f"SELECT * FROM {source} WHERE {condition} ORDER BY time_ns, machine"  # noqa: S608
        counted = db.execute(f"COPY ({select}) TO {quoted(str(target))} ({options})", values).fetchone()
        return int(counted[0]) if counted else 0

    store = Store(folder)
    try:
        n_rows = store.ask(kind, wanted, copy)
    except duckdb.Error as error:
        raise HistoryError(f"{target} could not be written: {error}") from error
    finally:
        store.close()
    return n_rows or 0


def bring_in(folder: Path, files: Sequence[Path]) -> int:
    """Import Parquet files of feature rows (another plant's export, a recording's); how many rows.

    A file needs `machine` and `time_ns`; numeric columns become values, under their name or `v:` + name. The
    same content imported twice is stored once. The folder is made with the first rows. Raises HistoryError,
    and then nothing of that file is stored; OSError when the disk does not take it.
    """
    n_rows = 0
    for path in files:
        try:
            name, ready = _rows_of(path)
        except (pa.ArrowException, OSError) as error:
            raise HistoryError(
                f"{path} was not imported: it cannot be read as a Parquet file of rows ({error}). "
                "`mitra history export` shows what such a file looks like."
            ) from error
        if ready.num_rows:
            write(folder, name, ready, ready.schema)
        n_rows += ready.num_rows
    return n_rows


def _rows_of(path: Path) -> tuple[str, pa.Table]:
    """A file's rows as a segment holds them, and the segment's name; "" for a file without rows."""
    table = pq.read_table(path)
    for name, kind in REQUIRED.items():
        if name not in table.column_names:
            raise HistoryError(
                f"{path} was not imported: it has no column {name!r}; rename the one that holds it"
            )
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    wrong = next((one for one in table["machine"].unique().to_pylist() if not is_id(one)), None)
    if wrong is not None:
        raise HistoryError(
            f"{path} was not imported: {wrong!r} is no machine id; ids match [a-z0-9-]{{1,64}}"
        )
    digest = hashlib.sha256()
    for batch in table.to_batches(IMPORT_ROWS):
        for column in batch.columns:
            for buffer in column.buffers():
                digest.update(buffer or b"")
    columns = {
        "id": pa.nulls(table.num_rows, pa.int64()),
        "machine": table["machine"],
        "time_ns": table["time_ns"],
        "receive_ns": table["receive_ns"] if "receive_ns" in table.column_names else table["time_ns"],
        "historical": pa.array([True] * table.num_rows, pa.bool_()),
        "waveform_kept": pa.array([False] * table.num_rows, pa.bool_()),
    }
    for name, column in zip(table.column_names, table.columns, strict=True):
        numeric = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
        if numeric and name not in (*columns, "n"):
            columns["v:" + name.removeprefix("v:")] = column.cast(pa.float32())
    ready = pa.table(columns).sort_by([("machine", "ascending"), ("time_ns", "ascending")])
    if not ready.num_rows:
        return "", ready
    times = (max(0, ready["time_ns"].to_numpy().min()), max(0, ready["time_ns"].to_numpy().max()))
    return name_of(Kind.ROWS, 0, (0, ready.num_rows - 1), times, digest.hexdigest()[:16]), ready


def verify(folder: Path) -> Report:
    """Read every segment whole: checksums, ids, times, order; and look for ids that are in none."""
    findings: list[Finding] = []
    n_segments = n_rows = n_bytes = 0
    by_kind: dict[str, int] = {}
    for kind in Kind:
        for one in segments(folder, kind):
            n_segments += 1
            n_bytes += one.n_bytes
            counted, wrong = _verify(one)
            n_rows += counted
            by_kind[kind] = by_kind.get(kind, 0) + counted
            findings += [Finding(one.path.name, what) for what in wrong]
    for path in folder.glob("*.parquet") if folder.is_dir() else ():
        if segment_of(path) is None:
            findings.append(Finding(path.name, "is not named as a segment"))
    return Report(n_segments, n_rows, n_bytes, tuple(findings), tuple(_missing(folder)), by_kind)


def _verify(one: Segment) -> tuple[int, list[str]]:
    try:
        if checksum(one.path) != one.crc:
            return 0, ["is damaged: its bytes are not those that were written"]
        table = pq.read_table(one.path)
    except (pa.ArrowException, OSError) as error:
        return 0, [f"cannot be read: {error}"]
    wrong = []
    times = table["time_ns"].to_numpy()
    if (
        one.kind is not Kind.TENS
        and table.num_rows
        and (times.max() > one.to_ns or times.min() < min(one.from_ns, 0))
    ):
        wrong.append("holds times that its name does not say")
    if not one.imported and table.num_rows:
        ids = table["id"].to_numpy()
        if ids.min() < one.first or ids.max() > one.last:
            wrong.append("holds ids that its name does not say")
        if one.kind is Kind.ROWS and len(set(ids.tolist())) != len(ids):
            wrong.append("holds an id twice")
    return table.num_rows, wrong


def _missing(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Ids between the segments of a kind that no segment covers."""
    for kind in (Kind.ROWS, Kind.SCALARS, Kind.JUDGEMENTS):
        reach: int | None = None
        for one in segments(folder, kind):
            if one.imported:
                continue
            if reach is not None and one.first > reach + 1:
                yield kind, reach + 1, one.first - 1
            reach = one.last if reach is None else max(reach, one.last)


def compact(folder: Path, now_ns: int, policy: HistoryPolicy | None = None) -> dict[str, int]:
    """Merge, aggregate, thin and expire at once; counts of what was done. Raises HistoryError."""
    try:
        return upkeep(folder, policy or HistoryPolicy(), now_ns, everything=True)
    except (OSError, duckdb.Error) as error:
        raise HistoryError(
            f"the history in {folder} was not compacted, nothing is damaged: {error}"
        ) from error
