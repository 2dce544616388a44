"""The host application profile, statement by statement: the pure core, and its MQTT packets on the wire."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.contract import channels as ch
from ingest.contract.batch import Batch
from ingest.contract.metrics import Channel, DataType
from ingest.contract.payload import (
    Committed,
    birth_of,
    read_payload,
    write_birth,
    write_committed,
    write_message,
)
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.topics import Kind, device_topic, node_topic
from ingest.contract.values import Message, Scalar
from ingest.host import Host, HostPolicy, Missing, NodeChanged, Refused, Send, Telemetry
from ingest.journal.entry import Intake, RunChange
from ingest.mqtt import Broker, Link
from ingest.watermark import Watermarks
from tests.waiting import WAIT_S, until

HERE = Path(__file__).parent
SITE, NODE, HOST_ID = "plant-1", "gw-1", "mitra"
S = 1_000_000_000
NOW = 1_700_000_000 * S
CHANNELS = (Channel("Power/Active", DataType.DOUBLE, 4), Channel("power/active", DataType.DOUBLE, 5))


def nbirth(bdseq: int = 1, seq: int = 0) -> tuple[str, bytes]:
    declared = ((Channel(ch.BDSEQ, DataType.INT64), bdseq),)
    return node_topic(SITE, Kind.NBIRTH, NODE), write_birth(declared, seq, NOW)


def ndeath(bdseq: int = 1) -> tuple[str, bytes]:
    declared = ((Channel(ch.BDSEQ, DataType.INT64), bdseq),)
    return node_topic(SITE, Kind.NDEATH, NODE), write_birth(declared, None, NOW)


def device(kind: Kind, seq: int, machine: str = "pump-1") -> tuple[str, bytes]:
    body = write_birth(((one, 0.0) for one in CHANNELS), seq, NOW)
    return device_topic(SITE, kind, NODE, machine), body if kind is Kind.DBIRTH else Payload(
        seq=seq
    ).SerializeToString()


def ddata(seq: int, value: float = 1.0, channel: str = "Power/Active") -> tuple[str, bytes]:
    said = Message(NODE, "pump-1", NOW, (), (Scalar(channel, value, NOW),))
    return device_topic(SITE, Kind.DDATA, NODE, "pump-1"), write_message(said, birth_of(CHANNELS), seq)


@pytest.fixture
def host() -> Host:
    made = Host(SITE, HOST_ID)
    made.receive(*nbirth(), NOW)
    made.receive(*device(Kind.DBIRTH, 1), NOW)
    return made


def values(events: list[object]) -> list[float]:
    return [event.content.scalars[0].value for event in events if isinstance(event, Telemetry)]


# -- order ---------------------------------------------------------------------------------------------------


def test_a_missing_message_is_waited_for_and_then_all_are_read_in_order(host: Host) -> None:
    """
    tck-id-operational-behavior-host-reordering-start, tck-id-operational-behavior-host-reordering-success
    """
    assert values(host.receive(*ddata(4, 4.0), NOW)) == []
    assert values(host.receive(*ddata(3, 3.0), NOW)) == []
    assert values(host.receive(*ddata(2, 2.0), NOW + S)) == [2.0, 3.0, 4.0]
    assert host.tick(NOW + 10 * S) == []


@pytest.mark.parametrize("timeout_ms", [100, 5_000])
def test_after_the_reorder_timeout_births_are_asked_for(timeout_ms: int) -> None:
    """
    tck-id-operational-behavior-host-reordering-param, tck-id-operational-behavior-host-reordering-rebirth
    """
    host = Host(SITE, HOST_ID, HostPolicy(reorder_ms=timeout_ms))
    host.receive(*nbirth(), NOW)
    host.receive(*device(Kind.DBIRTH, 1), NOW)
    host.receive(*ddata(5), NOW)
    assert host.tick(NOW + (timeout_ms - 1) * 1_000_000) == []
    events = host.tick(NOW + timeout_ms * 1_000_000)
    assert any(isinstance(event, Missing) for event in events)
    assert [event.topic for event in events if isinstance(event, Send)] == [node_topic(SITE, Kind.NCMD, NODE)]


def test_sequence_numbers_wrap(host: Host) -> None:
    for seq in range(2, 600):
        assert values(host.receive(*ddata(seq % 256, float(seq)), NOW)) == [float(seq)]


# -- births and deaths ---------------------------------------------------------------------------------------


def test_a_node_death_takes_the_node_and_its_devices_offline_at_once(host: Host) -> None:
    """
    tck-id-operational-behavior-edge-node-termination-host-action-ndeath-node-offline,
    tck-id-operational-behavior-edge-node-termination-host-action-ndeath-devices-offline
    """
    (changed,) = [event for event in host.receive(*ndeath(), NOW + S) if isinstance(event, NodeChanged)]
    assert not changed.state.online
    assert changed.state.machines == ()
    assert changed.state.since_ns == NOW + S


def test_after_a_node_death_no_value_counts_until_a_birth(host: Host) -> None:
    """
    tck-id-operational-behavior-edge-node-termination-host-action-ndeath-node-tags-stale,
    tck-id-operational-behavior-edge-node-termination-host-action-ndeath-devices-tags-stale
    """
    host.receive(*ndeath(), NOW)
    assert values(host.receive(*ddata(2), NOW)) == []
    host.receive(*nbirth(2), NOW)
    assert values(host.receive(*ddata(1), NOW)) == []
    host.receive(*device(Kind.DBIRTH, 2), NOW)
    assert values(host.receive(*ddata(3, 7.0), NOW)) == [7.0]


def test_a_device_death_takes_the_device_offline_at_once(host: Host) -> None:
    """
    tck-id-operational-behavior-edge-node-termination-host-action-ddeath-devices-offline,
    tck-id-operational-behavior-edge-node-termination-host-action-ddeath-devices-tags-stale
    """
    host.receive(*device(Kind.DBIRTH, 2, "fan-1"), NOW)
    (changed,) = [
        event for event in host.receive(*device(Kind.DDEATH, 3), NOW) if isinstance(event, NodeChanged)
    ]
    assert changed.state.machines == ("fan-1",)
    assert values(host.receive(*ddata(4), NOW)) == []


def test_the_death_of_another_session_changes_nothing(host: Host) -> None:
    assert [event for event in host.receive(*ndeath(9), NOW) if isinstance(event, NodeChanged)] == []
    assert values(host.receive(*ddata(2), NOW)) == [1.0]


def test_an_alias_that_no_birth_gave_asks_for_births(host: Host) -> None:
    """tck-id-payloads-alias-data-cmd-requirement"""
    payload = Payload(seq=2)
    metric = payload.metrics.add()
    metric.alias, metric.double_value = 77, 1.0
    topic = device_topic(SITE, Kind.DDATA, NODE, "pump-1")
    events = host.receive(topic, payload.SerializeToString(), NOW)
    assert isinstance(events[0], Refused)
    assert isinstance(events[1], Send)


def test_names_that_differ_in_case_are_different_metrics(host: Host) -> None:
    """tck-id-case-sensitivity-metric-names"""
    one = host.receive(*ddata(2, 1.0, "Power/Active"), NOW)
    two = host.receive(*ddata(3, 2.0, "power/active"), NOW)
    names = [event.content.scalars[0].channel for event in (*one, *two) if isinstance(event, Telemetry)]
    assert names == ["Power/Active", "power/active"]


# -- commands ------------------------------------------------------------------------------------------------


def test_a_rebirth_request_is_the_command_of_the_specification() -> None:
    """
    tck-id-operational-behavior-data-commands-rebirth-verb,
    tck-id-operational-behavior-data-commands-rebirth-name,
    tck-id-operational-behavior-data-commands-rebirth-value, tck-id-topics-ncmd-topic,
    tck-id-topics-ncmd-mqtt, tck-id-topics-ncmd-timestamp, tck-id-topics-ncmd-payload,
    tck-id-payloads-ncmd-timestamp, tck-id-payloads-ncmd-seq, tck-id-payloads-timestamp-in-UTC
    """
    (send,) = [event for event in Host(SITE, HOST_ID).receive(*ddata(2), NOW) if isinstance(event, Send)]
    assert send.topic == f"spBv1.0/{SITE}/NCMD/{NODE}"
    assert (send.qos, send.retain) == (0, False)
    payload = read_payload(send.payload)
    assert isinstance(payload, Payload)
    assert payload.timestamp == NOW // 1_000_000
    assert not payload.HasField("seq")
    (metric,) = payload.metrics
    assert (metric.name, metric.datatype, metric.boolean_value) == (
        "Node Control/Rebirth",
        DataType.BOOLEAN,
        True,
    )
    assert metric.timestamp == NOW // 1_000_000


def test_the_watermark_is_a_node_command() -> None:
    """
    tck-id-operational-behavior-data-commands-ncmd-verb,
    tck-id-operational-behavior-data-commands-ncmd-metric-name,
    tck-id-operational-behavior-data-commands-ncmd-metric-value
    """
    marks = Watermarks(SITE, lambda _node, _boot: [(0, 5)], lambda _node: 256)
    marks.stored(intake(3, 4, 5))
    send = marks.announcements(NOW)[0].send
    assert send.topic == f"spBv1.0/{SITE}/NCMD/{NODE}"
    assert (send.qos, send.retain) == (0, False)
    assert send.payload == write_committed(Committed(7, 5), NOW)
    marks.stored(intake(6, runs=(RunChange(NODE, 7, (), ((0, 6),)),)))
    assert marks.announcements(NOW + S // 2) == []
    (later,) = marks.announcements(NOW + S)
    assert later.send.payload == write_committed(Committed(7, 6), NOW + S)
    marks.stored(intake(*range(7, 207), runs=(RunChange(NODE, 7, (), ((0, 206),)),)))
    assert len(marks.announcements(NOW + S + 1)) == 1


def test_a_node_with_a_small_window_is_told_when_half_of_it_is_used() -> None:
    marks = Watermarks(SITE, lambda _node, _boot: [(0, 3)], lambda _node: 4)
    marks.stored(intake(3))
    (told,) = marks.announcements(NOW)
    assert told.send.payload == write_committed(Committed(7, 3, window=4), NOW)
    marks.stored(intake(4, runs=(RunChange(NODE, 7, (), ((0, 4),)),)))
    assert marks.announcements(NOW + 1) == []
    marks.stored(intake(5, runs=(RunChange(NODE, 7, (), ((0, 5),)),)))
    (told,) = marks.announcements(NOW + 2)
    assert told.send.payload == write_committed(Committed(7, 5, window=4), NOW + 2)


def intake(*seqs: int, runs: tuple[RunChange, ...] = ()) -> Intake:
    return Intake(Batch(NOW), runs=runs, touched={(NODE, 7): seqs})


# -- the MQTT session ----------------------------------------------------------------------------------------


@dataclass
class Connect:
    """What a CONNECT packet said."""

    version: int
    clean: bool
    will_topic: str
    will: dict[str, object]
    will_qos: int
    will_retain: bool
    expiry: int


@dataclass
class Wire:
    """A server that takes one client, answers CONNECT, SUBSCRIBE and QoS 1, and keeps every packet."""

    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    packets: list[tuple[int, int, bytes]] = field(default_factory=list)
    version: int = 4
    connection: socket.socket | None = None

    def start(self) -> Wire:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self) -> None:
        self.connection, _ = self.listener.accept()
        stream = self.connection.makefile("rb")
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
            self._answer(head[0], body)

    def _answer(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if kind == 1:
            self.version = body[6]
        properties = b"\0" if self.version == 5 else b""
        if kind == 1:
            self._send(0x20, b"\0\0" + properties)
        elif kind == 8:
            self._send(0x90, body[:2] + properties + b"\1" * len(re.findall(rb"spBv1.0", body)))
        elif kind == 3 and head & 6:
            n_topic = struct.unpack_from(">H", body)[0]
            self._send(0x40, body[2 + n_topic : 4 + n_topic])

    def _send(self, head: int, body: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(bytes([head, len(body)]) + body)

    def connect(self) -> Connect:
        body = next(body for kind, _, body in self.packets if kind == 1)
        version, flags, at, expiry = body[6], body[7], 10, 0
        if version == 5:
            length, at = body[at], at + 1
            if b"\x11" in body[at : at + length]:
                expiry = struct.unpack_from(">I", body, body.index(b"\x11", at) + 1)[0]
            at += length
        at += 2 + struct.unpack_from(">H", body, at)[0]
        if version == 5:
            at += 1 + body[at]
        n_topic = struct.unpack_from(">H", body, at)[0]
        topic = body[at + 2 : at + 2 + n_topic].decode()
        at += 2 + n_topic
        n_will = struct.unpack_from(">H", body, at)[0]
        will = json.loads(body[at + 2 : at + 2 + n_will])
        return Connect(version, bool(flags & 2), topic, will, flags >> 3 & 3, bool(flags & 32), expiry)

    def states(self) -> list[tuple[int, bool, str, dict[str, object]]]:
        """QoS, retain, topic and payload of each published STATE."""
        found = []
        for kind, flags, body in list(self.packets):
            if kind == 3:
                n_topic = struct.unpack_from(">H", body)[0]
                at = 2 + n_topic + (2 if flags & 6 else 0) + (1 if self.version == 5 else 0)
                found.append(
                    (flags >> 1 & 3, bool(flags & 1), body[2 : 2 + n_topic].decode(), json.loads(body[at:]))
                )
        return found


@pytest.fixture(params=["3.1.1", "5"])
def wired(request: pytest.FixtureRequest) -> Iterator[tuple[Wire, Link]]:
    wire = Wire().start()
    broker = Broker("127.0.0.1", wire.listener.getsockname()[1], version=request.param)
    link = Link(broker, Host(SITE, HOST_ID), "host")
    link.start(lambda _messages: None)
    assert link.wait_open(WAIT_S)
    until(lambda: len(wire.states()) == 1)
    yield wire, link
    link.stop()
    wire.listener.close()


def test_the_session_is_clean_and_its_will_is_the_death_certificate(wired: tuple[Wire, Link]) -> None:
    """
    tck-id-message-flow-phid-sparkplug-clean-session-311,
    tck-id-message-flow-phid-sparkplug-clean-session-50,
    tck-id-operational-behavior-host-application-connect-will,
    tck-id-operational-behavior-host-application-connect-will-topic,
    tck-id-operational-behavior-host-application-connect-will-payload,
    tck-id-operational-behavior-host-application-connect-will-qos,
    tck-id-operational-behavior-host-application-connect-will-retained, tck-id-host-topic-phid-death-qos,
    tck-id-host-topic-phid-death-retain, tck-id-host-topic-phid-death-topic,
    tck-id-host-topic-phid-death-required, tck-id-host-topic-phid-death-payload,
    tck-id-host-topic-phid-death-payload-timestamp-connect, tck-id-payloads-state-will-message,
    tck-id-payloads-state-will-message-qos, tck-id-payloads-state-will-message-retain,
    tck-id-payloads-state-will-message-payload, tck-id-operational-behavior-host-application-host-id
    """
    connect = wired[0].connect()
    assert connect.clean
    assert connect.expiry == 0
    assert connect.will_topic == f"spBv1.0/STATE/{HOST_ID}"
    assert set(connect.will) == {"online", "timestamp"}
    assert connect.will["online"] is False
    assert abs(int(str(connect.will["timestamp"])) - time.time() * 1000) < 60_000
    assert (connect.will_qos, connect.will_retain) == (1, True)


def test_it_subscribes_and_then_says_that_it_is_online(wired: tuple[Wire, Link]) -> None:
    """
    tck-id-host-topic-phid-birth-message, tck-id-host-topic-phid-birth-qos,
    tck-id-host-topic-phid-birth-retain, tck-id-host-topic-phid-birth-topic,
    tck-id-host-topic-phid-birth-sub-required, tck-id-host-topic-phid-birth-required,
    tck-id-host-topic-phid-birth-payload, tck-id-host-topic-phid-birth-payload-timestamp,
    tck-id-message-flow-phid-sparkplug-subscription, tck-id-message-flow-phid-sparkplug-state-publish,
    tck-id-message-flow-phid-sparkplug-state-publish-payload,
    tck-id-message-flow-phid-sparkplug-state-publish-payload-timestamp,
    tck-id-operational-behavior-host-application-connect-birth,
    tck-id-operational-behavior-host-application-connect-birth-topic,
    tck-id-operational-behavior-host-application-connect-birth-payload,
    tck-id-operational-behavior-host-application-connect-birth-qos,
    tck-id-operational-behavior-host-application-connect-birth-retained, tck-id-payloads-state-subscribe,
    tck-id-payloads-state-birth, tck-id-payloads-state-birth-payload, tck-id-intro-sparkplug-host-state,
    tck-id-components-ph-state,
    tck-id-operational-behavior-primary-application-state-with-multiple-servers-state
    """
    wire = wired[0]
    kinds = [kind for kind, _, _ in wire.packets]
    assert kinds.index(8) < kinds.index(3)
    subscribed = next(body for kind, _, body in wire.packets if kind == 8)
    for wanted in (f"spBv1.0/STATE/{HOST_ID}", f"spBv1.0/{SITE}/NBIRTH/+", f"spBv1.0/{SITE}/DDATA/+/+"):
        assert wanted.encode() in subscribed
    qos, retain, topic, payload = wire.states()[0]
    assert (qos, retain, topic) == (1, True, f"spBv1.0/STATE/{HOST_ID}")
    assert payload == {"online": True, "timestamp": wire.connect().will["timestamp"]}


def test_it_says_that_it_goes_before_it_goes(wired: tuple[Wire, Link]) -> None:
    """
    tck-id-operational-behavior-host-application-termination,
    tck-id-operational-behavior-host-application-disconnect-intentional,
    tck-id-host-topic-phid-death-payload-timestamp-disconnect-clean,
    tck-id-host-topic-phid-death-payload-timestamp-disconnect-with-no-disconnect-packet
    """
    wire, link = wired
    link.stop()
    until(lambda: any(kind == 14 for kind, _, _ in wire.packets))
    kinds = [kind for kind, _, _ in wire.packets]
    qos, retain, _, payload = wire.states()[-1]
    assert (qos, retain, payload["online"]) == (1, True, False)
    assert int(str(payload["timestamp"])) >= int(str(wire.connect().will["timestamp"]))
    assert len(kinds) - 1 - kinds[::-1].index(3) < kinds.index(14)


def test_an_old_will_of_its_own_is_answered_with_its_birth() -> None:
    """tck-id-message-flow-hid-sparkplug-state-message-delivered"""
    host = Host(SITE, HOST_ID)
    birth = host.state(online=True, timestamp_ms=5_000)
    death = host.state(online=False, timestamp_ms=4_000)
    again = [event for event in host.receive(death.topic, death.payload, NOW) if isinstance(event, Send)]
    assert again == [birth]
    assert [e for e in host.receive(birth.topic, birth.payload, NOW) if isinstance(e, Send)] == []


def test_every_statement_of_the_host_application_profile_has_a_test() -> None:
    listed = set((HERE / "host_statements.txt").read_text().split())
    named = set(re.findall(r"tck-id-[A-Za-z0-9-]+", (HERE / "test_host_application.py").read_text()))
    assert listed - named == set()
    assert len(listed) > 65
