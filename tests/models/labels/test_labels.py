"""Labels: late, corrected, undone, doubted and imported."""

from dataclasses import replace
from datetime import timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract.actions import Action, ActionKind, Verdict
from ingest.contract.rejected import Rejected
from models.labels import (
    Label,
    LabelBook,
    Release,
    Seen,
    book_of,
    label_of,
    looks_wrong,
    noise_share,
    read_work_orders,
    weigh,
)

DAY = 24 * 3600 * 10**9
NOW = 20_000 * DAY
SICK, WELL = Seen(15.0, 0.95), Seen(98.0, 0.05)


def label(name: str, verdict: Verdict = Verdict.CONFIRMED, day: int = 0, **changes: object) -> Label:
    values: dict[str, object] = {
        "label_id": name,
        "machine": "pump-1",
        "verdict": verdict,
        "from_ns": NOW + day * DAY,
        "to_ns": NOW + day * DAY + DAY // 2,
        "said_ns": NOW + (day + 1) * DAY,
        "by": "Siti",
        "fault": "bearing_outer" if verdict is Verdict.CONFIRMED else "",
    }
    return Label(**{**values, **changes})


def verdict_action(name: str, word: str, time_ns: int = NOW, **values: str | int) -> Action:
    return Action(name, ActionKind.VERDICT, "Siti", time_ns, "pump-1", values={"verdict": word, **values})


@pytest.mark.parametrize(
    "changes",
    [
        {"fault": ""},
        {"by": " "},
        {"to_ns": NOW - DAY},
        {"said_ns": NOW},
        {"machine": "Pump 1"},
        {"fault": "Bearing!"},
        {"corrects": "a"},
        {"from_ns": NOW - 400 * DAY},
    ],
)
def test_a_label_that_contradicts_itself_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"label|fault"):
        label("a", **changes)


