"""What an edge node puts into MQTT packets, seen on the wire: a server of our own that only listens."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from edge.channels import Channels
from edge.config import Broker
from edge.link import Arrived, Closed, Opened, Session, Subscribed
from edge.node import EdgeNode, Now, Publish, Subscribe
from ingest.contract.ids import ID_PATTERN
from tests.waiting import WAIT_S

CONNECT, PUBLISH, SUBSCRIBE, DISCONNECT = 1, 3, 8, 14


class Wire:
    """Accepts one connection, answers CONNECT and SUBSCRIBE, keeps every packet."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        self.packets: list[tuple[int, int, bytes]] = []
        self.version = 4
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self.server.accept()
        stream = connection.makefile("rb")
        while head := stream.read(1):
            size = shift = 0
            while True:
                (byte,) = stream.read(1)
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            body = stream.read(size)
            self.packets.append((head[0] >> 4, head[0] & 15, body))
            properties = b"\0" if self.version == 5 else b""
            if head[0] >> 4 == CONNECT:
                self.version = body[6]
                properties = b"\0" if self.version == 5 else b""
                self._answer(connection, 0x20, b"\0\0" + properties)
            elif head[0] >> 4 == SUBSCRIBE:
                topics = len(re.findall(rb"spBv1.0", body))
                self._answer(connection, 0x90, body[:2] + properties + b"\1" * topics)

    @staticmethod
    def _answer(connection: socket.socket, head: int, body: bytes) -> None:
        connection.sendall(bytes([head, len(body)]) + body)

    def of(self, kind: int) -> list[tuple[int, bytes]]:
        return [(flags, body) for one, flags, body in self.packets if one == kind]


@pytest.fixture
def wire() -> Iterator[Wire]:
    one = Wire()
    yield one
    one.server.close()


def session_of(wire: Wire, version: str) -> tuple[EdgeNode, Session]:
    node = EdgeNode("plant-1", "gw-1", "mitra", boot_id=1, channels=Channels())
    will = node.connecting(7)
    session = Session(Broker("127.0.0.1", wire.port), "edge-plant-1-gw-1", version, will, lambda: None)
    for command in run(session, Opened, node):
        assert isinstance(command, Subscribe)
        session.subscribe(command)
    run(session, Subscribed, node)
    return node, session


def run(
    session: Session, what: type[Opened | Subscribed | Arrived | Closed], node: EdgeNode
) -> tuple[object, ...]:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        for event in session.step(readable=session.socket is not None):
            if isinstance(event, what):
                return node.connected() if what is Opened else ()
        time.sleep(0.01)
    raise AssertionError(f"no {what.__name__}")


def until_packet(wire: Wire, kind: int) -> None:
    end = time.monotonic() + WAIT_S
    while not wire.of(kind):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_the_session_is_clean_and_carries_the_will(wire: Wire, version: str) -> None:
    """
    tck-id-principles-persistence-clean-session-311
    tck-id-principles-persistence-clean-session-50
    tck-id-payloads-ndeath-will-message
    """
    _, session = session_of(wire, version)
    ((_, connect),) = wire.of(CONNECT)
    assert connect[:6] == b"\0\4MQTT"
    assert connect[6] == (5 if version == "5" else 4)
    flags = connect[7]
    assert flags & 0x02, "clean session, or clean start"
    assert flags & 0x04, "will"
    assert (flags >> 3) & 3 == 1, "QoS 1"
    assert not flags & 0x20, "not retained"
    if version == "5":
        # No session expiry interval means zero: the session ends with the connection.
        assert connect[10] == 0
    assert b"spBv1.0/plant-1/NDEATH/gw-1" in connect
    session.close()


def test_a_goodbye_on_3_1_1_is_a_death_and_then_a_disconnect(wire: Wire) -> None:
    """
    tck-id-operational-behavior-edge-node-intentional-disconnect-ndeath
    tck-id-payloads-ndeath-will-message-publisher-disconnect-mqtt311
    """
    node, session = session_of(wire, "3.1.1")
    say_goodbye(node, session)
    until_packet(wire, DISCONNECT)
    assert [kind for kind, _, _ in wire.packets][-2:] == [PUBLISH, DISCONNECT]
    assert b"NDEATH" in wire.of(PUBLISH)[0][1]


def test_a_goodbye_on_5_asks_the_broker_to_send_the_will(wire: Wire) -> None:
    """tck-id-payloads-ndeath-will-message-publisher-disconnect-mqtt50"""
    node, session = session_of(wire, "5")
    say_goodbye(node, session)
    until_packet(wire, DISCONNECT)
    ((_, disconnect),) = wire.of(DISCONNECT)
    assert disconnect[0] == 0x04


def say_goodbye(node: EdgeNode, session: Session) -> None:
    for command in node.stopping():
        if isinstance(command, Publish):
            session.publish(command)
    session.close()


def test_subscriptions_ask_for_qos_1_in_one_packet(wire: Wire) -> None:
    """tck-id-message-flow-edge-node-ncmd-subscribe"""
    _, session = session_of(wire, "3.1.1")
    ((_, subscribe),) = wire.of(SUBSCRIBE)
    rest, topics = subscribe[2:], []
    while rest:
        (size,) = struct.unpack(">H", rest[:2])
        topics.append((rest[2 : 2 + size].decode(), rest[2 + size]))
        rest = rest[3 + size :]
    assert topics == [
        ("spBv1.0/plant-1/NCMD/gw-1", 1),
        ("spBv1.0/plant-1/DCMD/gw-1/+", 1),
        ("spBv1.0/STATE/mitra", 1),
    ]
    session.close()


@pytest.mark.parametrize("bad", ["", "a/b", "a+", "#", "Ünter", "a b", "x" * 65, "a\0"])
def test_names_that_mqtt_or_sparkplug_forbid_cannot_be_used(bad: str) -> None:
    """
    tck-id-intro-group-id-string
    tck-id-intro-group-id-chars
    tck-id-intro-edge-node-id-string
    tck-id-intro-edge-node-id-chars
    tck-id-intro-device-id-string
    tck-id-intro-device-id-chars
    tck-id-topic-structure
    tck-id-topic-structure-namespace-valid-group-id
    tck-id-topic-structure-namespace-valid-edge-node-id
    tck-id-topic-structure-namespace-valid-device-id
    """
    for site, gateway in ((bad, "gw-1"), ("plant-1", bad)):
        node = EdgeNode(site, gateway, "mitra", boot_id=1, channels=Channels())
        with pytest.raises(ValueError, match=re.escape(ID_PATTERN)):
            node.connecting(0)
    node = EdgeNode("plant-1", "gw-1", "", boot_id=1, channels=Channels())
    node.connecting(0)
    node.connected()
    node.subscribed(Now(1, 1))
    channels = Channels()
    channels.admit(bad, None)
    node.follow(1, channels)
    with pytest.raises(ValueError, match=re.escape(ID_PATTERN)):
        node.reborn([bad], Now(1, 1))
