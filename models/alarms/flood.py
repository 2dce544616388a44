"""How the alarms treat their operator.

Rates, floods, chattering and stale alarms, by EEMUA 191 and ISA-18.2.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.contract.rows import AlarmChange, AlarmState

NS_PER_S: Final = 1_000_000_000
WINDOW_S: Final = 600
FLOOD_BEGINS: Final = 10
FLOOD_ENDS: Final = 5
CHATTERS: Final = 3
CHATTER_S: Final = 60
STALE_S: Final = 24 * 3600
STANDING: Final = (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)


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


def flood(changes: Iterable[AlarmChange], from_ns: int, to_ns: int) -> Flood:
    """Metrics of what alarms did between two moments; to know what stands, give the changes before them too.

    Raises ValueError when the time runs backwards.
    """
    if from_ns >= to_ns:
        raise ValueError(f"metrics need a span of time, got {from_ns} to {to_ns}")
    raised: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    standing: dict[str, int] = {}
    n_windows = -(-(to_ns - from_ns) // (WINDOW_S * NS_PER_S))
    counts = np.zeros(n_windows, np.int64)
    for one in sorted(changes, key=lambda one: one.time_ns):
        if one.time_ns >= to_ns:
            break
        if one.state not in STANDING:
            standing.pop(one.alarm_id, None)
            continue
        standing.setdefault(one.alarm_id, one.time_ns)
        calls = one.state == AlarmState.UNACKNOWLEDGED and one.previous != one.state
        if calls and one.time_ns >= from_ns:
            raised[one.machine, one.cause].append(one.time_ns)
            counts[(one.time_ns - from_ns) // (WINDOW_S * NS_PER_S)] += 1
    n_alarms, frequency = int(counts.sum()), Counter({what: len(times) for what, times in raised.items()})
    top = sum(n for _, n in frequency.most_common(10)) if len(frequency) > 10 else 0
    return Flood(
        n_alarms=n_alarms,
        per_10_min=n_alarms / n_windows,
        most_in_10_min=int(counts.max()),
        time_in_flood=_time_in_flood(counts.tolist()),
        chattering=sum(map(_chatters, raised.values())),
        stale=sum(to_ns - since > STALE_S * NS_PER_S for since in standing.values()),
        top_10_share=top / n_alarms if n_alarms else 0.0,
    )


def _time_in_flood(counts: list[int]) -> float:
    """Share of the windows that lie in a flood.

    >>> _time_in_flood([12, 6, 4, 6])
    0.5
    """
    in_flood, flooded = False, 0
    for count in counts:
        in_flood = count >= FLOOD_BEGINS or (in_flood and count >= FLOOD_ENDS)
        flooded += in_flood
    return flooded / len(counts)


def _chatters(times_ns: list[int]) -> bool:
    return any(
        later - earlier <= CHATTER_S * NS_PER_S
        for earlier, later in zip(times_ns, times_ns[CHATTERS - 1 :], strict=False)
    )
