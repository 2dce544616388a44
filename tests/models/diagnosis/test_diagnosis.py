"""Simulated machines with a known fault: the diagnosis names it, and calls a lying sensor a lying sensor."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from features.extract import extract, facts_of
from ingest.contract.plant import parse_plant
from ingest.contract.reasons import SENTENCES, sentence
from ingest.contract.rows import Reason
from ingest.contract.values import Message, Scalar, Waveform
from models.diagnosis.rules import COMPONENT_OF, RULES, diagnose
from models.diagnosis.view import View
from models.online.columns import COMPONENTS
from models.online.layout import make_layout
from models.stream import Settings, judge, new_state
from simulators.faults import FaultKind
from simulators.plant import PlantRequest, write_plant
from simulators.sensor import SimulatedSensor

PUMP, FAN, GEARBOX = 0, 1, 2
SECOND = 1_000_000_000
ORIGIN = 1_767_225_600 * SECOND


def said_of(fault, which, seconds=70):
    """Judgements of one simulated machine: 22 calm seconds, then a fault that is grown after 40 more."""
    made = write_plant(
        PlantRequest(
            n_machines=3, n_gateways=1, seed=5, fault=fault, faulty=which, onset_s=22.0, growth_s=40.0
        )
    )
    plant = parse_plant(made.text)
    machine = plant.by_id()[made.faulty_machine]
    config = {key: value for key, value in machine.sensor.items() if key != "kind"} | {"switches": ""}
    sensor = SimulatedSensor.from_config(plant, machine, config, Path())
    messages = []
    for second in range(seconds):
        now = ORIGIN + second * SECOND
        said = sensor.read(now)
        waves = tuple(one for one in said if isinstance(one, Waveform))
        scalars = tuple(one for one in said if isinstance(one, Scalar))
        messages.append(Message("gw", machine.id, now, waves, scalars))
    rows = extract(messages, {machine.id: facts_of(machine, plant.bearing)})
    return judge(new_state(plant, Settings.demo()), rows, (), rows[-1].time_ns)


@pytest.mark.parametrize(
    ("fault", "which"),
    [
        (FaultKind.BEARING_OUTER, PUMP),
        (FaultKind.BEARING_BALL, FAN),
        (FaultKind.IMBALANCE, FAN),
        (FaultKind.MISALIGNMENT, PUMP),
        (FaultKind.LOOSENESS, GEARBOX),
        (FaultKind.CAVITATION, PUMP),
        (FaultKind.GEAR, GEARBOX),
        (FaultKind.ELECTRICAL, FAN),
        (FaultKind.LUBRICATION, PUMP),
    ],
)
def test_a_grown_fault_is_named(fault, which):
    _, judgements, alarms, _ = said_of(fault, which)
    assert judgements[-1].fault == fault.value
    assert judgements[-1].confidence > 0.3
    assert judgements[-1].reasons
    assert all(judgement.fault == "" for judgement in judgements[:22])
    assert len({change.alarm_id for change in alarms}) <= 1
    for reason in judgements[-1].reasons:
        assert sentence(reason, "en")
        assert sentence(reason, "id")


@pytest.mark.parametrize("fault", [FaultKind.SENSOR_LOOSE, FaultKind.SENSOR_SATURATED, FaultKind.SENSOR_DEAD])
def test_a_lying_sensor_never_advises_a_stop(fault):
    _, judgements, alarms, advice = said_of(fault, PUMP)
    assert judgements[-1].fault == fault.value
    assert advice == ()
    assert {change.cause for change in alarms if change.cause.startswith("sensor_")}


def test_a_healthy_machine_has_no_fault():
    made = write_plant(PlantRequest(n_machines=1, n_gateways=1, seed=5, fault=None))
    assert made.faulty_machine == ""
    _, judgements, alarms, _ = said_of(FaultKind.IMBALANCE, PUMP, seconds=22)
    assert {judgement.fault for judgement in judgements} == {""}
    assert alarms == ()


def test_nothing_to_see_is_unknown():
    plant = parse_plant(write_plant(PlantRequest(n_machines=1, n_gateways=1)).text)
    nothing = np.full(80, np.nan)
    view = View({}, plant.machine[0], make_layout(()), nothing, nothing)
    assert diagnose(view).fault == "unknown"
    assert all(0.0 <= rule(view).strength <= 1.0 for rule in RULES)


def test_every_fault_belongs_to_a_component():
    assert set(COMPONENT_OF.values()) <= {*COMPONENTS, "sensor"}
    assert {fault.value for fault in FaultKind} <= set(COMPONENT_OF)


@pytest.mark.parametrize("code", SENTENCES)
def test_every_reason_speaks_both_languages_of_the_same_numbers(code):
    words = SENTENCES[code]
    assert set(words) == {"en", "id"}
    fields = [{part.split(":")[0] for part in text.split("{")[1:]} for text in words.values()]
    fields = [{name.split("}")[0] for name in names} for names in fields]
    assert fields[0] == fields[1]
    texts = {"channel": "x.rms_g", "zone": "D", "part": "BPFO", "axis": "x"}
    values = {name: texts.get(name, 1.25) for name in fields[0]}
    assert all(sentence(Reason(code, values), language) for language in ("en", "id"))
    assert msgspec.json.encode(values)
