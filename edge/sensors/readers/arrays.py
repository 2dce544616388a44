"""HDF5, NPZ and WAV: arrays of [snapshot,] sample [, axis]."""

from __future__ import annotations

import wave
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from edge.sensors.readers import Facts, Frame, Frames, RecordingError, Wanted
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MIN_BLOCK_SAMPLES
from ingest.contract.values import AXES

MAX_AXES: Final = len(AXES)
RATE_NAMES: Final = ("rate_hz", "fs_hz", "sampling_rate_hz", "fs")
PERIOD_NAMES: Final = ("period_s", "interval_s")
SCALE_OF_SUFFIX: Final = (("_milli_g", 1e-3), ("_mg", 1e-3), ("_g", 1.0))


class ArrayFrames:
    """Snapshots of one array.

    data: [snapshot, sample, axis], [sample, axis], [snapshot, sample] or [sample], where at most three
    columns are taken for axes; numbers: (n_snapshots,) places on the time grid. A continuous signal is
    cut into blocks; a rest too short for a block is left out. Raises RecordingError for other shapes.
    """

    def __init__(
        self,
        data: Any,
        wanted: Wanted,
        facts: Facts,
        *,
        numbers: NDArray[np.int64] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self._data = data
        self._facts = facts
        self._close = close
        shape = data.shape
        has_axes = len(shape) == 3 or (len(shape) == 2 and shape[1] <= max(MAX_AXES, len(wanted.columns)))
        self._in_snapshots = len(shape) == 3 or (len(shape) == 2 and not has_axes)
        self._has_axes = has_axes
        self._columns = _columns(wanted.columns, shape[-1] if has_axes else 1)
        self._block = shape[1] if self._in_snapshots else wanted.block_samples
        if len(shape) not in (1, 2, 3) or not MIN_BLOCK_SAMPLES <= self._block <= MAX_BLOCK_SAMPLES:
            raise RecordingError(
                f"an array of shape {tuple(shape)} cannot be cut into blocks of {MIN_BLOCK_SAMPLES} to "
                f"{MAX_BLOCK_SAMPLES} samples; it must be [snapshot,] sample [, axis]"
            )
        self._n = shape[0] if self._in_snapshots else self._n_blocks(shape[0])
        self._numbers = np.arange(self._n) if numbers is None or len(numbers) != self._n else numbers
        self._is_int16 = data.dtype == np.int16

    @property
    def facts(self) -> Facts:
        """What the file says about itself."""
        return self._facts

    def __len__(self) -> int:
        """How many snapshots there are."""
        return self._n

    def frame(self, index: int) -> Frame:
        """A snapshot; raises RecordingError when the file is damaged there."""
        try:
            if self._in_snapshots:
                part = np.asarray(self._data[index])
            else:
                part = np.asarray(self._data[index * self._block : (index + 1) * self._block])
        except OSError as error:
            raise RecordingError(f"snapshot {index} cannot be read: {error}") from error
        columns = part.reshape(len(part), -1)[:, self._columns]
        kind = "<i2" if self._is_int16 else "<f4"
        axes = tuple(np.ascontiguousarray(column, dtype=kind).tobytes() for column in columns.T)
        number = int(self._numbers[index]) - int(self._numbers[0])
        return Frame(number, axes, "int16" if self._is_int16 else "float32")

    def close(self) -> None:
        """Close the file."""
        if self._close is not None:
            self._close()

    def _n_blocks(self, n_samples: int) -> int:
        whole, rest = divmod(n_samples, self._block)
        return whole + (rest >= MIN_BLOCK_SAMPLES)


def read_hdf5(path: Path, wanted: Wanted) -> Frames:
    """The array of an HDF5 file, read snapshot by snapshot; rate and interval come from its attributes."""
    file = h5py.File(path, "r")
    arrays: dict[str, Any] = {}
    file.visititems(
        lambda name, node: arrays.update({name: node}) if isinstance(node, h5py.Dataset) else None
    )
    try:
        name = _choose(arrays, wanted.dataset, path)
        said = {**dict(file.attrs), **dict(arrays[name].attrs)}
        numbers = next((arrays[one][:] for one in ("snapshot", "number") if one in arrays), None)
        return ArrayFrames(arrays[name], wanted, _facts(said, name), numbers=numbers, close=file.close)
    except RecordingError:
        file.close()
        raise


def read_npz(path: Path, wanted: Wanted) -> Frames:
    """The array of an NPZ file; scalars named as rate_hz or period_s are facts. Nothing is unpickled."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise RecordingError(f"{path.name} is no NPZ file of plain numbers: {error}") from error
    name = _choose(arrays, wanted.dataset, path)
    said = {one: array.item() for one, array in arrays.items() if array.ndim == 0}
    numbers = next((arrays[one] for one in ("snapshot", "number") if one in arrays), None)
    return ArrayFrames(arrays[name], wanted, _facts(said, name), numbers=numbers)


def read_wav(path: Path, wanted: Wanted) -> Frames:
    """A WAV file of 16-bit samples, one channel an axis."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise RecordingError(
                    f"{path.name} holds {8 * file.getsampwidth()}-bit samples. Save it with 16 bits."
                )
            raw = file.readframes(file.getnframes())
            data = np.frombuffer(raw, "<i2").reshape(-1, file.getnchannels())
            rate_hz = float(file.getframerate())
    except (wave.Error, EOFError) as error:
        raise RecordingError(f"{path.name} is no WAV file: {error}") from error
    return ArrayFrames(data, wanted, Facts(rate_hz=rate_hz))


def _choose(arrays: Mapping[str, Any], dataset: str, path: Path) -> str:
    """The array that is asked for, or the only one with the most dimensions."""
    numeric = {name: one for name, one in arrays.items() if one.ndim and np.issubdtype(one.dtype, np.number)}
    names = ", ".join(sorted(numeric)) or "none"
    if dataset:
        if dataset not in numeric:
            raise RecordingError(f"{path.name} has no array {dataset!r} of numbers; it has: {names}.")
        return dataset
    most = max((one.ndim for one in numeric.values()), default=0)
    candidates = [name for name, one in numeric.items() if one.ndim == most]
    if len(candidates) != 1:
        raise RecordingError(f"{path.name}: write dataset = ..., one of its arrays: {names}.")
    return candidates[0]


def _facts(said: Mapping[str, Any], name: str) -> Facts:
    """Rate, period and scale from attributes, or the scale from the array's own name."""
    scale_g = _number(said, ("scale_g",))
    if scale_g is None:
        scale_g = next((scale for suffix, scale in SCALE_OF_SUFFIX if name.lower().endswith(suffix)), None)
    return Facts(_number(said, RATE_NAMES), _number(said, PERIOD_NAMES), scale_g)


def _number(said: Mapping[str, Any], names: Sequence[str]) -> float | None:
    for name in names:
        value = said.get(name)
        if isinstance(value, int | float | np.number):
            return float(value)
    return None


def _columns(wanted: Sequence[str], n_columns: int) -> list[int]:
    """Which columns of an array are the axes."""
    if not wanted and n_columns <= MAX_AXES:
        return list(range(n_columns))
    numbers = [int(one) for one in wanted if one.isdecimal()]
    if not numbers or len(numbers) != len(wanted) or len(numbers) > MAX_AXES or max(numbers) >= n_columns:
        raise RecordingError(
            f"the recording has {n_columns} columns; write columns = ... with up to {MAX_AXES} of their "
            'numbers as texts, as ["0", "1"]'
        )
    return numbers
