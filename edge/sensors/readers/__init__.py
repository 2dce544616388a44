"""Readers of recordings, one line a file ending. They alone, in all of `edge`, need numpy and its kin.

The table holds dotted names that are resolved when a recording is opened, so that a gateway without
recordings never loads them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, cast

from ingest.contract.values import SampleType

READERS: Final[dict[str, str]] = {
    ".h5": "edge.sensors.readers.arrays:read_hdf5",
    ".hdf5": "edge.sensors.readers.arrays:read_hdf5",
    ".npz": "edge.sensors.readers.arrays:read_npz",
    ".wav": "edge.sensors.readers.arrays:read_wav",
    ".csv": "edge.sensors.readers.tables:read_csv",
    ".csv.gz": "edge.sensors.readers.tables:read_csv",
    ".parquet": "edge.sensors.readers.tables:read_parquet",
}
MAX_FILE_BYTES: Final = 8 * 1024**3


class RecordingError(Exception):
    """A recording cannot be read as asked; the message says what it holds and what to write instead."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the plant file says about a recording; empty or None is left to the file.

    columns: of a table, or numbers of axes of an array, one a vibration axis; channels: column -> channel
    for rows of scalars; time, time_unit: the column that holds sensor time, and `iso`, `s`, `ms`, `us` or
    `ns`; block_samples: where a continuous signal is cut.
    """

    dataset: str = ""
    columns: tuple[str, ...] = ()
    channels: Mapping[str, str] = field(default_factory=dict)
    time: str = ""
    time_unit: str = "iso"
    delimiter: str = ""
    block_samples: int = 8_192


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says about itself; None where it says nothing."""

    rate_hz: float | None = None
    period_s: float | None = None
    scale_g: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One snapshot. number: its place on the time grid; axes: a little-endian buffer an axis;
    scalars: by channel; time_ns: its own time, None when it has none."""

    number: int
    axes: tuple[bytes, ...] = ()
    sample_type: SampleType = "float32"
    scalars: Mapping[str, float] = field(default_factory=dict)
    time_ns: int | None = None


class Frames(Protocol):
    """An open recording."""

    @property
    def facts(self) -> Facts:
        """What the file says about itself."""
        ...

    def __len__(self) -> int:
        """How many snapshots there are."""
        ...

    def frame(self, index: int) -> Frame:
        """A snapshot; raises RecordingError when the file is damaged there."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


Reader = Callable[[Path, Wanted], Frames]


def ending(path: Path) -> str | None:
    """The key of READERS that a file name ends with.

    >>> ending(Path("a/b.CSV.gz")), ending(Path("b.txt"))
    ('.csv.gz', None)
    """
    name = path.name.lower()
    return max((one for one in READERS if name.endswith(one)), key=len, default=None)


def open_recording(path: Path, wanted: Wanted) -> Frames:
    """Open a recording. Raises RecordingError with a sentence; a missing package is named in it."""
    key = ending(path)
    if key is None:
        raise RecordingError(f"{path.name} ends in none of {', '.join(READERS)}. Convert it to one of them.")
    module, _, name = READERS[key].partition(":")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RecordingError(f"{path} is larger than {MAX_FILE_BYTES // 1024**3} GiB. Split it.")
        reader = cast(Reader, getattr(importlib.import_module(module), name))
        return reader(path, wanted)
    except ModuleNotFoundError as missing:
        raise RecordingError(
            f"Reading {path.name} needs the package {missing.name!r}. "
            "Install it with: pip install 'ayo-mitra[server]'."
        ) from missing
    except OSError as error:
        raise RecordingError(f"{path} cannot be opened: {error}. Check its name and rights.") from error
