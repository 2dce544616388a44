"""What the reader hands to screens, reports and trainers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.contract.rows import AlarmChange, Judgement, StopAdvice
from ingest.contract.values import Gap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


END_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the past: one machine (None: all), [from_ns, to_ns), some columns (None: all)."""

    machine: str | None
    from_ns: int = 0
    to_ns: int = END_NS
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Latest:
    """The present of one machine.

    time_ns: sensor time of its newest row; receive_ns: when the host last heard of it; scalars: channel ->
    (value, time_ns); judgement: None before the first one.
    """

    machine: str
    time_ns: int
    receive_ns: int
    scalars: Mapping[str, tuple[float, int]]
    judgement: Judgement | None


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """Columns over time. time_ns: (n,) int64, rising; values, low, high: (n,) float64, NaN = missing.

    When there were more rows than asked for, a point is a bucket: its mean, its lowest and its highest value.
    """

    machine: str
    time_ns: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]
    low: Mapping[str, NDArray[np.float64]]
    high: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Feature rows for training, in order of sensor time.

    values: (n, len(names)) float32, NaN = missing; machines: (n,) names.
    """

    names: tuple[str, ...]
    machines: tuple[str, ...]
    time_ns: NDArray[np.int64]
    receive_ns: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm now: its last change, and when it opened."""

    alarm_id: str
    machine: str
    opened_ns: int
    changed_ns: int
    last: AlarmChange


@dataclass(frozen=True, slots=True)
class AlarmHistory:
    """An alarm with every step it made, oldest first."""

    alarm: AlarmView
    changes: tuple[AlarmChange, ...]


@dataclass(frozen=True, slots=True)
class AdviceView:
    """A stop request as it was stored. advice_id rises with time."""

    advice_id: int
    receive_ns: int
    advice: StopAdvice


@dataclass(frozen=True, slots=True)
class DeadLetterView:
    """A refused message. head: its first bytes."""

    letter_id: int
    receive_ns: int
    topic: str
    reason: str
    detail: str
    n_bytes: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new after a cursor, for server-sent events. Pass `cursor` back to go on."""

    cursor: int
    machines: tuple[Latest, ...] = ()
    alarms: tuple[AlarmView, ...] = ()
    advice: tuple[AdviceView, ...] = ()
    gaps: tuple[Gap, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
