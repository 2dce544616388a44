"""What machines said, into tables: feature rows, scalars, waveforms, the latest of each machine."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import msgspec
import numpy as np

from ingest.contract.actions import Action
from ingest.contract.rows import Condition, FeatureRow, Judgement, Outputs
from ingest.contract.values import Message, MessageKey, Scalar
from ingest.journal.entry import Intake
from ingest.journal.interned import Interned, Pen, names_of, signed64, unsigned64
from ingest.journal.waveforms import Recent, WaveformRule

Receipt: TypeAlias = tuple[Message | None, int]
Replayed: TypeAlias = tuple[tuple[FeatureRow, ...], tuple[Action, ...], int]
_F4 = np.dtype("<f4")
ENCODE = msgspec.msgpack.Encoder().encode
_DECODE_ACTION = msgspec.msgpack.Decoder(Action).decode
_DECODE_SCALARS = msgspec.msgpack.Decoder(dict[str, tuple[float, int]]).decode


def receipts_of(intake: Intake, rows: Sequence[FeatureRow]) -> list[Receipt]:
    """The message behind each row, by key or by machine and time, and when it was received.

    None and the batch's time for a row that has no message.
    """
    by_key: dict[MessageKey | tuple[str, int], Receipt] = {
        message.key or (message.machine, message.time_ns): (message, receive_ns)
        for message, receive_ns in zip(intake.batch.messages, intake.receive_ns, strict=True)
    }
    nothing = (None, intake.batch.now_ns)
    return [by_key.get(row.key or (row.machine, row.time_ns), nothing) for row in rows]


def feature_rows(
    pen: Pen,
    rows: Sequence[FeatureRow],
    receipts: Sequence[Receipt],
    first: int,
    kept: frozenset[int],
) -> None:
    """Insert the rows under ids first, first + 1, ... receipts: of each row."""
    pen.insert(
        "feature_row",
        [
            (
                row_id,
                pen.names.machine(row.machine),
                row.time_ns,
                receive_ns,
                pen.names.column_set(row.names),
                row.historical,
                row_id in kept,
                pen.names.node(row.key.node) if row.key else None,
                signed64(row.key.boot_id) if row.key else None,
                signed64(row.key.seq64) if row.key else None,
                (row.values if row.values.dtype is _F4 else row.values.astype(_F4)).tobytes(),
            )
            for row_id, (row, (_, receive_ns)) in enumerate(zip(rows, receipts, strict=True), first)
        ],
    )


def scalars(pen: Pen, intake: Intake) -> None:
    """Insert the scalars of each message as one row, in float64."""
    pen.insert(
        "scalar_row (machine_id, time_ns, receive_ns, set_id, times, vals)",
        [
            _scalar_row(pen.names, message, receive_ns)
            for message, receive_ns in zip(intake.batch.messages, intake.receive_ns, strict=True)
            if message.scalars
        ],
    )


@lru_cache(maxsize=256)
def _doubles(n: int) -> Callable[..., bytes]:
    return struct.Struct(f"<{n}d").pack


def _scalar_row(names: Interned, message: Message, receive_ns: int) -> tuple[object, ...]:
    said = message.scalars
    said_ns = [scalar.time_ns for scalar in said]
    same = said_ns.count(message.time_ns) == len(said)
    return (
        names.machine(message.machine),
        message.time_ns,
        receive_ns,
        names.column_set(tuple([scalar.channel for scalar in said])),
        None if same else struct.pack(f"<{len(said)}q", *said_ns),
        _doubles(len(said))(*[scalar.value for scalar in said]),
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """Which waveforms of a batch stay. past: recent blocks of machines that just became suspicious; fresh:
    (row id, message, receive time, why) of the batch's own.
    """

    past: tuple[Recent, ...]
    fresh: tuple[tuple[int, Message, int, str], ...]


def choose(rule: WaveformRule, outputs: Outputs, receipts: Sequence[Receipt], first: int) -> Kept:
    """Ask the rule, which remembers what it said: once a batch, however often its transaction is tried.

    receipts: of each row.
    """
    past: list[Recent] = []
    for judgement in outputs.judgements:
        if rule.judged(judgement.machine, judgement.condition):
            past.extend(rule.recall(judgement.machine))
    fresh = []
    for row_id, (message, receive_ns) in enumerate(receipts, first):
        if message is None or not message.waveforms:
            continue
        n_bytes = sum([len(waveform.samples) for waveform in message.waveforms])
        why = rule.wanted(message.machine, receive_ns, n_bytes)
        if why:
            fresh.append((row_id, message, receive_ns, why))
        else:
            rule.remember(Recent(row_id, message, receive_ns, n_bytes))
    return Kept(tuple(past), tuple(fresh))


def waveforms(pen: Pen, kept: Kept) -> frozenset[int]:
    """Write the chosen blocks; ids of the new rows whose waveforms were kept."""
    for recent in kept.past:
        _keep(pen, recent.message, recent.receive_ns, "alarm")
    if kept.past:
        pen.db.executemany(
            "UPDATE feature_row SET waveform_kept = 1 WHERE id = ?",
            [(recent.row_id,) for recent in kept.past],
        )
    for _, message, receive_ns, why in kept.fresh:
        _keep(pen, message, receive_ns, why)
    return frozenset(row_id for row_id, *_ in kept.fresh)


def _keep(pen: Pen, message: Message, receive_ns: int, why: str) -> None:
    pen.insert(
        "waveform (machine_id, axis, start_ns, receive_ns, rate_hz, scale_g, sample_type, kept_for, samples)",
        [
            (
                pen.names.machine(message.machine),
                waveform.axis,
                waveform.start_ns,
                receive_ns,
                waveform.rate_hz,
                waveform.scale_g,
                waveform.sample_type,
                why,
                waveform.samples,
            )
            for waveform in message.waveforms
        ],
    )


class LatestScalars:
    """The newest value of every channel of every machine, as (value, time_ns)."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[str, dict[str, tuple[float, int]]] = {}
        self.reload()

    def reload(self) -> None:
        """Read them again from the journal, at start and after a rollback."""
        self._known = {
            name: _DECODE_SCALARS(body)
            for name, body in self._db.execute(
                "SELECT name, scalars FROM latest JOIN machine ON machine.id = machine_id"
            )
        }

    def take(self, machine: str, said: Sequence[Scalar]) -> None:
        """Note what came; an older value never hides a newer one."""
        known = self._known.setdefault(machine, {})
        for scalar in said:
            before = known.get(scalar.channel)
            if before is None or scalar.time_ns >= before[1]:
                known[scalar.channel] = (scalar.value, scalar.time_ns)

    def of(self, machine: str) -> bytes:
        """All channels of a machine, encoded."""
        return ENCODE(self._known.get(machine, {}))


