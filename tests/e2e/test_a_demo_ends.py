"""A demo as a process of its own: it ends cleanly, and it shares its folder with nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mitra.demo import DemoRequest, prepare
from mitra.exits import PersonError

WAIT_S = 250.0


def children(pid: int) -> list[int]:
    """Processes that a process started and that run now."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(one) for one in listed.stdout.split()]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_folder_holds_one_plant_at_a_time(tmp_path: Path) -> None:
    first = prepare(DemoRequest(tmp_path, n_machines=1, n_gateways=1))
    written = (tmp_path / "plant.toml").read_bytes()
    with pytest.raises(PersonError, match="one plant, one writer"):
        prepare(DemoRequest(tmp_path, n_machines=2, n_gateways=1))
    assert (tmp_path / "plant.toml").read_bytes() == written
    first.stop()
    prepare(DemoRequest(tmp_path, n_machines=2, n_gateways=1)).stop()


@pytest.mark.parametrize("place", ["a file", "no file system"])
def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "taken").write_text("not a folder")
    folder = tmp_path / "taken" if place == "a file" else Path("/proc/no-such-place")
    with pytest.raises(PersonError, match="another folder") as told:
        prepare(DemoRequest(folder, n_machines=1, n_gateways=1))
    assert told.value.kind == "disk"


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("hang_up")
@pytest.mark.parametrize("said", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_leave_no_process(tmp_path: Path, said: signal.Signals) -> None:
    command = [sys.executable, "-m", "mitra", "demo", "--machines", "2", "--data", str(tmp_path / "plant")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    watchdog = threading.Timer(WAIT_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("screens"), "the demo did not come up in time"
        started = children(process.pid)
        assert len(started) >= 8
        process.send_signal(said)
        assert process.wait(WAIT_S) == 0
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    assert [pid for pid in started if runs(pid)] == []
