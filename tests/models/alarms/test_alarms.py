"""ISA-18.2 as a table, and the book that walks through it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contract.actions import Action, ActionKind
from ingest.contract.plant import Criticality
from ingest.contract.rows import AlarmChange, AlarmState, Priority, Reason
from models.alarms.book import AlarmBook
from models.alarms.flood import flood
from models.alarms.policy import DOMAIN_OF, DOMAINS, PRIORITY
from models.alarms.states import NEXT, AlarmError, Event, after, can
from models.online.columns import COMPONENTS

MINUTE = 60 * 10**9
DAY = 24 * 60 * MINUTE
WHY = (Reason("impacts", {"kurtosis": 7.0}),)


def raised(book, at=0, machine="m0", domain="mechanical"):
    return book.raise_alarm(
        machine, domain, at, cause="bearing", priority=Priority.LOW, health=40.0, reasons=WHY
    )


def act(book, kind, alarm_id="", at=MINUTE, machine="m0", **values):
    return book.act(Action(f"a{at}-{kind}", kind, "ani", at, machine, alarm_id, values))


@pytest.mark.parametrize("state", AlarmState)
@pytest.mark.parametrize("event", Event)
def test_a_pair_is_in_the_table_or_is_an_error(state, event):
    if (state, event) in NEXT:
        assert can(state, event)
        assert after(state, event) in AlarmState
    else:
        assert not can(state, event)
        with pytest.raises(AlarmError, match="cannot be"):
            after(state, event)


def test_every_state_is_reached_and_can_come_back_to_normal():
    reached = {AlarmState.NORMAL}
    while True:
        wider = reached | {after for (before, _), after in NEXT.items() if before in reached}
        if wider == reached:
            break
        reached = wider
    assert reached == set(AlarmState)
    home = {AlarmState.NORMAL}
    for _ in AlarmState:
        home |= {before for (before, _), after in NEXT.items() if after in home}
    assert home == set(AlarmState)


def test_the_life_of_an_alarm():
    book = AlarmBook()
    alarm, change = raised(book)
    assert change is not None
    assert (change.state, change.previous, change.reasons) == (
        AlarmState.UNACKNOWLEDGED,
        AlarmState.NORMAL,
        WHY,
    )
    assert raised(book, MINUTE)[1] is None
    assert act(book, ActionKind.ACKNOWLEDGE, alarm.alarm_id)[0].state == AlarmState.ACKNOWLEDGED
    assert book.clear(alarm, 2 * MINUTE).state == AlarmState.NORMAL
    assert not book.has("m0")


def test_an_alarm_that_returns_unacknowledged_stays_until_somebody_saw_it():
    book = AlarmBook()
    alarm, _ = raised(book)
    assert book.clear(alarm, MINUTE).state == AlarmState.RETURNED
    again, change = raised(book, 2 * MINUTE)
    assert again is alarm
    assert change.state == AlarmState.UNACKNOWLEDGED
    book.clear(alarm, 3 * MINUTE)
    assert act(book, ActionKind.ACKNOWLEDGE, alarm.alarm_id)[0].state == AlarmState.NORMAL


def test_shelving_is_timed_has_a_reason_and_ends_by_itself():
    book = AlarmBook()
    alarm, _ = raised(book)
    assert act(book, ActionKind.SHELVE, alarm.alarm_id, until_ns=10 * MINUTE) == []
    assert act(book, ActionKind.SHELVE, alarm.alarm_id, reason="spare part ordered", until_ns=10**18) == []
    shelved = act(book, ActionKind.SHELVE, alarm.alarm_id, reason="spare part ordered", until_ns=10 * MINUTE)
    assert (shelved[0].state, shelved[0].note, shelved[0].until_ns) == (
        AlarmState.SHELVED,
        "spare part ordered",
        10 * MINUTE,
    )
    assert raised(book, 2 * MINUTE)[1] is None
    assert book.expire_shelves(9 * MINUTE) == []
    assert book.expire_shelves(10 * MINUTE)[0].state == AlarmState.UNACKNOWLEDGED


def test_a_shelved_alarm_whose_condition_is_gone_ends_normal():
    book = AlarmBook()
    alarm, _ = raised(book)
    act(book, ActionKind.SHELVE, alarm.alarm_id, reason="x", until_ns=10 * MINUTE)
    assert book.clear(alarm, 2 * MINUTE) is None
    assert act(book, ActionKind.UNSHELVE, alarm.alarm_id)[0].state == AlarmState.NORMAL


def test_a_machine_out_of_service_raises_nothing_that_disturbs():
    book = AlarmBook()
    act(book, ActionKind.OUT_OF_SERVICE, reason="overhaul")
    _, change = raised(book)
    assert change.state == AlarmState.OUT_OF_SERVICE
    assert act(book, ActionKind.RETURN_TO_SERVICE)[0].state == AlarmState.UNACKNOWLEDGED
    assert raised(AlarmBook())[1].state == AlarmState.UNACKNOWLEDGED


def test_a_stopped_machine_suppresses_its_alarms_by_design():
    book = AlarmBook()
    alarm, _ = raised(book)
    assert book.suppress("m0", MINUTE)[0].state == AlarmState.SUPPRESSED
    assert book.suppress("m0", MINUTE) == []
    assert book.clear(alarm, MINUTE) is None
    assert book.unsuppress("m0", 2 * MINUTE)[0].state == AlarmState.NORMAL


events = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1)), max_size=60)


@given(events)
@settings(max_examples=150, deadline=None)
def test_no_order_of_events_breaks_the_book(steps):
    book, at = AlarmBook(), 0
    for what, machine_number in steps:
        at += MINUTE
        machine = f"m{machine_number}"
        alarms = book.of(machine)
        alarm_id = alarms[0].alarm_id if alarms else "none"
        kinds = (
            ActionKind.ACKNOWLEDGE,
            ActionKind.UNSHELVE,
            ActionKind.OUT_OF_SERVICE,
            ActionKind.RETURN_TO_SERVICE,
        )
        if what == 0:
            raised(book, at, machine)
        elif what == 1 and alarms:
            book.clear(alarms[0], at)
        elif what == 2:
            book.suppress(machine, at)
        elif what == 3:
            book.unsuppress(machine, at)
        elif what == 4:
            act(book, ActionKind.SHELVE, alarm_id, at, machine, reason="r", until_ns=at + 3 * MINUTE)
        else:
            act(book, kinds[what % 4], alarm_id, at, machine)
        book.expire_shelves(at)
        assert all(alarm.state != AlarmState.NORMAL for alarm in book.alarms.values())
        assert all(
            alarm.until_ns is None or alarm.state == AlarmState.SHELVED for alarm in book.alarms.values()
        )


def test_policy_tables_have_no_holes():
    assert set(DOMAIN_OF) == {*COMPONENTS, "sensor"}
    assert set(DOMAIN_OF.values()) == set(DOMAINS)
    severities = {severity for severity, _ in PRIORITY}
    assert set(PRIORITY) == {(severity, c) for severity in severities for c in Criticality.__args__}


def called(at, machine, state=AlarmState.UNACKNOWLEDGED, previous=AlarmState.NORMAL):
    return AlarmChange(
        f"{machine}.mechanical.0",
        machine,
        "bearing",
        state,
        previous,
        Priority.LOW,
        at,
        "a step",
        reasons=WHY,
    )


def test_a_flood_begins_at_ten_and_ends_below_five():
    changes = [called(i * MINUTE // 2, f"m{i}") for i in range(12)]  # Twelve in the first ten minutes,
    changes += [called(10 * MINUTE + i * MINUTE, f"n{i}") for i in range(6)]  # six in the second,
    changes += [called(20 * MINUTE, "z")]  # one in the third.
    metrics = flood(changes, 0, 60 * MINUTE)
    assert metrics.most_in_10_min == 12
    assert metrics.time_in_flood == pytest.approx(2 / 6)
    assert metrics.per_10_min == pytest.approx(19 / 6)
    assert metrics.chattering == 0
    assert metrics.stale == 0
    assert metrics.top_10_share == pytest.approx(10 / 19)


def test_chattering_and_stale_alarms_are_counted():
    book = AlarmBook()
    alarm, first = raised(book)
    changes = [first]
    for i in range(1, 4):
        changes += [book.clear(alarm, i * 10**9), raised(book, i * 10**9 + 1)[1]]
    metrics = flood(changes, 0, 2 * 86_400 * 10**9)
    assert (metrics.n_alarms, metrics.chattering, metrics.stale) == (4, 1, 1)


def test_what_was_raised_before_is_no_news_but_may_still_stand():
    changes = [
        called(0, "m0"),
        called(0, "m1"),
        called(1, "m1", AlarmState.NORMAL, AlarmState.UNACKNOWLEDGED),
    ]
    metrics = flood(changes, DAY, 2 * DAY)
    assert (metrics.n_alarms, metrics.stale) == (0, 1)
    with pytest.raises(ValueError, match="span of time"):
        flood(changes, DAY, DAY)
