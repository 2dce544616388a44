"""Attack: people approve one thing, another is sent."""

from __future__ import annotations

import dataclasses

import pytest

from ingest.contract.approval.messages import Envelope, Proposal
from tests.approval_rig import WholePlant

SWAPS: dict[str, object] = {
    "v": 2,
    "site": "plant-2",
    "edge": "gw-2",
    "machine": "pump-1",
    "action": "start",
    "reason": "another reason",
    "evidence_sha256": "c" * 64,
    "proposal_id": "another",
    "edge_nonce": "0" * 32,
    "ticket_sha256": "d" * 64,
    "issued": 1,
    "expires": 2_000_000_000,
    "policy_version": 2,
    "approvals_needed": 2,
    "presence": "000000",
}


def test_swap_after_approval_covers_every_field() -> None:
    assert set(SWAPS) == {one.name for one in dataclasses.fields(Proposal)}


@pytest.mark.parametrize("field", sorted(SWAPS))
def test_swap_after_approval_of_any_field_stops_nothing(plant: WholePlant, field: str) -> None:
    data = plant.envelope("fan-1", "budi")
    honest = Envelope.parse(data)
    assert isinstance(honest, Envelope)
    proposal = Proposal.parse_canonical(honest.proposal)
    assert isinstance(proposal, Proposal)
    changed = {**proposal.to_object(), field: SWAPS[field]}
    body = honest.proposal.replace(_text(field, proposal.to_object()[field]), _text(field, changed[field]))
    assert body != honest.proposal
    receipt = plant.send(Envelope(body, honest.approvals).to_bytes())
    assert (receipt.result, bool(receipt.code)) == ("refused", True)
    assert plant.all_run()


def test_swap_after_approval_to_a_machine_with_a_ticket_of_its_own_stops_nothing(plant: WholePlant) -> None:
    """The attacker even holds a fresh, genuine ticket of the other machine."""
    data = plant.envelope("fan-1", "budi")
    honest = Envelope.parse(data)
    assert isinstance(honest, Envelope)
    other = plant.proposal("pump-1")
    assert plant.send(Envelope(other.to_bytes(), honest.approvals).to_bytes()).code == "challenge_mismatch"
    assert plant.all_run()


def _text(field: str, value: object) -> bytes:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return f'"{field}":{shown}'.encode()
