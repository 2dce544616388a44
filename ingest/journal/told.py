"""What was said about machines, into tables: judgements, alarms, advice, gaps, actions, refusals, keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import structs

from ingest.contract.channels import THINNED_REASON
from ingest.contract.rows import AlarmChange, Judgement, Outputs, StopAdvice
from ingest.contract.values import Gap
from ingest.journal import quarantine
from ingest.journal.entry import Intake
from ingest.journal.interned import Pen, signed64

ENCODE = msgspec.msgpack.Encoder().encode
NS_PER_S = 1_000_000_000
MAX_DEAD_LETTERS = 10_000
MAX_QUARANTINED = 20_000
SWEEP_EVERY = 64
THINNING_APART_NS = 3_600 * NS_PER_S
"""Thinned messages further apart are told of in two records."""
GROW_GAP = (
    "UPDATE gap SET from_ns = min(from_ns, ?), to_ns = max(to_ns, ?), n_messages = n_messages + ? "
    "WHERE id = (SELECT max(id) FROM gap WHERE machine_id = ?) "
    "AND boot_id IS NULL AND reason = ? AND to_ns >= ?"
)
COUNT = "INSERT INTO counter VALUES (?,?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"


class Thinning:
    """Judgement history holds every change of condition, fault or zone, and one line each `every_s`."""

    def __init__(self, every_s: float) -> None:
        self._every_ns = int(every_s * NS_PER_S)
        self._last: dict[str, tuple[object, int]] = {}

    def keeps(self, judgement: Judgement) -> bool:
        """True when this one belongs into the history."""
        what = (judgement.condition, judgement.fault, judgement.zone)
        before = self._last.get(judgement.machine)
        if before and before[0] == what and 0 <= judgement.time_ns - before[1] < self._every_ns:
            return False
        self._last[judgement.machine] = (what, judgement.time_ns)
        return True


def judgements(pen: Pen, said: Sequence[Judgement]) -> None:
    """Insert those that the thinning kept."""
    pen.insert(
        "judgement (batch_id, machine_id, time_ns, condition, zone, fault, score, health, body)",
        [
            (
                pen.batch_id,
                pen.names.machine(one.machine),
                one.time_ns,
                one.condition,
                one.zone,
                one.fault,
                one.score,
                one.health,
                ENCODE(one),
            )
            for one in said
        ],
    )


def alarms(pen: Pen, changes: Sequence[AlarmChange]) -> None:
    """Append each change and renew the alarm's present line. opened_ns stays that of the first change."""
    for change in changes:
        body = ENCODE(change)
        pen.db.execute(
            "INSERT INTO alarm_change (batch_id, alarm_id, time_ns, receive_ns, body) VALUES (?,?,?,?,?)",
            (pen.batch_id, change.alarm_id, change.time_ns, pen.now_ns, body),
        )
        pen.db.execute(
            "INSERT INTO alarm VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (alarm_id) DO UPDATE SET "
            "batch_id = excluded.batch_id, state = excluded.state, priority = excluded.priority, "
            "changed_ns = excluded.changed_ns, body = excluded.body",
            (
                change.alarm_id,
                pen.batch_id,
                pen.names.machine(change.machine),
                change.state,
                change.priority,
                change.time_ns,
                change.time_ns,
                body,
            ),
        )


def advice(pen: Pen, said: Sequence[StopAdvice]) -> None:
    """Insert stop requests."""
    pen.db.executemany(
        "INSERT INTO advice (batch_id, machine_id, time_ns, receive_ns, body) VALUES (?,?,?,?,?)",
        [
            (pen.batch_id, pen.names.machine(one.machine), one.time_ns, pen.now_ns, ENCODE(one))
            for one in said
        ],
    )


def gaps(pen: Pen, said: Sequence[Gap]) -> None:
    """Insert what is declared as missing. Thinned messages come by thousands: one record grows with them."""
    whole, thinned = list[Gap](), dict[str, Gap]()
    for gap in said:
        if gap.key is None and gap.reason == THINNED_REASON:
            thinned[gap.machine] = _joined(thinned.get(gap.machine, gap), gap)
        else:
            whole.append(gap)
    fresh = [*whole, *(gap for gap in thinned.values() if not _grown(pen, gap))]
    pen.db.executemany(
        "INSERT INTO gap (batch_id, node_id, machine_id, from_ns, to_ns, receive_ns, n_messages, reason, "
        "boot_id, seq64) VALUES (?,?,?,?,?,?,?,?,?,?)",
        [
            (
                pen.batch_id,
                pen.names.node(gap.node),
                pen.names.machine(gap.machine),
                signed64(gap.from_ns),
                signed64(gap.to_ns),
                pen.now_ns,
                signed64(gap.n_messages),
                gap.reason,
                signed64(gap.key.boot_id) if gap.key else None,
                signed64(gap.key.seq64) if gap.key else None,
            )
            for gap in fresh
        ],
    )


