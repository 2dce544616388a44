"""Recordings of every format play with the samples, scale and times that they hold."""

from __future__ import annotations

import gzip
import wave
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge.sensors import Patient, SensorConfigError, build
from edge.sensors.readers import READERS, Wanted, open_recording
from ingest.contract.plant import Plant
from ingest.contract.values import Scalar, Waveform
from tests.recordings import recording

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
SIGNAL = np.random.default_rng(3).normal(0.0, 1.0, (4, 512, 2)).astype(np.float32)
COUNTS = (SIGNAL * 1000).astype(np.int16)
MakePlant = Callable[..., Plant]


def sensor_of(plant_with: MakePlant, folder: Path, **table: object) -> Patient:
    plant = plant_with(kind="recording", **table)
    return build(plant, plant.machine[0], folder)


def play(sensor: Patient, now_ns: int = T0) -> list[tuple[Waveform | Scalar, ...]]:
    """Everything that a recording says, with a bound on how long it may speak."""
    said = []
    for _ in range(10_000):
        if sensor.exhausted:
            return said
        telemetry = sensor.read(now_ns)
        assert sensor.trouble is None, sensor.trouble
        said.append(telemetry)
    raise AssertionError("the recording never ends")


def signal_of(said: list[tuple[Waveform | Scalar, ...]]) -> np.ndarray:
    """[snapshot, sample, axis] in g."""
    return np.array(
        [
            [np.frombuffer(w.samples, "<i2" if w.sample_type == "int16" else "<f4") * w.scale_g for w in one]
            for one in said
        ]
    ).transpose(0, 2, 1)


def write_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["acceleration"] = SIGNAL
        file["snapshot"] = np.array([10, 11, 14, 15])


def write_npz(path: Path) -> None:
    np.savez(path, acceleration=COUNTS, rate_hz=6400.0)


