"""An edge agent on a disk that forgets: what was not synced is gone when the process is killed.

    python -m benchmarks.power_cut --config edge.toml

The same agent as `python -m edge`, but its outbox lies on an SQLite file system of our own (through apsw).
Writes stay in memory until SQLite syncs the file; a seeded part of them reaches the disk earlier and out of
order, as an operating system may do. Kill -9 of this process is therefore a power cut.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from edge.__main__ import run
from edge.config import load_config
from edge.log import to_stderr

VFS = "power-cut"
_BUFFERED = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class ForgetfulFile(apsw.VFSFile):
    """The image is what programs see; the disk has what was synced, and by chance a little more."""

    def __init__(self, filename: Any, flags: list[int], early: Callable[[], bool]) -> None:
        super().__init__("", filename, flags)
        self._early = early
        size = super().xFileSize()
        self._image = bytearray(super().xRead(size, 0)) if size else bytearray()
        self._waiting: list[tuple[int, bytes]] = []
        self._cut_to: int | None = None

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802  # SQLite's name
        return bytes(self._image[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        end = offset + len(data)
        if len(self._image) < end:
            self._image.extend(bytes(end - len(self._image)))
        self._image[offset:end] = data
        if self._early():
            super().xWrite(data, offset)
        else:
            self._waiting.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        del self._image[newsize:]
        self._waiting = [(at, data[: newsize - at]) for at, data in self._waiting if at < newsize]
        self._cut_to = newsize if self._cut_to is None else min(newsize, self._cut_to)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._image)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._cut_to is not None:
            super().xTruncate(self._cut_to)
            self._cut_to = None
        for offset, data in self._waiting:
            super().xWrite(data, offset)
        self._waiting.clear()
        super().xSync(flags)


class ForgetfulDisk(apsw.VFS):
    """Opens databases and their journals as ForgetfulFile, anything else as the system does."""

    def __init__(self, seed: int) -> None:
        super().__init__(VFS, "")
        self._random = random.Random(seed)  # no secret

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if flags[0] & _BUFFERED:
            return ForgetfulFile(name, flags, lambda: self._random.random() < 0.2)
        return super().xOpen(name, flags)


class Connection:
    """The part of `sqlite3.Connection` that the outbox uses; errors come out as sqlite3's."""

    def __init__(self, path: Path) -> None:
        with _as_sqlite3():
            self._inner = apsw.Connection(str(path), vfs=VFS)
            self._inner.set_busy_timeout(5000)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        with _as_sqlite3():
            return self._inner.execute(sql, tuple(parameters))

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> object:
        with _as_sqlite3():
            return self._inner.executemany(sql, [tuple(one) for one in parameters])

    def close(self) -> None:
        self._inner.close()


@contextmanager
def _as_sqlite3() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        told = sqlite3.OperationalError(str(error))
        told.sqlite_errorcode = getattr(error, "result", 0)
        raise told from error


def main() -> int:
    """Run the agent on the forgetful disk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=Path)
    options = parser.parse_args()
    disk = ForgetfulDisk(os.getpid())
    to_stderr()
    try:
        run(load_config(options.config), Connection)
    finally:
        disk.unregister()
    return 0


if __name__ == "__main__":
    sys.exit(main())
