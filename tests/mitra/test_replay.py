"""A simulated recording through the whole wire, with processes killed on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mitra.exits import PersonError
from mitra.replay import Kill, Replay, ReplayRequest, parse_kills

N_SNAPSHOTS = 600


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise on a shaft line, 600 snapshots of two axes; the last 150 grow impacts."""
    rng = np.random.default_rng(7)
    t_s = np.arange(2_048) / 25_600.0
    counts = rng.normal(0, 300, (N_SNAPSHOTS, t_s.size, 2)) + 900 * np.sin(2 * np.pi * 25 * t_s)[:, None]
    for number in range(450, N_SNAPSHOTS):
        counts[number, ::160] += 60.0 * (number - 450)
    path = tmp_path_factory.mktemp("recording") / "bearing.npz"
    np.savez(path, counts.astype(np.int16))
    return path


@pytest.mark.full
def test_killed_ingest_and_broker_lose_and_double_nothing(recording: Path, tmp_path: Path) -> None:
    told: list[int] = []
    request = ReplayRequest(
        recording,
        tmp_path,
        rate_hz=25_600.0,
        scale_g=0.001,
        period_s=10.0,
        kills=(Kill("ingest", 100), Kill("broker", 200), Kill("ingest", 300)),
    )
    found = Replay(request, told.append).run()
    assert found["restarts"] == {"ingest": 2, "broker": 1, "edge": 0}
    assert found["snapshots"] == found["stored"] == N_SNAPSHOTS
    assert found["lost"] == found["duplicates_stored"] == 0
    assert found["alarms_in_first_100"] == 0
    assert found["first_alarm_snapshot"] is not None
    assert found["first_alarm_snapshot"] >= 450
    assert told == sorted(told)


def test_a_recording_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    request = ReplayRequest(tmp_path / "nothing.h5", tmp_path / "data")
    with pytest.raises(PersonError, match=r"no recording .*nothing\.h5"):
        Replay(request, lambda _stored: None).run()


def test_a_recording_that_hides_its_rate_says_what_to_write(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(PersonError, match="rate"):
        Replay(ReplayRequest(recording, tmp_path), lambda _stored: None).run()


@pytest.mark.parametrize("text", ["ingest", "ingest@many", "toaster@3"])
def test_a_kill_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PersonError, match=r"--kill .*as ingest@300"):
        parse_kills([text])
