"""InfluxDB as an optional historian: it follows the journal by a cursor and never holds it up.

Writes through the v2 interface, which InfluxDB 2 and 3 and VictoriaMetrics accept; reads by Flux (InfluxDB
2). The journal and its history stay the record: a server that is away is caught up with, for as long as the
journal still has the rows; what it had to forget meanwhile is counted in `skipped`.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from influxdb_client.client.flux_csv_parser import FluxCsvParserException, FluxQueryException
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from ingest import line_protocol, series
from ingest.journal.interned import column_sets
from ingest.journal.journal import Journal
from ingest.journal.schema import open_reader
from ingest.views import END_NS, Rows

LOG = logging.getLogger(__name__)
MARK = "influx_row"
REFUSED = frozenset({400, 413, 422})
NO_CONFIGURATION = frozenset({401, 403, 404})


class InfluxError(Exception):
    """InfluxDB cannot be used as configured; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Influx:
    """Where the server is, and how much is sent at once. tags are added to every line."""

    url: str
    token: str
    org: str
    bucket: str
    measurement: str = "mitra"
    tags: Mapping[str, str] = field(default_factory=dict)
    batch_rows: int = 2_000
    every_s: float = 1.0
    longest_wait_s: float = 60.0
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")) or not self.bucket:
            raise ValueError("InfluxDB needs a url as http://host:8086 and a bucket")
        if self.batch_rows < 1 or min(self.every_s, self.longest_wait_s, self.timeout_s) <= 0:
            raise ValueError("batch_rows and the times of InfluxDB must be positive")


