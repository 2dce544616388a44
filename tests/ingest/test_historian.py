"""The history holds every row once, whatever crashes, and is read as one with the journal."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.contract.batch import Batch
from ingest.contract.rows import Condition, FeatureRow, Judgement, Outputs
from ingest.contract.values import Message, Scalar, Waveform
from ingest.historian import history, query
from ingest.historian.compact import HistoryPolicy, upkeep
from ingest.historian.export import HotPolicy, export, forget
from ingest.historian.segments import Kind, name_of, segments, sorted_out
from ingest.journal.entry import Intake
from ingest.journal.journal import Journal
from ingest.journal.schema import open_reader
from ingest.journal.waveforms import WaveformPolicy
from ingest.keeper import Keeper, KeeperPolicy
from ingest.reader import Reader

S = 1_000_000_000
DAY = 86_400 * S
NAMES = ("x.rms_g", "Power/Active")
EVERYTHING = KeeperPolicy(hot=HotPolicy(hot_s=0.0, waves_s=0.0), least_rows=1)


def fill(journal: Journal, from_s: int, n_rows: int, *, machines: int = 2, step_s: int = 1) -> None:
    for i in range(n_rows):
        at = (from_s + i * step_s) * S
        said = tuple(_message(f"m-{k}", at, float(i)) for k in range(machines))
        rows = tuple(
            FeatureRow(one.machine, at, NAMES, np.array([i, k], np.float32)) for k, one in enumerate(said)
        )
        judged = tuple(Judgement(one.machine, at, Condition.NORMAL, 0.1, 0.9, 99.0) for one in said)
        journal.commit(Intake(Batch(at, said), (at,) * machines), Outputs(rows, judged))


def _message(machine: str, at: int, value: float) -> Message:
    samples = struct.pack("<256h", *([int(value)] * 256))
    wave = Waveform("x", samples, "int16", 1000.0, 0.001, at)
    return Message("gw-1", machine, at, (wave,), (Scalar("Power/Energy", 1e6 + value / 7, at),))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.db", WaveformPolicy(every_s=0.0, budget_bytes_s=1e12))


def _export(journal: Journal, folder: Path, *, hot_s: float = 0.0) -> None:
    db = open_reader(journal.path)
    export(journal, db, folder)
    db.close()
    forget(journal, HotPolicy(hot_s, hot_s), 1 << 62)


def check(reader: Reader, n_rows: int, machine: str = "m-1") -> None:
    rows = reader.rows(machine)
    assert rows.time_ns.tolist() == sorted(rows.time_ns.tolist())
    assert rows.values[:, rows.names.index("x.rms_g")].tolist() == [float(i) for i in range(n_rows)]
    times, values = reader.scalars(machine, "Power/Energy")
    assert values.tolist() == [1e6 + i / 7 for i in range(n_rows)]
    assert times.tolist() == rows.time_ns.tolist()


def test_history_and_journal_read_as_one(journal: Journal, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    reader = Reader(journal.path, folder)
    fill(journal, 1000, 30)
    check(reader, 30)
    _export(journal, folder)
    assert Reader(journal.path).rows("m-1").time_ns.tolist() == [1029 * S]  # the newest row stays
    check(reader, 30)
    fill_more = [(1030, 10), (1040, 10)]
    for start, _ in fill_more:
        for i in range(10):
            at = (start + i) * S
            one = _message("m-1", at, float(start - 1000 + i))
            row = FeatureRow("m-1", at, NAMES, np.array([start - 1000 + i, 1], np.float32))
            journal.commit(Intake(Batch(at, (one,)), (at,)), Outputs((row,)))
    check(reader, 50)
    _export(journal, folder, hot_s=1e12)
    check(reader, 50)
    wave = reader.waveform("m-1", "x", 1010 * S + 1)
    assert wave is not None
    assert struct.unpack("<256h", wave.samples) == (10,) * 256
    assert reader.waveform_times("m-0", "x", limit=2) == [1029 * S, 1028 * S]
    assert [one.time_ns for one in reader.judgements("m-0")] == [1000 * S]


def test_merging_changes_nothing_that_is_read(journal: Journal, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    for part in range(9):
        fill_at = 1000 + part * 10
        for i in range(10):
            at = (fill_at + i) * S
            one = _message("m-1", at, float(part * 10 + i))
            row = FeatureRow("m-1", at, NAMES, np.array([part * 10 + i, 1], np.float32))
            journal.commit(Intake(Batch(at, (one,)), (at,)), Outputs((row,)))
        _export(journal, folder)
    reader = Reader(journal.path, folder)
    assert len(segments(folder, Kind.ROWS)) == 9
    done = upkeep(folder, HistoryPolicy(), 1000 * S)
    assert done["merged"] >= 16
    assert len(segments(folder, Kind.ROWS)) == 2
    check(reader, 90)
    assert history.verify(folder).good


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.full)])
def test_a_crash_at_any_step_of_export_and_upkeep_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Every rename, deletion and sync is a place to die; after each, everything is still read once."""
    steps = _crash_at(tmp_path / "count", monkeypatch, 10**9)
    assert steps > 30
    for at in range(0, steps, every):
        _crash_at(tmp_path / f"at-{at}", monkeypatch, at)


