"""The journal's reading side, for screens, reports and trainers. It never holds the writer up."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ingest import series
from ingest.contract.rows import AlarmChange, AlarmState, Judgement, StopAdvice
from ingest.contract.values import Gap, Waveform
from ingest.historian import query
from ingest.historian.query import Store
from ingest.journal.entry import ClockVerdict, NodeState
from ingest.journal.interned import unsigned64
from ingest.journal.schema import open_reader
from ingest.views import (
    END_NS,
    AdviceView,
    AlarmHistory,
    AlarmView,
    Changes,
    DeadLetterView,
    Latest,
    Rows,
    Trend,
    Wanted,
)

_SCALARS = msgspec.msgpack.Decoder(dict[str, tuple[float, int]]).decode
_JUDGEMENT = msgspec.msgpack.Decoder(Judgement).decode
_CHANGE = msgspec.msgpack.Decoder(AlarmChange).decode
_ADVICE = msgspec.msgpack.Decoder(StopAdvice).decode
_CLOCK = msgspec.msgpack.Decoder(ClockVerdict).decode
_NODE = msgspec.msgpack.Decoder(NodeState).decode
MAX_LIMIT = 10_000
MAX_STARTS = 200
LONG_TREND_NS = 2 * 86_400_000_000_000
_LATEST = (
    "SELECT name, time_ns, receive_ns, scalars, judgement FROM latest JOIN machine ON machine.id = machine_id"
)
_ALARM = (
    "SELECT alarm_id, name, opened_ns, changed_ns, body FROM alarm JOIN machine ON machine.id = machine_id"
)


class Reader:
    """Read-only view of a journal and, when there is one, of the history behind it.

    Usable from several threads. Raises JournalError when the journal cannot be opened.
    """

    def __init__(self, journal_path: Path, history_dir: Path | None = None) -> None:
        self.path = journal_path
        self._store = Store(history_dir) if history_dir is not None else None
        self._lock = threading.Lock()
        self._db = open_reader(journal_path)

    def _all(self, statement: str, *values: object) -> list[Any]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    # -- the present ---------------------------------------------------------------------------------

    def latest(self) -> dict[str, Latest]:
        """Every machine that ever spoke: its last judgement, times and scalars."""
        return {row[0]: _latest(row) for row in self._all(f"{_LATEST} ORDER BY name")}

    def machine(self, machine: str) -> Latest | None:
        """The present of one machine; None when it never spoke."""
        found = self._all(f"{_LATEST} WHERE name = ?", machine)
        return _latest(found[0]) if found else None

    def counters(self) -> dict[str, int]:
        """Totals since the journal was made: what was stored, and `refused_<reason>` for what was not."""
        return dict(self._all("SELECT name, value FROM counter ORDER BY name"))

    def clocks(self) -> dict[str, ClockVerdict]:
        """The clock verdict of each edge node."""
        return {
            name: _CLOCK(body)
            for name, body in self._all(
                "SELECT name, body FROM clock JOIN node ON node.id = node_id ORDER BY name"
            )
        }

    def nodes(self) -> dict[str, NodeState]:
        """The presence of each edge node."""
        return {
            name: _NODE(body)
            for name, body in self._all(
                "SELECT name, body FROM node_state JOIN node ON node.id = node_id ORDER BY name"
            )
        }

    # -- over time -----------------------------------------------------------------------------------

    def trend(
        self,
        machine: str,
        columns: tuple[str, ...],
        from_ns: int = 0,
        to_ns: int = END_NS,
        max_points: int = 1_000,
    ) -> Trend:
        """Columns of the feature rows of a machine (scalars by their channel) in [from_ns, to_ns).

        Beyond two days of history the points are ten-minute aggregates with their lowest and highest values.
        """
        if self._store is not None and self._reaches_far(machine, from_ns, to_ns):
            wanted = Wanted(machine, from_ns, to_ns, columns)
            with self._lock:
                hot, _ = series.journal_rows(self._db, wanted)
            return series.long_trend(hot, self._store, wanted, max_points)
        rows = self.rows(machine, from_ns, to_ns, columns)
        return series.trend(machine, rows, columns, max_points)

    def _reaches_far(self, machine: str, from_ns: int, to_ns: int) -> bool:
        found = self._all(
            "SELECT time_ns FROM latest JOIN machine ON machine.id = machine_id WHERE name = ?", machine
        )
        return bool(found) and min(to_ns, found[0][0]) - from_ns > LONG_TREND_NS

    def rows(
        self,
        machine: str | None = None,
        from_ns: int = 0,
        to_ns: int = END_NS,
        columns: tuple[str, ...] | None = None,
    ) -> Rows:
        """Feature rows of one machine (None: of all) in [from_ns, to_ns): names and arrays for training."""
        wanted = Wanted(machine, from_ns, to_ns, columns)
        with self._lock:
            hot, oldest_id = series.journal_rows(self._db, wanted)
        return series.joined(hot, oldest_id, self._store, wanted)

    def scalars(
        self, machine: str, channel: str, from_ns: int = 0, to_ns: int = END_NS
    ) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float64]]]:
        """One scalar channel in full precision: times and values, in order of time."""
        wanted = Wanted(machine, from_ns, to_ns, (channel,))
        with self._lock:
            hot = series.journal_scalars(self._db, wanted)
        return series.joined_scalars(hot, self._store, wanted)

    def waveform(self, machine: str, axis: str, at_ns: int | None = None) -> Waveform | None:
        """The kept waveform of an axis nearest to at_ns (None: the newest); None when there is none."""
        return series.waveform(self._all, self._store, Wanted(machine), axis, at_ns)

    def waveforms(self, machine: str, axis: str, starts: Sequence[int]) -> tuple[Waveform, ...]:
        """Kept waveforms by their start times (at most MAX_STARTS), oldest first; those gone are left out."""
        return series.waveforms(self._all, self._store, machine, axis, starts[:MAX_STARTS])

    def waveform_times(
        self, machine: str, axis: str, from_ns: int = 0, to_ns: int = END_NS, limit: int = 1_000
    ) -> list[int]:
        """Start times of the kept waveforms, newest first."""
        wanted = Wanted(machine, from_ns, to_ns)
        return series.waveform_times(self._all, self._store, wanted, axis, limit)

    def judgements(
        self, machine: str, from_ns: int = 0, to_ns: int = END_NS, max_points: int = 1_000
    ) -> tuple[Judgement, ...]:
        """Judgements, oldest first: every change, and a line a minute; thinned evenly to max_points."""
        with self._lock:
            fresh, oldest_id = series.journal_judgements(self._db, Wanted(machine, from_ns, to_ns))
        held = (
            query.judgements(self._store, Wanted(machine, from_ns, to_ns), oldest_id) if self._store else []
        )
        found = [*held, *fresh]
        step = max(1, -(-len(found) // max(1, max_points)))
        return tuple(_JUDGEMENT(body) for body in found[::step])

    def gaps(
        self, machine: str | None = None, from_ns: int = 0, to_ns: int = END_NS, limit: int = 1_000
    ) -> tuple[Gap, ...]:
        """What is declared as missing and overlaps [from_ns, to_ns), newest first."""
        return tuple(
            _gap(row)
            for row in self._all(
                f"{_GAP} WHERE to_ns >= ? AND from_ns < ? AND (? IS NULL OR machine.name = ?) "
                "ORDER BY gap.id DESC LIMIT ?",
                from_ns,
                to_ns,
                machine,
                machine,
                _limit(limit),
            )
        )

    # -- alarms and advice ---------------------------------------------------------------------------

    def alarms(
        self,
        open_only: bool = True,
        limit: int = 100,
        before: tuple[int, str] | None = None,
        machine: str | None = None,
    ) -> tuple[AlarmView, ...]:
        """Alarms, newest opened first. before: (opened_ns, alarm_id) of the last one already shown."""
        opened, after = before or (END_NS, "")
        return tuple(
            _alarm(row)
            for row in self._all(
                f"{_ALARM} WHERE (opened_ns < ? OR (opened_ns = ? AND alarm_id < ?)) "
                "AND (? = 0 OR state != ?) AND (? IS NULL OR name = ?) "
                "ORDER BY opened_ns DESC, alarm_id DESC LIMIT ?",
                opened,
                opened,
                after,
                int(open_only),
                AlarmState.NORMAL,
                machine,
                machine,
                _limit(limit),
            )
        )

    def alarm(self, alarm_id: str) -> AlarmHistory | None:
        """One alarm with its history; None when there is none of that id."""
        found = self._all(f"{_ALARM} WHERE alarm_id = ?", alarm_id)
        if not found:
            return None
        changes = self._all("SELECT body FROM alarm_change WHERE alarm_id = ? ORDER BY id", alarm_id)
        return AlarmHistory(_alarm(found[0]), tuple(_CHANGE(body) for (body,) in changes))

    def advice(self, limit: int = 100) -> tuple[AdviceView, ...]:
        """Stop requests, newest first."""
        return tuple(
            AdviceView(number, receive_ns, _ADVICE(body))
            for number, receive_ns, body in self._all(
                "SELECT id, receive_ns, body FROM advice ORDER BY id DESC LIMIT ?", _limit(limit)
            )
        )

    def dead_letters(self, limit: int = 100) -> tuple[DeadLetterView, ...]:
        """Refused messages with their reasons, newest first."""
        return tuple(
            DeadLetterView(*row)
            for row in self._all(
                "SELECT id, receive_ns, topic, reason, detail, n_bytes, head FROM dead_letter "
                "ORDER BY id DESC LIMIT ?",
                _limit(limit),
            )
        )

    # -- what is new ---------------------------------------------------------------------------------

    def cursor(self) -> int:
        """The present position, to follow changes from now on."""
        return int(self._all("SELECT coalesce(max(id), 0) FROM batch")[0][0])

    def changes_since(self, cursor: int, limit: int = 1_000) -> Changes:
        """What the batches after cursor changed, about `limit` machines at most; go on from `.cursor`."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                return _changes(self._db, cursor, limit)
            finally:
                self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._db.close()
        if self._store is not None:
            self._store.close()


