"""What a data scientist types: features, bearing, score, diagnose, backtest, rul."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from features.bearings import find, orders_of
from features.listing import features_markdown
from features.table import FEATURES
from mitra.commands import warm_up
from tests.mitra.commands.terminal import mitra

RATE_HZ, RPM = 12_000.0, 1_797.0
ORDERS = orders_of(find("6205"))


def impacts(order: float, seconds: float = 4.0, noise: float = 0.05) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A ringing at 3 kHz, struck at an order of the shaft, in noise. (n,) in g"""
    rng = np.random.default_rng(3)
    n = int(seconds * RATE_HZ)
    wave = rng.normal(0.0, noise, n)
    ring = np.exp(-np.arange(200) / 30.0) * np.sin(2 * np.pi * 3_000.0 * np.arange(200) / RATE_HZ)
    period = RATE_HZ * 60 / (RPM * order) if order else n
    for start in np.arange(0.0, n - 200, period)[1:]:
        wave[int(start) : int(start) + 200] += ring
    return wave.astype(np.float32)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as text:
        return list(csv.DictReader(text))


# -- features and bearings ------------------------------------------------------------------------------


def test_features_lists_what_the_kernel_fills() -> None:
    found = mitra("features", "--json")
    names = [one["name"] for one in found.data]
    assert names[: len(FEATURES)] == [f"{{axis}}.{one.name}" for one in FEATURES]
    assert all(one["fault"] and one["source"] for one in found.data)
    assert "velocity_rms_mm_s" in mitra("features").out
    assert mitra("features", "--markdown").out.strip() == features_markdown().strip()


def test_a_bearing_by_name_and_by_geometry_says_the_same() -> None:
    by_name = mitra("bearing", "6205-2RS/C3", "--rpm", "1800", "--json").data
    by_geometry = mitra(
        "bearing", "--elements", "9", "--ball", "7.94", "--pitch", "39.04", "--rpm", "1800", "--json"
    ).data
    assert by_name["orders"] == pytest.approx(by_geometry["orders"])
    assert by_name["hz"]["bpfo"] == pytest.approx(30 * ORDERS.bpfo)
    assert "BPFO" in mitra("bearing", "6205").out


def test_a_bearing_of_the_plant_file_is_known_and_all_are_listed(tmp_path: Path) -> None:
    plant = tmp_path / "plant.toml"
    assert mitra("plant", "new", plant).code == 0
    with plant.open("a") as text:
        text.write('\n[[bearing]]\nname = "own-1"\nrolling_elements = 12\nball_mm = 10\npitch_mm = 60\n')
    own = mitra("bearing", "own-1", "--plant", plant, "--json").data
    assert own["orders"]["bpfo"] == pytest.approx(5.0)
    assert "own-1" in mitra("bearing", "--plant", plant).out
    assert "6205" in [one["name"] for one in mitra("bearing", "--json").data]


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-bearing",),
        ("--elements", "9"),
        ("--elements", "90", "--ball", "7.94", "--pitch", "39.04"),
        ("6205", "--plant", "nowhere.toml"),
    ],
)
def test_a_bearing_that_cannot_be_is_a_setting(arguments: tuple[str, ...]) -> None:
    found = mitra("bearing", *arguments)
    assert found.code == 3
    assert found.out == ""
    assert found.err


@pytest.mark.parametrize("rpm", ["nan", "inf", "-1", "0", "1e308"])
def test_a_speed_out_of_reason_is_wrong_use_and_prints_no_frequencies(rpm: str) -> None:
    found = mitra("bearing", "6205", "--rpm", rpm)
    assert (found.code, found.out) == (2, "")
    assert "--rpm" in found.err


# -- score ----------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """600 rows of two channels; both leave their level for the last 100."""
    rng = np.random.default_rng(5)
    values = rng.normal(10.0, 0.1, (600, 2))
    values[500:] += 3.0
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as text:
        writer = csv.writer(text, delimiter=";")
        writer.writerow(["at", "flow", "pressure", "note"])
        writer.writerows([i, f"{a:.4f}", f"{b:.4f}", "ok"] for i, (a, b) in enumerate(values))
    return path