def write_wav(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(6400)
        file.writeframes(COUNTS.reshape(-1, 2).astype("<i2").tobytes())


def write_csv(path: Path, delimiter: str = ",") -> None:
    rows = [delimiter.join(("a", "b", "note"))]
    rows += [delimiter.join((f"{a:.7g}", f"{b:.7g}", "ok")) for a, b in SIGNAL.reshape(-1, 2)]
    text = "\n".join(rows)
    if path.name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def write_parquet(path: Path) -> None:
    a, b = SIGNAL.reshape(-1, 2).T
    pq.write_table(pa.table({"a": a, "b": b, "note": ["ok"] * len(a)}), path)


WRITERS = {
    "r.h5": (write_hdf5, {"rate_hz": 6400.0}),
    "r.hdf5": (write_hdf5, {"rate_hz": 6400.0}),
    "r.npz": (write_npz, {"scale_g": 0.001}),
    "r.wav": (write_wav, {"scale_g": 0.001, "block_samples": 512}),
    "r.csv": (write_csv, {"rate_hz": 6400.0, "columns": ["a", "b"], "block_samples": 512}),
    "r.csv.gz": (write_csv, {"rate_hz": 6400.0, "columns": ["a", "b"], "block_samples": 512}),
    "r.parquet": (write_parquet, {"rate_hz": 6400.0, "columns": ["a", "b"], "block_samples": 512}),
}


def test_every_reader_is_played_below() -> None:
    assert {name.removeprefix("r") for name in WRITERS} == set(READERS)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_every_format_says_what_was_recorded(name: str, plant_with: MakePlant, tmp_path: Path) -> None:
    write, table = WRITERS[name]
    write(tmp_path / name)
    sensor = sensor_of(
        plant_with, tmp_path, path=name, period_s=10.0, as_fast_as_possible=True, axes=["x", "y"], **table
    )
    said = play(sensor)
    assert np.allclose(signal_of(said), SIGNAL, atol=0.0011)
    assert {wave.rate_hz for one in said for wave in one} == {6400.0}
    assert sensor.period_ns == 0


def test_times_follow_the_grid_of_snapshots_and_end_now(plant_with: MakePlant, tmp_path: Path) -> None:
    write_hdf5(tmp_path / "r.h5")
    table = {"path": "r.h5", "rate_hz": 6400.0, "period_s": 10.0}
    fast = play(sensor_of(plant_with, tmp_path, as_fast_as_possible=True, **table))
    assert [(one[0].start_ns - T0) // SECOND for one in fast] == [-60, -50, -20, -10]
    paced = sensor_of(plant_with, tmp_path, **table)
    assert paced.read(T0)[0].start_ns == T0
    assert paced.read(T0 + 12 * SECOND)[0].start_ns == T0 + 10 * SECOND
    assert paced.period_ns == 10 * SECOND


def test_a_failed_recording_goes_on_where_it_stood(plant_with: MakePlant, tmp_path: Path) -> None:
    write_hdf5(tmp_path / "r.h5")
    sensor = sensor_of(plant_with, tmp_path, path="r.h5", rate_hz=6400.0, period_s=1.0)
    first = sensor.read(T0)
    sensor.close()
    rest = play(sensor)
    assert np.allclose(signal_of([first, *rest]), SIGNAL)


def test_rows_of_scalars_keep_their_own_time_and_stray_headers_are_left_out(
    plant_with: MakePlant, tmp_path: Path
) -> None:
    rows = ("when;temp;amp", "2020-03-09 10:14:33;61.5;2", "when;temp;amp", "2020-03-09 10:14:34;;3", "x;1;2")
    (tmp_path / "r.csv").write_text("\n".join(rows))
    sensor = sensor_of(
        plant_with,
        tmp_path,
        path="r.csv",
        time="when",
        channels={"temp": "Temperature/body", "amp": "Current/L1"},
        as_fast_as_possible=True,
    )
    t = 1_583_748_873 * SECOND
    assert play(sensor) == [
        (Scalar("Temperature/body", 61.5, t), Scalar("Current/L1", 2.0, t)),
        (Scalar("Current/L1", 3.0, t + SECOND),),
    ]


@pytest.mark.parametrize(
    ("write", "name", "table", "words"),
    [
        (lambda p: None, "gone.h5", {"rate_hz": 1.0}, "gone.h5"),
        (lambda p: p.write_bytes(b"rubbish" * 99), "r.h5", {"rate_hz": 1.0}, "r.h5"),
        (lambda p: p.write_bytes(b"rubbish" * 99), "r.npz", {"rate_hz": 1.0}, "r.npz"),
        (lambda p: p.write_bytes(b"rubbish" * 99), "r.wav", {}, "r.wav"),
        (lambda p: p.write_bytes(b"\xff\xfe" * 99), "r.csv", {"rate_hz": 1.0}, "r.csv"),
        (lambda p: p.write_bytes(b"rubbish" * 99), "r.csv.gz", {"rate_hz": 1.0}, "r.csv.gz"),
        (lambda p: p.write_bytes(b"rubbish" * 99), "r.parquet", {"rate_hz": 1.0}, "r.parquet"),
        (write_hdf5, "r.h5", {}, "rate_hz"),
        (write_npz, "r.npz", {}, "scale_g"),
        (write_hdf5, "r.h5", {"rate_hz": 1.0, "dataset": "nothing"}, "acceleration"),
        (write_csv, "r.csv", {"rate_hz": 1.0, "columns": ["c"]}, "'c'"),
        (lambda p: np.savez(p, a=np.ones((9, 9)), b=np.ones((9, 9))), "r.npz", {"rate_hz": 1.0}, "dataset"),
        (lambda p: np.savez(p, a=np.ones((900, 9))), "r.npz", {"rate_hz": 1.0}, "blocks"),
        (lambda p: np.savez(p, a=np.array([{}])), "r.npz", {"rate_hz": 1.0}, "r.npz"),
    ],
)
def test_what_cannot_be_played_says_why(
    write: Callable[[Path], object],
    name: str,
    table: dict[str, object],
    words: str,
    plant_with: MakePlant,
    tmp_path: Path,
) -> None:
    write(tmp_path / name)
    sensor = sensor_of(plant_with, tmp_path, path=name, **table)
    assert sensor.read(T0) == ()
    assert sensor.trouble is not None
    assert words in sensor.trouble


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"path": "r.txt"}, "path"),
        ({"path": "r.h5", "axes": ["w"]}, "axes"),
        ({"path": "r.h5", "rate_hz": -1.0}, "rate_hz"),
        ({"path": "r.h5", "period_s": "often"}, "period_s"),
        ({"path": "r.h5", "block_samples": 3}, "block_samples"),
        ({"path": "r.h5", "start": 7}, "start"),
        ({"path": "r.csv", "channels": {"a": 1}}, "channels"),
        ({"path": "r.csv", "time_unit": "weeks"}, "time_unit"),
    ],
)
def test_an_impossible_table_is_refused_before_anything_is_opened(
    table: dict[str, object], words: str, plant_with: MakePlant, tmp_path: Path
) -> None:
    with pytest.raises(SensorConfigError, match=words):
        sensor_of(plant_with, tmp_path, **table)


@pytest.mark.recordings
def test_a_real_run_to_failure_plays_whole() -> None:
    path = recording("femto", "Bearing1_2_raw.h5")
    frames = open_recording(path, Wanted())
    assert (len(frames), frames.facts.rate_hz, frames.facts.period_s, frames.facts.scale_g) == (
        871,
        25_600.0,
        10.0,
        0.001,
    )
    assert len(frames.frame(870).axes) == 2
    frames.close()
