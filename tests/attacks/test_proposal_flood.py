"""Attack: analytics is taken over and asks for stops until somebody approves to be left in peace."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from control.config import Fatigue, MachineSettings
from tests.approval_rig import EDGE, SITE, WholePlant


@pytest.mark.parametrize("n_requests", [2_000, pytest.param(10_000, marks=pytest.mark.full)])
def test_proposal_flood_of_an_hour_shows_at_most_6(tmp_path: Path, n_requests: int) -> None:
    plant = WholePlant(tmp_path, fatigue=Fatigue())
    machines = list(plant.config.machines)
    seen: set[str] = set()
    for number in range(n_requests):
        plant.request(machines[number % len(machines)], dedup_key=f"k-{number}", risk=(number % 97) / 97)
        if number % (n_requests // 40) == 0:
            plant.pass_time(90)
            seen |= {d.row.id for d in plant.service.desks[SITE].listing(is_open=True) if d.row.shown}
            for detail in plant.service.desks[SITE].listing(is_open=True):
                person = plant.service.desks[SITE].roster()[0]
                plant.service.desks[SITE].reject(detail.row.id, person, "flooded")
    assert 1 <= len(seen) <= 6
    assert plant.all_run()


def test_proposal_flood_keeps_one_open_proposal_a_machine_and_at_most_one_in_ten_minutes(
    tmp_path: Path,
) -> None:
    plant = WholePlant(tmp_path, fatigue=Fatigue())
    for number in range(50):
        plant.request("fan-1", dedup_key=f"a-{number}")
        plant.request("pump-1", dedup_key=f"b-{number}")
    shown = plant.service.desks[SITE].listing(is_open=True)
    assert [(one.machine.id, one.row.asked) for one in shown] == [("fan-1", 50)]
    assert plant.service.desks[SITE].held_by_line() == {"line-a": 1}
    for _ in range(9):
        plant.pass_time(60)
    assert len(plant.service.desks[SITE].listing(is_open=True)) == 1
    plant.pass_time(61)
    assert {one.machine.id for one in plant.service.desks[SITE].listing(is_open=True)} >= {"pump-1"}


def test_proposal_flood_over_many_machines_is_bounded_in_memory(tmp_path: Path) -> None:
    plant = WholePlant(tmp_path, fatigue=Fatigue())
    many = tuple(MachineSettings(f"m-{n}", SITE, EDGE, f"M {n}") for n in range(300))
    plant.service.close()
    plant.settings = dataclasses.replace(plant.settings, machine=many)
    plant.start_control()
    answers = [plant.request(f"m-{n}") for n in range(300)]
    codes = [getattr(one, "reason", "taken") for one in answers]
    assert codes.count("taken") == 1
    assert codes.count("budget") == 64
    assert codes.count("queue_full") == 300 - 65


def test_the_same_request_twice_asks_once(plant: WholePlant) -> None:
    assert plant.request("fan-1", dedup_key="same") is None
    assert getattr(plant.request("fan-1", dedup_key="same"), "reason", "") == "duplicate"


def test_a_flood_of_ticket_requests_costs_nothing_but_a_refusal(plant: WholePlant) -> None:
    from ingest.contract.approval.messages import TicketWanted  # noqa: PLC0415
    from ingest.contract.approval.topics import Leaf  # noqa: PLC0415

    for _ in range(100):
        plant.actuator.on_message(Leaf.TICKET_WANTED, TicketWanted(1, SITE, EDGE, "fan-1").to_bytes())
    assert plant.actuator.refused["ticket_limit"] == 96
