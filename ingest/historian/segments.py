"""Segment files: their names say what they hold, a rename makes them exist, nothing ever changes them.

A name is `kind-set-first-last-from-to-crc.parquet`: journal ids first..last, sensor times from..to (ns) and
the CRC-32 of the file, so that any flipped bit is found. A segment whose ids lie within a larger one's is
superseded: so a crash between writing the merged segment and deleting its parts, or a second export of
the same rows, can never double anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_ROWS = 32_768
ZSTD_LEVEL = 3


class Kind(StrEnum):
    """What a segment holds."""

    ROWS = "rows"
    SCALARS = "scalars"
    WAVES = "waves"
    JUDGEMENTS = "judgements"
    TENS = "tens"
    """Aggregates of ten minutes."""


_NAME = re.compile(
    r"(?P<kind>[a-z]+)-s(?P<set_id>\d+)-(?P<first>\d{16})-(?P<last>\d{16})-(?P<from_ns>\d{20})-(?P<to_ns>\d{20})"
    r"(?P<imported>-i[0-9a-f]{16})?-c(?P<crc>[0-9a-f]{8})\.parquet"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One file. set_id: the column set of rows, 0 elsewhere; from_ns and to_ns are both included.

    imported: a digest for rows that came from elsewhere and have no id here.
    """

    path: Path
    kind: Kind
    set_id: int
    first: int
    last: int
    from_ns: int
    to_ns: int
    crc: int = 0
    imported: str = ""

    def within(self, other: Segment) -> bool:
        """True when the other one, another file, holds all that this one holds."""
        same = (self.kind, self.set_id, self.imported) == (other.kind, other.set_id, other.imported)
        return (
            same
            and not self.imported
            and self.path != other.path
            and other.first <= self.first
            and self.last <= other.last
            and (other.last - other.first, other.path.name) > (self.last - self.first, self.path.name)
        )

    def overlaps(self, from_ns: int, to_ns: int) -> bool:
        """True when it may hold something of [from_ns, to_ns)."""
        return self.from_ns < to_ns and self.to_ns >= from_ns

    @property
    def n_bytes(self) -> int:
        """Size of the file; 0 when it is gone."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0


def segment_of(path: Path) -> Segment | None:
    """The segment that a file name describes; None for any other file."""
    found = _NAME.fullmatch(path.name)
    if found is None or found["kind"] not in set(Kind):
        return None
    return Segment(
        path,
        Kind(found["kind"]),
        int(found["set_id"]),
        int(found["first"]),
        int(found["last"]),
        int(found["from_ns"]),
        int(found["to_ns"]),
        int(found["crc"], 16),
        (found["imported"] or "").removeprefix("-i"),
    )


def segments(folder: Path, kind: Kind) -> list[Segment]:
    """All segments of a kind that count, oldest first."""
    live, _ = sorted_out(folder, kind)
    return live


def sorted_out(folder: Path, kind: Kind) -> tuple[list[Segment], list[Segment]]:
    """Segments that count and segments that are superseded."""
    if not folder.is_dir():
        return [], []
    listed = [segment_of(path) for path in folder.glob(f"{kind}-*.parquet")]
    found = sorted(
        (one for one in listed if one is not None), key=lambda one: (one.first, -one.last, one.path.name)
    )
    live: list[Segment] = []
    gone: list[Segment] = []
    reach: dict[tuple[int, str], list[Segment]] = {}
    for one in found:
        # Sorted by first, then by the longest: only an earlier one of the same set can hold it.
        before = reach.setdefault((one.set_id, one.imported), [])
        before[:] = [other for other in before if other.last >= one.first]
        if any(one.within(other) for other in before):
            gone.append(one)
        else:
            live.append(one)
            before.append(one)
    return live, gone


def name_of(kind: Kind, set_id: int, ids: tuple[int, int], times: tuple[int, int], imported: str = "") -> str:
    """The file name of a segment, but for its checksum.

    >>> segment_of(Path(name_of(Kind.ROWS, 3, (1, 9), (5, 7)) + "-c0000abcd.parquet")).last
    9
    """
    tail = f"-i{imported}" if imported else ""
    return f"{kind}-s{set_id}-{ids[0]:016d}-{ids[1]:016d}-{times[0]:020d}-{times[1]:020d}{tail}"


def write(folder: Path, name: str, batches: pa.Table | Iterable[pa.RecordBatch], schema: pa.Schema) -> Path:
    """Write a segment: first under another name, synced, then renamed into place.

    zstd, byte-stream-split for floats, a checksum a page. Raises OSError when the disk does not take it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{name}.new"
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    words = [field.name for field in schema if pa.types.is_string(field.type)]
    try:
        with fresh.open("wb") as file:
            with pq.ParquetWriter(
                file,
                schema,
                compression="zstd",
                compression_level=ZSTD_LEVEL,
                use_dictionary=words,
                use_byte_stream_split=floats,
                write_page_checksum=True,
                data_page_version="2.0",
            ) as writer:
                if isinstance(batches, pa.Table):
                    writer.write_table(batches, row_group_size=ROW_GROUP_ROWS)
                else:
                    for batch in batches:
                        writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)
            file.flush()
            os.fsync(file.fileno())
        final = folder / f"{name}-c{checksum(fresh):08x}.parquet"
        fresh.replace(final)
    finally:
        fresh.unlink(missing_ok=True)
    sync(folder)
    return final


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            crc = crc32(piece, crc)
    return crc


def sync(folder: Path) -> None:
    """Make renames and deletions in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path) -> int:
    """Delete what a crash left unfinished, and what is superseded; how many files."""
    n_swept = 0
    if not folder.is_dir():
        return 0
    for path in folder.glob(".*.new"):
        path.unlink(missing_ok=True)
        n_swept += 1
    for kind in Kind:
        for segment in sorted_out(folder, kind)[1]:
            segment.path.unlink(missing_ok=True)
            n_swept += 1
    return n_swept
