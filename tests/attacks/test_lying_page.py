"""Attack: the page shows one machine and lets the key sign another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from control.page.bundle import PINS, STATIC, BundleError, load_bundle
from control.technician import RefusedError, check_ticket
from ingest.contract.approval.messages import Envelope
from ingest.contract.approval.topics import Leaf
from tests.approval_rig import WholePlant


def test_lying_page_cannot_give_the_code_that_only_the_critical_machine_shows(plant: WholePlant) -> None:
    """People believe they stop the fan; the page has them sign the kiln, at which nobody stands."""
    for guess in ("", "000000", "123450"):
        proposal = plant.proposal("kiln-1", presence=guess)
        if proposal.presence == plant.presence("kiln-1"):
            continue
        assert plant.approve(proposal, "budi", "sari").code == "presence_wrong"
    assert plant.all_run()


def test_lying_page_that_was_changed_on_disk_is_not_served(tmp_path: Path) -> None:
    static = tmp_path / "static"
    shutil.copytree(STATIC, static)
    assert set(load_bundle(static, PINS)) == {path.name for path in STATIC.iterdir()}
    (static / "app.js").write_text((static / "app.js").read_text().replace("fan", "kiln") + "\n")
    with pytest.raises(BundleError, match=r"app\.js"):
        load_bundle(static, PINS)
    shutil.copy(STATIC / "app.js", static / "app.js")
    (static / "extra.js").write_text("alert(1)")
    with pytest.raises(BundleError, match=r"extra\.js"):
        load_bundle(static, PINS)


def test_lying_page_or_server_that_swaps_the_machine_is_refused_by_the_edges_own_ticket(
    plant: WholePlant,
) -> None:
    plant.proposal("fan-1")
    ticket = next(data for leaf, data in plant.said if leaf is Leaf.TICKET)
    swapped = plant.proposal("pump-1")
    with pytest.raises(RefusedError, match="ticket_mismatch"):
        check_ticket(swapped, ticket, (plant.edge_public,))
    other_end = b'AA"}' if not ticket.endswith(b'AA"}') else b'BA"}'
    with pytest.raises(RefusedError, match="bad_ticket_signature"):
        check_ticket(swapped, ticket[:-4] + other_end, (plant.edge_public,))


def test_lying_page_signing_one_machines_ticket_for_another_is_refused_by_the_actuator(
    plant: WholePlant,
) -> None:
    fan, pump = plant.proposal("fan-1"), plant.proposal("pump-1")
    mixed = plant.proposal("pump-1", edge_nonce=fan.edge_nonce, ticket_sha256=fan.ticket_sha256)
    assert pump.edge_nonce != fan.edge_nonce
    receipt = plant.send(Envelope(mixed.to_bytes(), plant.sign(mixed, "budi")).to_bytes())
    assert receipt.code == "ticket_mismatch"
    assert plant.all_run()
