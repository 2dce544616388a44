"""Health from evidence: zones, levels, temperatures, hysteresis; and regimes found by themselves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.health.assess import (
    health_of_physics,
    health_of_ratio,
    physics_of_level,
    physics_of_temperature,
    physics_of_velocity,
)
from models.online.memory import Given, dial, new_memory
from models.regime import CANDIDATE_ROWS, RESTLESS, TRANSIENT, find_regime, is_stopped
from models.settings import Settings

SECOND = 1_000_000_000

LIMITS = np.array([1.4, 2.8, 4.5])
ratios = st.floats(0, 50)


@settings(deadline=None)  # The first call compiles.
@given(ratios, ratios)
def test_more_evidence_never_means_better_health(one, other):
    low, high = sorted((one, other))
    assert health_of_ratio(high) <= health_of_ratio(low) + 1e-9
    assert health_of_physics(high) <= health_of_physics(low) + 1e-9


@settings(deadline=None)  # The first call compiles.
@given(ratios)
def test_statistics_alone_never_call_a_machine_failed(ratio):
    assert 35.0 <= health_of_ratio(ratio) <= 100.0
    assert 0.0 <= health_of_physics(ratio) <= 100.0


@pytest.mark.parametrize(("velocity", "zone"), [(1.0, 1), (1.4, 1), (2.0, 2), (2.8, 2), (4.0, 3), (4.6, 4)])
def test_zones_follow_iso_10816_and_zone_d_is_an_alarm(velocity, zone):
    physics, found = physics_of_velocity(velocity, LIMITS)
    assert found == zone
    assert (physics >= 1.0) == (zone == 4)
    assert (health_of_physics(physics) < 70.0) == (zone >= 3)


def test_what_is_not_declared_is_not_judged():
    assert physics_of_velocity(9.0, np.full(3, math.nan)) == (0.0, 0)
    assert physics_of_velocity(math.nan, LIMITS) == (0.0, 0)
    assert physics_of_temperature(150.0, math.nan) == 0.0


def test_a_temperature_warns_before_its_limit_and_alarms_at_it():
    assert physics_of_temperature(79.0, 90.0) == 0.0
    assert 0.65 <= physics_of_temperature(85.0, 90.0) < 1.0
    assert physics_of_temperature(90.0, 90.0) == 1.0


def test_a_level_that_stands_higher_weighs_more():
    values = [physics_of_level(rise, 0.92) for rise in (0.0, 0.5, 0.92, 1.5, 3.0)]
    assert values == sorted(values)
    assert values[2] == pytest.approx(1.0)


def given_facts(rated_rpm=1480.0, rated_kw=100.0):
    one = np.array([rated_rpm]), np.array([rated_kw])
    return Given(*one, np.full((1, 3), np.nan), np.array([np.nan]))


NUMBERS = dial(replace(Settings.demo(), steady_s=2.0))


def visit(memory, facts, speed, power, times=1, idle=0.0):
    found = TRANSIENT
    for _ in range(times):
        memory.last_ns[0] += SECOND
        found = find_regime(memory, facts, NUMBERS, 0, memory.last_ns[0] / SECOND, speed, power, idle)
    return found


def test_the_first_point_is_a_regime_and_its_neighbours_are_too():
    memory, facts = new_memory(1, 0.2), given_facts()
    assert visit(memory, facts, 1480.0, 60.0) == 0
    assert visit(memory, facts, 1500.0, 75.0) == 0


def test_a_ramp_makes_no_regime_and_a_new_speed_that_stays_makes_one():
    memory, facts = new_memory(1, 0.2), given_facts()
    visit(memory, facts, 1480.0, 60.0)
    assert all(visit(memory, facts, speed, 60.0) == TRANSIENT for speed in (1200.0, 950.0, 700.0, 480.0))
    assert memory.n_regimes[0] == 1
    assert visit(memory, facts, 990.0, 60.0, times=CANDIDATE_ROWS) == 1


def test_a_slow_ramp_makes_no_regime_however_many_rows_it_has():
    memory, facts = new_memory(1, 0.2), given_facts()
    visit(memory, facts, 1480.0, 10.0)
    for power in np.arange(31.0, 95.0, 3.0):
        assert visit(memory, facts, 1480.0, power) == TRANSIENT
    assert memory.n_regimes[0] == 1


def test_a_machine_that_never_holds_still_gets_a_regime_after_a_while():
    memory, facts = new_memory(1, 0.2), given_facts()
    visit(memory, facts, 1480.0, 10.0)
    found = [visit(memory, facts, 1480.0, 50.0 + 30.0 * (i % 2)) for i in range(RESTLESS * CANDIDATE_ROWS)]
    assert found[:-1] == [TRANSIENT] * (len(found) - 1)
    assert found[-1] == 1


def test_idling_is_a_regime_of_its_own():
    memory, facts = new_memory(1, 0.2), given_facts()
    visit(memory, facts, 1480.0, 60.0)
    assert visit(memory, facts, 1480.0, 60.0, times=CANDIDATE_ROWS, idle=1.0) == 1


@settings(deadline=None)  # The first call compiles.
@given(st.lists(st.tuples(st.floats(50, 3000), st.floats(0, 120)), min_size=1, max_size=80))
def test_regimes_are_bounded_whatever_comes(points):
    memory, facts = new_memory(1, 0.2), given_facts()
    for speed, power in points:
        regime = visit(memory, facts, speed, power, times=4)
        assert TRANSIENT <= regime < memory.regime.shape[1]
    assert memory.n_regimes[0] <= memory.regime.shape[1]


@pytest.mark.parametrize(
    ("state", "speed", "power", "stopped"),
    [
        (0.0, math.nan, math.nan, 1),
        (2.0, math.nan, math.nan, 0),
        (math.nan, 0.0, math.nan, 1),
        (math.nan, 1480.0, math.nan, 0),
        (math.nan, math.nan, 0.5, 1),
        (math.nan, math.nan, 50.0, 0),
        (math.nan, math.nan, math.nan, -1),
    ],
)
def test_a_machine_is_stopped_when_something_says_so(state, speed, power, stopped):
    assert is_stopped(given_facts(), 0, state, speed, power) == stopped
