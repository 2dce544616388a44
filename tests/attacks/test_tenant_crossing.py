"""Attack: a technician of one plant reaches for another plant's proposals, on every route there is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from control.authenticator import make_software_key
from control.config import SiteSettings
from control.roster import enrol, init, person, publish
from control.technician import RefusedError, Technician
from ingest.contract.approval.messages import Envelope, Proposal
from tests.approval_rig import ORIGIN, RP_ID, SITE, WholePlant

OTHER = "plant-2"
OPEN_TO_ALL = {"/healthz", "/metrics", "/api/v1/about", "/api/v1/login/nonce", "/api/v1/login"}


@pytest.fixture
def plant(tmp_path: Path) -> WholePlant:
    """Control serves two plants; Eve is a lead of the other one."""
    plant = WholePlant(tmp_path)
    folder = tmp_path / "roster-2"
    root = init(folder, OTHER, plant.now())
    plant.keys["eve"] = make_software_key(OTHER, "eve", "Eve", origin=ORIGIN, rp_id=RP_ID)
    enrol(folder, person("eve", "Eve", "lead", [plant.keys["eve"].public_credential()]))
    publish(folder, plant.now())
    plant.service.close()
    site = SiteSettings(OTHER, "Plant Two", str(folder / "public"), str(root))
    plant.settings = dataclasses.replace(plant.settings, site=(*plant.settings.site, site))
    plant.start_control()
    return plant


def routes(plant: WholePlant) -> list[tuple[str, str]]:
    """Every method and path that control answers to."""
    paths = plant.service.app().openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def test_tenant_crossing_is_impossible_on_every_route(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi, eve = plant.technician("budi"), plant.technician("eve")
    (shown,) = budi.proposals()
    stolen = budi.sign(shown["id"]).to_object()
    bodies = {"approvals": {"presence": "", "assertion": stolen}, "rejection": {"reason": "not my plant"}}
    tried = 0
    for method, route in routes(plant):
        if route in OPEN_TO_ALL or method == "DELETE":
            continue
        tried += 1
        path = route.replace("{proposal_id}", shown["id"])
        body = bodies.get(path.rsplit("/", 1)[-1])
        answer = eve._client.request(method, path, json=body, headers=eve._headers)
        assert SITE not in answer.text
        assert shown["id"] not in answer.text
        assert "fan-1" not in answer.text
        if "{proposal_id}" in route:
            assert answer.status_code == 404, path
    assert tried >= 8
    assert plant.state(shown["id"]) == "awaiting"
    assert plant.all_run()


def test_tenant_crossing_every_route_but_a_few_needs_a_session(plant: WholePlant) -> None:
    client = plant.http()
    for method, route in routes(plant):
        if route in OPEN_TO_ALL:
            continue
        path = route.replace("{proposal_id}", "x")
        body = {"approvals": {"assertion": {}}, "rejection": {"reason": "none"}}.get(path.rsplit("/", 1)[-1])
        answer = client.request(method, path, json=body)
        if (method, path) == ("GET", "/api/v1/session"):
            assert answer.json() == {"person": None}, "who asks who he is hears that he is nobody"
        else:
            assert answer.status_code in {401, 422}, path


def test_tenant_crossing_at_the_login_is_refused(plant: WholePlant) -> None:
    key = dataclasses.replace(plant.keys["budi"], site=OTHER)
    with pytest.raises(RefusedError, match="unknown_credential"):
        Technician("", key, client=plant.http()).login()


def test_tenant_crossing_a_lead_of_another_plant_stops_nothing_here(plant: WholePlant) -> None:
    proposal = plant.proposal("fan-1")
    assert plant.approve(proposal, "eve").code == "unknown_credential"
    foreign = plant.proposal("fan-1", site=OTHER)
    assert isinstance(foreign, Proposal)
    envelope = Envelope(foreign.to_bytes(), plant.sign(foreign, "budi"))
    assert plant.send(envelope.to_bytes()).code == "wrong_edge"
    assert plant.all_run()
