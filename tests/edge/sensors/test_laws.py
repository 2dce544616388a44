"""Laws that every entry of SENSORS obeys, and the patience that wraps them all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.sensors import SENSORS, Patient, SensorConfigError, SensorError, Telemetry, build, sensor_class
from edge.sensors.patience import FIRST_PAUSE_NS, LONGEST_PAUSE_NS
from ingest.contract.plant import Plant
from ingest.contract.values import Scalar

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
MakePlant = Callable[..., Plant]
KINDS = sorted(SENSORS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sample_of_every_kind_builds_without_touching_the_world(
    kind: str, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(kind=kind, **sensor_class(kind).SAMPLE)
    sensor = build(plant, plant.machine[0], tmp_path)
    assert sensor.period_ns >= 0
    assert not sensor.exhausted
    assert sensor.acquire(0, 0) in (True, False)
    sensor.close()
    sensor.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_is_refused_with_its_name(kind: str, plant_with: MakePlant, tmp_path: Path) -> None:
    plant = plant_with(kind=kind, gremlin=1, **sensor_class(kind).SAMPLE)
    with pytest.raises(SensorConfigError, match="gremlin"):
        build(plant, plant.machine[0], tmp_path)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "simulated"])
def test_an_empty_table_is_refused_and_names_the_machine(
    kind: str, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(kind=kind)
    with pytest.raises(SensorConfigError, match="pump-1"):
        build(plant, plant.machine[0], tmp_path)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "simulated"])
def test_a_source_that_is_not_there_is_trouble_and_never_an_exception(
    kind: str, plant_with: MakePlant, tmp_path: Path, free_port: int
) -> None:
    nowhere = {
        "opcua": {"url": f"opc.tcp://127.0.0.1:{free_port}", "timeout_s": 0.5},
        "modbus": {"host": "127.0.0.1", "port": free_port, "timeout_s": 0.5},
        "mqtt-json": {"broker": f"mqtt://127.0.0.1:{free_port}", "timeout_s": 0.5},
        "sparkplug": {"broker": f"mqtt://127.0.0.1:{free_port}", "timeout_s": 0.5},
    }
    plant = plant_with(kind=kind, **{**sensor_class(kind).SAMPLE, **nowhere.get(kind, {})})
    sensor = build(plant, plant.machine[0], tmp_path)
    sensor.open()
    assert sensor.read(T0) == ()
    assert sensor.trouble
    assert sensor.failures == 1
    sensor.close()


@pytest.mark.parametrize("table", [{}, {"kind": 7}, {"kind": "gremlins"}])
def test_a_machine_without_a_known_kind_is_told_the_kinds(
    table: dict[str, object], plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**table)
    with pytest.raises(SensorConfigError, match="recording"):
        build(plant, plant.machine[0], tmp_path)


def test_the_table_loads_nothing_heavy() -> None:
    heavy = ("numpy", "h5py", "asyncua", "pymodbus", "simulators")
    code = f"import sys, edge.sensors; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


class Flaky:
    """Fails as long as it is told to."""

    period_ns = 10
    exhausted = False

    def __init__(self) -> None:
        self.broken = True
        self.opened = 0
        self.asked: list[int] = []

    def open(self) -> None:
        self.opened += 1

    def read(self, now_ns: int) -> Telemetry:
        self.asked.append(now_ns)
        if self.broken:
            raise SensorError("the cable is out")
        return (Scalar("Speed", 1.0, now_ns),)

    def acquire(self, n_samples: int, period_ns: int) -> bool:
        return False

    def close(self) -> None:
        pass


def test_pauses_between_retries_grow_to_a_bound_and_end_with_success() -> None:
    flaky = Flaky()
    patient = Patient(flaky, seed=3)
    for now in range(T0, T0 + 600 * SECOND, SECOND // 4):
        assert patient.read(now) == ()
    waits = [later - earlier for earlier, later in zip(flaky.asked, flaky.asked[1:], strict=False)]
    assert waits[0] < 2 * FIRST_PAUSE_NS
    assert waits[-1] > 20 * FIRST_PAUSE_NS
    assert max(waits) <= 1.25 * LONGEST_PAUSE_NS + SECOND
    assert (patient.trouble, patient.failures) == ("the cable is out", len(flaky.asked))
    assert patient.period_ns == FIRST_PAUSE_NS
    flaky.broken = False
    assert patient.read(T0 + 700 * SECOND) == (Scalar("Speed", 1.0, T0 + 700 * SECOND),)
    assert patient.trouble is None
    assert patient.period_ns == 10
    assert flaky.opened == len(flaky.asked)


def test_a_clock_that_jumps_back_does_not_silence_a_sensor_for_long() -> None:
    flaky = Flaky()
    patient = Patient(flaky)
    patient.read(T0)
    flaky.broken = False
    assert patient.read(T0 - 86_400 * SECOND) != ()


def test_a_broken_program_is_not_taken_for_a_broken_cable() -> None:
    class Wrong(Flaky):
        def read(self, now_ns: int) -> Telemetry:
            raise KeyError("a mistake of ours")

    with pytest.raises(KeyError):
        Patient(Wrong()).read(T0)
