"""What changes, once for all viewers: the journal is asked a few times a second, never by a page.

A viewer remembers the last sequence number it painted and is sent all machines and alarms that changed
after it. So nothing queues: a slow phone simply gets fewer, newer pictures.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

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
    """The picture with its number. fed_ns: when the host last heard of any machine.

    changed: the number at which each machine last changed; before: the one before that; alarms: the same of
    alarms. All of one moment belong together, because viewers read them while the next is made.
    """

    seq: int
    picture: Picture
    fed_ns: int = 0
    reading: bool = False
    changed: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    alarms: Mapping[str, int] = field(default_factory=dict)


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
            self.moment = replace(self.moment, reading=False)
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
        fed_ns = max((one.receive_ns for one in newest), default=0)
        self.moment = Moment(seq, picture, fed_ns, reading=True, changed=dict.fromkeys(picture.machines, seq))

    def _take(self, changes: Changes, velocities: dict[str, float]) -> bool:
        last = self.moment
        if not changes.machines and not changes.alarms:
            self.moment = replace(last, reading=True)
            return not last.reading
        seq = last.seq + 1
        moved = {one.machine for one in changes.machines} | {one.machine for one in changes.alarms}
        alarms = {
            name: at for name, at in last.alarms.items() if name not in {a.alarm_id for a in changes.alarms}
        }
        alarms |= {alarm.alarm_id: seq for alarm in changes.alarms}
        self.moment = Moment(
            seq,
            with_changes(last.picture, changes.machines, changes.alarms, velocities),
            max([last.fed_ns, *(one.receive_ns for one in changes.machines)]),
            reading=True,
            changed={**last.changed, **dict.fromkeys(moved, seq)},
            before={**last.before, **{name: last.changed.get(name, 0) for name in moved}},
            alarms=dict(list(alarms.items())[-MAX_ALARMS:]),
        )
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
