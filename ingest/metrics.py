"""How ingest is doing, in one small file that other processes read: state, counters, latencies.

The file keeps its size and is overwritten in place, so that it can still say "the disk is full".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from zlib import crc32

import msgspec

FILE_BYTES = 65_536
LATENCY_BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class IngestState(StrEnum):
    """What ingest does now."""

    STARTING = "starting"
    RUNNING = "running"
    STORAGE_FULL = "storage_full"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Health:
    """A reading of the file. counters: since the process started; latency: messages by upper bound in ms."""

    state: IngestState
    since_ns: int
    updated_ns: int
    counters: Mapping[str, float] = field(default_factory=dict)
    latency: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""


class Latency:
    """A histogram of the time from reception to storage.

    >>> seen = Latency()
    >>> seen.add(3_000_000); seen.add(700_000_000)
    >>> seen.quantile_ms(0.5), seen.quantile_ms(0.99)
    (5, 1000)
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BOUNDS_MS) + 1)

    def add(self, late_ns: int) -> None:
        """Count one message."""
        late_ms = late_ns / 1e6
        for i, bound in enumerate(LATENCY_BOUNDS_MS):
            if late_ms <= bound:
                self._counts[i] += 1
                return
        self._counts[-1] += 1

    def quantile_ms(self, share: float) -> int:
        """Upper bound of the bucket that holds this share; 0 when nothing was counted."""
        wanted, passed = share * sum(self._counts), 0
        for count, bound in zip(self._counts, (*LATENCY_BOUNDS_MS, 60_000), strict=True):
            passed += count
            if passed and passed >= wanted:
                return bound
        return 0

    def by_bound(self) -> dict[str, int]:
        """Counts by upper bound in ms; the last is "inf"."""
        names = (*(str(bound) for bound in LATENCY_BOUNDS_MS), "inf")
        return dict(zip(names, self._counts, strict=True))


class MetricsFile:
    """The writing side."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(self._file, b"\n" * FILE_BYTES, 0)

    def write(self, health: Health) -> None:
        """Replace the content."""
        body = msgspec.json.encode(health)
        text = b"%08x %s" % (crc32(body), body)
        if len(text) < FILE_BYTES:
            os.pwrite(self._file, text.ljust(FILE_BYTES, b"\n"), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_health(path: Path) -> Health | None:
    """What ingest last said of itself; None when it never ran here or the file is being written."""
    for _ in range(3):
        try:
            text = path.read_bytes().rstrip(b"\n")
        except OSError:
            return None
        checksum, _, body = text.partition(b" ")
        if body and checksum == b"%08x" % crc32(body):
            return msgspec.json.decode(body, type=Health)
    return None
