"""A dirty log through the host in its own time: every kind of dirt is named and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mitra.exits import PersonError
from mitra.sensor_log import LogReplay, is_sensor_log
from simulators.replay import FACTORY_LOG

COLUMNS = (
    FACTORY_LOG.received_ms,
    FACTORY_LOG.sensor,
    FACTORY_LOG.sequence,
    FACTORY_LOG.device_s,
    *FACTORY_LOG.channels,
)
START_S, PERIOD_S, YEARS_S = 1_668_000_000, 900, 4 * 365 * 86_400


def line(number: int, sensor: str = "sensor-1", offset_s: int = 0, pause_s: int = 0) -> str:
    at_s = START_S + number * PERIOD_S + pause_s
    values = [str(number % 7 + 1)] * len(FACTORY_LOG.channels)
    return ",".join([str(at_s * 1_000), sensor, str(number % 256), str(at_s + offset_s), *values])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    header = ",".join(COLUMNS)
    good = [line(number) for number in range(40)]
    rows = [
        *good[:20],
        good[19],  # sent again
        header,  # strayed in
        "1,2,3",  # torn
        *(line(number, "sensor-2", -YEARS_S) for number in range(20, 40)),  # a clock years behind, steady
        *(line(number, pause_s=30 * 3_600) for number in range(40, 50)),  # more than a day of silence
    ]
    path = tmp_path / "log.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def test_dirt_is_named_and_counted_and_nothing_is_stored_twice(log: Path, tmp_path: Path) -> None:
    found = LogReplay(log, tmp_path / "data", lambda _rows: None).run()
    assert found["rows_rejected"] == {"stray_header": 1, "row_length": 1}
    assert found["arrivals"] == 20 + 1 + 20 + 10
    assert found["duplicates_resent"] == 1
    assert found["duplicates_stored"] == 0
    assert found["stored"] == found["arrivals"] - 1
    assert found["clocks"]["gw-sensor-2"]["state"] == "corrected"
    assert found["clocks"]["gw-sensor-2"]["offset_s"] == YEARS_S
    assert found["clocks_corrected"] == 1
    assert found["gaps_over_an_hour"] >= 1
    assert found["quarantined"] == found["released"] > 0


def test_a_log_is_told_from_a_waveform_recording(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "wave.csv"
    other.write_text("x,y\n1,2\n", "utf-8")
    assert is_sensor_log(log)
    assert not is_sensor_log(other)
    assert not is_sensor_log(tmp_path / "missing.csv")


def test_a_log_without_its_columns_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(PersonError, match="has no column"):
        LogReplay(path, tmp_path / "data", lambda _rows: None).run()
