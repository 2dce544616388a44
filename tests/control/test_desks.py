"""The desks of several sites share one database; web requests and the clock's thread meet there."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from control.audit import Entry
from control.config import MachineSettings, SiteSettings
from control.roster import publish, refresh
from ingest.contract.approval.messages import Request, evidence_sha256
from ingest.contract.approval.roster import Person
from ingest.contract.approval.topics import Leaf, control_topic, request_topic
from tests.approval_rig import EDGE, SITE, WholePlant

OTHER = "plant-2"
BUDI = Person("budi", "Budi", "approver", ())


@pytest.fixture
def plant(tmp_path: Path) -> WholePlant:
    return WholePlant(tmp_path)


def serve_another_site(plant: WholePlant) -> None:
    plant.service.close()
    mine = plant.settings.site[0]
    plant.settings = dataclasses.replace(
        plant.settings,
        site=(mine, SiteSettings(OTHER, "Plant Two", mine.roster_dir, mine.roster_root)),
        edge=(*plant.settings.edge, dataclasses.replace(plant.settings.edge[0], site=OTHER)),
        machine=(*plant.settings.machine, MachineSettings("fan-2", OTHER, EDGE, "Fan 2", "line-a", "low")),
    )
    plant.start_control()


def ask(plant: WholePlant, site: str, machine: str) -> None:
    asked = Request(
        v=1,
        site=site,
        machine=machine,
        model_id="baseline",
        model_sha256="b" * 64,
        window={"start_ms": 0, "end_ms": 1_000},
        evidence_sha256=evidence_sha256({"facts": [], "trend": [], "trend_unit": ""}),
        risk=0.8,
        reason="outer race fault grows",
        dedup_key=f"{machine}-{site}",
        evidence={"facts": [], "trend": [], "trend_unit": ""},
    )
    assert plant.service.on_message(request_topic(site), asked.to_bytes()) is None


def test_two_sites_decide_at_once_and_neither_is_lost_in_the_others_transaction(
    plant: WholePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_another_site(plant)
    for site, machine in ((SITE, "fan-1"), (OTHER, "fan-2")):
        ask(plant, site, machine)
    proposal = {site: desk.listing(is_open=True)[0].row.id for site, desk in plant.service.desks.items()}
    inside, go_on = threading.Event(), threading.Event()
    really = plant.service.store.advance

    def slowly(*given: Any, **more: Any) -> Any:
        if not inside.is_set():
            inside.set()
            assert go_on.wait(10)
        return really(*given, **more)

    monkeypatch.setattr(plant.service.store, "advance", slowly)
    desks, why = plant.service.desks, "it was looked at"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(desks[SITE].reject, proposal[SITE], BUDI, why)
        assert inside.wait(10)
        second = pool.submit(desks[OTHER].reject, proposal[OTHER], BUDI, why)
        wait([second], timeout=0.2)
        go_on.set()
        first.result(10)
        second.result(10)
    for site, desk in desks.items():
        found = desk.detail(proposal[site])
        assert found is not None
        assert str(found.row.state) == "denied"


def test_each_version_of_the_roster_is_in_the_audit_log_however_fast_they_follow(
    plant: WholePlant, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, audit = plant.service.desks[SITE], plant.service.audit
    really = audit.write
    next_ones = [plant.now()]

    def a_web_request_meets_the_next_roster(*entries: Entry) -> None:
        really(*entries)
        if entries[0].kind == "roster" and next_ones:
            publish(plant.roster_dir, next_ones.pop())
            desk.roster()

    monkeypatch.setattr(audit, "write", a_web_request_meets_the_next_roster)
    desk.tick()
    desk.tick()
    said = [body["what"] for _, body in audit.entries(2**53, 100, SITE) if body["kind"] == "roster"]
    versions = [what["version"] for what in reversed(said) if isinstance(what, dict)]
    assert len(versions) == 2, versions
    assert versions[1] == versions[0] + 1


def test_an_edge_that_gets_its_roster_from_control_gets_the_daily_refresh_too(plant: WholePlant) -> None:
    plant.service.close()
    mine = dataclasses.replace(plant.settings.site[0], send_roster=True)
    plant.settings = dataclasses.replace(plant.settings, site=(mine,))
    plant.start_control()

    def sent() -> int:
        plant.pass_time()
        return sum(topic == control_topic(SITE, EDGE, Leaf.ROSTER) for topic, _ in plant.sent)

    assert sent() == 1
    assert sent() == 1
    refresh(plant.roster_dir, plant.now())
    assert sent() == 2
    recorded = [body for _, body in plant.service.audit.entries(2**53, 100, SITE) if body["kind"] == "roster"]
    assert len(recorded) == 1, "the leads signed nothing new"