def test_score_writes_every_row_and_alarms_where_it_should(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    found = mitra("score", table, "--time", "at", "--fit-rows", "200", "--out", out, "--explain", "--json")
    assert found.code == 0, found.err
    assert found.data["rows"] == 600
    assert found.data["columns"] == ["flow", "pressure"]
    rows = rows_of(out)
    assert list(rows[0]) == ["timestamp", "score", "alarm", "reasons"]
    assert [row["timestamp"] for row in rows] == [str(i) for i in range(600)]
    assert all(0.0 <= float(row["score"]) <= 1.0 for row in rows)
    assert sum(row["alarm"] == "1" for row in rows[:500]) < 10
    assert sum(row["alarm"] == "1" for row in rows[500:]) > 50
    spoken = next(row["reasons"] for row in rows[500:] if row["alarm"] == "1")
    assert "flow" in spoken or "pressure" in spoken


def test_score_in_words_and_by_named_columns(table: Path, tmp_path: Path) -> None:
    found = mitra("score", table, "--time", "at", "--columns", "flow", "--out", tmp_path / "s.csv")
    assert found.code == 0
    assert found.out.startswith("600 rows, 90 learnt from")


def test_score_reads_parquet_npz_and_hdf5_as_it_reads_csv(table: Path, tmp_path: Path) -> None:
    plain = pacsv.read_csv(table, parse_options=pacsv.ParseOptions(delimiter=";")).drop_columns(["note"])
    pq.write_table(plain, tmp_path / "t.parquet")
    columns = {name: plain[name].to_numpy() for name in plain.column_names}
    np.savez(tmp_path / "t.npz", **columns)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        for name, column in columns.items():
            file[name] = column
    outs = []
    for path in (table, tmp_path / "t.parquet", tmp_path / "t.npz", tmp_path / "t.h5"):
        out = tmp_path / f"{path.suffix}.csv"
        asked = ("--time", "at", "--fit-rows", "200", "--columns", "flow,pressure")
        assert mitra("score", path, *asked, "--out", out).code == 0
        outs.append(out.read_text())
    assert len(set(outs)) == 1
    text = mitra(
        "score", tmp_path / "t.npz", "--time", "at", "--columns", "note", "--out", tmp_path / "s.csv"
    )
    assert (text.code, "no column note" in text.err) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--time", "hour"), "hour"),
        (("--time", "at", "--columns", "torque"), "torque"),
    ],
)
def test_score_says_what_does_not_fit(
    table: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    found = mitra("score", table, *arguments, "--out", tmp_path / "s.csv")
    assert found.code == 3
    assert said in found.err


def test_score_refuses_files_that_cannot_be(table: Path, tmp_path: Path) -> None:
    missing = mitra("score", tmp_path / "no.csv", "--time", "at", "--out", tmp_path / "s.csv")
    homeless = mitra("score", table, "--time", "at", "--out", tmp_path / "no" / "s.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00at;flow\n\x80\x81\n" * 50)
    binary = mitra("score", tmp_path / "binary.csv", "--time", "at", "--out", tmp_path / "s.csv")
    assert (missing.code, homeless.code, binary.code) == (3, 3, 3)
    assert "no.csv" in missing.err


# -- diagnose -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "fault"),
    [(ORDERS.bpfo, "bearing_outer"), (ORDERS.bpfi, "bearing_inner"), (0.0, "healthy")],
)
def test_diagnose_names_the_part(tmp_path: Path, order: float, fault: str) -> None:
    path = tmp_path / "wave.npz"
    np.savez(path, DE=impacts(order), FE=np.zeros(100))
    asked = ("--rate-hz", RATE_HZ, "--rpm", RPM, "--bearing", "6205", "--dataset", "DE", "--json")
    found = mitra("diagnose", path, *map(str, asked))
    assert found.code == 0, found.err
    assert found.data["fault"] == fault
    assert 0 < found.data["confidence"] <= 1
    assert found.data["why"]
    if fault != "healthy":
        assert found.data["evidence"][0]["part"] == fault
        assert found.data["evidence"][0]["lines"][0]["hz"] == pytest.approx(order * RPM / 60, rel=1e-3)
        assert not found.data["by_exclusion"]


def test_diagnose_reads_the_axis_that_speaks_and_orders_by_hand(tmp_path: Path) -> None:
    quiet, loud = impacts(0.0), impacts(ORDERS.bpfo)
    path = tmp_path / "wave.csv"
    np.savetxt(path, np.stack([quiet, loud], axis=1), delimiter=",", header="a,b", comments="", fmt="%.5f")
    orders = ",".join(f"{name}={getattr(ORDERS, name):.5f}" for name in ("bpfo", "bpfi", "bsf", "ftf"))
    asked = ("--rate-hz", str(RATE_HZ), "--rpm", str(RPM), "--orders", orders)
    found = mitra("diagnose", path, *asked, "--json").data
    assert (found["fault"], found["axis"]) == ("bearing_outer", "y")
    assert mitra("diagnose", path, *asked).out.startswith("bearing_outer")


