"""Nothing outlives a supervisor that is killed, and nobody starts a second plant beside the remains."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mitra.passing import YOUNG_S, clear, passing_folder
from mitra.watchman import Held, end
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SUPERVISOR = """
import os, sys, time
from pathlib import Path
import mitra.supervisor
from mitra.supervisor import Program, Supervisor
mitra.supervisor.CARE_S = 0.2
folder = Path(sys.argv[1])
lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
import fcntl
fcntl.flock(lock, fcntl.LOCK_EX)
supervisor = Supervisor(folder / "logs", (lock,), folder if "passing" in sys.argv else None)
for name in ("first", "second"):
    code = "import os, signal, sys, time; "
    code += f"signal.signal(signal.SIGTERM, {sys.argv[2]}); print('on', flush=True);"
    supervisor.start(Program(name, (sys.executable, "-c", code + "time.sleep(600)")))
while True:
    pids = [supervisor.pid("first"), supervisor.pid("second"), supervisor._watchman.pid]
    (folder / "pids.new").write_text(" ".join(map(str, pids)))
    (folder / "pids.new").replace(folder / "pids")
    time.sleep(0.05)
"""


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Supervised:
    """A process with a supervisor and two programs, to be killed."""

    def __init__(self, folder: Path, on_term: str = "signal.SIG_DFL", *more: str) -> None:
        self.folder = folder
        command = (sys.executable, "-c", SUPERVISOR, str(folder), on_term, *more)
        self.process = subprocess.Popen(command, cwd=ROOT)
        assert until(lambda: all("on" in self.log(name) for name in ("first", "second")))

    def log(self, name: str) -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    @property
    def pids(self) -> list[int]:
        path = self.folder / "pids"
        assert until(path.exists)
        return [int(one) for one in path.read_text().split()]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def lock_is_free(self) -> bool:
        lock = os.open(self.folder / "lock", os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    made: list[Supervised] = []

    def make(*args: str) -> Supervised:
        made.append(Supervised(tmp_path, *args))
        return made[-1]

    yield make
    for one in made:
        pids = one.pids if one.folder.exists() else []
        one.kill()
        for pid in pids:
            if runs(pid):
                os.kill(pid, signal.SIGKILL)


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_what_a_killed_supervisor_has_started_ends_and_only_then_is_the_folder_free(
    supervised: Callable[..., Supervised], tmp_path: Path
) -> None:
    leave = tmp_path / "leave"
    pauses = f"iter(lambda: None if os.path.exists({str(leave)!r}) else 0.02, None)"
    held = supervised(f"lambda *_: (list(map(time.sleep, {pauses})), sys.exit())")
    pids = held.pids
    assert not held.lock_is_free()
    held.kill()
    assert runs(pids[0])
    assert not held.lock_is_free(), "its processes still write there"
    leave.touch()
    assert until(lambda: not any(map(runs, pids)))
    assert held.lock_is_free()
    assert "orphaned" in held.log("watchman")


def test_a_folder_made_for_one_run_goes_when_its_supervisor_is_killed(
    supervised: Callable[..., Supervised], tmp_path: Path
) -> None:
    held = supervised("signal.SIG_DFL", "passing")
    pids = held.pids
    held.kill()
    assert until(lambda: not any(map(runs, pids)))
    assert not tmp_path.exists()


RUN = """
import sys, time
from mitra.passing import passing_folder
with passing_folder("mitra-demo-") as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_what_a_run_left_that_was_killed_at_its_very_start_goes_at_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    there = os.environ | {"TMPDIR": str(tmp_path)}
    runs = [
        subprocess.Popen((sys.executable, "-c", RUN), cwd=ROOT, env=there, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        killed, alive = (Path((one.stdout.readline() if one.stdout else "").strip()) for one in runs)
        runs[0].kill()
        runs[0].wait()
        (killed / "journal.db").touch()
        young, other = tmp_path / "mitra-demo-young", tmp_path / "others"
        young.mkdir()
        other.mkdir()
        link = tmp_path / "mitra-demo-link"
        link.symlink_to(other)
        later_s = time.time() + 2 * YOUNG_S
        os.utime(young, (later_s, later_s))
        assert clear("mitra-demo-", time.time()) == []  # nothing is old enough to be nobody's
        assert clear("mitra-demo-", later_s) == [killed]
        assert not killed.exists()
        assert all(one.exists() for one in (alive, young, other, link))
        with passing_folder("mitra-demo-") as folder:
            assert clear("mitra-demo-", later_s + 600.0) == [young]
        assert not folder.exists()
    finally:
        for one in runs:
            one.kill()
            one.communicate()


def test_what_was_started_again_is_known_too(supervised: Callable[..., Supervised]) -> None:
    held = supervised()
    first = held.pids[0]
    os.kill(first, signal.SIGKILL)
    assert until(lambda: held.pids[0] != first)
    pids = held.pids
    held.kill()
    assert until(lambda: not any(map(runs, pids)))


def test_a_watchman_that_dies_is_replaced_and_told_of_those_who_run(
    supervised: Callable[..., Supervised],
) -> None:
    held = supervised()
    before = held.pids
    os.kill(before[2], signal.SIGKILL)
    assert until(lambda: held.pids[2] != before[2])
    pids = held.pids
    assert pids[:2] == before[:2], "its end ends nothing"
    held.kill()
    assert until(lambda: not any(map(runs, pids)))


def test_what_ignores_the_polite_signal_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
    deaf = subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE, start_new_session=True)
    assert deaf.stdout is not None
    assert deaf.stdout.readline() == b"on\n"
    end([Held(deaf.pid)], grace_s=0.3)
    assert deaf.wait(30) == -signal.SIGKILL
    deaf.stdout.close()
