"""Which shift it is, and from when to when shifts run. Pure; times are local."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from ingest.contract.plant import Shift

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def clock_minutes(clock: str) -> int:
    """Minutes after midnight of `HH:MM`; 24:00 is the end of the day.

    >>> clock_minutes("22:30"), clock_minutes("24:00")
    (1350, 1440)
    """
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def shift_spans(shifts: tuple[Shift, ...], day: datetime) -> list[tuple[datetime, datetime, str]]:
    """Start, end and name of every shift that begins on this local day."""
    midnight = datetime.combine(day.date(), time(), day.tzinfo)
    spans = []
    for shift in shifts:
        if DAYS[day.weekday()] not in shift.days:
            continue
        start, end = clock_minutes(shift.start), clock_minutes(shift.end)
        if end <= start:
            end += 24 * 60
        spans.append((midnight + timedelta(minutes=start), midnight + timedelta(minutes=end), shift.name))
    return spans


def shift_now(shifts: tuple[Shift, ...], now: datetime) -> str:
    """The name of the running shift, "" between shifts."""
    for day in (now - timedelta(days=1), now):
        for start, end, name in shift_spans(shifts, day):
            if start <= now < end:
                return name
    return ""
