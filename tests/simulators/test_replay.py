"""Recorded telemetry comes as it arrived: with its order, its clocks and its dirt."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.contract.rejected import Rejected
from simulators.replay import FACTORY_LOG, Arrival, SensorLog, sensor_log
from tests.recordings import recording

SECOND = 1_000_000_000
LOG = SensorLog("at", "who", "n", "clock", {"mg": ("Overall/x/rms_g", 1e-3)})
ROWS = (
    "at,who,n,clock,mg",
    "1000.0,s-1,7,0.5,250",
    "at,who,n,clock,mg",
    "1001.0,s-1,7,0.5,250",
    "1002,s-2,8,9999,",
    "soon,s-2,8,9999,1",
    "1003,s-2",
)


def test_dirt_is_named_and_everything_else_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress("\n".join(ROWS).encode()))
    said = list(sensor_log(path, LOG))
    assert [one.reason if isinstance(one, Rejected) else one.machine for one in said] == [
        "s-1",
        "stray_header",
        "s-1",
        "s-2",
        "no_number",
        "row_length",
    ]
    first, third, fourth = (one for one in said if isinstance(one, Arrival))
    assert first.scalars == {"Overall/x/rms_g": 0.25}
    assert (first.received_ns, first.device_ns) == (SECOND, SECOND // 2)
    assert fourth.scalars == {}
    assert first.message("gw").key == third.message("gw").key
    assert first.message("gw").key != fourth.message("gw").key


def test_a_log_without_the_columns_is_refused_with_their_names(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("at,who\n1,2\n")
    with pytest.raises(ValueError, match="'n'"):
        list(sensor_log(path, LOG))


@pytest.mark.recordings
def test_the_real_dirty_factory_arrives_whole() -> None:
    path = recording("xep_factory", "vibration_first_8_months.csv.gz")
    said = list(sensor_log(path, FACTORY_LOG))
    arrivals = [one for one in said if isinstance(one, Arrival)]
    assert len(arrivals) == len(said) == 77_634
    assert all(one.received_ns <= two.received_ns for one, two in pairwise(arrivals))
    wrong = sum(abs(one.received_ns - one.device_ns) > 86_400 * SECOND for one in arrivals)
    assert wrong == 22_497
    keys = {one.message("gw").key for one in arrivals}
    assert len(arrivals) - len(keys) == 14
