"""Recordings through the production code, also those of real machines, by the benchmarks' protocol."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from models.backtest import backtest, backtest_rows
from models.recordings import RecordingError, cut, load_recording, load_table
from tests.recordings import recording

FEMTO_COLUMNS = tuple(
    f"{what}_{axis}" for axis in "hv" for what in ("rms", "peak", "kurt", "skew", "crest", "p2p")
)


def growing_impacts(n, from_snapshot, rng):
    snapshots = rng.standard_normal((n, 1024, 1)).astype(np.float32)
    for i in range(from_snapshot, n):
        snapshots[i, ::97] += 0.25 * (i - from_snapshot)
    return snapshots


def test_a_growing_fault_alarms_and_leads_the_end():
    rng = np.random.default_rng(3)
    report = backtest(growing_impacts(200, 130, rng), 10_000.0, rpm=1500.0, baseline=60, period_s=600.0)
    assert report.first_alarm is not None
    assert 130 <= report.first_alarm < 180
    assert report.lead_s == (199 - report.first_alarm) * 600.0
    assert len(report.health) == len(report.condition) == 200
    assert report.health[-1] < 40 < report.health[100]
    assert set(report.condition[:60]) == {"learning"}


def test_noise_alone_alarms_nothing():
    rng = np.random.default_rng(4)
    report = backtest(
        rng.standard_normal((400, 512, 2)).astype(np.float32), 10_000.0, baseline=60, period_s=600.0
    )
    assert report.alarms == ()
    assert report.as_dict()["first_alarm"] is None


def test_ready_made_features_go_through_the_same_health_code():
    rng = np.random.default_rng(5)
    rms = np.exp(0.05 * rng.standard_normal(300))
    rms[220:] *= np.linspace(1, 6, 80)
    report = backtest_rows(("rms_h",), rms[:, None], baseline=60, period_s=600.0)
    assert report.first_alarm is not None
    assert report.first_alarm > 220
    assert report.alarms[0].channel == "rms_h"


@pytest.mark.parametrize("ending", [".h5", ".npz", ".csv"])
def test_a_recording_is_read_from_each_kind_of_file(tmp_path, ending):
    samples = np.random.default_rng(6).standard_normal((4, 512, 2)).astype(np.float32)
    path = tmp_path / f"recording{ending}"
    if ending == ".h5":
        with h5py.File(path, "w") as file:
            file["acceleration"], file["rpm"] = samples * 1000, 1500.0
    elif ending == ".npz":
        np.savez(path, acceleration=samples * 1000, rpm=np.array([1500.0]))
    else:
        np.savetxt(path, samples[0] * 1000, delimiter=",", header="x,y", comments="")
    read = load_recording(path, scale=1e-3)
    expected = samples if ending != ".csv" else samples[:1]
    np.testing.assert_allclose(read, expected, rtol=1e-4, atol=1e-6)


def test_what_is_no_recording_is_refused_in_words(tmp_path):
    two = tmp_path / "two.npz"
    np.savez(two, a=np.zeros((2, 512)), b=np.zeros((2, 512)))
    short, text, strange = tmp_path / "short.npz", tmp_path / "a.h5", tmp_path / "a.wav"
    np.savez(short, a=np.zeros(10))
    text.write_text("hello")
    strange.write_text("hello")
    for path, word in (
        (two, "name one"),
        (short, "shape"),
        (text, "read"),
        (strange, "ending"),
        (tmp_path / "no", "exist"),
    ):
        with pytest.raises(RecordingError, match=word):
            load_recording(path)
    table = tmp_path / "t.csv"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(RecordingError, match="no column"):
        load_table(table, time="when")


def test_a_pickled_array_is_never_loaded(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(RecordingError):
        load_recording(path)


def test_what_holds_no_signal_or_is_cut_short_is_a_sentence(tmp_path):
    path = tmp_path / "a.npz"
    for values in (np.full(512, np.nan), np.full(512, 1e300)):
        np.savez(path, a=values)
        with pytest.raises(RecordingError, match="no finite number"):
            load_recording(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RecordingError, match="cut short"):
        load_recording(path)
    with pytest.raises(RecordingError, match="folder"):
        load_recording(tmp_path)


def early(report):
    return [alarm for alarm in report.alarms if alarm.snapshot < 0.7 * report.snapshots]


@pytest.mark.recordings
@pytest.mark.parametrize(("bearing", "false_alarms"), [("1_1", 0), ("2_2", 1), ("3_2", 0)])
def test_femto_bearings_are_caught_ten_minutes_before_the_end(bearing, false_alarms):
    table = load_table(recording(f"femto/Bearing{bearing}_features.csv.gz"), columns=FEMTO_COLUMNS)
    report = backtest_rows(table.names, table.values, baseline=100)
    assert len(early(report)) <= false_alarms
    assert any(alarm.snapshot <= report.snapshots - 1 - 60 for alarm in report.alarms)


@pytest.mark.recordings
def test_ims_test_2_is_caught_74_hours_before_the_end_and_names_bearing_1():
    names = tuple(f"Bearing {i}" for i in range(1, 5))
    table = load_table(recording("ims/2nd_test_resmaple_10minutes.csv"), time="Datetime", columns=names)
    report = backtest_rows(table.names, table.values, baseline=200, time_ns=table.time_ns)
    assert {alarm.channel for alarm in report.alarms} == {"Bearing 1"}
    assert (table.time_ns[-1] - table.time_ns[report.first_alarm]) / 3.6e12 >= 74


@pytest.mark.recordings
def test_a_gearbox_at_another_load_is_no_fault():
    halves = [
        cut(load_recording(recording(f"gearbox/h30hz{load}.csv.gz")), 2048)[..., :3] for load in ("0", "90")
    ]
    report = backtest(np.concatenate(halves), 10_000.0, rpm=1800.0, baseline=len(halves[0]))
    assert report.alarms == ()


@pytest.mark.recordings
@pytest.mark.full
def test_femto_2_1_is_caught_from_raw_snapshots():
    raw = load_recording(recording("femto/Bearing2_1_raw.h5"), "acc_milli_g", 1e-3)
    report = backtest(raw, 25_600.0, baseline=100)
    assert early(report) == []
    assert report.first_alarm <= 910 - 60
