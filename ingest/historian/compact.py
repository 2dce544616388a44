"""Upkeep of the history: few large segments, ten-minute aggregates of all of them, and what may go goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingest.historian.query import TEN_MINUTES_NS, VALUE, columns_of, covered, named, source_of
from ingest.historian.segments import ROW_GROUP_ROWS, Kind, Segment, name_of, segments, sweep, sync, write
from ingest.historian.tables import WAVES

DAY_NS = 86_400_000_000_000
HOUR_NS = 3_600_000_000_000
FULL, THINNED = 0, 1
MERGE_MEMORY = "768MB"


@dataclass(frozen=True, slots=True)
class HistoryPolicy:
    """fan_in: small neighbours that are merged into one; tiers: sizes below which segments are alike;
    the days say how long each kind is kept: full rows for weeks, aggregates for years.
    """

    fan_in: int = 8
    tiers_bytes: tuple[int, ...] = (4 << 20, 32 << 20)
    rows_days: float = 35.0
    tens_days: float = 3_650.0
    scalars_days: float = 1_100.0
    judgements_days: float = 1_100.0
    alarm_waves_days: float = 730.0
    sample_waves_days: float = 90.0
    full_waves_days: float = 1.0

    def __post_init__(self) -> None:
        if self.fan_in < 2 or min(self.rows_days, self.tens_days, self.full_waves_days) <= 0:
            raise ValueError("history needs fan_in >= 2 and positive days")


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection for upkeep: little memory, spills beside the segments."""
    spill = folder / ".spill"
    spill.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {"threads": 1, "memory_limit": MERGE_MEMORY, "temp_directory": str(spill)}
    return duckdb.connect(":memory:", config=config)


def upkeep(folder: Path, policy: HistoryPolicy, now_ns: int, *, everything: bool = False) -> dict[str, int]:
    """One round: sweep, merge, aggregate, thin, expire; counts of what was done.

    everything: merge all small neighbours, as `mitra history compact` does, not only full groups of them.
    """
    done = {"swept": sweep(folder), "merged": 0, "aggregated": 0, "thinned": 0, "expired": 0}
    with connect(folder) as db:
        for kind in Kind:
            for group in groups(segments(folder, kind), policy, everything=everything):
                merge(db, folder, group)
                done["merged"] += len(group)
        for segment in not_aggregated(folder):
            if everything or segment.n_bytes >= policy.tiers_bytes[0] or segment.to_ns < now_ns - DAY_NS:
                aggregate(db, folder, segment)
                done["aggregated"] += 1
        for segment in segments(folder, Kind.WAVES):
            if segment.set_id == FULL and segment.to_ns < now_ns - int(policy.full_waves_days * DAY_NS):
                thin(db, folder, segment)
                done["thinned"] += 1
    done["expired"] = expire(folder, policy, now_ns)
    return done


def groups(found: Sequence[Segment], policy: HistoryPolicy, *, everything: bool) -> Iterator[list[Segment]]:
    """Runs of neighbouring segments of one set and tier that are to be merged."""
    by_set: dict[int, list[Segment]] = {}
    for one in found:
        if not one.imported:
            by_set.setdefault(one.set_id, []).append(one)
    least = 2 if everything else policy.fan_in
    for own in by_set.values():
        run: list[Segment] = []
        for one in own:
            tier = _tier(one, policy)
            if tier is None or (run and tier != _tier(run[0], policy)) or len(run) == policy.fan_in:
                if len(run) >= least:
                    yield run
                run = []
            if tier is not None:
                run.append(one)
        if len(run) >= least:
            yield run


def _tier(segment: Segment, policy: HistoryPolicy) -> int | None:
    for tier, limit in enumerate(policy.tiers_bytes):
        if segment.n_bytes < limit:
            return tier
    return None


def merge(db: duckdb.DuckDBPyConnection, folder: Path, group: Sequence[Segment]) -> None:
    """One segment of many, sorted by machine and time; then the many go."""
    first = group[0]
    name = name_of(
        first.kind,
        first.set_id,
        (first.first, group[-1].last),
        (min(one.from_ns for one in group), max(one.to_ns for one in group)),
    )
    query = f"SELECT * FROM {source_of(group)} ORDER BY machine, time_ns, id"  # noqa: S608
    reader = _streamed(db, query)
    write(folder, name, reader, reader.schema)
    for one in group:
        one.path.unlink(missing_ok=True)
    sync(folder)


