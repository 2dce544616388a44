"""How ingest is doing, in one small file that other processes read: state, counters, latencies.

The file keeps its size and is overwritten in place, so that it can still say "the disk is full".
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from zlib import crc32

import msgspec

FILE_BYTES = 65_536
LATENCY_BOUNDS_MS = tuple(round(1.15**i, 3) for i in range(90))
"""1 ms to 4 minutes in steps of 15 %."""
LATENCY_BOUNDS_NS = tuple(round(bound * 1e6) for bound in LATENCY_BOUNDS_MS)


class IngestState(StrEnum):
    """What ingest does now."""

    STARTING = "starting"
    RUNNING = "running"
    STORAGE_FULL = "storage_full"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Health:
    """A reading of the file.

    counters: since the process started; stored and aged: messages by upper bound in ms of the time from
    reception to storage, and from the sensor's time to storage (live messages only).
    """

    state: IngestState
    since_ns: int
    updated_ns: int
    counters: Mapping[str, float] = field(default_factory=dict)
    stored: Mapping[str, int] = field(default_factory=dict)
    aged: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""


class Latency:
    """A histogram of how long messages took.

    >>> seen = Latency()
    >>> seen.add([3_000_000, 700_000_000])
    >>> seen.quantile_ms(0.5), seen.quantile_ms(0.99)
    (3.059, 712.522)
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(LATENCY_BOUNDS_MS) + 1)

    def add(self, late_ns: Iterable[int]) -> None:
        """Count messages."""
        counts, bounds = self._counts, LATENCY_BOUNDS_NS
        for late in late_ns:
            counts[bisect_left(bounds, late)] += 1

    def quantile_ms(self, share: float) -> float:
        """Upper bound of the bucket that holds this share; 0 when nothing was counted."""
        return quantile_ms(self.by_bound(), share)

    def by_bound(self) -> dict[str, int]:
        """Counts by upper bound in ms, without empty buckets; the last bound is "inf"."""
        names = (*(str(bound) for bound in LATENCY_BOUNDS_MS), "inf")
        return {name: count for name, count in zip(names, self._counts, strict=True) if count}


def quantile_ms(by_bound: Mapping[str, int], share: float) -> float:
    """The quantile of a histogram by upper bounds in ms, as `Health.stored` is one; 0.0 when it is empty."""
    wanted, passed = share * sum(by_bound.values()), 0
    for bound, count in sorted((float(name), count) for name, count in by_bound.items()):
        passed += count
        if passed >= wanted:
            return bound
    return 0.0


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
