"""Attack: a message that is too large, or small and grows."""

from __future__ import annotations

import gzip
import json

from paho.mqtt.client import MQTTMessage

from edge.actuator.link import Link
from ingest.contract.approval.messages import MAX_ENVELOPE_BYTES, MAX_REQUEST_BYTES, Envelope
from ingest.contract.approval.settings import BrokerSettings
from ingest.contract.approval.topics import Leaf, control_topic
from ingest.contract.approval.trust import MAX_BUNDLE_BYTES
from tests.approval_rig import EDGE, ORIGIN, SITE, WholePlant

JSON = {"origin": ORIGIN, "content-type": "application/json"}


def test_oversize_envelope_is_refused_before_it_is_read(plant: WholePlant) -> None:
    for size in (MAX_ENVELOPE_BYTES + 1, 1_000_000):
        assert plant.send(b" " * size).code == "oversize"
    proposal = plant.proposal("fan-1")
    whole = Envelope(proposal.to_bytes(), plant.sign(proposal, "budi")).to_bytes()
    assert plant.send(whole + b" " * MAX_ENVELOPE_BYTES).code == "oversize"
    assert plant.all_run()


def test_oversize_request_and_evidence_are_refused(plant: WholePlant) -> None:
    answer = plant.service.on_message(f"mitra/{SITE}/requests", b" " * (MAX_REQUEST_BYTES + 1))
    assert getattr(answer, "reason", "") == "oversize"
    wide = {"facts": [{"name": "n", "value": "v"}] * 25, "trend": [], "trend_unit": ""}
    long = {"facts": [], "trend": [1] * 241, "trend_unit": ""}
    for evidence in (wide, long):
        data = json.dumps({"v": 1, "evidence": evidence}).encode()
        assert plant.service.on_message(f"mitra/{SITE}/requests", data) is not None


def test_oversize_messages_never_reach_the_queue_of_the_actuator() -> None:
    link = Link(BrokerSettings("127.0.0.1"), SITE, EDGE)
    message = MQTTMessage(topic=control_topic(SITE, EDGE, Leaf.ROSTER).encode())
    message.payload = bytes(MAX_BUNDLE_BYTES + 1)
    link._on_message(link._client, None, message)
    assert (link.inbox.qsize(), link.dropped) == (0, 1)


def test_oversize_body_is_refused_by_control(plant: WholePlant) -> None:
    client = plant.http()
    assert client.post("/api/v1/login", content=b" " * 20_000, headers=JSON).status_code == 413


def test_decompression_bomb_is_never_unpacked(plant: WholePlant) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    client = plant.http()
    for encoding in ("gzip", "deflate", "br", "zstd", "gzip, identity"):
        headers = {**JSON, "content-encoding": encoding}
        assert client.post("/api/v1/login", content=bomb[:10_000], headers=headers).status_code == 415
    assert plant.send(bomb[:8_000]).code in {"not_utf8", "not_json"}
    assert plant.all_run()


def test_deep_nesting_is_refused(plant: WholePlant) -> None:
    assert plant.send(b'{"a":' * 1_500).code == "not_json"
    assert plant.http().post("/api/v1/login", content=b"[" * 15_000, headers=JSON).status_code == 400
