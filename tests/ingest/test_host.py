"""The host side of the Sparkplug protocol, without a broker. More, by statement, in tests/sparkplug."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sparkplug_wire import NOW, SITE, S, dbirth, ddata, message, nbirth, ndeath

from ingest.contract.payload import read_payload
from ingest.contract.values import Message
from ingest.host import Counted, Host, HostPolicy, Missing, NodeChanged, Refused, Send, Telemetry


@pytest.fixture
def host() -> Host:
    return Host(SITE, "mitra")


def born(host: Host) -> None:
    host.receive(*nbirth(), NOW)
    host.receive(*dbirth(1), NOW)


def test_telemetry_of_a_born_machine_is_read(host: Host) -> None:
    born(host)
    events = host.receive(*ddata(message(key=5), 2), NOW + 7)
    assert len(events) == 1
    assert isinstance(events[0], Telemetry)
    assert isinstance(events[0].content, Message)
    assert events[0].content.key is not None
    assert events[0].receive_ns == NOW + 7


def test_a_node_that_was_never_born_is_asked_to_be_born_but_not_twice(host: Host) -> None:
    first = host.receive(*ddata(message(), 4), NOW)
    assert isinstance(first[0], Refused)
    assert first[0].again
    assert isinstance(first[1], Send)
    assert first[1].topic == f"spBv1.0/{SITE}/NCMD/gw-1"
    second = host.receive(*ddata(message(), 5), NOW + S)
    assert [type(event) for event in second] == [Refused]
    third = host.receive(*ddata(message(), 6), NOW + 20 * S)
    assert [type(event) for event in third] == [Refused, Send]


def test_a_message_that_overtook_another_waits_for_it(host: Host) -> None:
    born(host)
    assert host.receive(*ddata(message(power=3.0), 3), NOW) == []
    events = host.receive(*ddata(message(power=2.0), 2), NOW + 1)
    assert [event.content.scalars[0].value for event in events] == [2.0, 3.0]


def test_what_never_comes_is_declared_after_the_time_out_and_births_are_asked(host: Host) -> None:
    born(host)
    host.receive(*ddata(message(), 5), NOW)
    assert host.tick(NOW + S) == []
    events = host.tick(NOW + 3 * S)
    assert isinstance(events[0], Missing)
    assert events[0].n_messages == 3
    assert isinstance(events[1], Telemetry)
    assert isinstance(events[2], Send)
    assert isinstance(host.receive(*ddata(message(), 6), NOW + 3 * S)[0], Telemetry)


def test_held_messages_are_bounded(host: Host) -> None:
    host = Host(SITE, "mitra", HostPolicy(max_held=4))
    born(host)
    events = [event for seq in range(10, 16) for event in host.receive(*ddata(message(), seq), NOW)]
    assert [type(event) for event in events].count(Missing) == 1
    assert [type(event) for event in events].count(Telemetry) == 6


def test_the_death_of_an_earlier_connection_is_ignored(host: Host) -> None:
    host.receive(*nbirth(bdseq=4), NOW)
    assert host.receive(*ndeath(bdseq=3), NOW) == [Counted("ignored_deaths")]
    events = host.receive(*ndeath(bdseq=4), NOW)
    assert isinstance(events[1], NodeChanged)
    assert not events[1].state.online


def test_an_unread_metric_of_an_outbox_message_gives_its_key(host: Host) -> None:
    born(host)
    topic, raw = ddata(message(key=5), 2)
    payload = read_payload(raw)
    payload.metrics[2].properties.keys.append("rate_hz")
    value = payload.metrics[2].properties.values.add()
    value.type, value.double_value = 10, -1.0
    events = host.receive(topic, payload.SerializeToString(), NOW)
    assert isinstance(events[0], Refused)
    assert events[0].letter.reason == "value"
    assert events[0].key is not None
    assert events[0].key.seq64 == 5


def test_a_loss_of_our_own_is_no_gap_of_the_node(host: Host) -> None:
    born(host)
    host.forgive("gw-1")
    assert isinstance(host.receive(*ddata(message(), 77), NOW)[0], Telemetry)


@given(st.text(max_size=60), st.binary(max_size=200))
@settings(max_examples=200)
def test_nothing_that_others_send_raises(topic: str, raw: bytes) -> None:
    host = Host(SITE, "mitra")
    for text in (
        topic,
        nbirth()[0],
        dbirth(0)[0],
        ndeath()[0],
        ddata(message(), 0)[0],
        "spBv1.0/STATE/mitra",
    ):
        host.receive(text, raw, NOW)