_GAP = (
    "SELECT node.name, machine.name, from_ns, to_ns, n_messages, reason FROM gap "
    "JOIN node ON node.id = node_id JOIN machine ON machine.id = machine_id"
)


def _limit(limit: int) -> int:
    return max(0, min(limit, MAX_LIMIT))


def _latest(row: tuple[str, int, int, bytes, bytes | None]) -> Latest:
    name, time_ns, receive_ns, scalars, judgement = row
    return Latest(
        name, time_ns, receive_ns, _SCALARS(scalars), _JUDGEMENT(judgement) if judgement is not None else None
    )


def _alarm(row: tuple[str, str, int, int, bytes]) -> AlarmView:
    return AlarmView(row[0], row[1], row[2], row[3], _CHANGE(row[4]))


def _gap(row: tuple[str, str, int, int, int, str]) -> Gap:
    return Gap(row[0], row[1], unsigned64(row[2]), unsigned64(row[3]), unsigned64(row[4]), row[5])


def _changes(db: sqlite3.Connection, cursor: int, limit: int) -> Changes:
    newest = db.execute("SELECT coalesce(max(id), 0) FROM batch").fetchone()[0]
    if newest <= cursor:
        return Changes(min(cursor, newest))
    batches = db.execute(
        "SELECT batch_id FROM latest WHERE batch_id > ? ORDER BY batch_id LIMIT 1 OFFSET ?",
        (cursor, max(1, limit) - 1),
    ).fetchone()
    until = batches[0] if batches else newest
    span = (cursor, until)
    return Changes(
        until,
        tuple(_latest(row) for row in db.execute(f"{_LATEST} WHERE batch_id > ? AND batch_id <= ?", span)),
        tuple(_alarm(row) for row in db.execute(f"{_ALARM} WHERE batch_id > ? AND batch_id <= ?", span)),
        tuple(
            AdviceView(number, receive_ns, _ADVICE(body))
            for number, receive_ns, body in db.execute(
                "SELECT id, receive_ns, body FROM advice WHERE batch_id > ? AND batch_id <= ? ORDER BY id",
                span,
            )
        ),
        tuple(_gap(row) for row in db.execute(f"{_GAP} WHERE batch_id > ? AND batch_id <= ?", span)),
        dict(db.execute("SELECT name, value FROM counter").fetchall()),
    )
