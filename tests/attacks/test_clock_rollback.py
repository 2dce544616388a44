"""Attack: the edge's clock is set back to make an old approval young."""

from __future__ import annotations

from tests.approval_rig import WholePlant


def test_clock_rollback_of_the_wall_clock_stops_nothing(plant: WholePlant) -> None:
    data = plant.envelope("fan-1", "budi")
    plant.clock.wall += 700
    plant.send(b"junk")
    plant.clock.wall -= 700
    assert plant.send(data).code == "clock_behind"
    assert plant.all_run()


def test_clock_rollback_is_remembered_over_a_restart(plant: WholePlant) -> None:
    plant.clock.wall += 10_000
    plant.send(b"junk")
    plant.book.close()
    plant.clock.wall -= 10_000
    plant.start()
    assert plant.approve(plant.proposal("fan-1"), "budi").code == "clock_behind"
    assert plant.all_run()


def test_clock_rollback_does_not_renew_a_ticket(plant: WholePlant) -> None:
    """The ticket's time runs on the monotonic clock, which nobody can set."""
    data = plant.envelope("fan-1", "budi")
    plant.clock.monotonic += 601_000
    assert plant.send(data).code == "ticket_stale"
    assert plant.all_run()
