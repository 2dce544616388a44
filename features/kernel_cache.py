"""Compiled kernels on disk that must not outlive a change of the code they were made of."""

from __future__ import annotations

import hashlib
from pathlib import Path

STAMP = "kernels.sha256"


def forget_stale(package: Path, *others: Path) -> bool:
    """Remove the kernels that numba keeps below a package if any source there or in the others changed.

    numba looks at the file of the function alone: after an update that touches a callee in another file, the
    old code would stay inlined, and results would silently be those of the version before. True when kernels
    were removed. A folder that cannot be written is left alone: then numba keeps its kernels elsewhere, and
    an installer that may write there renews every file's time.
    """
    digest = hashlib.sha256()
    for folder in (package, *others):
        for source in sorted(folder.rglob("*.py")):
            digest.update(str(source.relative_to(folder)).encode() + b"\0" + source.read_bytes())
    cache = package / "__pycache__"
    stamp, now = cache / STAMP, digest.hexdigest()
    try:
        if stamp.is_file() and stamp.read_text("ascii") == now:
            return False
        cache.mkdir(exist_ok=True)
        stale = [*package.rglob("__pycache__/*.nbi"), *package.rglob("__pycache__/*.nbc")]
        for kernel in stale:
            kernel.unlink(missing_ok=True)
        stamp.write_text(now, "ascii")
    except OSError:
        return False
    return bool(stale)
