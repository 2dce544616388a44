"""Tests wait for what they want to see, never for luck; a busy machine must not turn them red."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

WAIT_S = 60.0


def until(condition: Callable[[], Any], what: str = "", *, seconds: float = WAIT_S) -> Any:
    """Look again and again; the first true answer. Raises AssertionError when it does not come in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what or condition}"
        time.sleep(0.02)
    return found
