"""What is committed is read back; what is not committed leaves no trace."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest

from ingest.contract.actions import Action, ActionKind
from ingest.contract.batch import Batch
from ingest.contract.channels import THINNED_REASON
from ingest.contract.rows import (
    AlarmChange,
    AlarmState,
    Condition,
    FeatureRow,
    Judgement,
    Outputs,
    Priority,
    StopAdvice,
)
from ingest.contract.values import Gap, Message, MessageKey, Scalar, Waveform
from ingest.desk import Desk
from ingest.journal.entry import DeadLetter, Intake, RunChange
from ingest.journal.interned import Interned, Pen
from ingest.journal.journal import Journal, JournalError
from ingest.reader import Reader

S = 1_000_000_000
NAMES = ("x.rms_g", "Power/Active")


def message(seq: int, machine: str = "pump-1", at_s: int | None = None) -> Message:
    at = (seq if at_s is None else at_s) * S
    samples = struct.pack("<256h", *range(256))
    return Message(
        "gw-1",
        machine,
        at,
        (Waveform("x", samples, "int16", 1000.0, 0.001, at),),
        (Scalar("Power/Active", 10.0 + seq, at), Scalar("Power/Energy", 1234567.891, at)),
        MessageKey("gw-1", 7, seq),
    )


def row(of: Message) -> FeatureRow:
    values = np.array([0.5, of.scalars[0].value], np.float32)
    return FeatureRow(of.machine, of.time_ns, NAMES, values, of.key)


def judgement(of: Message, condition: Condition = Condition.NORMAL) -> Judgement:
    return Judgement(of.machine, of.time_ns, condition, 0.1, 0.9, float("nan"))


def intake(*messages: Message, **more: object) -> Intake:
    last = messages[-1].time_ns if messages else 0
    batch = Batch(last + 5, messages, more.pop("gaps", ()), more.pop("actions", ()))
    return Intake(batch, tuple(one.time_ns + 3 for one in messages), **more)


def outputs(*messages: Message, **more: object) -> Outputs:
    judged = tuple(judgement(one) for one in messages)
    return Outputs(tuple(row(one) for one in messages), **{"judgements": judged, **more})


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.db")


def test_a_committed_batch_is_read_back_whole(journal: Journal) -> None:
    said = [message(seq) for seq in range(5)]
    journal.commit(intake(*said), outputs(*said))
    reader = Reader(journal.path)
    latest = reader.latest()["pump-1"]
    assert latest.time_ns == 4 * S
    assert latest.receive_ns == 4 * S + 3
    assert latest.scalars["Power/Energy"] == (1234567.891, 4 * S)
    assert latest.judgement is not None
    assert np.isnan(latest.judgement.health)
    rows = reader.rows("pump-1")
    assert rows.names == NAMES
    assert rows.time_ns.tolist() == [seq * S for seq in range(5)]
    assert rows.receive_ns.tolist() == [seq * S + 3 for seq in range(5)]
    assert rows.values[:, 1].tolist() == [10.0, 11.0, 12.0, 13.0, 14.0]
    kept = reader.waveform("pump-1", "x")
    assert kept is not None
    assert struct.unpack("<256h", kept.samples) == tuple(range(256))
    assert reader.counters()["stored_messages"] == 5


def test_columns_of_different_sets_meet_in_one_table(journal: Journal) -> None:
    first, second = message(1), message(2)
    other = FeatureRow(
        "pump-1", 2 * S, ("Power/Active", "y.rms_g"), np.array([7.0, 8.0], np.float32), second.key
    )
    journal.commit(intake(first, second), Outputs((row(first), other)))
    rows = Reader(journal.path).rows("pump-1")
    assert rows.names == ("x.rms_g", "Power/Active", "y.rms_g")
    np.testing.assert_array_equal(
        rows.values, np.array([[0.5, 11.0, np.nan], [np.nan, 7.0, 8.0]], np.float32)
    )


def test_a_trend_of_many_rows_is_thinned_with_its_extremes(journal: Journal) -> None:
    said = [message(seq) for seq in range(100)]
    journal.commit(intake(*said), outputs(*said))
    trend = Reader(journal.path).trend("pump-1", ("Power/Active", "none"), max_points=10)
    assert len(trend.time_ns) == 10
    assert trend.low["Power/Active"][0] == 10.0
    assert trend.high["Power/Active"][-1] == 109.0
    assert trend.values["Power/Active"][0] == pytest.approx(14.5)
    assert np.isnan(trend.values["none"]).all()


def test_an_alarm_keeps_its_history_and_its_opening_time(journal: Journal) -> None:
    states = [AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED, AlarmState.NORMAL]
    reader = Reader(journal.path)
    seen = []
    for i, state in enumerate(states):
        change = AlarmChange("a-1", "pump-1", "bpfo", state, AlarmState.NORMAL, Priority.HIGH, i * S, "e")
        journal.commit(intake(), Outputs(alarms=(change,)))
        seen.append(len(reader.alarms()))
    assert seen == [1, 1, 0]
    history = reader.alarm("a-1")
    assert history is not None
    assert [change.state for change in history.changes] == states
    assert history.alarm.opened_ns == 0
    assert history.alarm.changed_ns == 2 * S
    assert [one.alarm_id for one in reader.alarms(open_only=False)] == ["a-1"]


def test_alarms_are_paged_by_their_opening(journal: Journal) -> None:
    changes = tuple(
        AlarmChange(
            f"a-{i}", "m-1", "c", AlarmState.UNACKNOWLEDGED, AlarmState.NORMAL, Priority.LOW, i // 2 * S, "e"
        )
        for i in range(7)
    )
    journal.commit(intake(), Outputs(alarms=changes))
    reader, found, before = Reader(journal.path), [], None
    while page := reader.alarms(limit=3, before=before):
        found += [one.alarm_id for one in page]
        before = (page[-1].opened_ns, page[-1].alarm_id)
    assert found == ["a-6", "a-5", "a-4", "a-3", "a-2", "a-1", "a-0"]


def test_what_changed_follows_a_cursor(journal: Journal) -> None:
    reader = Reader(journal.path)
    start = reader.cursor()
    one, two = message(1), message(2, "pump-2")
    advice = StopAdvice("pump-2", S, "bpfo", 0.9, "why", "m", (0, S))
    journal.commit(intake(one), outputs(one))
    journal.commit(intake(two), outputs(two, advice=(advice,)))
    first = reader.changes_since(start, limit=1)
    assert [latest.machine for latest in first.machines] == ["pump-1"]
    second = reader.changes_since(first.cursor)
    assert [latest.machine for latest in second.machines] == ["pump-2"]
    assert second.advice[0].advice == advice
    assert reader.changes_since(second.cursor).machines == ()


def test_gaps_refusals_actions_and_keys_are_stored(journal: Journal) -> None:
    gap = Gap("gw-1", "pump-1", S, 2 * S, 3, "outbox_full", MessageKey("gw-1", 2**64 - 1, 9))
    action = Action("act-1", ActionKind.ACKNOWLEDGE, "ani", S, "pump-1", "a-1")
    letter = DeadLetter(S, "t", "oversize", "9 bytes", 9, b"head")
    runs = (RunChange("gw-1", 2**64 - 1, (), ((0, 5), (9, 9))),)
    what = intake(
        gaps=(gap,), actions=(action,), dead_letters=(letter,), runs=runs, counts={"refused_oversize": 1}
    )
    journal.commit(what, Outputs())
    reader = Reader(journal.path)
    assert reader.gaps("pump-1")[0].n_messages == 3
    assert reader.dead_letters()[0].reason == "oversize"
    assert reader.counters()["refused_oversize"] == 1
    assert journal.stored_runs("gw-1", 2**64 - 1) == [(0, 5), (9, 9)]
    grown = (RunChange("gw-1", 2**64 - 1, (0, 9), ((0, 9),)),)
    journal.commit(intake(runs=grown), Outputs())
    assert journal.stored_runs("gw-1", 2**64 - 1) == [(0, 9)]


def test_thinned_messages_grow_one_record_and_later_ones_begin_another(journal: Journal) -> None:
    def thinned(at_ns: int) -> Gap:
        return Gap("gw-1", "pump-1", at_ns, at_ns, 1, THINNED_REASON)

    hour = 3600 * S
    journal.commit(intake(gaps=(thinned(2 * S), thinned(3 * S))), Outputs())
    journal.commit(intake(gaps=(thinned(S), thinned(hour))), Outputs())
    other = Gap("gw-1", "pump-2", S, S, 1, THINNED_REASON)
    journal.commit(intake(gaps=(thinned(3 * hour), other)), Outputs())
    found = [(one.from_ns, one.to_ns, one.n_messages) for one in Reader(journal.path).gaps("pump-1")]
    assert found == [(3 * hour, 3 * hour, 1), (S, hour, 4)]
    assert len(Reader(journal.path).gaps("pump-2")) == 1


def test_what_is_told_as_stored_survives_a_power_cut(journal: Journal) -> None:
    # In WAL mode only FULL syncs each transaction: NORMAL would forget the last ones with the power.
    settings = [
        journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
    ]
    assert settings == ["wal", 2]


def test_a_transaction_that_fails_stores_nothing(journal: Journal) -> None:
    good, bad = message(1), message(2, "pump-2")
    journal.commit(intake(good), outputs(good))
    twice = Outputs((row(bad),), advice=(object(),))
    with pytest.raises(AttributeError):
        journal.commit(intake(bad), twice)
    journal.commit(intake(bad), outputs(bad))
    reader = Reader(journal.path)
    assert len(reader.rows().time_ns) == 2
    assert set(reader.latest()) == {"pump-1", "pump-2"}


def test_a_journal_of_another_version_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalError, match="another version"):
        Journal(path)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "no" / "journal.db")


def test_history_of_judgements_holds_changes_and_a_line_a_minute(journal: Journal) -> None:
    for seq in range(0, 120, 10):
        one = message(seq)
        condition = Condition.WARNING if seq == 50 else Condition.NORMAL
        journal.commit(intake(one), outputs(one, judgements=(judgement(one, condition),)))
    found = Reader(journal.path).judgements("pump-1")
    assert [one.time_ns // S for one in found] == [0, 50, 60]


def test_saying_an_action_twice_is_harmless(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk.db")
    action = Action("act-1", ActionKind.VERDICT, "ani", S, "pump-1", "a-1", {"verdict": "confirmed"})
    assert desk.say(action)
    assert not desk.say(action)
    cursor, said = Desk(tmp_path / "desk.db").since(0)
    assert said == (action,)
    assert desk.since(cursor) == (cursor, ())
    assert desk.about(alarm_id="a-1") == (action,)


@pytest.mark.parametrize("n", [0, 1, 5, 64, 65, 200])
def test_rows_go_in_whole_and_in_order_however_many_they_are(tmp_path: Path, n: int) -> None:
    journal = Journal(tmp_path / "journal.db")
    db = journal._db
    db.execute("CREATE TABLE line (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER)")
    pen = Pen(db, Interned(db), 1, 1)
    pen.insert("line (name, n)", [(f"m-{i}", i) for i in range(n)])
    assert db.execute("SELECT id, n FROM line ORDER BY id").fetchall() == [(i + 1, i) for i in range(n)]
    renew = "ON CONFLICT (name) DO UPDATE SET n = excluded.n"
    pen.insert("line (name, n)", [(f"m-{i}", -i) for i in range(n)], renew)
    assert db.execute("SELECT n FROM line ORDER BY id").fetchall() == [(-i,) for i in range(n)]
    journal.close()
