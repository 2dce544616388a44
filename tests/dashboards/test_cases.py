"""Similar past cases of an alarm: which, how alike, what people said, how it ended - in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from benchmarks.written_plant import change, write_plant
from dashboards.accounts import Account
from dashboards.cases import COMPARED, Case, evidence, ranked, similar_cases
from ingest.contract.actions import Action, ActionKind
from ingest.contract.batch import Batch
from ingest.contract.rows import AlarmChange, AlarmState, Outputs, Priority, Reason
from ingest.desk import Desk
from ingest.journal.entry import Intake
from ingest.journal.journal import Journal
from ingest.reader import Reader
from tests.dashboards.conftest import NOW_NS, Screens, open_screens

DAY = 86_400 * 10**9
LOUD = (Reason("level_rise", {"channel": "x.rms_g"}, 0.8), Reason("impacts", {"kurtosis": 9.0}, 0.2))
HOT = (Reason("temperature_rise", {"channel": "Temperature/bearing", "rise_k": 9.0}, 1.0),)


def raised(
    number: int, machine: str, cause: str, days_ago: float, reasons: tuple[Reason, ...]
) -> AlarmChange:
    at = NOW_NS - int(days_ago * DAY)
    return structs.replace(change(machine, cause, Priority.HIGH, at, number=number), reasons=reasons)


def calmed(one: AlarmChange, hours: float) -> AlarmChange:
    at = one.time_ns + int(hours * 3.6e12)
    return structs.replace(
        one, state=AlarmState.NORMAL, previous=one.state, event="returned", time_ns=at, reasons=()
    )


NOW = raised(9, "compressor-004", "bearing_outer", 0.01, LOUD)
SAME = raised(1, "pump-006", "bearing_outer", 40, LOUD)
KIN = raised(2, "fan-002", "bearing_inner", 30, HOT)
STRANGER = raised(3, "fan-002", "imbalance", 20, HOT)
LOOKS_SO = raised(4, "compressor-004", "anomaly", 10, LOUD)
LATER = raised(5, "pump-006", "bearing_outer", 0.001, LOUD)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    written = write_plant(tmp_path, NOW_NS, minutes=2)
    journal = Journal(written.journal)
    for one in (SAME, calmed(SAME, 5), KIN, calmed(KIN, 2), STRANGER, LOOKS_SO, NOW, LATER):
        journal.commit(Intake(Batch(one.time_ns, ()), ()), Outputs(alarms=(one,)))
    journal.close()
    return written.journal


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "desk.db")
    word = {"verdict": "confirmed", "fault": "bearing_outer", "note": "Outer race spalled"}
    desk.say(Action("v1", ActionKind.VERDICT, "Siti", SAME.time_ns + 1, "pump-006", SAME.alarm_id, word))
    desk.say(Action("m1", ActionKind.MAINTENANCE, "Budi", SAME.time_ns + 2 * DAY, "pump-006"))
    order = {
        "verdict": "confirmed",
        "fault": "bearing_inner",
        "source": "work_order",
        "from_ns": KIN.time_ns + DAY,
        "to_ns": KIN.time_ns + 3 * DAY,
    }
    desk.say(Action("wo:7", ActionKind.VERDICT, "work orders", NOW_NS, "fan-002", values=order))
    yield desk
    desk.close()


def found(journal: Path, desk: Desk, alarm_id: str = NOW.alarm_id) -> tuple[Case, ...]:
    reader = Reader(journal)
    history = reader.alarm(alarm_id)
    assert history is not None
    try:
        return similar_cases(reader, desk, history)
    finally:
        reader.close()


def test_the_same_fault_comes_first_then_its_kin_then_what_only_looks_so(journal: Path, desk: Desk) -> None:
    cases = found(journal, desk)
    assert [one.alarm.alarm_id for one in cases] == [SAME.alarm_id, LOOKS_SO.alarm_id, KIN.alarm_id]
    assert [round(one.alike, 3) for one in cases] == [1.0, 1.0, 0.0]


def test_a_case_says_what_it_was_and_how_long_it_took(journal: Path, desk: Desk) -> None:
    same, looks_so, kin = found(journal, desk)
    assert (same.said.by if same.said else "", same.ended, same.after_s) == ("Siti", "repaired", 2 * 86_400)
    assert (kin.said.by if kin.said else "", kin.ended, kin.after_s) == (
        "work orders",
        "repaired",
        3 * 86_400,
    )
    assert (looks_so.said, looks_so.ended) == (None, "")
    assert found(journal, desk, LATER.alarm_id)[0].alarm.alarm_id == NOW.alarm_id


def test_without_a_word_or_a_repair_an_alarm_that_returned_says_when(journal: Path, tmp_path: Path) -> None:
    silent = Desk(tmp_path / "silent.db")
    same = found(journal, silent)[0]
    silent.close()
    assert (same.said, same.ended, same.after_s) == (None, "returned", 5 * 3_600)


def test_a_word_taken_back_is_no_word(journal: Path, desk: Desk) -> None:
    undo = {"undoes": "v1"}
    desk.say(Action("u1", ActionKind.UNDO, "Siti", NOW_NS, "pump-006", SAME.alarm_id, undo))
    assert found(journal, desk)[0].said is None


def test_what_people_did_later_does_not_hide_the_evidence(journal: Path) -> None:
    reader = Reader(journal)
    history = reader.alarm(SAME.alarm_id)
    assert history is not None
    assert history.alarm.last.reasons == ()
    assert evidence(history) == {"x.rms_g": 0.8, "impacts": 0.2}
    assert [one for _, one in ranked(history, [history] * 9, n=3)] == [history] * 3
    reader.close()


def test_the_work_is_bounded(tmp_path: Path) -> None:
    written = write_plant(tmp_path, NOW_NS, minutes=2)
    journal = Journal(written.journal)
    many = tuple(raised(100 + k, "fan-002", "imbalance", 2 + k / 100, HOT) for k in range(COMPARED * 3))
    journal.commit(Intake(Batch(NOW_NS, ()), ()), Outputs(alarms=(*many, SAME, NOW)))
    journal.close()
    desk = Desk(tmp_path / "desk.db")
    assert [one.alarm.alarm_id for one in found(written.journal, desk)] == [SAME.alarm_id]
    desk.close()


@pytest.fixture
def pages(journal: Path, desk: Desk, tmp_path: Path, account: Account) -> Iterator[Screens]:
    assert desk
    written = write_plant(tmp_path / "facts", NOW_NS, minutes=2)
    yield from open_screens(replace(written, journal=journal), tmp_path, account)


@pytest.mark.parametrize(
    ("language", "said", "none"),
    [
        (
            "en",
            ("Outer race spalled", "evidence 100\xa0% alike", "repaired 2\xa0days after"),
            "No similar case yet",
        ),
        (
            "id",
            ("Outer race spalled", "bukti 100\xa0% serupa", "diperbaiki 2\xa0hari"),
            "Belum ada kasus serupa",
        ),
    ],
)
def test_alarm_and_machine_show_them(pages: Screens, language: str, said: tuple[str, ...], none: str) -> None:
    pages.client.cookies.set("mitra_language", language)
    for address in (f"/alarms/{NOW.alarm_id}", "/machines/compressor-004?tab=why"):
        text = pages.client.get(address).text
        assert [one for one in said if one not in text] == [], address
        assert none not in text
    assert none in pages.client.get(f"/alarms/{SAME.alarm_id}").text