_RENEW = """
ON CONFLICT (machine_id) DO UPDATE SET
    batch_id = excluded.batch_id, time_ns = max(time_ns, excluded.time_ns), receive_ns = excluded.receive_ns,
    condition = CASE WHEN excluded.judgement IS NULL THEN condition ELSE excluded.condition END,
    scalars = excluded.scalars, judgement = coalesce(excluded.judgement, judgement)
"""


def latest(
    pen: Pen,
    known: LatestScalars,
    intake: Intake,
    outputs: Outputs,
) -> None:
    """Renew the line of each machine that spoke or was judged."""
    judged: dict[str, Judgement] = {judgement.machine: judgement for judgement in outputs.judgements}
    spoke: dict[str, tuple[int, int]] = {}
    for message, receive_ns in zip(intake.batch.messages, intake.receive_ns, strict=True):
        if message.scalars:
            known.take(message.machine, message.scalars)
        before = spoke.get(message.machine, (0, 0))
        spoke[message.machine] = (max(before[0], message.time_ns), max(before[1], receive_ns))
    lines = []
    for machine in spoke.keys() | judged.keys():
        judgement = judged.get(machine)
        time_ns, receive_ns = spoke.get(machine) or (
            judgement.time_ns if judgement else 0,
            intake.batch.now_ns,
        )
        lines.append(
            (
                pen.names.machine(machine),
                pen.batch_id,
                time_ns,
                receive_ns,
                judgement.condition if judgement else Condition.UNKNOWN,
                known.of(machine),
                ENCODE(judgement) if judgement else None,
            )
        )
    pen.insert("latest", lines, _RENEW)


def replay(db: sqlite3.Connection, lock: AbstractContextManager[object], batch_id: int) -> Iterator[Replayed]:
    """Rows, actions and time of the batches after batch_id, in order, read a few batches at a time."""
    while True:
        with lock:
            batches = db.execute(
                "SELECT id, first_row, last_row, now_ns FROM batch WHERE id > ? ORDER BY id LIMIT 64",
                (batch_id,),
            ).fetchall()
            if not batches:
                return
            rows = _stored_rows(db, batches[0][1], batches[-1][2])
            said = db.execute(
                "SELECT batch_id, body FROM applied_action WHERE batch_id BETWEEN ? AND ? ORDER BY id",
                (batches[0][0], batches[-1][0]),
            ).fetchall()
        for number, first, last, now_ns in batches:
            actions = tuple(_DECODE_ACTION(body) for at, body in said if at == number)
            yield tuple(rows[i] for i in range(first, last + 1) if i in rows), actions, now_ns
        batch_id = batches[-1][0]


def _stored_rows(db: sqlite3.Connection, first: int, last: int) -> dict[int, FeatureRow]:
    sets = {number: names_of(text) for number, text in db.execute("SELECT id, names FROM column_set")}
    found = db.execute(
        "SELECT feature_row.id, machine.name, time_ns, set_id, vals, node.name, boot_id, seq64, historical, "
        "waveform_kept FROM feature_row JOIN machine ON machine.id = machine_id "
        "LEFT JOIN node ON node.id = node_id WHERE feature_row.id BETWEEN ? AND ? ORDER BY feature_row.id",
        (first, last),
    )
    return {
        number: FeatureRow(
            machine,
            time_ns,
            sets[set_id],
            np.frombuffer(vals, "<f4"),
            MessageKey(node, unsigned64(boot_id), unsigned64(seq64)) if node is not None else None,
            bool(historical),
            bool(kept),
        )
        for number, machine, time_ns, set_id, vals, node, boot_id, seq64, historical, kept in found
    }
