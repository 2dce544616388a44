"""An approval reaches the edge while the leads publish the next roster: judged by that one, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import edge.actuator.roster
from edge.actuator.actuator import MAX_WAITING
from ingest.contract.approval.messages import Envelope
from ingest.contract.approval.topics import Leaf
from ingest.contract.approval.trust import Floor, Trusted
from ingest.contract.rejected import Rejected
from tests.approval_rig import Plant

AS_RELEASED = ("roster.json", "targets.json", "snapshot.json", "timestamp.json")
ORDERS = (AS_RELEASED, AS_RELEASED[::-1], tuple(sorted(AS_RELEASED)), ("timestamp.json", *AS_RELEASED[:3]))


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def envelope(plant: Plant, machine: str, *people: str) -> bytes:
    proposal = plant.proposal(machine)
    return Envelope(proposal.to_bytes(), plant.sign(proposal, *people)).to_bytes()


@pytest.mark.parametrize("done", [1, 2, 3])
def test_an_approval_in_the_middle_of_the_files_is_judged_by_the_new_roster(
    tmp_path: Path, done: int
) -> None:
    """However the files are copied. budi may approve as before; sari may not any more."""
    for order in ORDERS:
        plant = Plant(tmp_path / "-".join(order))
        new = plant.next_roster(revoked="sari")
        assert plant.approve(plant.proposal("kiln-1"), "budi").code == "too_few_persons"
        sent = [envelope(plant, "pump-1", "sari"), envelope(plant, "fan-1", "budi")]
        for name in order[:done]:
            plant.lay_down(name, new[name])
        before = len(plant.receipts())
        for data in sent:
            plant.actuator.on_message(Leaf.ENVELOPE, data)
        plant.actuator.tick()
        assert plant.receipts()[before:] == [], order
        for name in order[done:]:
            plant.lay_down(name, new[name])
        plant.actuator.tick()
        said = [(one.machine, one.code or one.result) for one in plant.receipts()[before:]]
        assert said[0] == ("pump-1", "unknown_credential"), order
        assert said[-1] == ("fan-1", "confirmed"), order
        assert plant.runs("pump-1")
        plant.book.close()


def test_a_roster_that_is_never_finished_stops_nothing(plant: Plant) -> None:
    new = plant.next_roster(revoked="sari")
    assert plant.approve(plant.proposal("kiln-1"), "budi").code == "too_few_persons"
    data = envelope(plant, "fan-1", "budi")
    plant.lay_down("targets.json", new["targets.json"])
    before = len(plant.receipts())
    plant.actuator.on_message(Leaf.ENVELOPE, data)
    plant.clock.sleep(1.9)
    plant.actuator.tick()
    assert plant.receipts()[before:] == []
    plant.clock.sleep(0.1)
    plant.actuator.tick()
    assert [one.code for one in plant.receipts()[before:]] == ["roster_unverified"]
    for name in AS_RELEASED:
        plant.lay_down(name, new[name])
    plant.clock.sleep(5)
    plant.actuator.tick()
    assert plant.all_run(), "what was refused is not taken later"
    assert plant.actuator.next_due_ms() is None


def test_a_ticket_that_ends_while_its_envelope_waits_is_refused(plant: Plant) -> None:
    new = plant.next_roster(revoked="sari")
    assert plant.approve(plant.proposal("kiln-1"), "budi").code == "too_few_persons"
    data = envelope(plant, "fan-1", "budi")
    plant.clock.sleep(299)
    plant.lay_down("targets.json", new["targets.json"])
    plant.actuator.on_message(Leaf.ENVELOPE, data)
    plant.clock.sleep(1)
    for name in AS_RELEASED:
        plant.lay_down(name, new[name])
    plant.actuator.tick()
    assert plant.receipts()[-1].code == "expired"
    assert plant.all_run()


def test_a_flood_in_the_middle_of_the_files_buys_few_checks_and_one_stop(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []
    really = edge.actuator.roster.trust

    def counted(root: bytes, files: dict[str, bytes], floor: Floor, now_s: int) -> Trusted | Rejected:
        judged.append(now_s)
        return really(root, files, floor, now_s)

    new = plant.next_roster(revoked="sari")
    assert plant.approve(plant.proposal("kiln-1"), "budi").code == "too_few_persons"
    data = envelope(plant, "fan-1", "budi")
    monkeypatch.setattr(edge.actuator.roster, "trust", counted)
    plant.lay_down("targets.json", new["targets.json"])
    before = len(plant.receipts())
    for _ in range(500):
        plant.actuator.on_message(Leaf.ENVELOPE, data)
        plant.actuator.tick()
    assert len(judged) == 1
    said = [one.code for one in plant.receipts()[before:]]
    assert said == ["roster_unverified"] * (500 - MAX_WAITING), "few wait, the others are refused at once"
    for name in AS_RELEASED:
        plant.lay_down(name, new[name])
    before += len(said)
    plant.actuator.tick()
    assert len(judged) == 2
    said = [one.code or one.result for one in plant.receipts()[before:]]
    assert sorted(said) == sorted(["verified", "acting", "confirmed", *["spent"] * (MAX_WAITING - 1)])
