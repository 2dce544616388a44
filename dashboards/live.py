"""What changes, once for all viewers: the journal is asked a few times a second, never by a page.

A viewer remembers the last sequence number it painted and is sent all machines and alarms that changed
after it. So nothing queues: a slow phone simply gets fewer, newer pictures.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from dashboards.config import ScreensConfig
from dashboards.picture import VELOCITY, VELOCITY_COLUMNS, Picture, first_picture, with_changes
from dashboards.problems import Problem
from dashboards.source import Source
from ingest.contract.plant import Plant
from ingest.reader import Reader
from ingest.views import Changes, Latest

log = structlog.get_logger("dashboards")
MAX_VELOCITIES_A_PULSE = 100
MAX_ALARMS = 5_000


@dataclass(frozen=True, slots=True)
class Moment:
    """The picture with its number. fed_ns: when the host last heard of any machine."""

    seq: int
    picture: Picture
    fed_ns: int = 0
    reading: bool = False


class Hub:
    """Follows the journal and wakes the viewers. Only `run` writes; any thread may read `moment`."""

    def __init__(
        self, plant: Plant, config: ScreensConfig, source: Source, now_ns: Callable[[], int]
    ) -> None:
        self._plant = plant
        self._source = source
        self._every_s = config.live_every_s
        self._now_ns = now_ns
        self._cursor: int | None = None
        self._moved = asyncio.Condition()
        self.boot = secrets.token_hex(4)
        self.viewers = 0
        self.closing = False
        self.changed: dict[str, int] = {}
        self.alarms_changed: dict[str, int] = {}
        self.moment = Moment(0, first_picture(plant, ()))

    def pulse(self) -> bool:
        """Take in what is new; whether anything was. Runs in a worker thread."""
        try:
            with self._source.reader() as reader:
                if self._cursor is None:
                    self._begin(reader)
                    return True
                changes = reader.changes_since(self._cursor)
                velocities = _velocities(reader, changes.machines)
        except Problem:
            if self.moment.reading:
                log.warning("journal_unreadable", remedy="check that mitra serve runs")
            self.moment = Moment(self.moment.seq, self.moment.picture, self.moment.fed_ns, reading=False)
            return False
        self._cursor = changes.cursor
        return self._take(changes, velocities)

    def _begin(self, reader: Reader) -> None:
        cursor = reader.cursor()
        newest = list(reader.latest().values())
        picture = first_picture(self._plant, reader.alarms(limit=MAX_ALARMS))
        picture = with_changes(picture, newest, (), _velocities(reader, newest, limit=len(newest)))
        self._cursor = cursor
        seq = self.moment.seq + 1
        self.changed = dict.fromkeys(picture.machines, seq)
        self.moment = Moment(seq, picture, max((one.receive_ns for one in newest), default=0), reading=True)

    def _take(self, changes: Changes, velocities: dict[str, float]) -> bool:
        before = self.moment
        if not changes.machines and not changes.alarms:
            self.moment = Moment(before.seq, before.picture, before.fed_ns, reading=True)
            return not before.reading
        seq = before.seq + 1
        picture = with_changes(before.picture, changes.machines, changes.alarms, velocities)
        for latest in changes.machines:
            self.changed[latest.machine] = seq
        for alarm in changes.alarms:
            self.changed[alarm.machine] = seq
            self.alarms_changed.pop(alarm.alarm_id, None)
            self.alarms_changed[alarm.alarm_id] = seq
        while len(self.alarms_changed) > MAX_ALARMS:
            self.alarms_changed.pop(next(iter(self.alarms_changed)))
        fed_ns = max([before.fed_ns, *(one.receive_ns for one in changes.machines)])
        self.moment = Moment(seq, picture, fed_ns, reading=True)
        return True

    async def run(self) -> None:
        """Pulse for ever."""
        while True:
            if await asyncio.to_thread(self.pulse):
                async with self._moved:
                    self._moved.notify_all()
            await asyncio.sleep(self._every_s)

    async def wait(self, seq: int, timeout_s: float) -> Moment:
        """The moment as soon as it is newer than seq, or as it is after the time-out."""
        if self.moment.seq <= seq:
            try:
                async with asyncio.timeout(timeout_s), self._moved:
                    await self._moved.wait_for(lambda: self.moment.seq > seq)
            except TimeoutError:
                pass
        return self.moment


def _velocities(
    reader: Reader, machines: list[Latest] | tuple[Latest, ...], limit: int = MAX_VELOCITIES_A_PULSE
) -> dict[str, float]:
    """Vibration severity of each machine's newest row, mm/s; the worst axis when there is no sum of them."""
    found: dict[str, float] = {}
    for latest in machines[:limit]:
        try:
            rows = reader.rows(latest.machine, latest.time_ns, latest.time_ns + 1, VELOCITY_COLUMNS)
        except sqlite3.Error as error:
            raise Problem(503) from error
        if not len(rows.time_ns):
            continue
        by_name = dict(zip(rows.names, rows.values[-1].tolist(), strict=True))
        values = [value for value in by_name.values() if math.isfinite(value)]
        whole = by_name.get(VELOCITY, math.nan)
        if values:
            found[latest.machine] = whole if math.isfinite(whole) else max(values)
    return found