def _crash_at(folder: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> int:
    folder.mkdir()
    journal = Journal(folder / "journal.db", WaveformPolicy(every_s=0.0, budget_bytes_s=1e12))
    held = folder / "history"
    count = 0

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **more: object) -> object:
            nonlocal count
            if count == at:
                raise Crash
            count += 1
            return real(*args, **more)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying(Path.replace))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        patch.setattr(os, "fsync", dying(os.fsync))
        patch.setattr(journal, "remember", dying(journal.remember))
        patch.setattr(journal, "forget", dying(journal.forget))
        with suppress(Crash):
            _life(journal, held)
    n_rows = int(np.asarray(Reader(journal.path).counters().get("stored_rows", 0)))
    check(Reader(journal.path, held), n_rows, "m-0")
    _export(journal, held)
    upkeep(held, HistoryPolicy(fan_in=2), 1000 * S, everything=True)
    check(Reader(journal.path, held), n_rows, "m-0")
    report = history.verify(held)
    assert report.findings == ()
    assert report.missing == ()
    journal.close()
    return count


def _life(journal: Journal, folder: Path) -> None:
    for part in range(3):
        for i in range(4):
            at = (1000 + part * 4 + i) * S
            one = _message("m-0", at, float(part * 4 + i))
            row = FeatureRow("m-0", at, NAMES, np.array([part * 4 + i, 1], np.float32))
            journal.commit(Intake(Batch(at, (one,)), (at,)), Outputs((row,)))
        _export(journal, folder)
    upkeep(folder, HistoryPolicy(fan_in=2), 1000 * S, everything=True)


def test_superseded_segments_do_not_count(tmp_path: Path) -> None:
    names = [
        name_of(Kind.ROWS, 1, (1, 100), (0, 9)),
        name_of(Kind.ROWS, 1, (1, 50), (0, 5)),
        name_of(Kind.ROWS, 1, (51, 100), (5, 9)),
        name_of(Kind.ROWS, 2, (51, 100), (5, 9)),
        name_of(Kind.ROWS, 1, (101, 120), (5, 9)),
    ]
    names = [f"{name}-c00000000.parquet" for name in names]
    for name in [*names, "notes.parquet", "rows-s1-x.parquet"]:
        (tmp_path / name).touch()
    live, gone = sorted_out(tmp_path, Kind.ROWS)
    assert {one.path.name for one in live} == {names[0], names[3], names[4]}
    assert {one.path.name for one in gone} == {names[1], names[2]}


