"""A folder of signed models: what is loaded, who may change what, and the way back."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from models.registry import (
    Alias,
    GateVerdict,
    Manifest,
    ManifestError,
    Metric,
    Model,
    RefusedError,
    Registry,
    Signer,
    UntrustedModelError,
)
from models.registry.gate import Finding
from models.registry.manifest import FileEntry, from_bytes

WHO = {"by": "Siti", "reason": "replayed on last month", "now_ns": 1}


def draft(name: str = "bearings") -> Manifest:
    return Manifest(
        name=name,
        version=1,
        kind="isolation-forest",
        created_ns=1_700_000_000_000_000_000,
        data_sha256="0" * 64,
        data_from_ns=1,
        data_to_ns=2,
        code_version="0.1.0",
        seed=0,
        files=(FileEntry("model.skops", "0" * 64, 0),),
        metrics=(Metric("recall", 0.8, 0.6, 0.9, 20, "pumps"),),
        limits=("trained on pumps only",),
    )


@pytest.fixture
def signer() -> Signer:
    return Signer.new()


@pytest.fixture
def registry(tmp_path: Path, signer: Signer) -> Registry:
    found = Registry(tmp_path / "models")
    found.trust("training", signer.public)
    return found


def passed(champion: int, challenger: int) -> GateVerdict:
    return GateVerdict(
        f"bearings@{champion}", f"bearings@{challenger}", (Finding("not_worse", True, "same"),)
    )


def add(registry: Registry, signer: Signer, content: bytes) -> int:
    return registry.add(draft(), {"model.skops": content}, signer).version


def test_a_model_is_found_as_it_was_added(registry: Registry, signer: Signer) -> None:
    assert add(registry, signer, b"one") == 1
    assert add(registry, signer, b"two") == 2
    model = registry.load("bearings", 2)
    assert model.files == {"model.skops": b"two"}
    assert model.manifest.metrics == draft().metrics
    assert [line.label for line in registry.listed()] == ["bearings@2", "bearings@1"]


def test_a_changed_file_is_never_loaded(registry: Registry, signer: Signer) -> None:
    add(registry, signer, b"good")
    path = registry.root / "models/bearings/1/model.skops"
    path.write_bytes(b"evil")
    with pytest.raises(UntrustedModelError, match="is not what was signed"):
        registry.load("bearings", 1)
    path.unlink()
    with pytest.raises(UntrustedModelError, match="is missing"):
        registry.load("bearings", 1)


def test_a_changed_manifest_is_never_believed(registry: Registry, signer: Signer) -> None:
    add(registry, signer, b"good")
    path = registry.root / "models/bearings/1/manifest.json"
    changed = json.loads(path.read_bytes())
    changed["metrics"][0]["value"] = 0.85
    path.write_bytes(json.dumps(changed, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(UntrustedModelError, match="No trusted key"):
        registry.load("bearings", 1)
    assert [line.signed for line in registry.listed()] == [False]


def test_a_model_signed_by_a_stranger_is_refused(registry: Registry) -> None:
    add(registry, Signer.new(), b"foreign")
    with pytest.raises(UntrustedModelError, match="No trusted key"):
        registry.challenge("bearings", 1, **WHO)
    assert registry.champion("bearings") is None


def test_a_signed_version_moved_elsewhere_is_refused(registry: Registry, signer: Signer) -> None:
    add(registry, signer, b"one")
    add(registry, signer, b"two")
    folder = registry.root / "models/bearings"
    (folder / "1").rename(folder / "7")
    with pytest.raises(UntrustedModelError, match="somebody moved it"):
        registry.load("bearings", 7)


def test_the_way_of_a_model_from_first_to_rollback(registry: Registry, signer: Signer) -> None:
    for content in (b"one", b"two"):
        add(registry, signer, content)
    registry.challenge("bearings", 1, **WHO)
    before = registry.champion("bearings")
    registry.challenge("bearings", 2, **WHO)
    assert {line.label: line.aliases for line in registry.listed()} == {
        "bearings@1": (Alias.CHAMPION,),
        "bearings@2": (Alias.CHALLENGER,),
    }
    registry.promote("bearings", passed(1, 2), **WHO)
    assert registry.champion("bearings").manifest.version == 2
    registry.rollback("bearings", by="Budi", reason="false alarms on fans", now_ns=2)
    after = registry.champion("bearings")
    assert before is not None
    assert after is not None
    assert (after.manifest, after.files) == (before.manifest, before.files)
    assert [event.by for event in registry.history()] == ["Siti", "Siti", "Siti", "Budi"]
    with pytest.raises(RefusedError, match="no earlier champion"):
        registry.rollback("bearings", **WHO)


def test_the_gate_stands_between_challenger_and_champion(registry: Registry, signer: Signer) -> None:
    for content in (b"one", b"two", b"three"):
        add(registry, signer, content)
    registry.challenge("bearings", 1, **WHO)
    with pytest.raises(RefusedError, match="has no challenger"):
        registry.promote("bearings", passed(1, 2), **WHO)
    registry.challenge("bearings", 3, **WHO)
    with pytest.raises(RefusedError, match="compare"):
        registry.promote("bearings", passed(1, 2), **WHO)
    failed = GateVerdict("bearings@1", "bearings@3", (Finding("golden_kept", False, "case-0"),))
    with pytest.raises(RefusedError, match=r"bearings@1 stays\. The gate says: golden_kept: case-0"):
        registry.promote("bearings", failed, **WHO)
    assert registry.standing("bearings").champion == 1


@pytest.mark.parametrize("who", [{"by": "", "reason": "long enough reason"}, {"by": "Siti", "reason": "ok"}])
def test_a_person_says_why(registry: Registry, signer: Signer, who: dict[str, str]) -> None:
    add(registry, signer, b"one")
    with pytest.raises(RefusedError):
        registry.challenge("bearings", 1, now_ns=1, **who)
    assert registry.history() == ()


def test_what_a_rollback_may_need_is_not_removed(registry: Registry, signer: Signer) -> None:
    for content in (b"one", b"two", b"three"):
        add(registry, signer, content)
    registry.challenge("bearings", 1, **WHO)
    registry.challenge("bearings", 2, **WHO)
    registry.promote("bearings", passed(1, 2), **WHO)
    for version in (1, 2):
        with pytest.raises(RefusedError, match="in use"):
            registry.remove("bearings", version)
    registry.remove("bearings", 3)
    assert registry.versions("bearings") == (1, 2)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\x80\x04", b'{"format":1}'])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestError):
        from_bytes(data)


def test_a_manifest_has_one_form() -> None:
    signed = draft().to_bytes()
    assert from_bytes(signed) == draft()
    with pytest.raises(ManifestError, match="as it was signed"):
        from_bytes(signed.replace(b",", b", "))


def test_names_cannot_leave_the_folder(registry: Registry, signer: Signer) -> None:
    with pytest.raises(ManifestError):
        registry.add(draft(), {"../evil": b""}, signer)
    with pytest.raises(RefusedError):
        registry.load("../bearings", 1)


def in_shadow(registry: Registry, signer: Signer) -> None:
    for content in (b"one", b"two"):
        registry.challenge("bearings", add(registry, signer, content), **WHO)


def test_half_a_line_of_the_history_is_not_there_yet_and_the_next_event_takes_its_place(
    registry: Registry, signer: Signer
) -> None:
    in_shadow(registry, signer)
    path = registry.root / "history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": "promo')
    assert registry.standing("bearings").champion == 1
    registry.promote("bearings", passed(1, 2), **WHO)
    assert registry.standing("bearings").champion == 2
    assert path.read_bytes().startswith(whole)


def test_a_reason_is_one_line_whatever_characters_it_has(registry: Registry, signer: Signer) -> None:
    in_shadow(registry, signer)
    reason = "replayed\u2028on last\x85month"
    registry.promote("bearings", passed(1, 2), by="Siti", reason=reason, now_ns=1)
    assert registry.history()[-1].reason == reason


def test_two_people_who_decide_at_once_do_not_break_the_history(
    registry: Registry, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_shadow(registry, signer)
    looked, go_on = threading.Event(), threading.Event()
    really = registry.load

    def slowly(name: str, version: int) -> Model:
        if not looked.is_set():
            looked.set()
            assert go_on.wait(10)
        return really(name, version)

    monkeypatch.setattr(registry, "load", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(registry.promote, "bearings", passed(1, 2), **WHO)
        assert looked.wait(10)
        second = pool.submit(registry.refuse, "bearings", 2, **WHO)
        wait([second], timeout=0.2)
        go_on.set()
        assert first.result(10).champion == 2
        with pytest.raises(RefusedError, match="not the challenger"):
            second.result(10)
    assert registry.standing("bearings").champion == 2