def test_a_verdict_from_the_desk_becomes_a_label() -> None:
    said = label_of(
        verdict_action("a1", "confirmed", fault="imbalance", from_ns=NOW - DAY, to_ns=NOW - DAY // 2)
    )
    assert isinstance(said, Label)
    assert (said.fault, said.from_ns, said.to_ns) == ("imbalance", NOW - DAY, NOW - DAY // 2)
    assert label_of(verdict_action("a2", "confirmed")).fault == "unknown"
    assert label_of(verdict_action("a3", "maybe")) == Rejected(
        "label_refused", "'maybe' is not a valid Verdict"
    )


def test_a_late_label_is_unknown_before_it_was_said() -> None:
    book, _ = book_of([label("late", said_ns=NOW + 30 * DAY)])
    assert book.current(as_of_ns=NOW + 29 * DAY) == ()
    assert [held.label_id for held in book.current(as_of_ns=NOW + 30 * DAY)] == ["late"]


def test_a_correction_replaces_and_its_undoing_brings_back() -> None:
    book, _ = book_of([label("first")])
    corrected = book.add(label("second", Verdict.FALSE_ALARM, said_ns=NOW + 2 * DAY, corrects="first"))
    assert isinstance(corrected, LabelBook)
    assert [held.label_id for held in corrected.current()] == ["second"]
    assert [held.label_id for held in corrected.current(as_of_ns=NOW + DAY)] == ["first"]
    undone = corrected.undo("second", NOW + 3 * DAY)
    assert isinstance(undone, LabelBook)
    assert [held.label_id for held in undone.current()] == ["first"]


def test_saying_it_twice_is_harmless_and_saying_something_else_under_its_name_is_not() -> None:
    book, _ = book_of([label("a")])
    assert book.add(label("a")) is book
    assert book.add(label("a", by="Budi")) == Rejected("label_id_taken", "a")
    assert book.add(label("b", corrects="nothing")) == Rejected("corrects_nothing", "nothing")


def test_the_book_is_a_fold_over_actions() -> None:
    book = LabelBook()
    undo = Action("u", ActionKind.UNDO, "Siti", NOW + 1, "pump-1", values={"undoes": "a"})
    for action in (verdict_action("a", "false_alarm"), verdict_action("b", "rubbish"), undo):
        book = book.hear(action)
    assert book.current() == ()
    assert book.refused == {"label_refused": 1}


@given(st.permutations(range(4)))
def test_which_labels_hold_does_not_depend_on_the_order_of_unrelated_ones(order: list[int]) -> None:
    labels = [label(f"l{k}", day=k) for k in range(4)]
    book, refused = book_of([labels[k] for k in order])
    assert refused == ()
    assert book.current() == tuple(labels)


def test_a_false_alarm_on_a_sick_machine_waits_for_a_second_person() -> None:
    doubted = label("a", Verdict.FALSE_ALARM)
    assert [w.admitted for w in weigh([doubted], lambda _: SICK)] == [False]
    assert [
        w.admitted for w in weigh([doubted], lambda _: SICK, releases=[Release("a", "Siti", "sure")])
    ] == [False]
    released = weigh([doubted], lambda _: SICK, releases=[Release("a", "Budi", "sensor was loose")])
    assert [(w.admitted, w.released_by, w.doubts) for w in released] == [
        (True, "Budi", ("false_alarm_on_a_sick_machine",))
    ]


def test_a_fault_without_a_trace_waits() -> None:
    assert weigh([label("a")], lambda _: WELL)[0].doubts == ("fault_without_a_trace",)
    assert weigh([label("a")], lambda _: None)[0].doubts == ("no_data_then",)
    assert weigh([label("a")], lambda _: SICK)[0].admitted


def test_two_people_who_contradict_each_other_both_wait() -> None:
    pair = [label("a"), label("b", Verdict.FALSE_ALARM, by="Budi")]
    assert {w.doubts for w in weigh(pair, lambda _: Seen(50.0, 0.6))} == {("contradicted_by_peer",)}


def test_a_burst_of_one_person_waits_and_a_steady_hand_does_not() -> None:
    fast = [label(f"f{k}", day=k, said_ns=NOW + 100 * DAY + k * 10**9) for k in range(25)]
    slow = [label(f"s{k}", day=40 + k, by="Budi") for k in range(25)]
    weighed = {w.label.label_id: w.admitted for w in weigh([*fast, *slow], lambda _: SICK)}
    assert not any(weighed[one.label_id] for one in fast)
    assert all(weighed[one.label_id] for one in slow)


def test_a_person_who_gets_known_cases_wrong_is_doubted() -> None:
    assert not weigh([label("a")], lambda _: SICK, golden_answers={"Siti": (10, 5)})[0].admitted
    assert weigh([label("a")], lambda _: SICK, golden_answers={"Siti": (10, 9)})[0].admitted


def test_flipped_labels_look_wrong() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.3
    probability = np.clip(np.where(truth, 0.85, 0.12) + rng.normal(0, 0.08, 400), 0, 1)
    flipped = rng.random(400) < 0.2
    assert noise_share(truth, probability) < 0.03
    found = looks_wrong(truth ^ flipped, probability)
    assert found[flipped].mean() > 0.7
    assert found[~flipped].mean() < 0.05


ORDERS = """No WO;Mesin;Mulai;Selesai;Kode Kerusakan;Komponen;Jenis;Teknisi
1001;pump-1;2025-03-01 08:00;2025-03-01 12:00;BRG-OUT;bearing;korektif;Siti
1002;pump-1;2025-03-05 08:00;2025-03-05 09:00;NFF;;korektif;Budi
1003;fan-9;2025-03-05 08:00;2025-03-05 09:00;X;;korektif;Budi
1004;pump-1;2025-03-09 08:00;2025-03-09 09:00;;;preventif;Budi
1005;pump-1;kemarin;2025-03-09 09:00;X;;korektif;Budi
1006;pump-1;2025-03-12T08:00+00:00;2025-03-12T09:00+00:00;SEAL;;korektif;
"""


def test_work_orders_become_labels() -> None:
    jakarta = timezone(timedelta(hours=7))
    options: dict[str, object] = {
        "machines": frozenset({"pump-1"}),
        "said_ns": NOW + 1000 * DAY,
        "zone": jakarta,
        "faults": {"BRG-OUT": "bearing_outer"},
    }
    read = read_work_orders(ORDERS.splitlines(), **options)
    assert not isinstance(read, Rejected)
    assert [(one.label_id, one.verdict.value, one.fault) for one in read.labels] == [
        ("wo:1001", "confirmed", "bearing_outer"),
        ("wo:1002", "false_alarm", ""),
        ("wo:1006", "confirmed", "unknown"),
    ]
    assert read.planned == 1
    assert [(row, refusal.reason) for row, refusal in read.refused] == [
        (4, "unknown_machine"),
        (6, "work_order_refused"),
    ]
    assert read.labels[0].from_ns == 1_740_790_800 * 10**9  # 08:00 in Jakarta is 01:00 UTC
    assert read_work_orders(ORDERS.splitlines(), **options) == read


def test_work_orders_without_a_machine_column_are_refused() -> None:
    refused = read_work_orders(["order,opened,closed"], machines=frozenset(), said_ns=NOW)
    assert isinstance(refused, Rejected)
    assert "machine" in refused.detail
    assert isinstance(read_work_orders([], machines=frozenset(), said_ns=NOW), Rejected)


def test_columns_may_be_named() -> None:
    read = read_work_orders(
        ["order,unit-name,opened,closed,fault", "7,pump-1,2025-03-01,2025-03-02,SEAL"],
        machines=frozenset({"pump-1"}),
        said_ns=NOW + 1000 * DAY,
        names={"machine": "Unit-Name"},
    )
    assert not isinstance(read, Rejected)
    assert replace(read.labels[0], fault="unknown").label_id == "wo:7"
