"""Attack: the log is rewritten after the fact, or shown differently to different people."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from control.audit_verify import Key, read_export, verify
from control.technician import RefusedError
from control.witness import Witness
from ingest.contract.approval.strict import b64, unb64
from ingest.contract.rejected import Rejected
from tests.approval_rig import SITE, WholePlant


def key_of(plant: WholePlant) -> Key:
    public = plant.service.audit.public
    return Key(public.owner, public.alg, unb64(public.public_key) or b"")


def a_days_work(plant: WholePlant) -> None:
    budi = plant.technician("budi")
    for number in range(6):
        plant.request("mill-1")
        (shown,) = budi.proposals()
        budi.reject(shown["id"], f"not now, number {number}")
    plant.request("fan-1")
    (shown,) = budi.proposals()
    budi.approve(shown["id"])
    plant.pump()
    plant.pass_time(11)


def test_log_rewrite_is_detected(plant: WholePlant) -> None:
    a_days_work(plant)
    audit = plant.service.audit
    assert verify(read_export(audit.export()), key_of(plant)) == []
    kinds = [body["kind"] for _, body in audit.entries(10_000, 100, SITE)]
    assert {"login", "proposed", "vetoed", "approved", "receipt", "roster"} <= set(kinds)
    path = Path(plant.settings.state_dir) / "audit.sqlite"
    for statement in (
        "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), 'vetoed', 'vexoed') AS BLOB)",
        "DELETE FROM entry WHERE n = 3",
        "UPDATE entry SET n = -1 WHERE n = 2",
        "DELETE FROM entry WHERE n > 5",
    ):
        copy = sqlite3.connect(":memory:")
        with sqlite3.connect(path) as source:
            source.backup(copy)
        source.close()
        copy.execute(statement)
        bodies = [row[0] for row in copy.execute("SELECT body FROM entry ORDER BY n")]
        export = read_export(audit.export())
        assert bodies != export.entries
        export.entries[:] = bodies
        assert verify(export, key_of(plant)) != []
        copy.close()


def test_split_view_is_refused_by_the_witness(plant: WholePlant, tmp_path: Path) -> None:
    a_days_work(plant)
    audit = plant.service.audit
    witness = Witness(
        "auditor", audit.public, ed25519.Ed25519PrivateKey.generate(), tmp_path / "witness.sqlite"
    )
    shown = audit.checkpoint(plant.clock.wall)
    assert isinstance(witness.cosign(b64(shown.body), shown.signature, []), str)
    # The same key signs another history for somebody else.
    other = WholePlant(tmp_path / "other")
    other.service.audit._key = audit._key
    a_days_work(other)
    for _ in range(5):
        other.technician("sari")
    forged = other.service.audit.checkpoint(plant.clock.wall)
    proof = [one.hex() for one in other.service.audit.proof(shown.size, forged.size)]
    answer = witness.cosign(b64(forged.body), forged.signature, proof)
    assert isinstance(answer, Rejected)
    assert answer.reason == "fork"


def test_what_cannot_be_recorded_is_not_done(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    plant.service.audit._db.execute("PRAGMA query_only = ON")
    with pytest.raises(RefusedError, match="audit_unwritable"):
        budi.approve(shown["id"])
    plant.pump()
    assert plant.state(shown["id"]) == "refused"
    assert plant.all_run()
