"""InfluxDB follows the journal: right lines, nothing twice, nothing held up, servers that come and go."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import line_protocol
from ingest.contract.batch import Batch
from ingest.contract.rows import FeatureRow, Outputs
from ingest.influx import Follower, Influx, InfluxError, flux_query, flux_text, read_rows
from ingest.journal.entry import Intake
from ingest.journal.journal import Journal
from mitra.supervisor import free_port
from tests.waiting import until

S = 1_000_000_000
VICTORIA = shutil.which("victoria-metrics") or "/usr/bin/victoria-metrics"
NAMES = ("x.rms_g", "Power/Active", "odd, name=1")


def fill(journal: Journal, from_s: int, n_rows: int) -> None:
    rows = tuple(
        FeatureRow("pump-1", (from_s + i) * S, NAMES, np.array(values, np.float32))
        for i, values in ((i, [i, np.nan if i % 2 else 7.5, -i]) for i in range(n_rows))
    )
    journal.commit(Intake(Batch(from_s * S)), Outputs(rows))


def split(line: str) -> list[str]:
    """Measurement with tags, fields, time: the parts between unescaped blanks."""
    parts, last, escaped = [""], "", False
    for char in line:
        if char == " " and not escaped:
            parts.append("")
        else:
            parts[-1] += char
        escaped = char == "\\" and not escaped
        last = char
    del last
    return parts


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20), st.floats(width=32))
def test_no_name_breaks_a_line_or_starts_another(tag: str, name: str, value: float) -> None:
    made = line_protocol.line("mitra", {"machine": tag}, [(name, value)], 7)
    if made is None:
        assert not np.isfinite(value)
        return
    assert "\n" not in made
    assert "\r" not in made
    parts = split(made)
    assert len(parts) == 3
    assert parts[2] == "7"
    assert np.float32(float(parts[1].rsplit("=", 1)[1])) == np.float32(value)


class Stub(BaseHTTPRequestHandler):
    """Speaks the v2 interface: takes lines, refuses "poison", answers queries with annotated CSV."""

    lines: ClassVar[list[str]] = []
    status = 204
    answer = ""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        if self.path.startswith("/api/v2/query"):
            Stub.lines.append(json.loads(raw)["query"])
            self.send_response(200)
            self.send_header("Content-Type", "text/csv")
            self.end_headers()
            self.wfile.write(Stub.answer.encode())
            return
        said = raw.decode().splitlines()
        status = 400 if Stub.status == 204 and any("poison" in one for one in said) else Stub.status
        if status == 204:
            Stub.lines += said
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def stub() -> Iterator[str]:
    Stub.lines, Stub.status, Stub.answer = [], 204, ""
    server = HTTPServer(("127.0.0.1", 0), Stub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def influx(url: str, **more: object) -> Influx:
    return Influx(url, "token", "plant", "mitra", every_s=0.02, longest_wait_s=0.1, **more)


def test_rows_are_followed_once_over_restarts_and_outages(tmp_path: Path, stub: str) -> None:
    journal = Journal(tmp_path / "journal.db")
    fill(journal, 100, 25)
    follower = Follower(journal, influx(stub, batch_rows=10))
    Stub.status = 503
    follower.start()
    until(lambda: follower.counters["failures"] >= 2)
    assert "503" in follower.waiting_for
    began = time.monotonic()
    fill(journal, 200, 5)  # the journal does not wait for InfluxDB
    assert time.monotonic() - began < 1.0
    Stub.status = 204
    until(lambda: follower.counters["written"] == 30)
    follower.stop()
    again = Follower(journal, influx(stub))
    fill(journal, 300, 1)
    assert again.step() == 1
    again.stop()
    assert len(Stub.lines) == len(set(Stub.lines)) == 31
    assert Stub.lines[0] == r"mitra,machine=pump-1 x.rms_g=0,Power/Active=7.5,odd\,\ name\=1=0 100000000000"


def test_a_refused_line_is_counted_and_holds_no_other_up(tmp_path: Path, stub: str) -> None:
    journal = Journal(tmp_path / "journal.db")
    fill(journal, 100, 8)
    bad = FeatureRow("poison", 105 * S, NAMES, np.zeros(3, np.float32))
    journal.commit(Intake(Batch(1)), Outputs((bad,)))
    fill(journal, 200, 8)
    follower = Follower(journal, influx(stub))
    assert follower.step() == 17
    assert follower.counters == {"written": 16, "refused": 1, "skipped": 0, "failures": 0}
    follower.stop()


def test_wrong_credentials_are_told(tmp_path: Path, stub: str) -> None:
    journal = Journal(tmp_path / "journal.db")
    fill(journal, 100, 1)
    follower = Follower(journal, influx(stub))
    Stub.status = 401
    follower.start()
    until(lambda: "token" in follower.waiting_for)
    follower.stop()


def test_what_the_journal_forgot_is_counted(tmp_path: Path, stub: str) -> None:
    journal = Journal(tmp_path / "journal.db")
    fill(journal, 100, 5)
    follower = Follower(journal, influx(stub))
    follower.step()
    fill(journal, 200, 5)
    journal.forget("feature_row", 9, ("receive_ns", 1 << 62), 4)
    follower.step()
    assert follower.counters["skipped"] == 4
    follower.stop()


def test_names_in_flux_stay_text(stub: str) -> None:
    evil = '") |> drop(columns: ["_value"]) //${x}\n'
    query = flux_query(influx(stub), "pump-1", [evil], 1, 2)
    assert flux_text(evil) in query
    assert '\\") |> drop' in query
    assert "\n" not in query


def test_history_is_read_by_flux(stub: str) -> None:
    Stub.answer = (
        "#datatype,string,long,dateTime:RFC3339,string,double,double\r\n"
        "#group,false,false,false,true,false,false\r\n#default,_result,,,,,\r\n"
        ",result,table,_time,machine,x.rms_g,Power/Active\r\n"
        ",,0,2026-01-01T00:00:01Z,pump-1,0.25,\r\n,,0,2026-01-01T00:00:00.5Z,pump-1,0.5,7.5\r\n\r\n"
    )
    rows = read_rows(influx(stub), "pump-1", ("x.rms_g", "Power/Active"), 0, 2**62)
    assert np.diff(rows.time_ns).tolist() == [500_000_000]
    np.testing.assert_array_equal(rows.values, np.array([[0.5, 7.5], [0.25, np.nan]], np.float32))
    assert 'r.machine == "pump-1"' in Stub.lines[0]
    with pytest.raises(InfluxError, match="journal's own"):
        read_rows(influx("http://127.0.0.1:9"), "pump-1", ("x.rms_g",))


# What InfluxDB 2 answers, written after its documented annotated CSV: several tables with schemas of their
# own, integers, booleans, tags, defaults, quoted names, times to the nanosecond.
ANNOTATED = (
    "#datatype,string,long,dateTime:RFC3339,string,string,double,long,boolean\r\n"
    "#group,false,false,false,true,true,false,false,false\r\n"
    '#default,_result,,,,,,,\r\n,result,table,_time,machine,line,"odd, name",Count/Total,moving\r\n'
    ",,0,2026-01-01T00:00:02Z,pump-1,3,0.5,41,true\r\n"
    ",,0,2026-01-01T00:00:01.123456789Z,pump-1,3,,40,false\r\n\r\n"
    "#datatype,string,long,dateTime:RFC3339,string,double,unsignedLong\r\n"
    "#group,false,false,false,true,false,false\r\n"
    "#default,_result,,,,,7\r\n,result,table,_time,machine,x.rms_g,starts\r\n"
    ",,1,2026-01-01T00:00:03Z,pump-1,0.25,\r\n\r\n"
)
REFUSAL = (
    "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n"
    ',"runtime error: cannot sort, memory allocation limit reached",897\r\n\r\n'
)


def test_every_number_of_an_annotated_answer_is_read_and_nothing_else(stub: str) -> None:
    Stub.answer = ANNOTATED
    rows = read_rows(influx(stub), "pump-1")
    assert rows.names == ("Count/Total", "odd, name", "starts", "x.rms_g")
    start = 1_767_225_600 * 10**9
    assert rows.time_ns.tolist() == [start + 1_123_456_000, start + 2 * 10**9, start + 3 * 10**9]
    hole = np.nan
    wanted = [[40, hole, hole, hole], [41, 0.5, hole, hole], [hole, hole, 7, 0.25]]
    np.testing.assert_array_equal(rows.values, np.array(wanted, np.float32))
    assert "filter(fn: (r) => true)" in Stub.lines[0]
    few = read_rows(influx(stub), "pump-1", ("x.rms_g", "never"))
    np.testing.assert_array_equal(few.values[:, 0], np.array([hole, hole, 0.25], np.float32))
    assert np.isnan(few.values[:, 1]).all()


def test_no_rows_are_no_rows(stub: str) -> None:
    Stub.answer = "\r\n"
    rows = read_rows(influx(stub), "pump-1")
    assert (rows.names, rows.values.shape) == ((), (0, 0))
    assert "=> false)" in flux_query(influx(stub), "pump-1", (), 0, 1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            REFUSAL,
            "memory allocation limit",
        ),
        ("<html>a proxy says no</html>\r\n", "did not answer the query with rows"),
        (ANNOTATED.replace("2026-01-01T00:00:02Z", "yesterday"), "did not answer the query with rows"),
    ],
)
def test_an_answer_that_is_no_table_is_a_sentence(stub: str, answer: str, said: str) -> None:
    Stub.answer = answer
    with pytest.raises(InfluxError, match=said):
        read_rows(influx(stub), "pump-1")


@pytest.mark.full
@pytest.mark.skipif(not Path(VICTORIA).exists(), reason="victoria-metrics is not installed")
def test_a_real_server_that_speaks_the_v2_interface_holds_every_value(tmp_path: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [
            VICTORIA,
            f"-httpListenAddr=127.0.0.1:{port}",
            f"-storageDataPath={tmp_path / 'vm'}",
            "-retentionPeriod=10y",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        journal = Journal(tmp_path / "journal.db")
        start = int(time.time()) - 3600
        fill(journal, start, 100)
        follower = Follower(journal, influx(url, batch_rows=32))
        follower.start()
        until(lambda: follower.counters["written"] == 100)
        follower.stop()
        query = urllib.parse.urlencode({"match[]": '{machine="pump-1"}'})
        until(lambda: len(_exported(f"{url}/api/v1/export?{query}")) == 3)
        found = _exported(f"{url}/api/v1/export?{query}")
        assert found["mitra_x.rms_g"] == [float(i) for i in range(100)]
        assert found["mitra_odd, name=1"] == [float(-i) for i in range(100)]
        assert found["mitra_Power/Active"] == [7.5] * 50
    finally:
        server.terminate()
        server.wait(20)


def _exported(url: str) -> dict[str, list[float]]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        series = [json.loads(one) for one in answer.read().splitlines()]
    return {one["metric"]["__name__"]: one["values"] for one in series}
