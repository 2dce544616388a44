"""The numbers that options take: each has a least and a largest value, so that none is `inf` or `nan`."""

from __future__ import annotations

from typing import Any

import typer

from ingest.contract.limits import MAX_RATE_HZ, MAX_SCALE_G

MAX_RPM = 1_000_000.0
MIN_PERIOD_S, MAX_PERIOD_S = 0.001, 366 * 24 * 3600.0
MIN_SCALE_G = 1e-9
MAX_COUNT = 10**9
MAX_SEED = 2**32 - 1
"""The largest that every generator behind the models takes."""


def number(low: float, high: float, what: str) -> Any:
    """An option that takes a number from low to high; what: its help."""
    return typer.Option(min=low, max=high, help=what)


def rate(what: str = "Samples a second.") -> Any:
    """An option for a sampling rate, Hz."""
    return number(1, MAX_RATE_HZ, what)


def g_per_count(what: str = "g per count.") -> Any:
    """An option for the size of a count, g."""
    return number(MIN_SCALE_G, MAX_SCALE_G, what)


def chance() -> Any:
    """An option for what chance decides."""
    return typer.Option(min=0, max=MAX_SEED, help="What chance decides.")
