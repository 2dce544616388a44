"""Attack: control passes a stop off as a login, or a login's signature off as an approval."""

from __future__ import annotations

from control.sessions import login_challenge
from ingest.contract.approval.messages import (
    APPROVAL_DOMAIN,
    ENROL_DOMAIN,
    LOGIN_DOMAIN,
    RECEIPT_DOMAIN,
    TICKET_DOMAIN,
    digest,
)
from tests.approval_rig import SITE, WholePlant


def test_login_signature_reused_as_approval_stops_nothing(plant: WholePlant) -> None:
    proposal = plant.proposal("fan-1")
    # The worst nonce control could choose. The page hashes it under the login's own domain.
    nonce = proposal.challenge().hex()[:32]
    for challenge in (login_challenge(SITE, nonce), digest(LOGIN_DOMAIN, proposal.to_bytes())):
        approval = plant.keys["budi"].assertion(challenge)
        assert plant.send_approvals(proposal, approval).code == "challenge_mismatch"
    assert plant.all_run()


def test_approval_signature_reused_as_login_logs_nobody_in(plant: WholePlant) -> None:
    client = plant.http()
    nonce = client.post("/api/v1/login/nonce").json()["nonce"]
    given = plant.keys["budi"].assertion(plant.proposal("fan-1").challenge())
    answer = client.post("/api/v1/login", json={"site": SITE, "nonce": nonce, "assertion": given.to_object()})
    assert (answer.status_code, answer.json()["code"]) == (401, "challenge_mismatch")


def test_login_signature_is_good_once_and_only_for_its_site(plant: WholePlant) -> None:
    client = plant.http()
    nonce = client.post("/api/v1/login/nonce").json()["nonce"]
    given = plant.keys["budi"].assertion(login_challenge(SITE, nonce))
    body = {"site": SITE, "nonce": nonce, "assertion": given.to_object()}
    assert client.post("/api/v1/login", json=body).status_code == 200
    assert client.post("/api/v1/login", json=body).status_code == 401
    plant.clock.sleep(121)
    late = client.post("/api/v1/login/nonce").json()["nonce"]
    plant.clock.sleep(121)
    given = plant.keys["budi"].assertion(login_challenge(SITE, late))
    body = {"site": SITE, "nonce": late, "assertion": given.to_object()}
    assert client.post("/api/v1/login", json=body).status_code == 401


def test_no_two_domains_are_prefixes_of_each_other() -> None:
    domains = [APPROVAL_DOMAIN, ENROL_DOMAIN, LOGIN_DOMAIN, RECEIPT_DOMAIN, TICKET_DOMAIN]
    assert len({digest(one, b"x") for one in domains}) == len(domains)
    assert all(b"\0" not in one for one in domains)
