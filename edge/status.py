"""What the agent shows of itself: one small file, replaced once a second, read by anybody.

`in_outbox` and the other counts follow the law of `edge.outbox`: made = committed + in_outbox + gap_declared.
"""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec

FILE_NAME = "status.json"
OUTBOX_NAME = "outbox.db"
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of an agent.

    state: `starting`, `connecting`, `waiting` (for the primary host), `born`, `stopped`; storing: empty, or
    why telemetry is not accepted now; sensors_silent: why, by machine, 100 at most;
    refused: counts by reason.
    """

    gateway: str
    pid: int
    time_ns: int
    state: str
    boot_id: int = 0
    made: int = 0
    committed: int = 0
    in_outbox: int = 0
    gap_declared: int = 0
    thinned: int = 0
    oldest_s: float = 0.0
    oldest_time_ns: int = 0
    outbox_bytes: int = 0
    on_the_way: int = 0
    resent: int = 0
    births: int = 0
    connected: bool = False
    host_online: bool = False
    storing: str = ""
    machines: int = 0
    exhausted: int = 0
    sensors_silent: dict[str, str] = {}
    refused: dict[str, int] = {}


def write_status(folder: Path, status: Status) -> None:
    """Replace the file in one step; where the disk is full, write over what it holds. Raises OSError."""
    path, said = folder / FILE_NAME, msgspec.json.encode(status)
    fresh = folder / f"{FILE_NAME}.new"
    try:
        fresh.write_bytes(said)
        fresh.replace(path)
    except OSError as error:
        if error.errno not in NO_SPACE or not path.exists():
            raise
        fresh.unlink(missing_ok=True)
        # Blocks that the file has already; a reader who meets half of it reads again a second later.
        with path.open("r+b", buffering=0) as file:
            file.write(said.ljust(path.stat().st_size))


def read_status(folder: Path) -> Status | None:
    """What an agent last wrote; None when it never did, or when the file is damaged."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Status)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
