"""The Models page: evidence, a person's decision with name and reason, and what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from benchmarks.written_plant import WrittenPlant
from dashboards.accounts import Account
from dashboards.decisions import CHECKS, check_words
from dashboards.language import Language
from dashboards.registry_files import CheckFile
from ingest.contract.actions import ActionKind
from tests.dashboards.conftest import Screens, open_screens

WHY = "half a year more of data"
PROMOTE = {"champion": "1", "challenger": "2", "action_id": "0123456789abcdef", "reason": WHY}


def write_registry(folder: Path, n_faults: int = 12, *steps: tuple[str, int]) -> None:
    for version in (1, 2):
        place = folder / "models" / "bearings" / str(version)
        place.mkdir(parents=True)
        (place / "model.skops").write_bytes(b"weights")
        entry = {"name": "model.skops", "sha256": hashlib.sha256(b"weights").hexdigest(), "size_bytes": 7}
        figure = {"name": "recall", "value": 0.8, "lower": 0.6, "upper": 0.9, "count": n_faults, "group": ""}
        plain = {
            "name": "bearings",
            "version": version,
            "kind": "boosting",
            "created_ns": 1,
            "data_sha256": "a" * 64,
            "data_from_ns": 1,
            "data_to_ns": 2,
            "code_version": "1",
            "seed": 7,
            "files": [entry],
            "metrics": [figure],
        }
        (place / "manifest.json").write_text(json.dumps(plain))
    lines = [
        {"step": step, "name": "bearings", "version": n, "by": "rina", "reason": "a reason", "time_ns": n}
        for step, n in (("first", 1), ("challenge", 2), *steps)
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def models(written: WrittenPlant, tmp_path: Path, account: Account) -> Iterator[Screens]:
    write_registry(tmp_path / "registry")
    yield from open_screens(written, tmp_path, account, registry_dir=str(tmp_path / "registry"))


def send(screens: Any, what: str = "promote", **fields: str) -> Any:
    data = {"token": screens.token(), **PROMOTE, **fields}
    return screens.client.post(f"/models/bearings/{what}", data=data, headers={"hx-request": "true"})


def test_a_data_scientist_s_promotion_goes_to_the_desk_with_name_reason_and_what_was_seen(
    models: Screens,
) -> None:
    models.sign_in("data_scientist")
    for _ in range(2):
        assert send(models).status_code == 200
    (said,) = models.house.desk.about(machine="")
    assert (said.kind, said.by) == (ActionKind.PROMOTE_MODEL, "demo-scientist")
    assert said.values == {"model": "bearings", "champion": 1, "challenger": 2, "reason": WHY}


@pytest.mark.parametrize("role", ["technician", "energy_manager"])
def test_nobody_else_decides_about_models(models: Screens, role: str) -> None:
    models.sign_in(role)
    assert send(models).status_code == 403
    assert 'action="/models/' not in models.client.get("/models").text
    assert models.house.desk.newest() == ()


def test_a_decision_needs_a_reason_and_a_model_that_is_there(models: Screens) -> None:
    models.sign_in("data_scientist")
    assert send(models, reason="better").status_code == 422
    assert send(models, what="delete").status_code == 404
    answer = models.client.post("/models/no-such/promote", data={"token": models.token(), **PROMOTE})
    assert answer.status_code == 404
    assert models.house.desk.newest() == ()


def test_the_page_waits_for_the_answer_and_then_shows_it(models: Screens, tmp_path: Path) -> None:
    models.sign_in("data_scientist")
    models.client.cookies.set("mitra_language", "en")
    send(models)
    fragment = {"hx-request": "true"}
    waiting = models.client.get("/models/bearings/decisions", headers=fragment).text
    assert "hx-trigger" in waiting
    assert "demo-scientist wants the challenger promoted" in waiting
    models.clock.ns += 100_000_000_000
    assert "mitra serve" in models.client.get("/models/bearings/decisions", headers=fragment).text
    checks = [{"code": "enough_faults", "passed": False, "detail": "3 of at least 5"}]
    answer = {"action_id": PROMOTE["action_id"], "done_ns": models.clock(), "code": "gate", "checks": checks}
    (tmp_path / "registry" / "decisions.jsonl").write_text(json.dumps(answer) + "\n")
    for file in ("decisions.jsonl", "history.jsonl"):
        with (tmp_path / "registry" / file).open("ab") as being_written:
            being_written.write(b'{"step": "pro')
    told = models.client.get("/models/bearings/decisions", headers=fragment).text
    assert "hx-trigger" not in told
    assert "the gate did not pass" in told
    assert "Confirmed failures: 3, at least 5 needed" in told
    assert 'action="/models/bearings/refuse"' in told, "with the answer comes the next choice"
    assert "being carried out" in waiting
    assert "being carried out" not in told
    assert WHY in models.client.get("/audit").text


def test_too_few_failures_block_promotion_but_not_refusal(
    written: WrittenPlant, tmp_path: Path, account: Account
) -> None:
    write_registry(tmp_path / "registry", 3)
    for screens in open_screens(written, tmp_path, account, registry_dir=str(tmp_path / "registry")):
        screens.sign_in("data_scientist")
        screens.client.cookies.set("mitra_language", "en")
        page = screens.client.get("/models").text
        assert "Not enough evidence to promote" in page
        assert 'action="/models/bearings/promote"' not in page
        assert 'action="/models/bearings/refuse"' in page
        assert 'action="/models/bearings/roll-back"' not in page


def test_after_a_promotion_the_way_back_is_offered(
    written: WrittenPlant, tmp_path: Path, account: Account
) -> None:
    write_registry(tmp_path / "registry", 12, ("promote", 2))
    for screens in open_screens(written, tmp_path, account, registry_dir=str(tmp_path / "registry")):
        screens.sign_in("data_scientist")
        screens.client.cookies.set("mitra_language", "en")
        assert "Roll back to @1" in screens.client.get("/models").text


def test_drift_and_the_shadow_run_are_shown_as_the_stream_tells_them(
    models: Screens, written: WrittenPlant
) -> None:
    models.client.cookies.set("mitra_language", "en")
    assert "Nobody watches for drift yet" in models.client.get("/models").text
    path = Path(written.journal).with_name("models.json")
    drifted = {"time_ns": 1, "machine": "pump-001", "feature": "x.envelope_bpfo", "before": 0.1, "after": 2.5}
    sides = {"champion": "bearings@1", "challenger": "bearings@2", "days": 40, "both": 3}
    told = {
        "time_ns": models.clock(),
        "detectors": ["robust"],
        "live": [{"model": "bearings@2", "alias": "challenger"}],
        "refused": [],
        "agreement": {**sides, "only_champion": 2, "only_challenger": 6},
        "drift": [{**drifted, "after": 1.0}, drifted, {**drifted, "feature": "health"}],
    }
    try:
        path.write_text(json.dumps({**told, "drift": [], "agreement": None}))
        quiet = models.client.get("/models").text
        assert "No level has changed for good" in quiet
        assert "no whole machine-day yet" in quiet
        path.write_text(json.dumps(told))
        page = models.client.get("/models").text
    finally:
        path.unlink()
    assert "on 32 of 40 machine-days" in page
    assert "80.0\u00a0%" in page
    assert "Impacts of the outer race (BPFO) (x axis)" in page
    assert ">2.50<" in page
    assert ">1.00<" not in page, "of each machine the newest"


@pytest.mark.parametrize("code", sorted(CHECKS))
def test_the_gate_speaks_both_languages(code: str) -> None:
    detail = "caught 3 of 5 (champion 4), false alarms 1 (champion 2, allowed 3)"
    zone = ZoneInfo("Asia/Jakarta")
    words = {one: check_words(CheckFile(code, True, detail), Language(one, zone)) for one in ("id", "en")}
    assert words["id"] != words["en"]
    assert "{" not in words["id"] + words["en"]
