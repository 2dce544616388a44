"""`mitra score` on files as people have them."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from models.score import TableError, check_clock, run
from models.score.files import read_table


@pytest.fixture
def pump(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    flow = rng.normal(32, 0.4, 600)
    flow[450:] -= 4
    lines = ["datetime;Flow;Note;anomaly"]
    lines += [
        f"2026-01-01 00:{row // 60:02d}:{row % 60:02d};{flow[row]:.4f};ok;{int(row >= 450)}"
        for row in range(600)
    ]
    lines[200] = lines[200].replace(lines[200].split(";")[1], "")
    path = tmp_path / "pump.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_scores_stand_beside_their_timestamps(pump: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    report = run(pump, out, time="datetime", columns=["Flow"], fit_rows=200, explain=True, language="id")
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert (report.rows, report.columns, report.missing_cells) == (600, ("Flow",), 1)
    assert report.alarms == 1
    assert [row["timestamp"] for row in rows[:2]] == ["2026-01-01 00:00:00", "2026-01-01 00:00:01"]
    assert {row["alarm"] for row in rows[:450]} == {"0"}
    assert {row["alarm"] for row in rows[460:]} == {"1"}
    assert all((float(row["score"]) >= 0.5) == (row["alarm"] == "1") for row in rows)
    assert "di bawah tingkat sehatnya" in rows[500]["reasons"]


def test_without_names_every_numeric_column_is_taken(pump: Path) -> None:
    assert read_table(pump, "datetime").channels == ("Flow", "anomaly")


def test_a_gzipped_table_reads_the_same(pump: Path) -> None:
    packed = pump.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(pump.read_bytes()))
    assert np.array_equal(
        read_table(packed, "datetime").values, read_table(pump, "datetime").values, equal_nan=True
    )


def test_a_missing_column_is_named_with_what_there_is(pump: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no column time, so it was not scored\. It has: datetime, Flow"):
        run(pump, tmp_path / "out.csv", time="time")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("text", ["", "datetime,x\n", "datetime,x\n1,a\n2,b\n"])
def test_nothing_to_score_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(TableError):
        run(path, tmp_path / "out.csv", time="datetime")


def test_too_short_a_baseline_is_said(pump: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="at least 40 healthy rows, got 10"):
        run(pump, tmp_path / "out.csv", time="datetime", columns=["Flow"], fit_rows=10)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["0", "1", "2", "2", "1", "9"], (1.0, 1, 1, 1, 0)),
        (["01-01-2018 00:15", "01-01-2018 00:30", "01-01-2018 01:30"], (2250.0, 0, 0, 0, 0)),
        (["2026-01-01T00:00:00+07:00", "2026-01-01T00:00:01+07:00", ""], (1.0, 0, 0, 0, 1)),
        (["yesterday", "today"], (0.0, 0, 0, 0, 2)),
    ],
)
def test_the_clock_of_a_table_is_declared(
    times: list[str], expected: tuple[float, int, int, int, int]
) -> None:
    found = check_clock(times)
    assert (found.usual_step, found.repeated, found.backwards, found.gaps, found.unreadable) == expected
