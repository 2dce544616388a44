"""The fold as a whole: it learns, stays silent, alarms, advises, and gives the same bits again."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from msgspec import structs

from ingest.contract.rows import AlarmState, Condition, FeatureRow
from models.persist import StateError
from models.stream import Settings, dump, judge, load, new_state

DEMO = Settings.demo()


def conditions(said):
    return [judgement.condition for judgement in said.judgements]


def test_a_new_machine_is_learning_and_never_shown_as_normal(plant, rows, fold):
    said = fold(new_state(plant, DEMO), rows().calm(DEMO.warmup_rows))
    assert set(conditions(said)) == {Condition.LEARNING}
    assert said.judgements[-1].reasons[-1].code == "learning"


def test_a_healthy_machine_stays_silent(plant, rows, fold):
    state = new_state(plant, DEMO)
    said = fold(state, rows().calm(600))
    assert said.alarms == []
    assert said.advice == []
    assert conditions(said).count(Condition.NORMAL) >= 575
    assert said.judgements[-1].zone == "A"


def test_a_growing_fault_is_one_alarm_and_asks_for_a_stop(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(60))
    said = fold(state, [*machine.growing(60), *(machine.make(gain=12.0) for _ in range(60))])
    assert [change.state for change in said.alarms if change.event == "raised"] == [AlarmState.UNACKNOWLEDGED]
    assert len({change.alarm_id for change in said.alarms}) == 1
    assert said.advice[0].risk > 0.5
    assert 10.0 * (len(said.advice) - 1) <= 120.0  # Not sooner than readvise_s.
    assert said.judgements[-1].condition == Condition.ALARM
    assert said.judgements[-1].zone == "D"
    assert said.judgements[-1].health < 25


def test_a_sick_machine_does_not_teach_health(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(60))
    fold(state, machine.growing(40))
    before = state.memory.mean[0].copy()
    said = fold(state, [machine.make(gain=12.0) for _ in range(400)])
    np.testing.assert_array_equal(state.memory.mean[0], before)
    assert said.judgements[-1].condition == Condition.ALARM


def test_an_alarm_returns_when_the_machine_is_calm_for_long_enough(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, [*machine.calm(60), *(machine.make(gain=10.0) for _ in range(40))])
    said = fold(state, machine.calm(120))
    assert said.alarms[-1].state == AlarmState.RETURNED
    assert said.judgements[-1].condition == Condition.NORMAL


def test_a_single_outlier_is_no_alarm(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    said = fold(state, [*machine.calm(60), machine.make(gain=30.0, kurtosis=5.0), *machine.calm(60)])
    assert said.alarms == []


def test_a_stopped_machine_is_stopped_and_a_restart_is_no_fault(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(100))
    said = fold(state, machine.stopped(50))
    assert set(conditions(said)) == {Condition.STOPPED}
    said = fold(state, machine.calm(100))
    assert said.alarms == []
    assert said.judgements[-1].condition == Condition.NORMAL


def test_an_alarm_of_a_machine_that_stops_is_suppressed_by_design(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, [*machine.calm(60), *(machine.make(gain=10.0) for _ in range(40))])
    said = fold(state, machine.stopped(5))
    assert [change.state for change in said.alarms] == [AlarmState.SUPPRESSED]
    assert said.judgements[-1].condition == Condition.STOPPED
    said = fold(state, [machine.make(gain=10.0) for _ in range(5)])
    assert [change.state for change in said.alarms] == [AlarmState.UNACKNOWLEDGED]


def test_another_speed_is_another_regime_and_not_a_fault(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(100))
    said = fold(state, [machine.make(gain=2.0, rpm=990.0) for _ in range(100)])
    assert said.alarms == []
    assert said.judgements[10].condition == Condition.LEARNING
    assert said.judgements[-1].regime == "r2"
    assert fold(state, machine.calm(5)).judgements[-1].regime == "r1"


def test_a_dead_sensor_is_its_own_alarm_and_never_advises_a_stop(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(60))
    said = fold(state, [machine.make(gain=0.001) for _ in range(20)])
    assert [change.cause for change in said.alarms] == ["sensor_dead"]
    assert said.judgements[-1].fault == "sensor_dead"
    assert said.advice == []
    assert fold(state, machine.calm(40)).alarms[-1].state == AlarmState.RETURNED


def test_late_rows_change_nothing(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    some = machine.calm(80)
    fold(state, some)
    before = dump(state)
    said = fold(state, [some[10], some[79]])
    assert len(said.judgements) == 2
    state.memory.counts[0, 7] -= 2  # They are counted, and nothing else.
    assert dump(state) == before


def test_rows_of_strangers_are_counted_and_get_no_judgement(plant, rows, fold):
    state = new_state(plant, DEMO)
    assert fold(state, rows("nobody").calm(3)).judgements == []
    assert sum(state.dropped.values()) == 3


@pytest.mark.parametrize("size", [2, 7, 64])
def test_how_rows_are_cut_into_batches_changes_no_bit(plant, rows, fold, size):
    streams = [rows(f"m{i}", seed=i) for i in range(4)]
    some = [row for step in zip(*(s.calm(60) + s.growing(40) for s in streams), strict=True) for row in step]
    one, many = new_state(plant, DEMO), new_state(plant, DEMO)
    assert fold(one, some, size=1) == fold(many, some, size=size)
    assert dump(one) == dump(many)


def test_a_restart_goes_on_with_the_same_bits(plant, rows, fold):
    machine = rows()
    before, after = machine.calm(60) + machine.growing(30), machine.growing(40)
    straight = new_state(plant, DEMO)
    fold(straight, before)
    resumed = load(dump(straight), plant)
    assert fold(straight, after) == fold(resumed, after)
    assert dump(straight) == dump(resumed)


def test_a_state_survives_a_plant_file_that_changed(plant, rows, fold):
    state = new_state(plant, DEMO)
    fold(state, rows("m2").calm(60))
    fewer = msgspec.structs.replace(plant, machine=(plant.machine[3], plant.machine[2]))
    moved, late = load(dump(state), fewer), rows("m2", seed=9)
    late.time_ns = 5_000 * 10**9
    np.testing.assert_array_equal(moved.memory.mean[1], state.memory.mean[2])
    assert fold(moved, late.calm(1)).judgements[0].condition == Condition.NORMAL


def test_what_is_no_state_is_refused_in_words(plant):
    good = dump(new_state(plant, DEMO))
    for bad in (b"", b"\x80pickle", good[:-9], good[:13] + b"x" * 40):
        with pytest.raises(StateError):
            load(bad, plant)


def test_a_column_that_appears_later_is_learned_and_keeps_what_was_known(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, machine.calm(60))
    known = state.memory.mean[0].copy()
    wider = [
        structs.replace(row, names=(*row.names, "y.rms_g"), values=np.append(row.values, np.float32(0.2)))
        for row in machine.calm(5)
    ]
    said = fold(state, wider)
    assert said.judgements[-1].condition == Condition.NORMAL
    assert state.layout_of[0].names[-1] == "y.rms_g"
    np.testing.assert_allclose(state.memory.mean[0, 0, :5], known[0, :5], atol=0.05)


def test_a_stop_is_advised_again_only_after_a_while(plant, rows, fold):
    state, machine = new_state(plant, replace(DEMO, readvise_s=60.0)), rows()
    fold(state, [*machine.calm(60), *machine.growing(60), *(machine.make(gain=12.0) for _ in range(40))])
    said = fold(state, [machine.make(gain=12.0) for _ in range(125)])
    assert len(said.advice) == 2


def test_rows_with_nothing_to_watch_say_nothing(plant, fold):
    state = new_state(plant, DEMO)
    row = FeatureRow("m0", 1, ("Speed",), np.array([1480.0], np.float32))
    _, judgements, alarms, advice = judge(state, (row,), (), 1)
    assert judgements[0].condition == Condition.UNKNOWN
    assert (alarms, advice) == ((), ())


def test_a_suspicious_machine_says_how_long_it_may_last(plant, rows, fold):
    state, machine = new_state(plant, replace(DEMO, failure_db=30.0)), rows()
    calm = fold(state, machine.calm(80))
    assert all(judgement.remaining_life is None for judgement in calm.judgements)
    said = fold(state, machine.growing(200, to=12.0))
    lives = [
        judgement.remaining_life for judgement in said.judgements if judgement.remaining_life is not None
    ]
    assert lives[0].hours is None
    last = lives[-1]
    true_s = 200 * (30.0 / 20.0 * np.log(10.0)) / np.log(12.0) - 200
    assert last.lower_hours < last.hours < last.upper_hours
    assert 0.6 < last.hours * 3600 / true_s < 1.6


def test_a_sick_machine_in_a_new_regime_stays_in_alarm(plant, rows, fold):
    state, machine = new_state(plant, DEMO), rows()
    fold(state, [*machine.calm(60), *(machine.make(gain=4.0) for _ in range(40))])
    said = fold(state, [machine.make(gain=1.0, rpm=990.0) for _ in range(DEMO.warmup_rows)])
    assert set(conditions(said)) == {Condition.ALARM}
    assert said.judgements[-1].health < 60


def test_what_a_settling_machine_may_not_raise_it_may_not_hold(plant, rows, fold):
    state, machine = new_state(plant, replace(DEMO, settle_s=3600.0)), rows()
    fold(state, machine.calm(60))
    loud = fold(state, [machine.make(gain=10.0) for _ in range(40)])
    assert next(change.event for change in loud.alarms) == "raised"
    said = fold(state, [machine.make(gain=1.5) for _ in range(80)])
    assert said.alarms[-1].state == AlarmState.RETURNED
    assert said.judgements[-1].condition == Condition.WARNING
