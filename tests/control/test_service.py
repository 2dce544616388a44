"""Requests become proposals, people decide over HTTP, and the edge has the last word."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from control.technician import RefusedError
from ingest.contract.approval.topics import Leaf
from tests.approval_rig import SITE, WholePlant


@pytest.fixture
def plant(tmp_path: Path) -> WholePlant:
    return WholePlant(tmp_path)


def test_a_request_is_approved_by_a_person_and_confirmed_by_the_edge(plant: WholePlant) -> None:
    assert plant.request("fan-1") is None
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    assert (shown["machine"], shown["state"], shown["approvals_needed"]) == ("fan-1", "awaiting", 1)
    assert budi.approve(shown["id"])["state"] == "approved"
    plant.pump()
    assert plant.state(shown["id"]) == "confirmed"
    assert not plant.runs("fan-1")
    assert [one["result"] for one in budi.receipts()] == ["confirmed", "acting", "verified"]
    assert [one["id"] for one in budi.proposals("closed")] == [shown["id"]]


def test_after_a_rejection_the_machine_runs_on(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi, sari = plant.technician("budi"), plant.technician("sari")
    (shown,) = budi.proposals()
    assert budi.reject(shown["id"], "bearing was changed this morning")["state"] == "denied"
    with pytest.raises(RefusedError, match="not_open"):
        sari.approve(shown["id"])
    plant.pass_time(1_000)
    assert plant.runs("fan-1")


def test_a_rejection_needs_a_reason(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    with pytest.raises(RefusedError, match="bad_field"):
        budi.reject(shown["id"], "  ")
    assert plant.state(shown["id"]) == "awaiting"


def test_a_critical_machine_takes_two_persons_with_the_code(plant: WholePlant) -> None:
    plant.request("kiln-1")
    budi, sari = plant.technician("budi"), plant.technician("sari")
    (shown,) = budi.proposals()
    with pytest.raises(RefusedError, match="presence_wrong"):
        budi.approve(shown["id"])
    code = plant.presence("kiln-1")
    assert budi.approve(shown["id"], code)["state"] == "awaiting"
    assert budi.approve(shown["id"], code)["state"] == "awaiting"
    assert sari.approve(shown["id"], code)["state"] == "approved"
    plant.pump()
    assert plant.state(shown["id"]) == "confirmed"


def test_a_viewer_may_neither_approve_nor_reject(plant: WholePlant) -> None:
    plant.request("fan-1")
    tamu = plant.technician("tamu")
    (shown,) = tamu.proposals()
    with pytest.raises(RefusedError, match="no_role"):
        tamu.approve(shown["id"])
    with pytest.raises(RefusedError, match="no_role"):
        tamu.reject(shown["id"], "I do not like it")


def test_time_out_means_no_command(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    plant.pass_time(700)
    assert plant.state(shown["id"]) == "expired"
    assert plant.all_run()


def test_without_a_ticket_nobody_is_asked(plant: WholePlant) -> None:
    plant.settings = plant.settings
    plant.actuator.on_message = lambda leaf, data: None
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    assert shown["state"] == "proposed"
    for _ in range(13):
        plant.pass_time(5)
    wanted = [topic for topic, _ in plant.sent if topic.endswith(Leaf.TICKET_WANTED)]
    assert 10 <= len(wanted) <= 14
    assert plant.state(shown["id"]) == "expired"


def test_a_restart_of_control_kills_pending_approvals_and_logs_everybody_out(plant: WholePlant) -> None:
    plant.request("kiln-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    budi.approve(shown["id"], plant.presence("kiln-1"))
    plant.service.close()
    plant.start_control()
    assert plant.state(shown["id"]) == "expired"
    with pytest.raises(RefusedError, match="not_logged_in"):
        type(budi)("", budi.key, client=plant.http()).proposals()
    assert plant.all_run()


def test_lost_receipts_are_asked_for_when_the_link_returns(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    budi.approve(shown["id"])
    _, envelope = plant.wire.popleft()
    plant.actuator.on_message(Leaf.ENVELOPE, envelope)
    plant.actuator.tick()
    plant.wire.clear()
    assert plant.state(shown["id"]) == "approved"
    plant.service.on_connected()
    plant.pump()
    assert plant.state(shown["id"]) == "confirmed"


def test_the_openapi_document_names_every_route(plant: WholePlant) -> None:
    found = plant.http().get("/openapi.json").json()
    assert "/api/v1/proposals/{proposal_id}/approvals" in found["paths"]
    assert found["openapi"].startswith("3.1")


def test_metrics_count_what_was_refused(plant: WholePlant) -> None:
    plant.service.on_message(f"mitra/{SITE}/requests", b"junk")
    assert 'event="request_not_json"} 1' in plant.http().get("/metrics").text


def test_a_break_in_the_edges_chain_of_receipts_is_counted(plant: WholePlant) -> None:
    plant.send(b"one")
    plant.pump()
    plant.book.last_hash = "0" * 64
    plant.send(b"two")
    plant.pump()
    assert plant.service.desks[SITE].counts["receipt_chain_broken"] == 1


def test_a_gap_in_the_receipts_is_asked_for_at_once(plant: WholePlant) -> None:
    plant.send(b"one")
    plant.pump()
    plant.send(b"two")
    plant.wire.clear()
    plant.pass_time(10)
    plant.send(b"three")
    plant.pump()
    assert sorted(int(one["seq"]) for one in plant.service.desks[SITE].receipts()) == [1, 2, 3]


def test_a_database_of_another_version_is_left_alone(plant: WholePlant) -> None:
    plant.service.close()
    path = Path(plant.settings.state_dir) / "control.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(sqlite3.DatabaseError, match="another version"):
        plant.start_control()
