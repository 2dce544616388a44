"""CSV and Parquet: columns of one long signal, or rows of scalars with their own time."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from edge.sensors.readers import Facts, Frame, Frames, RecordingError, Wanted
from edge.sensors.readers.arrays import ArrayFrames

NS_PER: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DELIMITERS: Final = (",", ";", "\t")
MAX_ROWS: Final = 50_000_000


class RowFrames:
    """Rows of scalars, one message a row. times_ns: (n,) or None; columns: by channel, each (n,)."""

    def __init__(
        self, times_ns: NDArray[np.int64] | None, columns: Mapping[str, NDArray[np.float64]]
    ) -> None:
        self._times_ns = times_ns
        self._columns = columns
        self._n = len(next(iter(columns.values())))

    @property
    def facts(self) -> Facts:
        """A table of scalars says nothing about itself."""
        return Facts()

    def __len__(self) -> int:
        """How many rows there are."""
        return self._n

    def frame(self, index: int) -> Frame:
        """A row; values that are missing are left out."""
        row = {channel: float(column[index]) for channel, column in self._columns.items()}
        known = {channel: value for channel, value in row.items() if not math.isnan(value)}
        time_ns = None if self._times_ns is None else int(self._times_ns[index])
        return Frame(index, scalars=known, time_ns=time_ns)

    def close(self) -> None:
        """Nothing is held open."""


def read_csv(path: Path, wanted: Wanted) -> Frames:
    """A CSV file, also gzipped. Rows without a single usable number (stray headers) are left out."""
    try:
        with _text(path) as file:
            first = file.readline()
            delimiter = wanted.delimiter or max(DELIMITERS, key=first.count)
            header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
            return _frames(wanted, header, path, lambda picks: _rows(file, delimiter, picks))
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path.name} is not UTF-8 text; save it as UTF-8.") from error
    except (csv.Error, gzip.BadGzipFile, EOFError) as error:
        raise RecordingError(f"{path.name} is no CSV text: {error}") from error


def read_parquet(path: Path, wanted: Wanted) -> Frames:
    """A Parquet file; only the columns asked for are read."""
    try:
        header = pq.read_schema(path).names

        def values(picks: Sequence[int]) -> list[list[object]]:
            names = [header[pick] for pick in picks]
            table = pq.read_table(path, columns=names)
            return [_plain(table.column(name)) for name in names]

        return _frames(wanted, header, path, values)
    except pa.ArrowInvalid as error:
        raise RecordingError(f"{path.name} is no Parquet file: {error}") from error


def _frames(
    wanted: Wanted, header: Sequence[str], path: Path, values: Callable[[Sequence[int]], list[list[Any]]]
) -> Frames:
    """Blocks or rows out of a table. values: the columns at these places, as lists."""
    if not header:
        raise RecordingError(f"{path.name} is empty, so there is nothing to read; check how it was exported.")
    names = list(wanted.channels) or list(wanted.columns) or list(header)
    missing = [name for name in (*names, *([wanted.time] if wanted.time else [])) if name not in header]
    if missing:
        raise RecordingError(
            f"{path.name} has no column {missing[0]!r}; it has: {', '.join(header)[:400]}. "
            "Correct columns, channels or time."
        )
    picks = [header.index(name) for name in names] + ([header.index(wanted.time)] if wanted.time else [])
    columns = values(picks)
    numbers = [_numbers(column) for column in columns[: len(names)]]
    usable = ~np.all(np.isnan(numbers), axis=0) if numbers[0].size else np.zeros(0, bool)
    if not usable.any():
        raise RecordingError(f"{path.name} holds no rows of numbers in {', '.join(names)[:200]}.")
    if not wanted.channels:
        signal = np.stack([column[usable] for column in numbers], axis=1)
        return ArrayFrames(np.nan_to_num(signal), _by_number(wanted, len(names)), Facts())
    times_ns = None
    if wanted.time:
        stamps = [_time_ns(one, wanted.time_unit) for one in columns[-1]]
        usable &= np.array([stamp is not None for stamp in stamps])
        times_ns = np.array([stamp or 0 for stamp in stamps], np.int64)[usable]
    return RowFrames(
        times_ns,
        {wanted.channels[name]: column[usable] for name, column in zip(names, numbers, strict=True)},
    )


def _by_number(wanted: Wanted, n_columns: int) -> Wanted:
    """The columns were picked by name already; the array has them in that order."""
    return Wanted(columns=tuple(str(one) for one in range(n_columns)), block_samples=wanted.block_samples)


def _text(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _rows(file: IO[str], delimiter: str, picks: Sequence[int]) -> list[list[object]]:
    """The picked columns of all rows, None where a row is short. Raises RecordingError when too many."""
    columns: list[list[object]] = [[] for _ in picks]
    for number, row in enumerate(csv.reader(file, delimiter=delimiter)):
        if number >= MAX_ROWS:
            raise RecordingError(f"more than {MAX_ROWS} rows. Split the recording, or save it as HDF5.")
        for column, pick in zip(columns, picks, strict=True):
            column.append(row[pick] if pick < len(row) else None)
    return columns


def _plain(column: pa.ChunkedArray) -> list[object]:
    values: list[object] = column.to_pylist()
    return values


def _numbers(column: Sequence[object]) -> NDArray[np.float64]:
    return np.array([_number(one) for one in column], np.float64)


def _number(value: object) -> float:
    """A finite number, or NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        number = float(value)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _time_ns(value: object, unit: str) -> int | None:
    """Unix ns of a cell, None when it holds no time; a time without a zone is UTC.

    >>> _time_ns("2020-03-09 10:14:33", "iso"), _time_ns("1.5", "s"), _time_ns("x", "iso")
    (1583748873000000000, 1500000000, None)
    """
    if unit != "iso":
        number = _number(value)
        return None if math.isnan(number) or number < 0 else round(number * NS_PER[unit])
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1e6) * 1_000
