"""The status file is read by anybody at any moment, also while the disk is full."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from edge.status import FILE_NAME, Status, read_status, write_status


def status(made: int) -> Status:
    return Status(gateway="gw-1", pid=1, time_ns=made, state="born", made=made)


def test_it_is_what_was_written_last(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    for made in (10_000_000, 1):
        write_status(tmp_path, status(made))
        assert read_status(tmp_path) == status(made)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_full_disk_still_lets_the_agent_say_how_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_status(tmp_path, status(10_000_000))

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    for made in (1, 20_000_000):
        write_status(tmp_path, status(made))
        assert read_status(tmp_path) == status(made)


def test_a_first_status_that_finds_no_space_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        write_status(tmp_path, status(1))
