"""The logs of a plant's processes are bounded: one that has grown long is kept once more, and begins anew."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024


def bound(path: Path, max_bytes: int = MAX_BYTES) -> bool:
    """Move what a log holds to `<name>.1` once it passes max_bytes; True when that was done.

    The writer keeps its open file (it appends), so the text is copied and the file cut to nothing; a line
    written between these two is lost. When the disk does not take the copy, the old copy stays and the text
    goes: a log must never be what fills the disk. Raises OSError when the file cannot be cut.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False
    kept, fresh = path.with_name(f"{path.name}.1"), path.with_name(f"{path.name}.new")
    try:
        shutil.copyfile(path, fresh)
        fresh.replace(kept)
    except OSError:
        fresh.unlink(missing_ok=True)
    os.truncate(path, 0)
    return True
