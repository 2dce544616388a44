"""Run-to-failure tables: unit, cycle and any number of measured columns, from one file or many."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ROWS_MAX = 5_000_000
COLUMNS_MAX = 256
UNIT_NAMES = ("unit", "unit_number", "unit_id", "id", "engine", "machine", "asset")
CYCLE_NAMES = ("cycle", "cycles", "time", "time_in_cycles", "time_cycles", "t", "hour", "hours")
SETTING_MARKS = ("setting", "set_", "op_", "operating")
CMAPSS_COLUMNS = 26  # unit, cycle, three settings, 21 sensors: the one layout known without a header


class RunTableError(ValueError):
    """A run-to-failure table cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Rows of units, sorted by unit and cycle.

    unit: (n,) index into names; cycle: (n,); values: (n, d); columns: d names; settings: places in columns
    that describe how the unit is driven; names: how each unit is called (file and unit when there are several
    files).
    """

    unit: NDArray[np.int64]
    cycle: NDArray[np.float64]
    values: NDArray[np.float64]
    columns: tuple[str, ...]
    settings: tuple[int, ...]
    names: tuple[str, ...]

    def starts(self) -> NDArray[np.int64]:
        """First row of each unit, then the number of rows: (units + 1,)."""
        edges = np.flatnonzero(np.diff(self.unit)) + 1
        return np.concatenate([[0], edges, [len(self.unit)]]).astype(np.int64)

    def last_rows(self) -> NDArray[np.int64]:
        """Row of each unit's newest cycle: (units,)."""
        return self.starts()[1:] - 1

    def remaining(self) -> NDArray[np.float64]:
        """Cycles left in every row if each unit's last row is its failure: (n,)."""
        return np.asarray(self.cycle[self.last_rows()][self.unit] - self.cycle, np.float64)

    def pick(self, rows: NDArray[np.bool_]) -> Runs:
        """The rows of some units only. rows: (n,); whole units keep their order."""
        kept, unit = np.unique(self.unit[rows], return_inverse=True)
        names = tuple(self.names[u] for u in kept)
        return Runs(unit, self.cycle[rows], self.values[rows], self.columns, self.settings, names)


def read_runs(paths: Sequence[Path]) -> Runs:
    """Read one or more tables with the same columns; units of different files stay different.

    With a header: comma, semicolon or tab, a unit and a cycle column by their usual names, else the first two
    columns. Without: numbers separated by spaces, as the C-MAPSS files. Gzip by the name `.gz`. Raises
    RunTableError.
    """
    if not paths:
        raise RunTableError(
            "No file was named, so there is nothing to learn from. Name one or more run tables."
        )
    parts = [_read(path) for path in paths]
    header = parts[0][0]
    for path, (names, _) in zip(paths, parts, strict=True):
        if names != header:
            raise RunTableError(
                f"{path.name} has other columns than {paths[0].name}, so they cannot be learnt together. "
                "Train them apart, or export them with the same columns."
            )
    u, c = _place(header, UNIT_NAMES, 0), _place(header, CYCLE_NAMES, 1)
    columns = [k for k in range(len(header)) if k not in (u, c)]
    several = len(paths) > 1
    called: list[str] = []
    rows, unit = [], []
    for path, (_, unsorted) in zip(paths, parts, strict=True):
        table = unsorted[np.lexsort((unsorted[:, c], unsorted[:, u]))]
        ids, inverse = np.unique(table[:, u], return_inverse=True)
        unit.append(inverse + len(called))
        called += [f"{path.name}:{value:g}" if several else f"{value:g}" for value in ids]
        rows.append(table)
    whole = np.vstack(rows)
    titles = tuple(header[k] for k in columns)
    return Runs(
        np.concatenate(unit), whole[:, c], whole[:, columns], titles, _settings(titles), tuple(called)
    )


def _place(header: tuple[str, ...], known: tuple[str, ...], otherwise: int) -> int:
    lowered = [name.strip().lower() for name in header]
    return next((lowered.index(name) for name in known if name in lowered), otherwise)


def _settings(columns: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(k for k, name in enumerate(columns) if name.lower().startswith(SETTING_MARKS))


def _read(path: Path) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise RunTableError(f"{path.name} is empty. Check how it was exported.")
    likely = max((",", ";", "\t"), key=lines[0].count)
    delimiter = likely if likely in lines[0] else None
    first = [cell.strip() for cell in lines[0].split(delimiter)]
    named = not all(_is_number(cell) for cell in first)
    header = tuple(first) if named else _cmapss_names(len(first))
    body = lines[1:] if named else lines
    if not body or len(body) > ROWS_MAX or not 3 <= len(header) <= COLUMNS_MAX:
        raise RunTableError(
            f"{path.name} has {len(body)} rows and {len(header)} columns; needed are a unit, a cycle and "
            f"1 to {COLUMNS_MAX - 2} measured columns, and 1 to {ROWS_MAX} rows."
        )
    cells = [line.split(delimiter) for line in body]
    uneven = next((n for n, row in enumerate(cells) if len(row) != len(header)), None)
    if uneven is not None:
        raise RunTableError(
            f"{path.name}, row {uneven + 1} has {len(cells[uneven])} cells, not {len(header)}."
        )
    table = np.array([[float(cell) if _is_number(cell) else np.nan for cell in row] for row in cells])
    if not np.isfinite(table[:, [_place(header, UNIT_NAMES, 0), _place(header, CYCLE_NAMES, 1)]]).all():
        raise RunTableError(
            f"{path.name} has rows without a unit or cycle number, so their order is unknown."
        )
    return header, table


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cmapss_names(count: int) -> tuple[str, ...]:
    if count == CMAPSS_COLUMNS:
        return ("unit", "cycle", *(f"setting_{k}" for k in (1, 2, 3)), *(f"s{k}" for k in range(1, 22)))
    return ("unit", "cycle", *(f"column_{k}" for k in range(3, count + 1)))
