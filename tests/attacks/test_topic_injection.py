"""Attack: wildcards, system topics and other people's sites in topics and ids."""

from __future__ import annotations

import pytest
from paho.mqtt.client import MQTTMessage

from edge.actuator.link import Link
from ingest.contract.approval.settings import BrokerSettings
from ingest.contract.approval.topics import Leaf, control_topic, parse_control_topic, request_topic
from ingest.contract.rejected import Rejected
from tests.approval_rig import EDGE, SITE, WholePlant

BAD_IDS = ["+", "#", "$SYS", "a/b", "", "A", "a b", "plant-1\n", "plant-1\x00", "x" * 65, "../x", "plant-1/+"]


@pytest.mark.parametrize("name", BAD_IDS)
def test_topic_injection_builds_no_topic(name: str) -> None:
    with pytest.raises(ValueError, match="must match"):
        request_topic(name)
    with pytest.raises(ValueError, match="must match"):
        control_topic(name, EDGE, Leaf.ENVELOPE)
    with pytest.raises(ValueError, match="must match"):
        control_topic(SITE, name, Leaf.ENVELOPE)


FOREIGN = [
    "mitra/plant-2/requests",
    "mitra/+/requests",
    "mitra/#",
    "$SYS/broker/version",
    "mitra/plant-1/control/gw-2/ticket",
    "mitra/plant-2/control/gw-1/ticket",
    "mitra/plant-1/control/+/receipt",
    "mitra/plant-1/control/gw-1/ticket/extra",
    "mitra/plant-1/control/gw-1/envelope",
    "MITRA/plant-1/requests",
    "/mitra/plant-1/requests",
    "spBv1.0/plant-1/DCMD/gw-1/fan-1",
]


@pytest.mark.parametrize("topic", FOREIGN)
def test_topic_injection_reaches_neither_control_nor_the_actuator(plant: WholePlant, topic: str) -> None:
    body = plant.said[-1][1] if plant.said else b"{}"
    answer = plant.service.on_message(topic, body)
    assert isinstance(answer, Rejected)
    link = Link(BrokerSettings("127.0.0.1"), SITE, EDGE)
    if topic != "mitra/plant-1/control/gw-1/envelope":
        message = MQTTMessage(topic=topic.encode())
        message.payload = b"{}"
        link._on_message(link._client, None, message)
        assert (link.inbox.qsize(), link.dropped) == (0, 1)
    assert plant.all_run()


def test_topic_injection_subscriptions_have_no_wildcard(plant: WholePlant) -> None:
    for site, edge, leaf in plant.service.topics():
        text = control_topic(site, edge, Leaf(leaf)) if edge else request_topic(site)
        assert not set("+#$") & set(text)
        assert edge == "" or not isinstance(parse_control_topic(text), Rejected)


def test_topic_injection_a_request_of_another_site_on_this_sites_topic_is_refused(plant: WholePlant) -> None:
    assert getattr(plant.request("fan-1", site="plant-2"), "reason", "") == "foreign_topic"
    assert getattr(plant.request("turbine-9"), "reason", "") == "unknown_machine"
    assert plant.service.desks[SITE].listing(is_open=True) == []
