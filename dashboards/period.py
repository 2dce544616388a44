"""Reporting periods in local days. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dashboards.language import N_

NS_PER_S = 1_000_000_000
MAX_DAYS = 400
WRONG_DAYS = N_("A period has 1 to {days} days, and its first day comes before its last.")
PERIODS: dict[str, str] = {
    "today": N_("Today"),
    "yesterday": N_("Yesterday"),
    "7d": N_("7 days"),
    "30d": N_("30 days"),
}


@dataclass(frozen=True, slots=True)
class Period:
    """[from_ns, to_ns) over whole local days; first and last are days, both included."""

    key: str
    first: date
    last: date
    from_ns: int
    to_ns: int


def midnight_ns(day: date, zone: ZoneInfo) -> int:
    """The start of a local day."""
    return int(datetime.combine(day, time(), zone).timestamp()) * NS_PER_S


def period(
    key: str, now: datetime, zone: ZoneInfo, first: date | None = None, last: date | None = None
) -> Period:
    """A named period, or the days that were asked for. Raises ValueError for impossible days."""
    today = now.date()
    if first is not None and last is not None:
        if not 0 <= (last - first).days < MAX_DAYS:
            raise ValueError(f"a period has 1 to {MAX_DAYS} days")
        key = ""
    elif key == "yesterday":
        first = last = today - timedelta(days=1)
    elif key in ("7d", "30d"):
        first, last = today - timedelta(days=int(key[:-1]) - 1), today
    else:
        key, first, last = "today", today, today
    return Period(key, first, last, midnight_ns(first, zone), midnight_ns(last + timedelta(days=1), zone))