def _joined(known: Gap, more: Gap) -> Gap:
    if known is more:
        return known
    from_ns, to_ns = min(known.from_ns, more.from_ns), max(known.to_ns, more.to_ns)
    return structs.replace(known, from_ns=from_ns, to_ns=to_ns, n_messages=known.n_messages + more.n_messages)


def _grown(pen: Pen, gap: Gap) -> bool:
    """Whether the machine's newest record is of the same thinning, and now covers this message too."""
    machine_id = pen.names.machine(gap.machine)
    values = (gap.from_ns, gap.to_ns, gap.n_messages, machine_id, gap.reason, gap.from_ns - THINNING_APART_NS)
    return pen.db.execute(GROW_GAP, values).rowcount == 1


def actions(pen: Pen, intake: Intake) -> None:
    """Remember which actions were folded, and in which order."""
    pen.db.executemany(
        "INSERT OR IGNORE INTO applied_action (batch_id, action_id, body) VALUES (?,?,?)",
        [(pen.batch_id, action.action_id, ENCODE(action)) for action in intake.batch.actions],
    )
    if intake.desk_cursor is not None:
        pen.db.execute("INSERT OR REPLACE INTO meta VALUES ('desk_cursor', ?)", (intake.desk_cursor,))


def refusals(pen: Pen, intake: Intake) -> None:
    """Insert dead letters and quarantined messages; the oldest go when the limit is reached."""
    pen.db.executemany(
        "INSERT INTO dead_letter (batch_id, receive_ns, topic, reason, detail, n_bytes, head) "
        "VALUES (?,?,?,?,?,?,?)",
        [
            (
                pen.batch_id,
                letter.receive_ns,
                letter.topic,
                letter.reason,
                letter.detail,
                letter.n_bytes,
                letter.head,
            )
            for letter in intake.dead_letters
        ],
    )
    pen.db.executemany("DELETE FROM quarantine WHERE id = ?", [(number,) for number in intake.released])
    for one in intake.quarantined:
        body = quarantine.pack(one)
        pen.db.execute(
            "INSERT INTO quarantine (node_id, machine, receive_ns, n_bytes, body) VALUES (?,?,?,?,?)",
            (pen.names.node(one.message.node), one.message.machine, one.receive_ns, len(body), body),
        )
    if intake.dead_letters and pen.batch_id % SWEEP_EVERY == 0:
        _sweep(pen.db, "dead_letter", MAX_DEAD_LETTERS)
    if intake.quarantined and pen.batch_id % SWEEP_EVERY == 0:
        _sweep(pen.db, "quarantine", MAX_QUARANTINED)


def _sweep(db: sqlite3.Connection, table: str, limit: int) -> None:
    swept = db.execute(f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?", (limit,))  # noqa: S608
    if swept.rowcount > 0:
        db.execute(COUNT, (f"swept_{table}", swept.rowcount))


def keys(pen: Pen, intake: Intake) -> None:
    """Renew the runs of stored counts, and the digests of messages without a key."""
    for change in intake.runs:
        node_id, boot_id = pen.names.node(change.node), signed64(change.boot_id)
        pen.db.executemany(
            "DELETE FROM stored_run WHERE node_id = ? AND boot_id = ? AND first = ?",
            [(node_id, boot_id, first) for first in change.gone],
        )
        pen.db.executemany(
            "INSERT OR REPLACE INTO stored_run VALUES (?,?,?,?)",
            [(node_id, boot_id, first, last) for first, last in change.came],
        )
    pen.db.executemany(
        "INSERT OR IGNORE INTO seen VALUES (?,?,?)",
        [(pen.names.machine(machine), digest, intake.batch.now_ns) for machine, digest in intake.digests],
    )


def nodes(pen: Pen, intake: Intake) -> None:
    """Renew clock verdicts and presence of edge nodes."""
    pen.db.executemany(
        "INSERT OR REPLACE INTO clock VALUES (?,?)",
        [(pen.names.node(verdict.node), ENCODE(verdict)) for verdict in intake.clocks],
    )
    pen.db.executemany(
        "INSERT OR REPLACE INTO node_state VALUES (?,?,?,?)",
        [(pen.names.node(state.node), state.online, state.since_ns, ENCODE(state)) for state in intake.nodes],
    )


def counters(pen: Pen, intake: Intake, outputs: Outputs) -> None:
    """Add to the totals that `/metrics` shows."""
    counts = dict(intake.counts)
    for name, more in (
        ("stored_messages", len(intake.batch.messages)),
        ("stored_rows", len(outputs.rows)),
        ("stored_gaps", len(intake.batch.gaps)),
        ("stored_alarm_changes", len(outputs.alarms)),
        ("stored_advice", len(outputs.advice)),
        ("batches", 1),
    ):
        counts[name] = counts.get(name, 0) + more
    pen.db.executemany(
        COUNT,
        [(name, more) for name, more in counts.items() if more],
    )
