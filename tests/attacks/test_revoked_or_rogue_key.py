"""Attack: a key that was taken away, was never given, or stands in a roster that is not the plant's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from control.authenticator import make_software_key
from control.roster import RosterError, enrol, init, person, publish, refresh, revoke, rotate_root, show
from ingest.contract.approval.topics import Leaf
from ingest.contract.approval.trust import write_bundle
from tests.approval_rig import ORIGIN, RP_ID, SITE, WholePlant


def test_revoked_key_stops_nothing(plant: WholePlant) -> None:
    proposal = plant.proposal("fan-1")
    revoke(plant.roster_dir, "budi")
    publish(plant.roster_dir, plant.now())
    assert plant.approve(proposal, "budi").code == "unknown_credential"
    assert plant.all_run()
    assert plant.approve(plant.proposal("fan-1"), "sari").result == "confirmed"


def test_rogue_key_stops_nothing(plant: WholePlant) -> None:
    plant.keys["rogue"] = make_software_key(SITE, "budi", "Budi", origin=ORIGIN, rp_id=RP_ID)
    assert plant.approve(plant.proposal("fan-1"), "rogue").code == "unknown_credential"
    stolen_id = plant.keys["rogue"].assertion(b"\0" * 32)
    proposal = plant.proposal("fan-1")
    forged = plant.keys["rogue"].assertion(proposal.challenge())
    object.__setattr__(forged, "credential", plant.keys["budi"].credential)
    assert plant.send_approvals(proposal, forged).code == "bad_signature"
    assert stolen_id.credential != forged.credential
    assert plant.all_run()


def test_rogue_roster_of_another_root_is_refused(plant: WholePlant, tmp_path: Path) -> None:
    rogue = tmp_path / "rogue"
    init(rogue, SITE, plant.now())
    key = make_software_key(SITE, "mallory", "Mallory", origin=ORIGIN, rp_id=RP_ID)
    enrol(rogue, person("mallory", "Mallory", "lead", [key.public_credential()]))
    publish(rogue, plant.now())
    plant.keys["mallory"] = key
    proposal = plant.proposal("fan-1")
    for path in (rogue / "public").glob("*.json"):
        shutil.copy(path, plant.roster_dir / "public" / path.name)
    assert plant.approve(proposal, "mallory").code == "roster_unverified"
    assert plant.approve(proposal, "budi").code == "roster_unverified"
    assert plant.all_run()


def test_rogue_roster_over_the_link_is_refused(plant: WholePlant, tmp_path: Path) -> None:
    rogue = tmp_path / "rogue"
    init(rogue, SITE, plant.now())
    files = {path.name: path.read_bytes() for path in (rogue / "public").glob("*.json")}
    plant.actuator.on_message(Leaf.ROSTER, write_bundle(files))
    assert plant.actuator.refused["roster_unverified"] == 1
    assert plant.approve(plant.proposal("fan-1"), "budi").result == "confirmed"


def test_rogue_roster_signed_by_one_lead_alone_is_refused(plant: WholePlant) -> None:
    """An honest keeper does not even release it; a thief of one lead's key and of the online key does."""
    keys, targets = plant.roster_dir / "keys", plant.roster_dir / "public" / "targets.json"
    revoke(plant.roster_dir, "sari")
    with pytest.raises(RosterError, match="roster_unverified"):
        publish(plant.roster_dir, plant.now(), lead_keys=[keys / "lead-1.pem"])
    assert plant.approve(plant.proposal("fan-1"), "sari").result == "confirmed"
    publish(plant.roster_dir, plant.now())
    signed = json.loads(targets.read_bytes())
    assert len(signed["signatures"]) == 2
    targets.write_text(json.dumps({**signed, "signatures": signed["signatures"][:1]}))
    refresh(plant.roster_dir, plant.now())
    assert plant.approve(plant.proposal("pump-1"), "budi").code == "roster_unverified"
    assert plant.runs("pump-1")


def test_rolled_back_roster_brings_no_revoked_key_back(plant: WholePlant) -> None:
    public = plant.roster_dir / "public"
    before = {path.name: path.read_bytes() for path in public.glob("*.json")}
    revoke(plant.roster_dir, "budi")
    publish(plant.roster_dir, plant.now())
    assert plant.approve(plant.proposal("fan-1"), "budi").code == "unknown_credential"
    for name, data in before.items():
        (public / name).write_bytes(data)
    assert plant.approve(plant.proposal("fan-1"), "budi").code == "roster_rollback"
    plant.book.close()
    plant.start()
    assert plant.approve(plant.proposal("fan-1"), "budi").code == "roster_rollback"
    assert plant.all_run()


def test_frozen_roster_is_refused_when_it_is_not_refreshed(plant: WholePlant) -> None:
    plant.clock.sleep(25 * 3_600)
    assert plant.approve(plant.proposal("fan-1"), "budi").code == "roster_stale"
    refresh(plant.roster_dir, plant.now())
    assert plant.approve(plant.proposal("fan-1"), "budi").result == "confirmed"


def test_rotated_root_is_followed_and_the_old_one_signs_nothing_more(
    plant: WholePlant, tmp_path: Path
) -> None:
    keys = plant.roster_dir / "keys"
    old = [keys / f"root-{n}.pem" for n in (1, 2)]
    new = [tmp_path / f"new-root-{n}.pem" for n in (1, 2, 3)]
    rotate_root(plant.roster_dir, plant.now(), old_keys=old, new_keys=new)
    assert plant.approve(plant.proposal("fan-1"), "budi").result == "confirmed"
    rotate_root(plant.roster_dir, plant.now(), old_keys=old, new_keys=old)
    with pytest.raises(RosterError, match="roster_unverified"):
        show(plant.roster_dir, plant.now())


def test_rotation_signed_by_one_root_key_is_refused(plant: WholePlant, tmp_path: Path) -> None:
    keys = plant.roster_dir / "keys"
    rotate_root(
        plant.roster_dir, plant.now(), old_keys=[keys / "root-1.pem"], new_keys=[tmp_path / "thief.pem"]
    )
    assert plant.approve(plant.proposal("fan-1"), "budi").code == "roster_unverified"
    assert plant.all_run()


def test_rogue_roster_files_that_are_no_metadata_are_refused(plant: WholePlant) -> None:
    public = plant.roster_dir / "public"
    proposal = plant.proposal("fan-1")
    for name in ("timestamp.json", "snapshot.json", "targets.json", "roster.json"):
        whole = (public / name).read_bytes()
        for data in (b"", b"{}", b"[" * 5_000, b"\xff", whole[:-5], json.dumps({"signed": 1}).encode()):
            (public / name).write_bytes(data)
            plant.clock.sleep(1)
            assert plant.approve(proposal, "budi").code == "roster_unverified"
        (public / name).unlink()
        assert plant.approve(proposal, "budi").code == "roster_missing"
        (public / name).write_bytes(whole)
    assert plant.all_run()
    assert plant.approve(proposal, "budi").result == "confirmed"