def _streamed(db: duckdb.DuckDBPyConnection, query: str) -> pa.RecordBatchReader:
    """The result of a query, a row group at a time."""
    reader = db.sql(query).to_arrow_reader(ROW_GROUP_ROWS)
    if reader is None:
        raise duckdb.InternalError("a query gave no result")
    return reader


def not_aggregated(folder: Path) -> list[Segment]:
    """Segments of rows that no aggregate covers yet."""
    tens = segments(folder, Kind.TENS)
    return [one for one in segments(folder, Kind.ROWS) if not covered(one, tens)]


def aggregate(db: duckdb.DuckDBPyConnection, folder: Path, rows: Segment) -> None:
    """Write the ten-minute aggregates of one segment of rows.

    They are partial: late rows make partial aggregates of their own, and reading adds them up, so that
    nothing derived has to be corrected.
    """
    source = source_of([rows])
    picked = ", ".join(partial(name) for name in columns_of(db, source) if name.startswith(VALUE))
    query = (
        f"SELECT min(id) AS id, machine, time_ns // {TEN_MINUTES_NS} * {TEN_MINUTES_NS} AS time_ns, "  # noqa: S608
        f"count(*)::BIGINT AS n{', ' if picked else ''}{picked} FROM {source} "
        "GROUP BY machine, 3 ORDER BY machine, 3"
    )
    reader = _streamed(db, query)
    span = (rows.from_ns // TEN_MINUTES_NS * TEN_MINUTES_NS, rows.to_ns)
    name = name_of(Kind.TENS, rows.set_id, (rows.first, rows.last), span, rows.imported)
    write(folder, name, reader, reader.schema)


def partial(column: str) -> str:
    """SQL of mean, lowest and highest of one value column; NaN counts as missing."""
    there = f"FILTER (WHERE NOT isnan({named(column)}))"
    bare = column[len(VALUE) :]
    return (
        f"avg({named(column)}) {there}::FLOAT AS {named('m:' + bare)}, "
        f"min({named(column)}) {there} AS {named('l:' + bare)}, "
        f"max({named(column)}) {there} AS {named('h:' + bare)}"
    )


def thin(db: duckdb.DuckDBPyConnection, folder: Path, waves: Segment) -> None:
    """Keep every waveform around alarms, and of the rest the first of each machine, axis and hour."""
    query = (
        f"SELECT * FROM {source_of([waves])} QUALIFY kept_for = 'alarm' OR row_number() OVER "  # noqa: S608
        f"(PARTITION BY machine, axis, kept_for, time_ns // {HOUR_NS} ORDER BY time_ns) = 1 "
        "ORDER BY machine, time_ns, id"
    )
    table = _streamed(db, query).read_all().cast(WAVES)
    ids, times = (waves.first, waves.last), (waves.from_ns, waves.to_ns)
    write(folder, name_of(Kind.WAVES, THINNED, ids, times), table, WAVES)
    waves.path.unlink(missing_ok=True)
    sync(folder)


def expire(folder: Path, policy: HistoryPolicy, now_ns: int) -> int:
    """Delete what is older than its kind is kept; rows only when their aggregates exist."""
    days = {
        Kind.ROWS: policy.rows_days,
        Kind.TENS: policy.tens_days,
        Kind.SCALARS: policy.scalars_days,
        Kind.JUDGEMENTS: policy.judgements_days,
        Kind.WAVES: policy.alarm_waves_days,
    }
    tens = segments(folder, Kind.TENS)
    n_expired = 0
    for kind, kept_days in days.items():
        for one in segments(folder, kind):
            old = one.to_ns < now_ns - int(kept_days * DAY_NS)
            if old and (kind is not Kind.ROWS or covered(one, tens)):
                one.path.unlink(missing_ok=True)
                n_expired += 1
    return n_expired + _expire_samples(folder, policy, now_ns)


def _expire_samples(folder: Path, policy: HistoryPolicy, now_ns: int) -> int:
    """Rewrite old thinned waveforms without the samples: only those around alarms stay."""
    n_expired = 0
    for one in segments(folder, Kind.WAVES):
        if one.set_id != THINNED or one.to_ns >= now_ns - int(policy.sample_waves_days * DAY_NS):
            continue
        with connect(folder) as db:
            query = f"SELECT * FROM {source_of([one])} WHERE kept_for = 'alarm'"  # noqa: S608
            table = _streamed(db, query).read_all()
        times = (one.from_ns, one.to_ns)
        if table.num_rows:
            ids = (one.first, one.last)
            write(folder, name_of(Kind.WAVES, THINNED + 1, ids, times), table.cast(WAVES), WAVES)
        one.path.unlink(missing_ok=True)
        n_expired += 1
    return n_expired
