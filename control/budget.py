"""How often people may be asked. Pure: a tired technician approves anything."""

from __future__ import annotations

from collections.abc import Sequence

HOUR_S = 3_600


def may_ask(asked_at: Sequence[int], now_s: int, gap_s: int, per_hour: int) -> bool:
    """True when one more proposal may be shown now. asked_at: Unix s of those shown in the last hour.

    >>> may_ask([], 1_000, 600, 6), may_ask([900], 1_000, 600, 6), may_ask([100, 300], 1_000, 600, 2)
    (True, False, False)
    """
    recent = [one for one in asked_at if one > now_s - HOUR_S]
    if len(recent) >= per_hour:
        return False
    return not recent or max(recent) <= now_s - gap_s
