"""What the time column of a table says of its clocks: repeated, backward and missing times are declared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GAP_STEPS = 3.0  # a pause longer than this many usual steps is a gap
FORMATS = ("%Y.%m.%d.%H.%M.%S", "%d-%m-%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S")


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """Counts over the rows in file order. usual_step: median step in the column's own unit or seconds, 0 if
    unknown; unreadable: cells that hold no time. Rows are judged in file order whatever their times say."""

    usual_step: float
    repeated: int
    backwards: int
    gaps: int
    unreadable: int


def check_clock(times: Sequence[str]) -> ClockCheck:
    """Count what a reader must know before trusting the order of rows.

    >>> check_clock(["10", "20", "20", "30", "40", "95", "?"])
    ClockCheck(usual_step=10.0, repeated=1, backwards=0, gaps=1, unreadable=1)
    """
    reader = next((read for read in _readers() if _fits(read, times)), None)
    if reader is None:
        return ClockCheck(0.0, 0, 0, 0, len(times))
    read = np.array([_or_nan(reader, text) for text in times])
    known = read[np.isfinite(read)]
    steps = np.diff(known)
    forward = steps[steps > 0]
    usual = float(np.median(forward)) if len(forward) else 0.0
    return ClockCheck(
        usual,
        int(np.sum(steps == 0)),
        int(np.sum(steps < 0)),
        int(np.sum(steps > GAP_STEPS * usual)) if usual else 0,
        int(len(read) - len(known)),
    )


def _readers() -> list[Callable[[str], float]]:
    return [float, _iso, *(_formatted(form) for form in FORMATS)]


def _iso(text: str) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _formatted(form: str) -> Callable[[str], float]:
    return lambda text: datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()


def _or_nan(reader: Callable[[str], float], text: str) -> float:
    try:
        return reader(text.strip())
    except (ValueError, OverflowError):
        return float("nan")


def _fits(reader: Callable[[str], float], times: Sequence[str]) -> bool:
    """Whether a reader understands most of the first rows."""
    first = times[:20]
    return bool(first) and sum(np.isfinite(_or_nan(reader, text)) for text in first) * 2 > len(first)
