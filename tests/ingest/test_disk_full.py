"""A real file system that is full: nothing is damaged, the state is told, work goes on when there is room."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingest.contract.batch import Batch
from ingest.contract.rows import FeatureRow, Outputs
from ingest.contract.values import Message, Waveform
from ingest.historian import history
from ingest.historian.compact import HistoryPolicy
from ingest.journal.entry import Intake
from ingest.journal.journal import Journal, JournalFull
from ingest.journal.waveforms import WaveformPolicy
from ingest.keeper import Keeper, KeeperPolicy
from ingest.metrics import Health, IngestState, MetricsFile, read_health
from ingest.reader import Reader

S = 1_000_000_000
NOW_S = int(time.time()) - 3_600


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """8 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", str(folder)], check=False, capture_output=True
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("only root may mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def batch(i: int) -> tuple[Intake, Outputs]:
    at = (NOW_S + i) * S
    samples = np.random.default_rng(i).integers(-30_000, 30_000, 8192).astype("<i2").tobytes()
    wave = Waveform("x", samples, "int16", 8192.0, 0.001, at)
    said = Message("gw-1", "pump-1", at, (wave,), ())
    row = FeatureRow("pump-1", at, ("x.rms_g",), np.array([i], np.float32))
    return Intake(Batch(at, (said,)), (at,)), Outputs((row,))


def fill_up(journal: Journal) -> tuple[int, tuple[Intake, Outputs]]:
    """Commit until the disk is full; how many batches went in, and the one that did not."""
    for n_stored in range(10_000):
        one = batch(n_stored)
        try:
            journal.commit(*one)
        except JournalFull:
            return n_stored, one
    raise AssertionError("the disk never filled up")


def test_a_full_disk_refuses_whole_batches_and_takes_the_same_one_later(small_disk: Path) -> None:
    journal = Journal(small_disk / "journal.db", WaveformPolicy(every_s=0.0, budget_bytes_s=1e12))
    metrics = MetricsFile(small_disk / "ingest.metrics")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * 1024 * 1024))
    n_stored, refused = fill_up(journal)
    assert journal.checkpoint() > 0  # tidying up finds no room either, and says so without a fault
    with pytest.raises(JournalFull):
        journal.commit(*refused)
    metrics.write(Health(IngestState.STORAGE_FULL, 1, 2))  # in place: it can still be told
    told = read_health(small_disk / "ingest.metrics")
    assert told is not None
    assert told.state is IngestState.STORAGE_FULL
    reader = Reader(journal.path)
    assert len(reader.rows("pump-1").time_ns) == n_stored
    ballast.unlink()
    journal.commit(*refused)
    assert reader.waveform_times("pump-1", "x", limit=1) == [refused[0].batch.now_ns]
    values = reader.rows("pump-1").values[:, 0].tolist()
    assert values == [float(i) for i in range(n_stored + 1)]
    journal.close()
    db = sqlite3.connect(journal.path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_history_that_finds_no_room_is_whole_and_goes_on_later(small_disk: Path, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", WaveformPolicy(every_s=0.0, budget_bytes_s=1e12))
    for i in range(300):
        journal.commit(*batch(i))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(8 * 1024 * 1024 - 32 * 1024))
    keeper = Keeper(journal, small_disk / "history", KeeperPolicy(history=HistoryPolicy(fan_in=2)))
    keeper._try(keeper._export, 1)
    assert keeper.counters["keeper_failed"] == 1
    assert history.verify(small_disk / "history").findings == ()
    ballast.unlink()
    keeper._try(keeper._export, 1)
    keeper._try(keeper._upkeep)
    assert keeper.counters["keeper_failed"] == 1
    report = history.verify(small_disk / "history")
    assert report.good
    assert report.by_kind["rows"] == 300
    keeper.stop()
