"""A diagnosis is renewed when a suspicion turns graver and at an interval, the same however rows are cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from msgspec import structs

import models.diagnosis.cadence as cadence
from models.stream import Settings, dump, judge, load, new_state
from simulators.faults import FaultKind
from tests.models.diagnosis.bench import Case, plant_of, tell

DEMO = Settings.demo()


@pytest.fixture(scope="module")
def told():
    return tell(Case("motor", 1480, FaultKind.IMBALANCE, seed=3))


def fold(told, settings=DEMO, size=1, restart_at=None):
    """Judgements, alarms and the state's bytes of the rows of a case, cut into batches."""
    state, said = new_state(told.plant, settings), []
    for start in range(0, len(told.rows), size):
        batch = told.rows[start : start + size]
        if start == restart_at:
            state = load(dump(state), told.plant)
        _, judgements, alarms, advice = judge(state, batch, (), batch[-1].time_ns)
        said += [*judgements]
        said += [*alarms, *advice]
    return said, dump(state)


@pytest.fixture
def times_s(monkeypatch):
    """Event time of every diagnosis that is made."""
    made, real = [], cadence.suspect

    def counted(row, machine, judged):
        made.append(row.time_ns * 1e-9)
        return real(row, machine, judged)

    monkeypatch.setattr(cadence, "suspect", counted)
    return made


def suspicious(judgements):
    return [one for one in judgements if one.condition.value in {"warning", "alarm"}]


def test_a_standing_suspicion_is_diagnosed_at_its_interval_and_when_it_turns_graver(told, times_s):
    fold(told)
    rows = suspicious(told.judgements)
    alarm_s = next(one.time_ns for one in rows if one.condition.value == "alarm") * 1e-9
    zone_d_s = next(one.time_ns for one in rows if one.zone == "D") * 1e-9
    assert times_s[0] == pytest.approx(rows[0].time_ns * 1e-9)
    assert min(abs(one - alarm_s) for one in times_s) < 0.01
    assert min(abs(one - zone_d_s) for one in times_s) < 0.01
    assert max(later - one for one, later in pairwise(times_s)) <= DEMO.diagnose_s
    assert len(times_s) < 0.7 * len(rows)


def test_the_interval_is_of_the_rows_own_time(told, times_s):
    fold(told, replace(DEMO, diagnose_s=0.0))
    assert len(times_s) == len(suspicious(told.judgements))
    times_s.clear()
    fold(told, replace(DEMO, diagnose_s=1e6))
    assert 1 <= len(times_s) <= 8  # Only what turns graver: in alarm, zones, risk, another component.


@pytest.mark.parametrize("size", [3, 64])
def test_batches_change_no_bit_of_it(told, size):
    said, state = fold(told, size=size)
    alone, alone_state = fold(told)
    by_kind = {type(one) for one in alone}
    assert state == alone_state
    assert all(
        [a for a in said if type(a) is kind] == [b for b in alone if type(b) is kind] for kind in by_kind
    )


def test_a_diagnosis_that_stands_is_kept_over_a_restart(told):
    assert fold(told, restart_at=70) == fold(told)


def test_a_row_without_vibration_ends_no_diagnosis_that_rests_on_it(told):
    state = new_state(plant_of(Case("motor", 1480)), DEMO)
    judge(state, told.rows, (), told.rows[-1].time_ns)
    kept = [
        i for i, name in enumerate(told.rows[0].names) if name in {"Temperature/bearing", "Speed", "State"}
    ]
    for i in range(1, 20):
        row = structs.replace(
            told.rows[-1],
            time_ns=told.rows[-1].time_ns + i * 10**9,
            names=tuple(told.rows[0].names[k] for k in kept),
            values=told.rows[-1].values[kept],
        )
        _, judgements, _, _ = judge(state, (row,), (), row.time_ns)
        assert judgements[0].fault == "imbalance"