def test_a_tacho_lets_the_speed_move_within_the_recording(tmp_path: Path) -> None:
    t = np.arange(int(6 * RATE_HZ)) / RATE_HZ
    turns = 20 * t + t**2  # from 20 to 32 turns a second
    struck = np.interp(np.arange(1, turns[-1] * ORDERS.bpfo) / ORDERS.bpfo, turns, t)
    wave, ring = np.random.default_rng(3).normal(0.0, 0.05, len(t)), np.arange(200) / RATE_HZ
    for start in (struck[:-10] * RATE_HZ).astype(int):
        wave[start : start + 200] += np.exp(-400 * ring) * np.sin(2 * np.pi * 3_000 * ring)
    np.savez(tmp_path / "run_up.npz", wave=wave.astype(np.float32))
    np.savetxt(tmp_path / "pulses.txt", np.interp(np.arange(turns[-1]), turns, t))
    asked = ("diagnose", tmp_path / "run_up.npz", "--rate-hz", str(RATE_HZ), "--bearing", "6205", "--json")
    tracked = mitra(*asked, "--tacho", tmp_path / "pulses.txt")
    assert tracked.code == 0, tracked.err
    assert (tracked.data["fault"], tracked.data["by_exclusion"]) == ("bearing_outer", False)
    smeared = mitra(*asked, "--rpm", str(60 * turns[-1] / t[-1])).data
    assert tracked.data["evidence"][0]["level_db"] > 10 + smeared["evidence"][0]["level_db"]


@pytest.mark.parametrize("speed", [(), ("--rpm", "1800", "--tacho", "pulses.txt")])
def test_a_diagnosis_needs_one_word_on_the_speed(tmp_path: Path, speed: tuple[str, ...]) -> None:
    found = mitra("diagnose", tmp_path / "x.npz", "--rate-hz", str(RATE_HZ), "--bearing", "6205", *speed)
    assert found.code == 3
    assert "either --rpm or --tacho" in found.err


def test_a_tacho_s_file_that_cannot_be_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "wave.npz", wave=impacts(0.0))
    for text, said in (("once\n", "no times in seconds"), ("0.1\n0.2\n", "four tacho pulses")):
        (tmp_path / "pulses.txt").write_text(text)
        asked = ("--rate-hz", str(RATE_HZ), "--bearing", "6205", "--tacho", tmp_path / "pulses.txt")
        found = mitra("diagnose", tmp_path / "wave.npz", *asked)
        assert found.code == 3
        assert said in found.err


def test_a_silent_recording_is_unknown_not_healthy(tmp_path: Path) -> None:
    path = tmp_path / "silence.npz"
    np.savez(path, wave=np.zeros(48_000, np.float32))
    asked = ("--rate-hz", str(RATE_HZ), "--rpm", str(RPM), "--bearing", "6205", "--json")
    found = mitra("diagnose", path, *asked).data
    assert found["fault"] == "unknown"
    assert found["confidence"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rpm", "1797"), "--bearing"),
        (("--rpm", "1797", "--bearing", "no-such"), "no-such"),
        (("--rpm", "1797", "--orders", "bpfo=3.5"), "bpfi"),
        (("--rpm", "1797", "--orders", "bpfo"), "orders"),
        (("--rpm", "1797", "--orders", "bpfo=x,bpfi=1,bsf=1,ftf=1"), "orders"),
        (("--rpm", "60", "--bearing", "6205"), "turns"),
        (("--rpm", "1797", "--bearing", "6205", "--snapshot", "3"), "snapshots"),
        (("--rpm", "1797", "--bearing", "6205", "--dataset", "XE"), "read"),
    ],
)
def test_diagnose_says_what_is_missing(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    path = tmp_path / "wave.npz"
    np.savez(path, DE=impacts(0.0, seconds=2.0))
    found = mitra("diagnose", path, "--rate-hz", str(RATE_HZ), *arguments)
    assert found.code == 3
    assert said in found.err


# -- backtest -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 snapshots of one axis; from the 80th on, impacts that grow."""
    rng = np.random.default_rng(11)
    waves = rng.normal(0.0, 0.5, (120, 1024, 1))
    for number in range(80, 120):
        waves[number, ::64] += 0.5 * (number - 79)
    path = tmp_path_factory.mktemp("life") / "life.npz"
    np.savez(path, waves.astype(np.float32))
    return path


def test_backtest_finds_the_change_and_writes_every_snapshot(life: Path, tmp_path: Path) -> None:
    out = tmp_path / "health.csv"
    found = mitra(
        "backtest", life, "--rate-hz", "25600", "--baseline", "40", "--period", "10", "--out", out, "--json"
    )
    assert found.code == 0, found.err
    told, rows = found.data, rows_of(out)
    assert told["snapshots"] == len(rows) == 120
    assert 80 <= told["first_alarm"] < 120
    assert told["lead_s"] == (119 - told["first_alarm"]) * 10
    assert told["alarms"][0]["snapshot"] == told["first_alarm"]
    assert float(rows[60]["health"]) > float(rows[119]["health"])


def test_backtest_in_words_with_bearing_lines(life: Path) -> None:
    asked = ("--rate-hz", "25600", "--baseline", "40", "--rpm", "1800", "--bearing", "6205")
    assert "first alarm at snapshot" in mitra("backtest", life, *asked).out


def test_one_long_recording_is_cut_into_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long.npz"
    np.savez(path, np.random.default_rng(2).normal(0, 1, 40_960).astype(np.float32))
    asked = ("--rate-hz", "4096", "--block", "1024", "--baseline", "20", "--json")
    assert mitra("backtest", path, *asked).data["snapshots"] == 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--bearing", "6205"), "--rpm"),
        (("--bearing", "no-such", "--rpm", "1800"), "no-such"),
        (("--dataset", "other"), "read"),
        (("--out", "no/such/folder.csv"), "folder"),
    ],
)
def test_backtest_says_what_does_not_fit(life: Path, arguments: tuple[str, ...], said: str) -> None:
    found = mitra("backtest", life, "--rate-hz", "25600", *arguments)
    assert found.code == 3
    assert said in found.err


