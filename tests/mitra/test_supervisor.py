"""The supervisor: ready means ready, what falls is started again, and nothing outlives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mitra.supervisor import Program, StartError, Supervisor, WrongSettingError
from tests.waiting import until

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_was_killed_is_started_again_and_stop_leaves_nothing(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.start(Program("sleeper", SLEEPER))
    fallen = supervisor.kill("sleeper")
    assert until(lambda: supervisor.restarts()["sleeper"] == 1)
    again = supervisor.pid("sleeper")
    assert again != fallen
    supervisor.stop()
    assert not runs(again)


def test_a_system_that_makes_no_process_now_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.start(Program("sleeper", SLEEPER))
    really, refusals = supervisor._spawn, [BlockingIOError("no process")]

    def spawn(program: Program) -> subprocess.Popen[bytes]:
        if refusals:
            raise refusals.pop()
        return really(program)

    monkeypatch.setattr(supervisor, "_spawn", spawn)
    supervisor.kill("sleeper")
    try:
        until(lambda: supervisor.restarts()["sleeper"] == 1, "a second try")
    finally:
        supervisor.stop()
    assert "not_started_again program=sleeper why=no process" in caplog.text


def test_a_program_that_the_system_does_not_start_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor(tmp_path)

    def spawn(_program: Program) -> subprocess.Popen[bytes]:
        raise BlockingIOError("no process")

    monkeypatch.setattr(supervisor, "_spawn", spawn)
    with pytest.raises(StartError, match="sleeper cannot be started: no process"):
        supervisor.start(Program("sleeper", SLEEPER))
    supervisor.stop()


def test_a_program_that_cannot_start_says_why(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    command = (sys.executable, "-c", "import sys; sys.exit('the port is in use')")
    with pytest.raises(StartError, match="the port is in use"):
        supervisor.start(Program("screen", command, ready=lambda: False, restart=False))
    supervisor.stop()


def test_what_was_said_at_every_try_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "screen.log").write_text("no such file\n" * 5)
    supervisor = Supervisor(tmp_path)
    command = (sys.executable, "-c", "import sys; sys.exit('no such file')")
    with pytest.raises(StartError) as told:
        supervisor.start(Program("screen", command, ready=lambda: False, restart=False))
    assert str(told.value).count("no such file") == 1
    supervisor.stop()


def test_a_refused_configuration_is_said_at_once(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    command = (sys.executable, "-c", "import sys; print('no such key'); sys.exit(3)")
    with pytest.raises(WrongSettingError, match="no such key"):
        supervisor.start(Program("stream", command, ready=lambda: False, wrong_setting=frozenset({3})))
    assert supervisor.restarts() == {"stream": 0}
    supervisor.stop()


def test_a_refused_configuration_is_not_tried_again_like_a_crash(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    command = (sys.executable, "-c", "import sys; print('no such key'); sys.exit(3)")
    supervisor.start(Program("refused", command, wrong_setting=frozenset({3})))
    supervisor.start(Program("crashed", command))
    assert until(lambda: supervisor.restarts()["crashed"] >= 2)
    assert supervisor.restarts()["refused"] == 0
    assert until(lambda: "no such key" in supervisor.why_down().get("refused", ""))
    supervisor.stop()


def test_one_that_ignores_the_polite_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mitra.supervisor.STOP_GRACE_S", 0.3)
    mark = tmp_path / "ready"
    code = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    )
    supervisor = Supervisor(tmp_path)
    supervisor.start(Program("deaf", (sys.executable, "-c", code), ready=mark.exists))
    pid = supervisor.pid("deaf")
    supervisor.stop()
    assert not runs(pid)
