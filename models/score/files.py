"""Tables in files: read one, score it, write the judgement beside its timestamps."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
import pyarrow as pa

from models.score.clock import ClockCheck, check_clock
from models.score.table import score_table
from models.score.words import Language, sentence
from models.tables import ColumnsError, ending, read_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from models.score.table import Scores

ROWS_MAX = 5_000_000
BINARY = frozenset({".parquet", ".npz", ".h5", ".hdf5"})
NUMERIC_SHARE = 0.5  # a column is numeric when at least half of its cells are


class TableError(ValueError):
    """A table cannot be scored; the message says what, what it means and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A file's rows.

    times: as written; values: (n, d), NaN where a cell holds no number; channels: column names.
    """

    times: tuple[str, ...]
    values: NDArray[np.float64]
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """What `mitra score` prints: rows judged and learnt from, alarms, columns, holes and clock."""

    rows: int
    learning_rows: int
    alarm_rows: int
    alarms: int
    columns: tuple[str, ...]
    missing_cells: int
    judge: str
    clock: ClockCheck


def open_text(path: Path) -> TextIO:
    """Open plain or gzipped text for reading."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def read_table(path: Path, time: str, columns: Sequence[str] | None = None) -> Table:
    """Read a CSV (comma, semicolon or tab; plain or gzipped), Parquet, NPZ or HDF5, rows in file order.

    time: name of the time column; columns: names to score, all numeric ones if None. Raises TableError.
    """
    if ending(path) in BINARY:
        return _binary(path, time, columns)
    with open_text(path) as text:
        first = text.readline()
        if not first.strip():
            raise TableError(
                f"{path.name} is empty, so there is nothing to score. Check how it was exported."
            )
        delimiter = max(",;\t", key=first.count)
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
        wanted = _wanted(path, header, time, columns)
        rows = [row for row in csv.reader(text, delimiter=delimiter) if row]
    _check_length(path, len(rows))
    clock = header.index(time)
    times = tuple(row[clock] if clock < len(row) else "" for row in rows)
    values = np.array([[_number(row, column) for column in wanted] for row in rows])
    names = tuple(header[column] for column in wanted)
    if columns is None:
        numeric = np.isfinite(values).mean(axis=0) >= NUMERIC_SHARE
        values, names = values[:, numeric], tuple(n for n, keep in zip(names, numeric, strict=True) if keep)
    if not names:
        raise TableError(
            f"{path.name} has no numeric column besides {time!r}. Name the columns with --columns."
        )
    return Table(times, values, names)


def _check_length(path: Path, n_rows: int) -> None:
    if not n_rows:
        raise TableError(
            f"{path.name} has a header but no rows, so nothing was scored. Check how it was exported."
        )
    if n_rows > ROWS_MAX:
        raise TableError(
            f"{path.name} has {n_rows} rows; at most {ROWS_MAX} are scored at once. Split the file."
        )


def _binary(path: Path, time: str, columns: Sequence[str] | None) -> Table:
    try:
        table = read_columns(path)
    except ColumnsError as error:
        raise TableError(str(error)) from error
    _check_length(path, table.num_rows)
    header = list(table.column_names)
    places = _wanted(path, header, time, columns)
    if columns is None:
        places = [place for place in places if _is_numeric(table.schema.field(place).type)]
    wrong = [header[place] for place in places if not _is_numeric(table.schema.field(place).type)]
    if wrong or not places:
        raise TableError(
            f"{path.name} holds no numbers in {', '.join(wrong)}."
            if wrong
            else f"{path.name} has no numeric column besides {time!r}. Name the columns with --columns."
        )
    values = [
        np.asarray(table[place].cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        for place in places
    ]
    times = tuple("" if one is None else str(one) for one in table[time].to_pylist())
    return Table(times, np.column_stack(values), tuple(header[place] for place in places))


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _wanted(path: Path, header: list[str], time: str, columns: Sequence[str] | None) -> list[int]:
    unknown = [name for name in [time, *(columns or ())] if name not in header]
    if unknown:
        raise TableError(
            f"{path.name} has no column {', '.join(unknown)}, so it was not scored. "
            f"It has: {', '.join(header)}. Correct --time or --columns."
        )
    if columns is None:
        return [place for place, name in enumerate(header) if name != time]
    return [header.index(name) for name in columns]


def _number(row: list[str], column: int) -> float:
    try:
        return float(row[column])
    except (ValueError, IndexError):
        return float("nan")


def write_scores(path: Path, table: Table, scores: Scores, *, explain: bool, language: Language) -> None:
    """Write `timestamp,score,alarm` (and `reasons`), one line a row."""
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["timestamp", "score", "alarm", *(["reasons"] if explain else [])])
        for row, time in enumerate(table.times):
            line = [time, f"{scores.score[row]:.6f}", int(scores.alarm[row])]
            if explain:
                line.append("; ".join(sentence(reason, language) for reason in scores.reasons(row)))
            writer.writerow(line)


def run(
    source: Path,
    out: Path,
    *,
    time: str,
    columns: Sequence[str] | None = None,
    fit_rows: int | None = None,
    probation: float = 0.15,
    explain: bool = False,
    language: Language = "en",
) -> ScoreReport:
    """Behind `mitra score`: read, score in one pass, write.

    Raises TableError (a message for a person) when the table or its settings do not fit each other.
    """
    table = read_table(source, time, columns)
    try:
        scores = score_table(table.values, channels=table.channels, fit_rows=fit_rows, probation=probation)
    except ValueError as error:
        raise TableError(f"{source.name} was not scored: {error}.") from error
    write_scores(out, table, scores, explain=explain, language=language)
    starts = int(np.count_nonzero(np.diff(scores.alarm.astype(np.int8), prepend=0) == 1))
    return ScoreReport(
        rows=len(table.times),
        learning_rows=scores.learning_rows,
        alarm_rows=int(scores.alarm.sum()),
        alarms=starts,
        columns=table.channels,
        missing_cells=scores.missing,
        judge=scores.judge.value,
        clock=check_clock(table.times),
    )
