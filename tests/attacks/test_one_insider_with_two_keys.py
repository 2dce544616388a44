"""Attack: one person approves twice, with two keys of his own."""

from __future__ import annotations

import pytest

from control.authenticator import make_software_key
from control.roster import enrol, person, publish
from control.technician import RefusedError
from ingest.contract.approval.messages import Envelope
from tests.approval_rig import ORIGIN, RP_ID, SITE, WholePlant


def give_second_key(plant: WholePlant) -> None:
    plant.keys["budi-2"] = make_software_key(SITE, "budi", "Budi", origin=ORIGIN, rp_id=RP_ID)
    enrol(plant.roster_dir, person("budi", "Budi", "approver", [plant.keys["budi-2"].public_credential()]))
    publish(plant.roster_dir, plant.now())


def test_one_insider_with_two_keys_is_one_person(plant: WholePlant) -> None:
    give_second_key(plant)
    for machine in ("mill-1", "kiln-1"):
        proposal = plant.proposal(machine)
        assert plant.approve(proposal, "budi", "budi-2").code == "too_few_persons"
        assert plant.approve(proposal, "budi", "budi", "budi-2").code == "too_few_persons"
    assert plant.all_run()
    assert plant.approve(plant.proposal("mill-1"), "budi-2", "sari").result == "confirmed"


def test_one_insider_with_two_keys_is_one_person_to_control_too(plant: WholePlant) -> None:
    give_second_key(plant)
    plant.request("mill-1")
    first, second = plant.technician("budi"), plant.technician("budi-2")
    (shown,) = first.proposals()
    assert first.approve(shown["id"])["state"] == "awaiting"
    assert second.approve(shown["id"])["state"] == "awaiting"
    plant.pump()
    assert plant.all_run()


def test_one_insider_cannot_hand_in_another_persons_signature(plant: WholePlant) -> None:
    plant.request("mill-1")
    budi, sari = plant.technician("budi"), plant.technician("sari")
    (shown,) = budi.proposals()
    body = {"presence": "", "assertion": sari.sign(shown["id"]).to_object()}
    with pytest.raises(RefusedError, match="unknown_credential"):
        budi._call("POST", f"/api/v1/proposals/{shown['id']}/approvals", body)


def test_one_insider_as_a_viewer_does_not_count(plant: WholePlant) -> None:
    proposal = plant.proposal("mill-1")
    both = Envelope(proposal.to_bytes(), plant.sign(proposal, "budi", "tamu"))
    assert plant.send(both.to_bytes()).code == "no_role"
    assert plant.all_run()
