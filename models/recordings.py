"""Recordings of other people: HDF5, NPZ, CSV and Parquet files as snapshots of acceleration, or as a table.

A recording holds one numeric array `[snapshot,] sample [, axis]`, or names it; a scale converts it to g.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

MAX_AXES: Final = 3
MIN_SAMPLES: Final = 256
MAX_BYTES: Final = 4 << 30


class RecordingError(ValueError):
    """The file cannot be read as a recording; the message says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Ready-made features in order. values: (n, columns) float64, NaN = missing; time_ns: (n,) or None."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    time_ns: NDArray[np.int64] | None


def load_recording(path: Path, dataset: str = "", scale: float = 1.0) -> NDArray[np.float32]:
    """Snapshots (n_snapshots, n_samples, n_axes) in g. Raises RecordingError.

    dataset: name of the array, needed when the file has several; scale: g a count.
    """
    if path.is_dir():
        raise RecordingError(f"{path} is a folder; name one recording in it")
    if not path.is_file():
        raise RecordingError(f"{path} does not exist; check the path of the recording")
    kind = "".join(path.suffixes[-2:]).lower() if path.suffix == ".gz" else path.suffix.lower()
    reader = _READERS.get(kind)
    if reader is None:
        raise RecordingError(f"{path.name}: {kind or 'no'} ending is not known; use {', '.join(_READERS)}")
    try:
        array = reader(path, dataset)
    except (BadZipFile, EOFError, zlib.error) as error:
        raise RecordingError(f"{path.name} is damaged or cut short ({error}); copy it again") from error
    except (OSError, KeyError, ValueError, pa.ArrowInvalid) as error:
        raise RecordingError(f"{path.name} cannot be read: {error}") from error
    return _shaped(array, path.name, scale)


def cut(samples: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """One long recording (1, n, axes) as blocks (n // n_samples, n_samples, axes); the rest is left out.

    >>> cut(np.zeros((1, 1000, 2), np.float32), 256).shape
    (3, 256, 2)
    """
    n_blocks = samples.shape[1] // n_samples
    return samples[0, : n_blocks * n_samples].reshape(n_blocks, n_samples, samples.shape[2])


def load_table(path: Path, time: str = "", columns: tuple[str, ...] = ()) -> Table:
    """A CSV (also .gz) or Parquet table in row order. time: a column of times; columns: which to use, else
    all numbers.
    Raises RecordingError when a named column is missing or no number is left.
    """
    try:
        if path.suffix.lower() == ".parquet":
            table = pyarrow.parquet.read_table(path)
        else:
            table = pyarrow.csv.read_csv(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise RecordingError(f"{path.name} cannot be read as a table: {error}") from error
    missing = {name for name in (*columns, *([time] if time else [])) if name not in table.column_names}
    if missing:
        raise RecordingError(
            f"{path.name} has no column {', '.join(sorted(missing))}; it has {table.column_names}"
        )
    time_ns = _times(table.column(time), path.name) if time else None
    wanted = columns or tuple(
        name
        for name, column in zip(table.column_names, table.columns, strict=True)
        if name and name != time and (pa.types.is_floating(column.type) or pa.types.is_integer(column.type))
    )
    if not wanted:
        raise RecordingError(f"{path.name} has no numeric column to judge")
    values = np.stack([_numbers(table.column(name)) for name in wanted], axis=1)
    return Table(wanted, values, time_ns)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    cast = pyarrow.compute.cast(column, pa.float64(), safe=False)
    return np.asarray(cast.to_numpy(zero_copy_only=False), np.float64)


def _times(column: pa.ChunkedArray, name: str) -> NDArray[np.int64]:
    if pa.types.is_timestamp(column.type) or pa.types.is_string(column.type):
        try:
            if pa.types.is_string(column.type):
                # Some recorders write 2004.02.19.06.22.39.
                column = pyarrow.compute.replace_substring_regex(
                    column, r"^(\d{4})\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)", r"\1-\2-\3 \4:\5:\6"
                )
            stamps = pyarrow.compute.cast(column, pa.timestamp("ns"))
        except pa.ArrowInvalid as error:
            raise RecordingError(
                f"{name}: a time cannot be read ({error}); write 2026-01-31 12:00:00"
            ) from error
        return np.asarray(pyarrow.compute.cast(stamps, pa.int64()).to_numpy(zero_copy_only=False), np.int64)
    return np.asarray(_numbers(column) * 1e9, np.int64)


def _hdf5(path: Path, dataset: str) -> NDArray[Any]:
    with h5py.File(path, "r") as file:
        if dataset:
            return np.asarray(file[dataset])
        found: dict[str, int] = {}

        def note(name: str, node: object) -> None:
            if isinstance(node, h5py.Dataset) and node.ndim >= 1 and np.issubdtype(node.dtype, np.number):
                found[name] = node.size

        file.visititems(note)
        return np.asarray(file[_only(found, path.name)])


def _npz(path: Path, dataset: str) -> NDArray[Any]:
    with np.load(path, allow_pickle=False) as file:
        if dataset:
            return np.asarray(file[dataset])
        arrays = {name: file[name] for name in file.files}
        numeric = {
            name: array.size
            for name, array in arrays.items()
            if np.issubdtype(array.dtype, np.number) and array.ndim
        }
        return np.asarray(arrays[_only(numeric, path.name)])


def _only(found: dict[str, int], name: str) -> str:
    """The one array of the file; small ones beside it (a counter, the speed) do not make it ambiguous."""
    if not found:
        raise ValueError("it holds no numeric array")
    largest = max(found, key=found.__getitem__)
    rivals = [one for one, size in found.items() if one != largest and size * 8 > found[largest]]
    if rivals:
        raise ValueError(f"{name} holds several arrays ({', '.join(sorted([largest, *rivals]))}); name one")
    return largest


def _csv(path: Path, dataset: str) -> NDArray[Any]:
    table = load_table(path, columns=tuple(dataset.split(",")) if dataset else ())
    return table.values


_READERS: Final[dict[str, Callable[[Path, str], NDArray[Any]]]] = {
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".npz": _npz,
    ".csv": _csv,
    ".csv.gz": _csv,
    ".parquet": _csv,
}


def _shaped(array: NDArray[Any], name: str, scale: float) -> NDArray[np.float32]:
    if array.nbytes > MAX_BYTES:
        raise RecordingError(f"{name} is larger than {MAX_BYTES >> 30} GiB; cut it into parts")
    if not np.issubdtype(array.dtype, np.number) or array.size == 0:
        raise RecordingError(f"{name} holds no numbers")
    if array.ndim == 1:
        array = array[np.newaxis, :, np.newaxis]
    elif array.ndim == 2:
        # [sample, axis] when it looks like a few columns, else [snapshot, sample].
        array = array[np.newaxis] if array.shape[1] <= 2 * MAX_AXES else array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[1] < MIN_SAMPLES:
        raise RecordingError(
            f"{name} has shape {array.shape}; a recording is [snapshot,] sample [, axis] "
            f"with {MIN_SAMPLES} samples or more"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # too large for float32: infinite, and told below
        waves = np.asarray(array, np.float32) * np.float32(scale)
    if not np.isfinite(waves).any():
        raise RecordingError(
            f"{name} holds no finite number in g; check the sensor that made it, and --scale if you gave one"
        )
    return waves
