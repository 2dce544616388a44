"""What the alarms ask of people, at the terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.written_plant import change
from ingest.contract.batch import Batch
from ingest.contract.rows import AlarmState, Outputs, Priority
from ingest.journal.entry import Intake
from ingest.journal.journal import Journal
from mitra.layout import Layout, make_folder
from tests.mitra.commands.terminal import mitra

HOUR = 3_600 * 10**9
START = datetime(2026, 1, 5, tzinfo=UTC)
START_NS = int(START.timestamp()) * 10**9
MACHINES = 12


def test_alarms_counts_what_was_asked_of_people(tmp_path: Path) -> None:
    journal = Journal(make_folder(tmp_path / "server") / Layout(tmp_path).journal.name)
    calls = [change(f"m-{k:02d}", "looseness", Priority.LOW, START_NS + k * 10**9) for k in range(MACHINES)]
    normal = (AlarmState.NORMAL, AlarmState.UNACKNOWLEDGED)
    goes = change("m-00", "looseness", Priority.LOW, START_NS + HOUR, state=normal[0], previous=normal[1])
    journal.commit(Intake(Batch(START_NS + HOUR)), Outputs(alarms=(*calls, goes)))
    journal.close()
    days = ("--from", START.isoformat(), "--to", (START + timedelta(days=2)).isoformat())
    found = mitra("alarms", "--data", tmp_path, *days, "--json")
    assert found.code == 0, found.err
    assert (found.data["n_alarms"], found.data["most_in_10_min"], found.data["chattering"]) == (12, 12, 0)
    assert found.data["stale"] == MACHINES - 1
    assert found.data["time_in_flood"] == pytest.approx(1 / 288)
    assert "12 alarms from 2026-01-05" in mitra("alarms", "--data", tmp_path, *days).out
    later = mitra(
        "alarms", "--data", tmp_path, "--from", (START + timedelta(days=1)).isoformat(), *days[2:], "--json"
    )
    assert (later.data["n_alarms"], later.data["stale"]) == (0, MACHINES - 1)


def test_alarms_of_no_time_and_of_no_plant_are_refused(tmp_path: Path) -> None:
    nowhere = mitra("alarms", "--data", tmp_path / "no")
    backwards = mitra("alarms", "--data", tmp_path, "--from", "2026-02-01", "--to", "2026-01-01")
    assert (nowhere.code, backwards.code) == (3, 3)
    assert "--from is not before --to" in backwards.err
