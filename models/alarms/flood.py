"""How the alarms treat their operator.

Rates, floods, chattering and stale alarms, by EEMUA 191 and ISA-18.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.contract.rows import AlarmState
from models.alarms.book import AlarmBook

NS_PER_S: Final = 1_000_000_000
WINDOW_S: Final = 600
FLOOD_BEGINS: Final = 10
FLOOD_ENDS: Final = 5
CHATTERS: Final = 3
CHATTER_S: Final = 60
STALE_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Flood:
    """What an operator has to bear. Targets: at most 1 to 2 per_10_min, time_in_flood under 0.01, chattering
    and stale alarms next to none, top_10_share small.

    per_10_min: mean; most_in_10_min: the worst window; time_in_flood: share of the time from `FLOOD_BEGINS`
    alarms in ten minutes until fewer than `FLOOD_ENDS`; chattering: alarms raised three times or more within
    a minute; stale: standing for more than a day; top_10_share: of the ten most frequent alarms.
    """

    n_alarms: int
    per_10_min: float
    most_in_10_min: int
    time_in_flood: float
    chattering: int
    stale: int
    top_10_share: float


def flood(raised: Sequence[tuple[int, str]], from_ns: int, to_ns: int) -> Flood:
    """Metrics of alarms raised, (time_ns, what) in order, between two moments. `stale` is 0 here.

    Raises ValueError when the time runs backwards.

    >>> flood([(i * NS_PER_S, "pump") for i in range(12)], 0, 1200 * NS_PER_S).most_in_10_min
    12
    """
    if from_ns >= to_ns:
        raise ValueError(f"metrics need a span of time, got {from_ns} to {to_ns}")
    inside = [(at, what) for at, what in raised if from_ns <= at < to_ns]
    n_windows = max(1, -(-(to_ns - from_ns) // (WINDOW_S * NS_PER_S)))
    counts = np.zeros(n_windows, np.int64)
    for at, _ in inside:
        counts[(at - from_ns) // (WINDOW_S * NS_PER_S)] += 1
    in_flood, flooded = False, 0
    for count in counts.tolist():
        in_flood = count >= FLOOD_BEGINS or (in_flood and count >= FLOOD_ENDS)
        flooded += in_flood
    frequency = Counter(what for _, what in inside)
    top = sum(n for _, n in frequency.most_common(10)) if len(frequency) > 10 else 0
    return Flood(
        n_alarms=len(inside),
        per_10_min=len(inside) / n_windows,
        most_in_10_min=int(counts.max()),
        time_in_flood=flooded / n_windows,
        chattering=sum(_chatters([at for at, one in inside if one == what]) for what in frequency),
        stale=0,
        top_10_share=top / len(inside) if inside else 0.0,
    )


def _chatters(times_ns: list[int]) -> bool:
    return any(
        later - earlier <= CHATTER_S * NS_PER_S
        for earlier, later in zip(times_ns, times_ns[CHATTERS - 1 :], strict=False)
    )


def flood_of(book: AlarmBook, from_ns: int, to_ns: int) -> Flood:
    """Metrics of an alarm book; what it no longer remembers is not counted."""
    known = flood([(at, alarm_id.rsplit(".", 1)[0]) for at, alarm_id in book.raised], from_ns, to_ns)
    standing = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
    stale = sum(
        alarm.state in standing and to_ns - alarm.raised_ns > STALE_S * NS_PER_S
        for alarm in book.alarms.values()
    )
    return Flood(
        known.n_alarms,
        known.per_10_min,
        known.most_in_10_min,
        known.time_in_flood,
        known.chattering,
        stale,
        known.top_10_share,
    )
