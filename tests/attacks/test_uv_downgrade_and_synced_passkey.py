"""Attack: a key that nobody unlocked, or that a cloud can copy."""

from __future__ import annotations

import dataclasses

import pytest

from edge.actuator.judge import Stop, judge
from ingest.contract.approval.assertion import ATTESTED, BACKED_UP, BACKUP_ELIGIBLE, EXTENSIONS
from ingest.contract.approval.assertion import USER_PRESENT as UP
from ingest.contract.approval.assertion import USER_VERIFIED as UV
from ingest.contract.approval.messages import Envelope
from tests.approval_rig import WholePlant

WEAK = [
    (0, "user_not_present"),
    (UV, "user_not_present"),
    (UP, "user_not_verified"),
    (UP | UV | BACKUP_ELIGIBLE, "synced_passkey"),
    (UP | UV | BACKUP_ELIGIBLE | BACKED_UP, "synced_passkey"),
    (UP | UV | BACKED_UP, "synced_passkey"),
    (UP | UV | ATTESTED, "bad_authenticator_data"),
    (UP | UV | EXTENSIONS, "bad_authenticator_data"),
    (UP | UV | 0x02, "bad_authenticator_data"),
    (UP | UV | 0x20, "bad_authenticator_data"),
]


@pytest.mark.parametrize(("flags", "code"), WEAK)
def test_uv_downgrade_and_synced_passkey_stop_nothing(plant: WholePlant, flags: int, code: str) -> None:
    proposal = plant.proposal("fan-1")
    approval = plant.keys["budi"].assertion(proposal.challenge(), flags)
    assert plant.send_approvals(proposal, approval).code == code
    assert plant.all_run()


def test_uv_downgrade_of_all_256_flags_only_present_and_verified_passes(plant: WholePlant) -> None:
    proposal = plant.proposal("fan-1")
    passed = []
    for flags in range(256):
        approval = plant.keys["budi"].assertion(proposal.challenge(), flags)
        known, now = plant.known_and_now()
        data = Envelope(proposal.to_bytes(), (approval,)).to_bytes()
        if isinstance(judge(data, plant.actuator.here, known, now), Stop):
            passed.append(flags)
    assert passed == [UP | UV]


@pytest.mark.parametrize(("flags", "code"), WEAK)
def test_uv_downgrade_logs_nobody_in(plant: WholePlant, flags: int, code: str) -> None:
    from control.sessions import login_challenge  # noqa: PLC0415

    client = plant.http()
    nonce = client.post("/api/v1/login/nonce").json()["nonce"]
    given = plant.keys["budi"].assertion(login_challenge("plant-1", nonce), flags)
    answer = client.post(
        "/api/v1/login", json={"site": "plant-1", "nonce": nonce, "assertion": given.to_object()}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_software_keys_are_refused_where_they_are_not_allowed(plant: WholePlant) -> None:
    proposal = plant.proposal("fan-1")
    plant.config = dataclasses.replace(plant.config, allow_software_keys=False)
    plant.book.close()
    plant.start()
    proposal = plant.proposal("fan-1")
    assert plant.approve(proposal, "budi").code == "software_key"
    assert plant.all_run()
