"""The plant that every attack is tried on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.approval_rig import WholePlant


@pytest.fixture
def plant(tmp_path: Path) -> WholePlant:
    return WholePlant(tmp_path)
