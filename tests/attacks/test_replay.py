"""Attack: an approved envelope is sent again."""

from __future__ import annotations

from edge.actuator.outputs import restart_at_the_machine
from tests.approval_rig import WholePlant


def test_replay_stops_nothing_a_second_time(plant: WholePlant) -> None:
    data = plant.envelope("fan-1", "budi")
    assert plant.send(data).result == "confirmed"
    restart_at_the_machine(plant.switch_dir, "fan-1", "budi")
    for _ in range(3):
        assert plant.send(data).code == "spent"
    assert plant.runs("fan-1")


def test_replay_after_a_restart_of_the_actuator_stops_nothing(plant: WholePlant) -> None:
    data = plant.envelope("fan-1", "budi")
    assert plant.send(data).result == "confirmed"
    restart_at_the_machine(plant.switch_dir, "fan-1", "budi")
    plant.book.close()
    plant.start()
    assert plant.send(data).code == "spent"
    assert plant.runs("fan-1")


def test_replay_of_an_unspent_envelope_after_a_restart_stops_nothing(plant: WholePlant) -> None:
    data = plant.envelope("fan-1", "budi")
    plant.book.close()
    plant.start()
    assert plant.send(data).code == "unknown_ticket"
    assert plant.runs("fan-1")
