"""An edge whose public key is missing is named, and takes nothing from the others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from control import log
from control.config import EdgeSettings, MachineSettings
from control.edge_keys import LOOK_AGAIN_S
from ingest.contract.approval.codes import Code
from ingest.contract.approval.topics import Leaf, control_topic
from ingest.contract.rejected import Rejected
from tests.approval_processes import Stack
from tests.approval_rig import SITE, WholePlant
from tests.waiting import until

LATE = "gw-2"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    events: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(log, "say", lambda event, _level=0, **fields: events.append((event, fields)))
    return events


def with_a_second_edge(folder: Path, content: bytes | None) -> WholePlant:
    plant = WholePlant(folder)
    plant.service.close()
    key_file = folder / "late.pub.json"
    if content is not None:
        key_file.write_bytes(content)
    plant.settings = dataclasses.replace(
        plant.settings,
        edge=(*plant.settings.edge, EdgeSettings(LATE, SITE, str(key_file))),
        machine=(*plant.settings.machine, MachineSettings("fan-2", SITE, LATE, "Fan 2")),
    )
    plant.start_control()
    return plant


@pytest.mark.parametrize("content", [None, b"", b"{}"], ids=["missing", "empty", "no-key"])
def test_an_edge_without_a_key_is_named_and_the_others_are_served(
    tmp_path: Path, said: list[tuple[str, dict[str, Any]]], content: bytes | None
) -> None:
    plant = with_a_second_edge(tmp_path, content)
    ((_, why),) = [one for one in said if one[0] == "edge_not_served"]
    assert (why["site"], why["edge"]) == (SITE, LATE)
    assert "late.pub.json" in why["why"]
    assert plant.http().get("/healthz").json() == {"status": "ok", "not_served": [f"{SITE}/{LATE}"]}
    assert f'edge_not_served{{site="{SITE}",edge="{LATE}"}} 1' in plant.service.metrics()
    plant.request("fan-1")
    (shown,) = plant.technician("budi").proposals()
    assert shown["state"] == "awaiting"
    refused = plant.request("fan-2")
    assert isinstance(refused, Rejected)
    assert refused.reason == Code.NO_EDGE_KEY
    for leaf in (Leaf.TICKET, Leaf.RECEIPT):
        found = plant.service.on_message(control_topic(SITE, LATE, leaf), b"{}")
        assert isinstance(found, Rejected)
        assert found.reason == Code.NO_EDGE_KEY


def test_a_key_that_comes_later_is_found_and_its_receipts_are_asked_for(
    tmp_path: Path, said: list[tuple[str, dict[str, Any]]]
) -> None:
    plant = with_a_second_edge(tmp_path, None)
    (tmp_path / "late.pub.json").write_bytes(plant.edge_public.to_bytes())
    plant.pass_time(LOOK_AGAIN_S + 1)
    assert ("edge_served", {"site": SITE, "edge": LATE}) in said
    assert control_topic(SITE, LATE, Leaf.RECEIPTS_WANTED) in [topic for topic, _ in plant.sent]
    assert plant.http().get("/healthz").json()["not_served"] == []
    assert plant.request("fan-2") is None


def test_control_lives_on_beside_a_broker_without_any_key(tmp_path: Path) -> None:
    stack = Stack(tmp_path, {"budi": "approver"})
    stack.start("broker")
    try:
        stack.start("control")
        stack.request("fan-1", "first")
        lines = [json.loads(line) for line in stack.said("control").decode().splitlines()]
        assert [line["edge"] for line in lines if line["event"] == "edge_not_served"] == ["gw-1"]
        stack.start("actuator")  # makes its key at its first start
        until(lambda: b'"event": "edge_served"' in stack.said("control"))
        assert stack.processes["control"].poll() is None
    finally:
        stack.__exit__()