def test_late_rows_correct_the_aggregates(journal: Journal, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    start = 100 * 86_400
    fill(journal, start, 20, machines=1, step_s=60)
    _export(journal, folder)
    upkeep(folder, HistoryPolicy(), (start + 10 * 86_400) * S)
    fill(journal, start + 5 * 86_400, 2, machines=1)
    fill(journal, start + 30, 5, machines=1, step_s=60)  # late: days older than what came before
    _export(journal, folder)
    upkeep(folder, HistoryPolicy(), (start + 10 * 86_400) * S)
    reader = Reader(journal.path, folder)
    trend = reader.trend("m-0", ("x.rms_g", "none"))
    assert trend.time_ns[0] == start * S
    assert trend.values["x.rms_g"][0] == pytest.approx((sum(range(10)) + sum(range(5))) / 15)
    assert trend.high["x.rms_g"][:2].tolist() == [9.0, 19.0]
    assert np.isnan(trend.values["none"]).all()


def test_expired_rows_live_on_as_aggregates(journal: Journal, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    fill(journal, 86_400, 30, machines=1, step_s=60)
    _export(journal, folder)
    now = 100 * DAY
    upkeep(folder, HistoryPolicy(rows_days=30.0), now)
    upkeep(folder, HistoryPolicy(rows_days=30.0), now)
    assert segments(folder, Kind.ROWS) == []
    fill(journal, 100 * 86_400, 1, machines=1)
    trend = Reader(journal.path, folder).trend("m-0", ("x.rms_g",))
    assert trend.low["x.rms_g"].tolist()[:3] == [0.0, 10.0, 20.0]


def test_a_waveform_that_the_journal_has_is_not_looked_for_in_the_history(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "history"
    fill(journal, 1000, 5)
    reader = Reader(journal.path, folder)
    asked: list[int] = []
    monkeypatch.setattr("ingest.series.query.waves", lambda *given: asked.append(given[3]) or [])
    found = [reader.waveform("m-0", "x", at) for at in reader.waveform_times("m-0", "x")]
    assert [one.start_ns // S for one in found if one] == [1004, 1003, 1002, 1001, 1000]
    assert asked == []
    assert reader.waveform("m-0", "x", 1002 * S + 1) is not None
    assert asked == [1002 * S + 1]


def test_many_waveforms_are_one_question_to_the_history(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "history"
    fill(journal, 1000, 20)
    _export(journal, folder)
    fill(journal, 1020, 5)
    reader = Reader(journal.path, folder)
    starts = reader.waveform_times("m-0", "x")
    alone = [reader.waveform("m-0", "x", at) for at in reversed(starts)]
    asked: list[int] = []
    waves_at = query.waves_at
    monkeypatch.setattr(query, "waves_at", lambda *given: (asked.append(len(given[3])), waves_at(*given))[1])
    together = reader.waveforms("m-0", "x", [*starts, 5 * S])
    assert list(together) == alone
    assert len(together) == 25
    assert len(asked) == 1
    assert reader.waveforms("m-0", "x", ()) == ()


def test_waveforms_of_healthy_machines_are_thinned_and_those_of_alarms_stay(tmp_path: Path) -> None:
    journal = Journal(
        tmp_path / "journal.db", WaveformPolicy(every_s=0.0, suspicious_every_s=0.0, budget_bytes_s=1e12)
    )
    folder = tmp_path / "history"
    fill(journal, 3600, 10, machines=1)
    at = 4000 * S
    sick = Judgement("m-0", at, Condition.ALARM, 1.0, 0.9, 10.0)
    for i in range(3):
        one = _message("m-0", at + i * S, 1.0)
        row = FeatureRow("m-0", at + i * S, NAMES, np.array([1, 1], np.float32))
        journal.commit(Intake(Batch(at, (one,)), (at + i * S,)), Outputs((row,), (sick,)))
    _export(journal, folder)
    upkeep(folder, HistoryPolicy(), 3 * DAY)
    reader = Reader(journal.path, folder)
    assert reader.waveform_times("m-0", "x") == [at + 2 * S, at + S, at, 3600 * S]
    upkeep(folder, HistoryPolicy(), 200 * DAY)
    assert reader.waveform_times("m-0", "x") == [at + 2 * S, at + S, at]


def test_export_import_and_verify(journal: Journal, tmp_path: Path) -> None:
    folder, other = tmp_path / "history", tmp_path / "other"
    fill(journal, 1000, 20)
    _export(journal, folder)
    copy = tmp_path / "copy.parquet"
    assert history.export(folder, copy, machine="m-1", from_ns=1005 * S) == 15
    assert history.export(folder, tmp_path / "copy.csv", form="csv") == 40
    assert history.bring_in(other, [copy]) == 15
    assert history.bring_in(other, [copy]) == 15
    rows = Reader(journal.path, other).rows("m-1", to_ns=1010 * S)
    assert history.verify(other).n_rows == 15
    assert rows.values[:, 0].tolist()[:1] == [5.0]
    pq.write_table(pa.table({"machine": ["m-1"]}), copy)
    with pytest.raises(history.HistoryError, match="time_ns"):
        history.bring_in(other, [copy])
    pq.write_table(pa.table({"machine": ["../x"], "time_ns": [1]}), copy)
    with pytest.raises(history.HistoryError, match="no machine id"):
        history.bring_in(other, [copy])


def test_verify_names_a_damaged_segment_and_missing_ids(journal: Journal, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    for part in range(3):
        fill(journal, 1000 + 100 * part, 20)
        _export(journal, folder)
    found = segments(folder, Kind.ROWS)
    found[1].path.unlink()
    raw = bytearray(found[2].path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    found[2].path.write_bytes(raw)
    report = history.verify(folder)
    assert [one.file for one in report.findings] == [found[2].path.name]
    assert report.missing == (("rows", 41, 80),)
    assert not report.good


def test_the_keeper_works_while_readers_read_and_the_writer_is_never_held_up(tmp_path: Path) -> None:
    """Four readers in a loop, exports and merges beside them: commits stay quick, reads stay right."""
    journal = Journal(tmp_path / "journal.db", WaveformPolicy(every_s=5.0))
    folder = tmp_path / "history"
    start = int(time.time()) - 10_000
    fill(journal, start, 200)
    keeper = Keeper(
        journal,
        folder,
        KeeperPolicy(0.02, 0.2, 0.5, 1, HotPolicy(0.5, 0.5), HistoryPolicy(fan_in=2)),
    )
    keeper.start()
    stop, failures, reads = threading.Event(), list[BaseException](), [0] * 4

    def read(which: int) -> None:
        reader = Reader(journal.path, folder)
        while not stop.is_set():
            try:
                rows = reader.rows(f"m-{which % 2}", to_ns=(1 << 62))
                assert len(set(rows.time_ns.tolist())) == len(rows.time_ns)
                assert len(rows.time_ns) >= 200
                reader.changes_since(0)
                reads[which] += 1
            except BaseException as error:  # noqa: BLE001 (handed to the test below)
                failures.append(error)
                return
        reader.close()

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    slowest, n_commits, end = 0.0, 0, time.monotonic() + 3.0
    while time.monotonic() < end:
        began = time.monotonic()
        fill(journal, start + 1000 + n_commits, 1)
        slowest = max(slowest, time.monotonic() - began)
        n_commits += 1
    stop.set()
    for thread in threads:
        thread.join()
    keeper.stop()
    assert failures == []
    assert min(reads) > 0
    assert keeper.counters.get("keeper_failed", 0) == 0
    assert slowest < 2.0
    rows = Reader(journal.path, folder).rows("m-0")
    assert len(rows.time_ns) == 200 + n_commits