class Follower:
    """A thread that copies feature rows to InfluxDB in the order of the journal.

    `counters`: written, refused (lines that the server does not take), skipped, failures; `waiting_for`: why
    nothing is written now, or "".
    """

    def __init__(
        self, journal: Journal, influx: Influx, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self.influx = influx
        self.counters = {"written": 0, "refused": 0, "skipped": 0, "failures": 0}
        self.waiting_for = ""
        self._journal = journal
        self._jitter = jitter
        self._db = open_reader(journal.path)
        self._client = InfluxDBClient(
            url=influx.url,
            token=influx.token,
            org=influx.org,
            timeout=int(influx.timeout_s * 1000),
            enable_gzip=True,
        )
        self._write = self._client.write_api(write_options=SYNCHRONOUS)
        mark = journal.meta(MARK)
        self._cursor = mark if isinstance(mark, int) else 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="influx", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present request."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()
        self._db.close()

    def _run(self) -> None:
        wait_s = self.influx.every_s
        while not self._stop.wait(wait_s):
            try:
                n_rows = self.step()
            except (ApiException, HTTPError, OSError, sqlite3.Error) as error:
                self.counters["failures"] += 1
                self.waiting_for = _why(error)
                LOG.warning("influx_waits reason=%s", self.waiting_for)
                longest = self.influx.longest_wait_s
                wait_s = min(longest, 2 * max(wait_s, self.influx.every_s)) * (0.5 + 0.5 * self._jitter())
                continue
            self.waiting_for = ""
            wait_s = 0.0 if n_rows == self.influx.batch_rows else self.influx.every_s

    def step(self) -> int:
        """Copy one batch; how many rows. Raises ApiException or HTTPError when it is not taken."""
        last, rows = self._next()
        if last == self._cursor:
            return 0
        self._send(line_protocol.lines(rows, self.influx.measurement, self.influx.tags))
        self._journal.remember(MARK, last)
        self._cursor = last
        return len(rows.time_ns)

    def _next(self) -> tuple[int, Rows]:
        self._db.execute("BEGIN")
        try:
            oldest = self._db.execute("SELECT min(id) FROM feature_row").fetchone()[0]
            found = self._db.execute(
                "SELECT feature_row.id, set_id, name, time_ns, receive_ns, vals FROM feature_row "
                "JOIN machine ON machine.id = machine_id WHERE feature_row.id > ? "
                "ORDER BY feature_row.id LIMIT ?",
                (self._cursor, self.influx.batch_rows),
            ).fetchall()
            sets = column_sets(self._db) if found else {}
        finally:
            self._db.execute("COMMIT")
        if oldest is not None and self._cursor and oldest > self._cursor + 1:
            self.counters["skipped"] += oldest - self._cursor - 1
        last = found[-1][0] if found else self._cursor
        return last, series.assemble([row[1:] for row in found], sets, None)

    def _send(self, lines: Sequence[str]) -> None:
        """Write lines; when the server refuses some for what they are, find them and leave them out."""
        if not lines:
            return
        try:
            self._write.write(bucket=self.influx.bucket, org=self.influx.org, record=list(lines))
        except ApiException as error:
            if error.status not in REFUSED:
                raise
            if len(lines) == 1:
                self.counters["refused"] += 1
                LOG.warning("influx_refused line=%s", lines[0][:200])
                return
            half = len(lines) // 2
            self._send(lines[:half])
            self._send(lines[half:])
            return
        self.counters["written"] += len(lines)


def _why(error: Exception) -> str:
    if isinstance(error, ApiException):
        if error.status in NO_CONFIGURATION:
            return (
                f"InfluxDB refuses us ({error.status} {error.reason}): check token, organisation and bucket"
            )
        return f"InfluxDB answers {error.status} {error.reason}"
    return f"InfluxDB cannot be reached ({type(error).__name__})"


def flux_text(text: str) -> str:
    r"""A Flux string literal: quotes, backslashes and `${` in names stay text.

    >>> flux_text('a"b${c}')
    '"a\\"b\\${c}"'
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'


def flux_query(influx: Influx, machine: str, columns: Sequence[str] | None, from_ns: int, to_ns: int) -> str:
    """The Flux that reads columns of one machine (None: all) in [from_ns, to_ns), a row a time stamp."""
    fields = " or ".join(f"r._field == {flux_text(column)}" for column in columns or ())
    wanted = fields or ("true" if columns is None else "false")
    return (
        f"from(bucket: {flux_text(influx.bucket)})"
        f" |> range(start: time(v: {int(from_ns)}), stop: time(v: {int(to_ns)}))"
        f" |> filter(fn: (r) => r._measurement == {flux_text(influx.measurement)})"
        f" |> filter(fn: (r) => r.machine == {flux_text(machine)})"
        f" |> filter(fn: (r) => {wanted})"
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
        ' |> sort(columns: ["_time"])'
    )


def read_rows(
    influx: Influx, machine: str, columns: Sequence[str] | None = None, from_ns: int = 0, to_ns: int = END_NS
) -> Rows:
    """Feature rows of one machine out of InfluxDB, for training. columns: None for every number there is.

    Values that are no numbers are missing; times are cut to microseconds.
    Raises InfluxError.
    """
    client = InfluxDBClient(
        url=influx.url, token=influx.token, org=influx.org, timeout=int(influx.timeout_s * 1000)
    )
    try:
        query = flux_query(influx, machine, columns, from_ns, to_ns)
        found = [
            (_ns(record.get_time()), _numbers(record.values))
            for record in client.query_api().query_stream(query, org=influx.org)
        ]
    except (ApiException, HTTPError) as error:
        raise InfluxError(
            f"{_why(error)}; history was not read, training can use the journal's own"
        ) from error
    except (FluxQueryException, FluxCsvParserException, LookupError, TypeError, ValueError) as error:
        raise InfluxError(
            f"InfluxDB did not answer the query with rows ({error}); training can use the journal's own"
        ) from error
    finally:
        client.close()
    names = (
        tuple(columns) if columns is not None else tuple(sorted({name for _, row in found for name in row}))
    )
    place = {name: k for k, name in enumerate(names)}
    times = np.array([time_ns for time_ns, _ in found], np.int64)
    values = np.full((len(found), len(names)), np.nan, np.float32)
    for i, (_, row) in enumerate(found):
        for name, value in row.items():
            if name in place:
                values[i, place[name]] = value
    order = np.argsort(times, kind="stable")
    return Rows(names, (machine,) * len(found), times[order], times[order], values[order])


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The measured values of a record: no tags (text), no columns of Flux itself, no holes."""
    return {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and name not in {"result", "table"}
        and not name.startswith("_")
    }


def _ns(moment: Any) -> int:
    """Nanoseconds of a datetime, which carries microseconds."""
    return int(moment.timestamp() * 1e6 + 0.5) * 1_000
