"""People teach: false alarms stop recurring, confirmed faults are caught earlier, within bounds."""

from __future__ import annotations

from itertools import count

import pytest

from ingest.contract.actions import Action, ActionKind, Verdict
from ingest.contract.rows import AlarmState
from models.alarms.policy import MAX_ALLOWANCE, MAX_MULTIPLIER, MIN_MULTIPLIER
from models.stream import Settings, new_state

DEMO = Settings.demo()
NUMBER = count()


def say(kind, time_ns, alarm_id="", machine="m0", **values):
    return Action(f"action-{next(NUMBER)}", kind, "ani", time_ns, machine, alarm_id, values)


def rows_to_alarm(said):
    raised = [change for change in said.alarms if change.event == "raised"]
    first = said.judgements[0].time_ns
    return (raised[0].time_ns - first) // 10**9 if raised else None


def a_shift(machine, gain=3.0, n=60):
    """A machine that from now on runs louder, as after a change of product that no sensor tells."""
    return [machine.make(gain=gain ** min(1.0, (i + 1) / 20)) for i in range(n)]


def test_a_false_alarm_that_a_technician_marked_does_not_recur(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(80))
    first = fold(state, a_shift(machine))
    assert rows_to_alarm(first) is not None
    word = say(ActionKind.VERDICT, machine.time_ns, first.alarms[0].alarm_id, verdict=Verdict.FALSE_ALARM)
    after = fold(state, [], (word,))
    assert after.alarms[-1].state == AlarmState.NORMAL
    again = fold(state, machine.calm(80) + a_shift(machine))
    assert rows_to_alarm(again) is None


def test_a_false_alarm_does_not_hide_a_real_fault(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    first = fold(state, machine.calm(80) + a_shift(machine))
    word = say(ActionKind.VERDICT, machine.time_ns, first.alarms[0].alarm_id, verdict=Verdict.FALSE_ALARM)
    fold(state, [], (word,))
    said = fold(state, machine.growing(80, to=30.0))
    assert rows_to_alarm(said) is not None
    assert said.advice


@pytest.mark.parametrize("word", [Verdict.FALSE_ALARM, Verdict.CONFIRMED])
def test_a_work_order_speaks_of_the_past_and_moves_no_threshold(plant, rows, fold, word):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(80) + a_shift(machine))
    before, now = float(state.memory.multiplier[0]), state.memory.condition[0]
    said = fold(state, [], (say(ActionKind.VERDICT, machine.time_ns, verdict=word, source="work_order"),))
    assert said.alarms == []
    assert (float(state.memory.multiplier[0]), state.memory.condition[0]) == (before, now)
    fold(state, [], (say(ActionKind.VERDICT, machine.time_ns, verdict=word),))
    assert float(state.memory.multiplier[0]) != before


def test_a_confirmed_fault_is_caught_earlier_next_time(plant, rows, fold):
    taught, untaught = new_state(plant, DEMO), new_state(plant, DEMO)
    for state, hears in ((taught, True), (untaught, False)):
        machine = rows()
        said = fold(state, machine.calm(80) + machine.growing(80))
        words = (
            say(
                ActionKind.VERDICT,
                machine.time_ns,
                said.alarms[0].alarm_id,
                verdict=Verdict.CONFIRMED,
                fault="x",
            ),
        )
        repaired = say(ActionKind.MAINTENANCE, machine.time_ns)
        fold(state, [], (*words, repaired) if hears else (repaired,))
    machine = rows(seed=2)
    machine.time_ns = 10_000 * 10**9
    healthy, sick = machine.calm(200), machine.growing(300, to=2.0)
    assert fold(taught, healthy).alarms == fold(untaught, healthy).alarms == []
    assert rows_to_alarm(fold(taught, sick)) < rows_to_alarm(fold(untaught, sick))


def test_verdicts_move_a_threshold_only_within_bounds(plant, rows, fold):
    state = new_state(plant, DEMO)
    memory = state.memory
    for _ in range(50):
        fold(state, [], (say(ActionKind.VERDICT, 1, verdict=Verdict.FALSE_ALARM),))
    assert memory.multiplier[0] == MAX_MULTIPLIER
    assert memory.allowance[0] <= MAX_ALLOWANCE
    for _ in range(50):
        fold(state, [], (say(ActionKind.VERDICT, 1, verdict=Verdict.CONFIRMED),))
    assert memory.multiplier[0] == MIN_MULTIPLIER
    assert memory.multiplier[1] == 1.0


def test_a_verdict_can_be_undone_and_saying_it_twice_is_harmless(plant, fold):
    state = new_state(plant, DEMO)
    word = say(ActionKind.VERDICT, 1, verdict=Verdict.FALSE_ALARM)
    fold(state, [], (word, word))
    assert state.memory.multiplier[0] == pytest.approx(1.3)
    fold(state, [], (say(ActionKind.UNDO, 2, undoes=word.action_id),))
    assert state.memory.multiplier[0] == 1.0


def test_not_sure_changes_nothing(plant, fold):
    state = new_state(plant, DEMO)
    fold(state, [], (say(ActionKind.VERDICT, 1, verdict=Verdict.NOT_SURE),))
    assert state.memory.multiplier[0] == 1.0


def test_maintenance_resets_the_component_it_names_and_no_other(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(60))
    names = state.layout_of[0].names
    fold(state, [], (say(ActionKind.MAINTENANCE, machine.time_ns, component="bearing"),))
    known = dict(zip(names, state.memory.rows[0, 0], strict=False))
    assert known["x.kurtosis"] == 0
    assert known["x.velocity_rms_mm_s"] == 60


def test_actions_that_do_not_fit_are_counted_and_harm_nothing(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    said = fold(state, machine.calm(80) + machine.growing(60))
    alarm_id, now = said.alarms[0].alarm_id, machine.time_ns
    bad = (
        say(ActionKind.ACKNOWLEDGE, now, "nobody-knows-this"),
        say(ActionKind.UNSHELVE, now, alarm_id),
        say(ActionKind.SHELVE, now, alarm_id, until_ns=now + 10**9),
        say(ActionKind.SHELVE, now, alarm_id, reason="week", until_ns=now + 30 * 86_400 * 10**9),
        say(ActionKind.VERDICT, now, alarm_id, verdict="perhaps"),
        say(ActionKind.UNDO, now, undoes="nothing"),
        say(ActionKind.ACKNOWLEDGE, now, alarm_id, machine="stranger"),
    )
    assert fold(state, [], bad).alarms == []
    assert sum(state.book.refused.values()) == 4
    assert sum(state.dropped.values()) == 3
