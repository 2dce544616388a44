"""The audit log: nothing can be edited, removed, moved or cut without the offline verifier seeing it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from control.audit import Audit, AuditError, Checkpoint, Entry
from control.audit_verify import Export, Key, forks, load_key, read_export, verify
from control.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of
from control.merkle_proof import append, consistency_proof, is_consistent, range_hash
from control.witness import Witness, make_app
from control.witnesses import Witnesses
from ingest.contract.approval.keys import public_of
from ingest.contract.approval.strict import b64, unb64
from ingest.contract.rejected import Rejected
from tests.waiting import until

ENTRIES = 10_000


def entry(number: int, kind: str = "login") -> Entry:
    return Entry(1_800_000_000 + number, "plant-1", kind, "budi", {"n": number})


def verifier_key(audit: Audit) -> Key:
    return Key(audit.public.owner, audit.public.alg, unb64(audit.public.public_key) or b"")


@pytest.fixture(scope="module")
def log() -> tuple[Export, Key]:
    """10,000 entries, a checkpoint every thousand."""
    audit = Audit(":memory:", "control", ed25519.Ed25519PrivateKey.generate())
    for start in range(0, ENTRIES, 1_000):
        audit.write(*(entry(n) for n in range(start, start + 1_000)))
        audit.checkpoint(start)
    return read_export(audit.export()), verifier_key(audit)


def test_a_whole_log_verifies(log: tuple[Export, Key]) -> None:
    export, key = log
    assert len(export.entries) == ENTRIES
    assert verify(export, key) == []


def test_every_edit_deletion_reorder_and_cut_over_10000_entries_is_detected(log: tuple[Export, Key]) -> None:
    export, key = log
    dice = random.Random(11)
    for _ in range(8):
        at, other = dice.sample(range(ENTRIES), 2)
        edited = [*export.entries]
        edited[at] = edited[at].replace(b"budi", b"sari")
        deleted = export.entries[:at] + export.entries[at + 1 :]
        moved = [*export.entries]
        moved[at], moved[other] = moved[other], moved[at]
        cut = export.entries[:at]
        added = [*export.entries[:at], b"{}", *export.entries[at:]]
        for changed in (edited, deleted, moved, cut, added):
            assert verify(Export(changed, export.checkpoints), key) != []


def test_every_single_leaf_changes_the_root(log: tuple[Export, Key]) -> None:
    """Exhaustive: swap in each of the 10,000 leaves alone; the stored path shows that the root moves."""
    export, _ = log
    leaves = [leaf_hash(one) for one in export.entries]
    nodes: dict[tuple[int, int], bytes] = {}
    for number, leaf in enumerate(leaves):
        append(
            lambda level, i: nodes[level, i],
            lambda level, i, h: nodes.__setitem__((level, i), h),
            number,
            leaf,
        )
    root = range_hash(lambda level, i: nodes[level, i], 0, ENTRIES)
    assert root == root_of(leaves)
    for number in range(ENTRIES):
        forged = {(0, number): leaf_hash(b"forged")}
        level, index = 0, number
        while (level + 1, index >> 1) in nodes:
            left, right = index & ~1, index | 1
            pair = [forged.get((level, one), nodes[level, one]) for one in (left, right)]
            level, index = level + 1, index >> 1
            forged[level, index] = node_hash(*pair)
        assert range_hash(lambda a, b, f=forged: f.get((a, b), nodes[a, b]), 0, ENTRIES) != root


def test_a_cut_back_to_an_older_checkpoint_is_detected_by_what_was_seen_before(
    log: tuple[Export, Key],
) -> None:
    export, key = log
    older = Export(export.entries[:5_000], [c for c in export.checkpoints if c.size <= 5_000])
    assert verify(older, key) == []
    assert verify(older, key, at_least=6_000) != []


def test_a_checkpoint_of_another_key_counts_for_nothing(log: tuple[Export, Key]) -> None:
    export, _ = log
    other = public_of("control", ed25519.Ed25519PrivateKey.generate())
    assert verify(export, Key(other.owner, other.alg, unb64(other.public_key) or b"")) != []


@given(st.integers(0, 70), st.integers(0, 70))
def test_consistency_proofs_hold_and_only_for_the_true_history(old: int, grow: int) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(old + grow)]
    nodes: dict[tuple[int, int], bytes] = {}
    for number, leaf in enumerate(leaves):
        append(
            lambda level, i: nodes[level, i],
            lambda level, i, h: nodes.__setitem__((level, i), h),
            number,
            leaf,
        )
    new = old + grow
    proof = consistency_proof(lambda level, i: nodes[level, i], old, new)
    old_root, new_root = root_of(leaves[:old]), root_of(leaves)
    assert is_consistent(old, old_root, new, new_root, proof)
    if old and grow:
        assert not is_consistent(old, leaf_hash(b"other"), new, new_root, proof)
        assert not is_consistent(old, old_root, new, leaf_hash(b"other"), proof)
        assert not is_consistent(old, old_root, new, new_root, [*proof, proof[-1]])
        assert not is_consistent(old, old_root, new, new_root, proof[:-1])


def test_roots_match_the_known_answers_of_certificate_transparency() -> None:
    inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    leaves = [leaf_hash(bytes.fromhex(one)) for one in inputs]
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaves[0].hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of(leaves[:2]).hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    assert root_of(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_witnesses_detect_a_fork(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    honest, lying = Audit(":memory:", "control", key), Audit(":memory:", "control", key)
    witnesses = [
        Witness(name, honest.public, ed25519.Ed25519PrivateKey.generate(), tmp_path / f"{name}.sqlite")
        for name in ("plant", "partner", "auditor")
    ]
    for n in range(50):
        honest.write(entry(n))
        lying.write(entry(n if n < 40 else n + 1_000))
    shown = honest.checkpoint(1)
    keys = [Key(w.public.owner, w.public.alg, unb64(w.public.public_key) or b"") for w in witnesses]
    for witness in witnesses:
        proof = [one.hex() for one in honest.proof(witness.last()[0], shown.size)]
        signature = witness.cosign(b64(shown.body), shown.signature, proof)
        assert isinstance(signature, str)
        honest.cosigned(shown.size, witness.public, signature)
    assert verify(read_export(honest.export()), verifier_key(honest), keys, needed=2) == []

    lying.write(entry(50))
    other = lying.checkpoint(2)
    for witness in witnesses:
        proof = [one.hex() for one in lying.proof(witness.last()[0], other.size)]
        refused = witness.cosign(b64(other.body), other.signature, proof)
        assert isinstance(refused, Rejected)
        assert refused.reason == "fork"
    assert verify(read_export(lying.export()), verifier_key(lying), keys, needed=2) != []
    lying_same_size = Audit(":memory:", "control", key)
    for n in range(50):
        lying_same_size.write(entry(n + 7))
    lying_same_size.checkpoint(3)
    assert (
        forks(read_export(honest.export()), read_export(lying_same_size.export()), verifier_key(honest)) != []
    )


def test_a_witness_remembers_after_a_restart(tmp_path: Path) -> None:
    key, own = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    audit = Audit(":memory:", "control", key)
    audit.write(entry(1), entry(2))
    shown = audit.checkpoint(1)
    assert isinstance(
        Witness("plant", audit.public, own, tmp_path / "w").cosign(b64(shown.body), shown.signature, []), str
    )
    forked = Audit(":memory:", "control", key)
    forked.write(entry(3), entry(4))
    other = forked.checkpoint(1)
    again = Witness("plant", audit.public, own, tmp_path / "w")
    assert isinstance(again.cosign(b64(other.body), other.signature, []), Rejected)


def test_control_collects_cosignatures_over_http(tmp_path: Path) -> None:
    audit = Audit(":memory:", "control", ed25519.Ed25519PrivateKey.generate())
    audit.write(entry(1))
    witness = Witness("plant", audit.public, ed25519.Ed25519PrivateKey.generate(), tmp_path / "w")
    client = TestClient(make_app(witness), base_url="http://witness")
    sender = Witnesses((), audit)
    for size in (1, 3, 8):
        while audit.size < size:
            audit.write(entry(audit.size))
        sender.cosign(client, "http://witness", audit.checkpoint(size))
        assert audit.witnessed() == (size, 1)
    assert (
        client.post("/v1/cosign", json={"checkpoint": "e30", "signature": "", "proof": []}).status_code == 409
    )
    sender.close()


def test_a_witness_that_was_away_is_asked_again_though_the_log_has_not_grown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    audit = Audit(":memory:", "control", ed25519.Ed25519PrivateKey.generate())
    audit.write(entry(1))
    shown, asked, away = audit.checkpoint(1), list[str](), {"http://partner"}
    sender = Witnesses(("http://plant", "http://partner"), audit)

    def cosign(_client: object, url: str, _checkpoint: Checkpoint) -> None:
        asked.append(url)
        if url in away:
            raise ValueError("it is away")

    monkeypatch.setattr(sender, "cosign", cosign)
    sender.offer(shown)
    until(lambda: sender.refused == 1)
    away.clear()
    sender.offer(shown)
    until(lambda: len(asked) == 3, "a second try")
    sender.offer(shown)
    sender.close()
    assert asked == ["http://plant", "http://partner", "http://partner"], "who has cosigned is left in peace"


def test_what_cannot_be_written_raises(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.sqlite", "control", ed25519.Ed25519PrivateKey.generate())
    audit.write(entry(1))
    audit._db.execute("PRAGMA query_only = ON")
    with pytest.raises(AuditError):
        audit.write(entry(2))
    audit._db.execute("PRAGMA query_only = OFF")
    audit.write(entry(3))
    audit.checkpoint(1)
    assert verify(read_export(audit.export()), verifier_key(audit)) == []


def test_the_command_line_verifies_an_export(tmp_path: Path) -> None:
    audit = Audit(":memory:", "control", ed25519.Ed25519PrivateKey.generate())
    audit.write(*(entry(n) for n in range(20)))
    audit.checkpoint(1)
    (tmp_path / "key.json").write_bytes(audit.public.to_bytes())
    export = tmp_path / "export.jsonl"
    export.write_bytes(b"".join(audit.export()))
    assert load_key(tmp_path / "key.json") == verifier_key(audit)
    command = [
        sys.executable,
        "-m",
        "control.audit_verify",
        str(export),
        "--log-key",
        str(tmp_path / "key.json"),
    ]
    whole = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (whole.returncode, json.loads(whole.stdout)["wrong"]) == (0, [])
    lines = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(b"".join(lines[1:]))
    assert subprocess.run(command, check=False, capture_output=True).returncode == 6
    export.write_bytes(b"junk")
    assert subprocess.run(command, check=False, capture_output=True).returncode == 3


def test_the_verifier_is_at_most_300_lines_and_needs_only_cryptography() -> None:
    root = Path(__file__).parents[2] / "control"
    files = [root / "audit_verify.py", root / "merkle.py"]
    assert sum(len(one.read_text().splitlines()) for one in files) <= 300
    code = (
        "import sys, control.audit_verify\n"
        "ours = {'cryptography', 'control', '_cffi_backend', 'cffi'}\n"
        "print(sorted({n.split('.')[0] for n in sys.modules} - set(sys.stdlib_module_names) - ours))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [name for name in json.loads(done.stdout.replace("'", '"')) if not name.startswith("_")]
    assert found == []
