"""Rolling robust statistics and trends of feature rows, in event time, with late data put where it belongs.

A window holds the last `span_ns` of one machine (or one machine and regime) as plain arrays ordered by
sensor time. `insert` returns a new window and never changes the old one, so a snapshot is just the value,
and a row that comes late simply moves the statistics from its own time on.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ROWS = 4_096
NS_PER_HOUR = 3.6e12
MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Rows of the last span. times_ns: (n,) int64, rising; values: (n, n_columns) float32, NaN = missing.

    dropped_late: rows older than the window when they came; dropped_full: oldest rows beyond `max_rows`;
    replaced: rows that came again with the same time. Raises ValueError for shapes or limits that make no
    sense.
    """

    names: tuple[str, ...]
    span_ns: int
    max_rows: int
    times_ns: NDArray[np.int64]
    values: NDArray[np.float32]
    dropped_late: int = 0
    dropped_full: int = 0
    replaced: int = 0

    def __post_init__(self) -> None:
        if self.span_ns <= 0 or not 0 < self.max_rows <= MAX_ROWS:
            raise ValueError(f"a window spans a positive time and at most {MAX_ROWS} rows")
        if self.values.shape != (len(self.times_ns), len(self.names)):
            raise ValueError(
                f"{self.values.shape} values do not fit {len(self.times_ns)} rows of {self.names}"
            )


def empty(names: tuple[str, ...], span_ns: int, max_rows: int = 512) -> Window:
    """A window without rows."""
    return Window(names, span_ns, max_rows, np.empty(0, np.int64), np.empty((0, len(names)), np.float32))


def insert(window: Window, time_ns: int, values: NDArray[np.float32]) -> Window:
    """The window with one more row at its own time, early or late. Older rows leave by the newest time seen.

    >>> one = insert(empty(("rms_g",), 10), 100, np.array([1.0], np.float32))
    >>> two = insert(insert(one, 104, np.array([3.0], np.float32)), 102, np.array([2.0], np.float32))
    >>> two.times_ns.tolist(), two.values[:, 0].tolist()
    ([100, 102, 104], [1.0, 2.0, 3.0])
    """
    times = window.times_ns
    if len(times) and time_ns <= times[-1] - window.span_ns:
        return replace(window, dropped_late=window.dropped_late + 1)
    at = int(np.searchsorted(times, time_ns))
    again = at < len(times) and times[at] == time_ns
    rows = window.values
    if again:
        rows = rows.copy()
        rows[at] = values
    else:
        # Several times faster than np.insert, and this runs once a minute and machine.
        times = np.concatenate([times[:at], np.array([time_ns]), times[at:]])
        rows = np.concatenate([rows[:at], values[np.newaxis], rows[at:]])
    first = int(np.searchsorted(times, times[-1] - window.span_ns, side="right"))
    full = max(0, len(times) - first - window.max_rows)
    return replace(
        window,
        times_ns=times[first + full :],
        values=rows[first + full :],
        dropped_full=window.dropped_full + full,
        replaced=window.replaced + int(again),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Per column, all (n_columns,): median, robust standard deviation, slope an hour, share known."""

    median: NDArray[np.float64]
    sigma: NDArray[np.float64]
    slope_per_h: NDArray[np.float64]
    known: NDArray[np.float64]


def statistics(window: Window, until_ns: int | None = None) -> Statistics:
    """Robust statistics of the rows up to `until_ns` (all by default): half of the values may be wild.

    The slope is the median of the slopes of values half a window apart (after Theil 1950). Columns with no
    known value are NaN.
    """
    last = len(window.times_ns) if until_ns is None else np.searchsorted(window.times_ns, until_ns, "right")
    times, values = window.times_ns[:last], window.values[:last].astype(np.float64)
    n_columns = len(window.names)
    if not len(times):
        nothing = np.full(n_columns, np.nan)
        return Statistics(nothing, nothing, nothing, np.zeros(n_columns))
    known = np.isfinite(values)
    values = np.where(known, values, np.nan)
    median = _median(values)
    sigma = MAD_TO_SIGMA * _median(np.abs(values - median))
    half = len(times) // 2
    if half:
        hours = (times[-half:] - times[:half]) / NS_PER_HOUR
        slope = _median((values[-half:] - values[:half]) / hours[:, None])
    else:
        slope = np.full(n_columns, np.nan)
    return Statistics(median, sigma, slope, known.mean(axis=0))


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each column over what is known; NaN where nothing is."""
    ordered = np.sort(values, axis=0)  # NaN goes last
    count = np.isfinite(values).sum(axis=0)
    column = np.arange(values.shape[1])
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(values) - 1)
    middle = (ordered[low, column] + ordered[high, column]) / 2
    return np.where(count > 0, middle, np.nan)


_HEAD = struct.Struct("<4q")


def to_bytes(window: Window) -> bytes:
    """The rows of a window in 4 bytes a value and 8 a row; names and limits travel with the model."""
    n = len(window.times_ns)
    head = _HEAD.pack(n, window.dropped_late, window.dropped_full, window.replaced)
    times, values = window.times_ns.astype("<i8", copy=False), window.values.astype("<f4", copy=False)
    return b"".join((head, times.tobytes(), values.tobytes()))


def from_bytes(data: bytes, names: tuple[str, ...], span_ns: int, max_rows: int = 512) -> Window:
    """The window that `to_bytes` wrote. Raises ValueError when the data does not fit the names."""
    if len(data) < _HEAD.size:
        raise ValueError(f"a stored window has at least {_HEAD.size} bytes")
    n, late, full, again = _HEAD.unpack_from(data)
    if n < 0 or len(data) != _HEAD.size + n * (8 + 4 * len(names)):
        raise ValueError(f"a stored window of {len(data)} bytes is not {n} rows of {len(names)} columns")
    times = np.frombuffer(data, "<i8", n, _HEAD.size).astype(np.int64)
    values = np.frombuffer(data, "<f4", n * len(names), _HEAD.size + 8 * n).astype(np.float32)
    return Window(names, span_ns, max_rows, times, values.reshape(n, len(names)), late, full, again)
