"""Attack: a look-alike page asks for the signature."""

from __future__ import annotations

import pytest

from tests.approval_rig import ORIGIN, WholePlant


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://localhost:8443", ORIGIN.upper(), ORIGIN + "/", "", None, [ORIGIN]],
)
def test_foreign_origin_stops_nothing(plant: WholePlant, origin: object) -> None:
    proposal = plant.proposal("fan-1")
    approval = plant.twisted_approval("budi", proposal, client={"origin": origin})
    assert plant.send_approvals(proposal, approval).code == "foreign_origin"
    assert plant.all_run()


@pytest.mark.parametrize("rp_id", ["evil.example", "localhost.evil.example", "LOCALHOST", ""])
def test_foreign_rp_id_stops_nothing(plant: WholePlant, rp_id: str) -> None:
    proposal = plant.proposal("fan-1")
    approval = plant.twisted_approval("budi", proposal, rp_id=rp_id)
    assert plant.send_approvals(proposal, approval).code == "foreign_rp_id"
    assert plant.all_run()
