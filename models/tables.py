"""Columns of other people's files: CSV, Parquet, NPZ and HDF5 become one table, with names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

ROWS_MAX: Final = 20_000_000
COLUMNS_MAX: Final = 4_096


class ColumnsError(ValueError):
    """A file holds no columns that can be read; the message says why and what to do."""


def read_columns(path: Path) -> pa.Table:
    """The columns of a file, by its ending; CSV may be gzipped and separated by comma, semicolon or tab.

    NPZ and HDF5: arrays (n,) are columns under their name; one array (n, d) becomes `name.0` to `name.d-1`.
    Arrays of another length than the others are refused. Raises ColumnsError.
    """
    reader = READERS.get(ending(path))
    if reader is None:
        raise ColumnsError(f"{path.name} is of no known kind; use {', '.join(READERS)}.")
    try:
        table = reader(path)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise ColumnsError(f"{path.name} cannot be read as a table: {error}") from error
    if not table.num_rows:
        raise ColumnsError(
            f"{path.name} has no rows, so there is nothing to read. Check how it was exported."
        )
    if table.num_rows > ROWS_MAX or table.num_columns > COLUMNS_MAX:
        raise ColumnsError(f"{path.name} has more than {ROWS_MAX} rows or {COLUMNS_MAX} columns. Split it.")
    twice = {name for name in table.column_names if table.column_names.count(name) > 1}
    if twice:
        raise ColumnsError(f"{path.name} has two columns called {', '.join(sorted(twice))}. Rename one.")
    return table


def ending(path: Path) -> str:
    """What a file is by its name, in small letters.

    >>> ending(Path("Pump.CSV.gz")), ending(Path("a.b.parquet"))
    ('.csv.gz', '.parquet')
    """
    suffixes = [one.lower() for one in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _csv(path: Path) -> pa.Table:
    with pa.input_stream(path) as text:  # gzip by the ending
        first = text.read(65_536).decode("utf-8-sig").split("\n", 1)[0]
    options = pyarrow.csv.ParseOptions(delimiter=max(",;\t", key=first.count))
    return pyarrow.csv.read_csv(path, parse_options=options)


def _npz(path: Path) -> pa.Table:
    try:
        file = np.load(path, allow_pickle=False)
    except BadZipFile as error:
        raise ValueError("it is damaged or cut short; copy it again") from error
    if isinstance(file, np.ndarray):
        raise ValueError("it holds one array without a name; save it with numpy.savez(name=...)")  # noqa: TRY004
    with file:
        return _table({name: file[name] for name in file.files})


def _hdf5(path: Path) -> pa.Table:
    found: dict[str, NDArray[Any]] = {}

    def note(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset) and node.ndim:
            text = h5py.check_string_dtype(node.dtype) is not None
            found[name] = np.asarray(node.asstr()[()] if text else node[()])

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return _table(found)


def _table(arrays: Mapping[str, NDArray[Any]]) -> pa.Table:
    columns: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            columns[name] = array
        elif array.ndim == 2:
            if array.shape[1] > COLUMNS_MAX:
                raise ValueError(f"{name} has {array.shape[1]} columns; at most {COLUMNS_MAX} are read")
            columns.update({f"{name}.{k}": array[:, k] for k in range(array.shape[1])})
        else:
            raise ValueError(f"{name} has {array.ndim} dimensions; a column has one, a table two")
    lengths = {len(array) for array in columns.values()}
    if len(lengths) != 1:
        raise ValueError(f"its columns must have one length, found {sorted(lengths) or 'none'}")
    return pa.table({name: pa.array(array) for name, array in columns.items()})


READERS: Final[dict[str, Callable[[Path], pa.Table]]] = {
    ".csv": _csv,
    ".csv.gz": _csv,
    ".tsv": _csv,
    ".parquet": pyarrow.parquet.read_table,
    ".npz": _npz,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
}
