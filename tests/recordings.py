"""Where real recordings lie, for tests marked `recordings`: MITRA_DATA, or shared/data beside the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("MITRA_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def recording(*parts: str) -> Path:
    """One of them; the test is skipped, with the reason, where it is not."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no {'/'.join(parts)} in {DATA}; name the folder of the recordings in MITRA_DATA")
    return path
