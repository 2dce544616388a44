"""The ledger of machine hours: computed from the journal once, kept in a small file of the screens' own.

It can be deleted at any time: it is made again from the journal and the history. Hours in which meters
were missing are looked at again for four days, because outboxes may still deliver them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import structlog

from dashboards.hours import HOUR_NS, Floats, Hour, Samples, Times, hour_of
from dashboards.problems import Problem
from dashboards.source import Source
from ingest.contract.channels import COUNT_GOOD, COUNT_TOTAL, ENERGY_KWH, POWER_KW, STATE
from ingest.contract.plant import Machine, Plant
from ingest.reader import Reader
from ingest.views import Latest

log = structlog.get_logger("dashboards")
TABLES = """
CREATE TABLE IF NOT EXISTS hour (
    machine TEXT NOT NULL, start_ns INTEGER NOT NULL, complete INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (machine, start_ns)) WITHOUT ROWID;
"""
LATE_NS = 600_000_000_000
LOOK_AGAIN_NS = 4 * 24 * HOUR_NS
LOOK_BACK_NS = 60 * 24 * HOUR_NS
COMPLETE_S = 0.98 * 3600
MAX_HOURS_A_ROUND = 400
CHANNELS = (POWER_KW, STATE)
COUNTERS = (COUNT_TOTAL, COUNT_GOOD, ENERGY_KWH)
Counter: TypeAlias = tuple[Times, Floats]
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Hour).decode


class Ledger:
    """Hours of every machine. `advance` runs in a worker; `hours` may be asked from any thread."""

    def __init__(self, path: Path, plant: Plant, source: Source, now_ns: Callable[[], int]) -> None:
        self._plant = plant
        self._source = source
        self._now_ns = now_ns
        self._zone = ZoneInfo(plant.plant.timezone)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(TABLES)
        self._first: dict[str, int] = {}
        self.until_ns = 0

    def hours(self, from_ns: int, to_ns: int, machines: Iterable[str] | None = None) -> dict[str, list[Hour]]:
        """Hours that begin in [from_ns, to_ns) by machine, oldest first; the running hour as it stands."""
        wanted = set(machines) if machines is not None else None
        with self._lock:
            rows = self._db.execute(
                "SELECT machine, body FROM hour WHERE start_ns >= ? AND start_ns < ? ORDER BY start_ns",
                (from_ns, to_ns),
            ).fetchall()
        found: dict[str, list[Hour]] = {}
        for machine, body in rows:
            if wanted is None or machine in wanted:
                found.setdefault(machine, []).append(_DECODE(body))
        return found

    def since(self) -> dict[str, int]:
        """When each machine first spoke: before that, nothing of it can be missing."""
        with self._lock:
            known = dict(
                self._db.execute("SELECT machine, min(start_ns) FROM hour GROUP BY machine").fetchall()
            )
        return known | self._first

    def advance(self) -> int:
        """Compute what is missing, the newest first, at most 400 hours; how many were computed.

        `until_ns` then says up to when the running hour is known.
        """
        now_ns = self._now_ns()
        try:
            with self._source.reader() as reader:
                computed = self._advance(reader, now_ns)
        except Problem:
            return 0  # No journal yet: the next round tries again.
        self.until_ns = now_ns
        return computed

    def _advance(self, reader: Reader, now_ns: int) -> int:
        current = now_ns - now_ns % HOUR_NS
        latest = reader.latest()
        facts = {machine.id: machine for machine in self._plant.machine}
        done = self._known(now_ns)
        oldest = {name: self._first_ns(reader, one) for name, one in latest.items() if name in facts}
        computed = 0
        for start_ns in range(current, now_ns - LOOK_BACK_NS, -HOUR_NS):
            for name, first_ns in oldest.items():
                if start_ns + HOUR_NS <= first_ns or (name, start_ns) in done:
                    continue
                if start_ns < current and computed >= MAX_HOURS_A_ROUND:
                    return computed
                hour = self._computed(reader, facts[name], latest[name], start_ns, (first_ns, now_ns))
                over = now_ns >= start_ns + HOUR_NS + LATE_NS
                self._write(hour, complete=over and hour.metered_s >= COMPLETE_S)
                computed += 1
            if all(start_ns <= first_ns for first_ns in oldest.values()):
                break
        return computed

    def _first_ns(self, reader: Reader, latest: Latest) -> int:
        """When a machine first spoke, as far as its judgements tell; asked once."""
        if latest.machine not in self._first:
            first = reader.judgements(latest.machine, max_points=1)
            self._first[latest.machine] = first[0].time_ns if first else latest.time_ns
        return self._first[latest.machine]

    def _known(self, now_ns: int) -> set[tuple[str, int]]:
        """Hours that need no second look: complete ones, and incomplete ones older than four days."""
        with self._lock:
            rows = self._db.execute(
                "SELECT machine, start_ns FROM hour WHERE complete = 1 OR start_ns < ?",
                (now_ns - LOOK_AGAIN_NS,),
            ).fetchall()
        return set(rows)

    def _computed(
        self, reader: Reader, machine: Machine, latest: Latest, start_ns: int, seen_ns: tuple[int, int]
    ) -> Hour:
        samples = samples_of(reader, machine.id, latest.scalars, start_ns, start_ns + HOUR_NS)
        return hour_of(
            machine,
            start_ns,
            samples,
            tariff=self._plant.tariff,
            shifts=self._plant.shift,
            zone=self._zone,
            seen_ns=seen_ns,
        )

    def _write(self, hour: Hour, *, complete: bool) -> None:
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO hour VALUES (?,?,?,?)",
                (hour.machine, hour.start_ns, complete, _ENCODE(hour)),
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def samples_of(
    reader: Reader, machine: str, scalars: Mapping[str, tuple[float, int]], from_ns: int, to_ns: int
) -> Samples:
    """What the journal has of the channels that count, in [from_ns, to_ns)."""
    rows = reader.rows(machine, from_ns, to_ns, CHANNELS)
    values = rows.values.astype(np.float64)
    counters = {
        channel: reader.scalars(machine, channel, from_ns, to_ns) if channel in scalars else None
        for channel in COUNTERS
    }
    energy = counters[ENERGY_KWH]
    return Samples(
        rows.time_ns,
        values[:, 0],
        values[:, 1],
        _values(counters[COUNT_TOTAL]),
        _values(counters[COUNT_GOOD]),
        _placed(rows.time_ns, energy) if energy is not None else np.full(len(rows.time_ns), np.nan),
    )


def _values(counter: Counter | None) -> Floats:
    return counter[1] if counter is not None else np.zeros(0)


def _placed(times_ns: Times, counter: Counter) -> Floats:
    """A counter's readings at the rows they came with; NaN elsewhere."""
    found = np.full(len(times_ns), np.nan)
    where = np.searchsorted(times_ns, counter[0])
    inside = where < len(times_ns)
    exact = inside.copy()
    exact[inside] = times_ns[where[inside]] == counter[0][inside]
    found[where[exact]] = counter[1][exact]
    return found
