"""Logs are bounded while their writers go on."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from mitra.logs import bound
from mitra.supervisor import Program, Supervisor

LINE = "x" * 99 + "\n"


def test_a_short_log_and_a_missing_one_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(LINE)
    assert not bound(path, 100)
    assert not bound(tmp_path / "none.log", 100)
    assert path.read_text() == LINE


def test_a_long_log_is_kept_once_and_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    for text in ("old" * 40, "new" * 40):
        path.write_text(text)
        assert bound(path, 100)
        assert path.read_text() == ""
        assert (tmp_path / "a.log.1").read_text() == text
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.log", "a.log.1"]


def test_a_disk_that_takes_no_copy_does_not_keep_the_log_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr("mitra.logs.shutil.copyfile", full)
    path = tmp_path / "a.log"
    path.write_text(LINE * 2)
    (tmp_path / "a.log.1").write_text("older")
    assert bound(path, 100)
    assert path.read_text() == ""
    assert (tmp_path / "a.log.1").read_text() == "older"


def test_a_program_that_says_much_cannot_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mitra.supervisor.CARE_S", 0.05)
    monkeypatch.setattr("mitra.supervisor.bound", lambda path: bound(path, 20_000))
    code = f"import time\nwhile True: print({LINE!r}, end='', flush=True); time.sleep(0.0005)"
    supervisor = Supervisor(tmp_path)
    supervisor.start(Program("chatty", (sys.executable, "-c", code)))
    path, kept = tmp_path / "chatty.log", tmp_path / "chatty.log.1"
    deadline = time.monotonic() + 60
    cuts, seen = 0, 0.0
    while cuts < 3:
        assert time.monotonic() < deadline
        if kept.exists() and (at := kept.stat().st_mtime) != seen:
            cuts, seen = cuts + 1, at
        time.sleep(0.01)
    supervisor.stop()
    assert set(kept.read_text().split()) == {LINE.strip()}, "whole lines"
    assert "\0" not in path.read_text(), "the writer appends and leaves no hole"
