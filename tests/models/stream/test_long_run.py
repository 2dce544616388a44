"""Days of simulated machines at default settings: silence while healthy, an early word on a slow fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.extract import extract, facts_of
from ingest.contract.plant import parse_plant
from ingest.contract.values import Message, Scalar, Waveform
from models.stream import Settings, judge, new_state
from simulators.faults import FaultKind
from simulators.plant import PlantRequest, write_plant
from simulators.sensor import SimulatedSensor

HOUR = 3_600_000_000_000
ORIGIN = 1_767_225_600 * 1_000_000_000
PERIOD_S = 120
ONSET_H, GROWTH_H = 36, 48

pytestmark = pytest.mark.full


def days_of(days, fault, which):
    made = write_plant(
        PlantRequest(
            n_machines=3,
            n_gateways=1,
            seed=21,
            fault=fault,
            faulty=which,
            onset_s=ONSET_H * 3600.0,
            growth_s=GROWTH_H * 3600.0,
            period_s=float(PERIOD_S),
        )
    )
    plant = parse_plant(made.text)
    machine = plant.machine[which]
    config = {key: value for key, value in machine.sensor.items() if key != "kind"} | {"switches": ""}
    sensor = SimulatedSensor.from_config(plant, machine, config, Path())
    facts = {machine.id: facts_of(machine, plant.bearing)}
    state, judgements, alarms, advice = new_state(plant, Settings()), [], [], []
    for tick in range(days * 86_400 // PERIOD_S):
        now = ORIGIN + tick * PERIOD_S * 10**9
        said = sensor.read(now)
        waves = tuple(one for one in said if isinstance(one, Waveform))
        scalars = tuple(one for one in said if isinstance(one, Scalar))
        rows = extract([Message("gw", machine.id, now, waves, scalars)], facts)
        _, some, changes, stops = judge(state, rows, (), now)
        judgements += some
        alarms += changes
        advice += stops
    return judgements, alarms, advice


@pytest.mark.parametrize("which", [0, 2])
def test_healthy_days_are_silent(which):
    judgements, alarms, advice = days_of(2, None, which)
    assert alarms == []
    assert advice == []
    assert sum(judgement.condition.value == "warning" for judgement in judgements) < 0.01 * len(judgements)


@pytest.mark.parametrize(("fault", "which"), [(FaultKind.BEARING_OUTER, 0), (FaultKind.IMBALANCE, 1)])
def test_a_slow_fault_is_said_a_day_before_it_is_dangerous(fault, which):
    judgements, alarms, advice = days_of(4, fault, which)
    first_h = (next(change.time_ns for change in alarms if change.event == "raised") - ORIGIN) / HOUR
    assert ONSET_H < first_h < ONSET_H + 12
    zone_d_h = (next(j.time_ns for j in judgements if j.zone == "D") - ORIGIN) / HOUR
    assert zone_d_h - first_h > 24
    assert advice
    assert fault.value in {change.cause for change in alarms}
