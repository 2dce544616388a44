"""Folders made for one run: gone at its end, or at a later start when the run was killed.

The watchman of a killed run removes its folder too, but a run that is killed before it has started anything
has no watchman yet.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RUN_LOCK, PLANT_LOCK = "run.lock", "serving.lock"
YOUNG_S = 60.0
"""A folder this new may belong to a run that has not taken its lock yet."""


@contextmanager
def passing_folder(prefix: str) -> Iterator[Path]:
    """A new folder for this run alone, removed at the end; what killed runs left is removed first."""
    clear(prefix, time.time())
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    lock = os.open(folder / RUN_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def clear(prefix: str, now_s: float) -> list[Path]:
    """Remove this user's folders of that prefix in which nobody runs any more; which were removed."""
    found = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{prefix}*")):
        if _is_ours(folder, now_s) and not any(_held(folder / name) for name in (RUN_LOCK, PLANT_LOCK)):
            shutil.rmtree(folder, ignore_errors=True)
            found.append(folder)
    return found


def _is_ours(folder: Path, now_s: float) -> bool:
    try:
        seen = folder.lstat()
    except FileNotFoundError:  # its own run has just removed it
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid() and now_s - seen.st_mtime > YOUNG_S


def _held(path: Path) -> bool:
    """Whether a process holds this lock."""
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
