"""Attack: an approval is kept and sent when it suits."""

from __future__ import annotations

from tests.approval_rig import WholePlant


def test_stale_approval_after_its_expiry_stops_nothing(plant: WholePlant) -> None:
    data = plant.envelope("fan-1", "budi")
    plant.clock.sleep(601)
    assert plant.send(data).code in {"ticket_stale", "expired"}
    assert plant.all_run()


def test_stale_approval_with_only_the_wall_clock_past_stops_nothing(plant: WholePlant) -> None:
    data = plant.envelope("fan-1", "budi")
    plant.clock.wall += 601
    assert plant.send(data).code == "expired"
    assert plant.all_run()


def test_stale_approval_after_the_machine_was_stopped_otherwise_is_spent_with_its_ticket(
    plant: WholePlant,
) -> None:
    data = plant.envelope("fan-1", "budi")
    assert plant.approve(plant.proposal("fan-1"), "sari").result == "confirmed"
    assert plant.send(data).code == "unknown_ticket"


def test_stale_approval_that_would_live_for_ever_is_refused(plant: WholePlant) -> None:
    proposal = plant.proposal("fan-1", expires=plant.clock.wall + 100_000)
    assert plant.approve(proposal, "budi").code == "life_too_long"
    assert plant.all_run()


def test_stale_approval_is_refused_by_control_too(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    given = budi.sign(shown["id"])
    plant.clock.sleep(601)
    answer = plant.service.desks["plant-1"].approve(shown["id"], _person(plant, "budi"), "", given)
    assert getattr(answer, "reason", "") == "expired"


def _person(plant: WholePlant, name: str):
    persons = plant.service.desks["plant-1"].roster()
    assert isinstance(persons, tuple)
    return next(one for one in persons if one.id == name)
