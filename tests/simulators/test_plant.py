"""The simulated plant: a file that parses, machines that are all healthy but one, switches that stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.sensors import SensorConfigError, build
from ingest.contract.plant import Plant, parse_plant
from ingest.contract.values import Scalar, Waveform
from simulators.faults import FaultKind
from simulators.plant import PlantRequest, write_plant
from simulators.sensor import SimulatedSensor, models_of

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
DEMO = PlantRequest(n_machines=20, origin_ns=T0, speedup=240.0, n_samples=1024)


def plant_of(request: PlantRequest) -> Plant:
    return parse_plant(write_plant(request).text)


def scalars(telemetry: tuple[Waveform | Scalar, ...]) -> dict[str, float]:
    return {one.channel: one.value for one in telemetry if isinstance(one, Scalar)}


@pytest.mark.parametrize(("n_machines", "n_gateways"), [(1, 1), (20, 2), (47, 5)])
def test_plants_of_any_size_parse_and_every_machine_speaks(
    tmp_path: Path, n_machines: int, n_gateways: int
) -> None:
    plant = plant_of(replace(DEMO, n_machines=n_machines, n_gateways=n_gateways))
    assert len(plant.machine) == n_machines
    assert {machine.gateway for machine in plant.machine} == {gateway.id for gateway in plant.gateway}
    for machine in plant.machine:
        telemetry = build(plant, machine, tmp_path).read(T0 + 5 * SECOND)
        assert [one.axis for one in telemetry if isinstance(one, Waveform)] == ["x", "y", "z"]
        assert "Power/Active" in scalars(telemetry)


def test_the_same_request_gives_the_same_plant_and_another_seed_another() -> None:
    assert write_plant(DEMO).text == write_plant(DEMO).text
    assert write_plant(DEMO).text != write_plant(replace(DEMO, seed=2)).text


def test_only_the_faulty_machine_gets_a_fault_and_it_grows_within_the_demo(tmp_path: Path) -> None:
    made = write_plant(replace(DEMO, faulty=3))
    plant = parse_plant(made.text)
    for machine in plant.machine:
        sensor = build(plant, machine, tmp_path).sensor
        assert isinstance(sensor, SimulatedSensor)
        worst = sensor.model.severity(T0 + 91 * SECOND)
        assert (worst == pytest.approx(1.0)) == (machine.id == made.faulty_machine)
        assert sensor.model.severity(T0 + 29 * SECOND) == 0.0


def test_models_of_a_plant_are_what_its_sensors_play(tmp_path: Path) -> None:
    plant = plant_of(DEMO)
    models = models_of(plant)
    assert list(models) == [machine.id for machine in plant.machine]
    now_ns = T0 + 7 * SECOND
    played = build(plant, plant.machine[4], tmp_path).read(now_ns)
    assert played == models[plant.machine[4].id].telemetry(now_ns, 1024)


def test_names_come_in_both_languages() -> None:
    assert plant_of(DEMO).machine[0].name == "Pompa air pendingin 1"
    assert plant_of(replace(DEMO, language="en")).machine[0].name == "Cooling water pump 1"


def test_shifts_are_named_in_the_plants_language_and_machines_work_in_them() -> None:
    for language, names in (("id", {"pagi", "siang", "malam"}), ("en", {"morning", "afternoon", "night"})):
        plant = plant_of(replace(DEMO, language=language))
        assert {shift.name for shift in plant.shift} == names
        worked = {name for machine in plant.machine for name in machine.sensor.get("shifts", ())}
        assert worked
        assert worked < names
        assert len(models_of(plant)) == len(plant.machine)


def test_a_fault_that_the_machine_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no part"):
        PlantRequest(fault=FaultKind.GEAR, faulty=0)
    with pytest.raises(ValueError, match="gateways"):
        PlantRequest(n_machines=2, n_gateways=3)


def test_a_thrown_switch_stops_the_machine_and_a_person_starts_it_again(tmp_path: Path) -> None:
    plant = plant_of(DEMO)
    machine = plant.machine[0]
    sensor = build(plant, machine, tmp_path)
    assert scalars(sensor.read(T0 + SECOND))["Speed"] > 1000
    switch = tmp_path / "switches" / f"{machine.id}.json"
    switch.parent.mkdir()
    switch.write_text(json.dumps({"run": False, "by": "p-1", "at": T0 // SECOND + 2}))
    sensor.read(T0 + 3 * SECOND)
    stopped = sensor.read(T0 + 60 * SECOND)
    assert (scalars(stopped)["Speed"], scalars(stopped)["Power/Active"], scalars(stopped)["State"]) == (
        0,
        0,
        0,
    )
    wave = next(one for one in stopped if isinstance(one, Waveform))
    assert np.frombuffer(wave.samples, "<i2").std() * wave.scale_g < 0.005
    switch.write_text(json.dumps({"run": True, "by": "siti", "at": T0 // SECOND + 61}))
    assert scalars(sensor.read(T0 + 62 * SECOND))["State"] == 2.0


def test_a_meter_never_takes_back_what_it_told(tmp_path: Path) -> None:
    plant = plant_of(DEMO)
    machine = plant.machine[0]
    sensor = build(plant, machine, tmp_path)
    switch = tmp_path / "switches" / f"{machine.id}.json"
    switch.parent.mkdir()
    told = []
    for tenth in range(60):
        if tenth == 19:
            switch.write_text(json.dumps({"run": False, "at": T0 // SECOND + 1}))
        if tenth == 39:
            switch.write_text(json.dumps({"run": True, "at": T0 // SECOND + 3}))
        told.append(scalars(sensor.read(T0 + tenth * SECOND // 10))["Power/Energy"])
    assert told == sorted(told)
    assert told[19] == told[38] < told[59]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": "no"}', '{"run": null}'])
def test_a_switch_that_nobody_can_read_changes_nothing(tmp_path: Path, content: str) -> None:
    plant = plant_of(DEMO)
    (tmp_path / "switches").mkdir()
    (tmp_path / "switches" / f"{plant.machine[0].id}.json").write_text(content)
    assert scalars(build(plant, plant.machine[0], tmp_path).read(T0 + SECOND))["State"] == 2.0


def test_a_restarted_gateway_goes_on_without_a_jump(tmp_path: Path) -> None:
    plant = plant_of(DEMO)
    for machine in plant.machine[:6]:
        running = build(plant, machine, tmp_path)
        for step in range(1, 40, 7):
            running.read(T0 + step * SECOND)
        assert running.read(T0 + 50 * SECOND) == build(plant, machine, tmp_path).read(T0 + 50 * SECOND)


def test_the_host_may_ask_for_longer_blocks(tmp_path: Path) -> None:
    plant = plant_of(DEMO)
    sensor = build(plant, plant.machine[0], tmp_path)
    assert sensor.acquire(4096, SECOND // 2)
    assert next(one for one in sensor.read(T0) if isinstance(one, Waveform)).n_samples == 4096
    assert sensor.period_ns == SECOND // 2
    sensor.acquire(0, 0)
    assert sensor.period_ns == SECOND


@pytest.mark.parametrize(
    ("find", "put", "words"),
    [
        ("speedup = 240.0", "speedup = -1.0", "speedup"),
        ('kind = "bearing_outer"', 'kind = "gremlins"', "gremlins"),
        ("n_samples = 1024", "n_samples = 10", "n_samples"),
        ("rated_rpm = 1480", "rated_rpm = 7000", "rated_rpm"),
        ("speedup = 240.0", "speedpu = 240.0", "speedpu"),
    ],
)
def test_a_table_that_cannot_be_played_is_refused_with_a_sentence(
    tmp_path: Path, find: str, put: str, words: str
) -> None:
    plant = parse_plant(write_plant(DEMO).text.replace(find, put, 1))
    with pytest.raises(SensorConfigError, match=words) as error:
        build(plant, plant.machine[0], tmp_path)
    assert plant.machine[0].id in str(error.value)