# -- remaining life -------------------------------------------------------------------------------------


def runs(path: Path, units: int, *, cut: int = 0) -> Path:
    """Units that live 40 to 60 cycles; one column rises toward the end. cut: cycles left off each."""
    rng = np.random.default_rng(units)
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["unit", "cycle", "wear", "noise"])
        for unit in range(1, units + 1):
            lives = int(rng.integers(40, 61))
            for cycle in range(1, lives + 1 - cut):
                wear = np.exp(-(lives - cycle) / 15.0) + rng.normal(0, 0.01)
                writer.writerow([unit, cycle, f"{wear:.5f}", f"{rng.normal():.5f}"])
    return path


def test_rul_learns_and_predicts_with_an_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.rul.life.REPEATS", 1)  # how good it is tests/models/rul asks
    model, out = tmp_path / "life.skops", tmp_path / "rul.csv"
    learnt = mitra("rul", "train", runs(tmp_path / "train.csv", 12), "--out", model, "--json")
    assert learnt.code == 0, learnt.err
    assert learnt.data["units"] == 12
    assert learnt.data["rmse_cycles"] > 0
    told = mitra("rul", "predict", model, runs(tmp_path / "test.csv", 6, cut=12), "--out", out, "--json")
    assert told.code == 0, told.err
    rows = rows_of(out)
    assert list(rows[0]) == ["unit", "rul", "lower", "upper"]
    assert [row["unit"] for row in rows] == [str(n) for n in range(1, 7)]
    assert all(float(row["lower"]) <= float(row["rul"]) <= float(row["upper"]) for row in rows)
    assert np.mean([float(row["rul"]) for row in rows]) == pytest.approx(12, abs=8)


def test_training_in_words_prints_no_empty_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.rul.life.REPEATS", 1)
    found = mitra("rul", "train", runs(tmp_path / "train.csv", 12), "--out", tmp_path / "life.skops")
    assert (found.code, found.err) == (0, "")
    assert len(found.out.splitlines()) == 1
    assert "12 units" in found.out


def test_rul_says_what_is_too_little_or_no_model(tmp_path: Path) -> None:
    few = mitra("rul", "train", runs(tmp_path / "few.csv", 3), "--out", tmp_path / "m.skops")
    no_model = mitra(
        "rul", "predict", tmp_path / "few.csv", tmp_path / "few.csv", "--out", tmp_path / "o.csv"
    )
    missing = mitra("rul", "train", tmp_path / "no.csv", "--out", tmp_path / "m.skops")
    assert (few.code, no_model.code, missing.code) == (3, 3, 3)
    assert "10 are needed" in few.err
    assert "not a model file" in no_model.err


# -- warm-up --------------------------------------------------------------------------------------------


def test_compiling_says_that_it_begins_goes_on_and_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, tell = threading.Event(), warm_up.tell

    def heard(line: str) -> None:
        tell(line)
        if line.startswith("still compiling"):
            goes_on.set()

    monkeypatch.setattr(warm_up, "BEAT_S", 0.01)
    monkeypatch.setattr(warm_up, "tell", heard)
    monkeypatch.setattr(warm_up, "compile_all", lambda: goes_on.wait(60.0))
    found = mitra("warm-up")
    first, *middle, last = found.err.splitlines()
    assert (found.code, found.out) == (0, "")
    assert "takes a minute or two" in first
    assert middle
    assert all(line.startswith("still compiling") for line in middle)
    assert last.startswith("kernels ready")
