"""MQTT's bytes: whatever the pieces, the same packets; whatever the bytes, no surprise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import packets
from ingest.packets import Packet, Parser, ProtocolError, Received

topics = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    st.lists(st.tuples(topics, st.binary(max_size=400), st.integers(0, 65_535)), max_size=6),
    st.lists(st.integers(1, 300), max_size=40),
    st.sampled_from([4, 5]),
)
def test_messages_are_read_the_same_however_the_bytes_come(
    said: list[tuple[str, bytes, int]], cuts: list[int], version: int
) -> None:
    raw = b"".join(
        packets.publish(version, topic, body, number, retain=False) for topic, body, number in said
    )
    parser, found, at = Parser(version), [], 0
    for cut in [*cuts, len(raw)]:
        found += list(parser.feed(raw[at : at + cut]))
        at += cut
    assert found == [Received(topic, body, number) for topic, body, number in said]


@given(st.lists(st.binary(max_size=40), max_size=10), st.sampled_from([4, 5]))
def test_hostile_bytes_give_packets_or_a_protocol_error(pieces: list[bytes], version: int) -> None:
    parser = Parser(version)
    try:
        for piece in pieces:
            for packet in parser.feed(piece):
                assert isinstance(packet, Packet | Received)
    except ProtocolError:
        return


def test_what_a_broker_answers_is_read() -> None:
    assert list(Parser(4).feed(b"\x20\x02\x00\x05")) == [Packet(packets.Kind.CONNACK, 5)]
    assert list(Parser(4).feed(b"\x90\x04\x00\x07\x01\x80")) == [Packet(packets.Kind.SUBACK, 0x80, 7)]
    assert list(Parser(5).feed(b"\x90\x05\x00\x07\x00\x01\x01")) == [Packet(packets.Kind.SUBACK, 1, 7)]
    assert list(Parser(4).feed(packets.acknowledge(9))) == [Packet(packets.Kind.PUBACK, 0, 9)]
    assert list(Parser(4).feed(b"\xd0\x00")) == [Packet(packets.Kind.PINGRESP)]


def test_a_packet_beyond_the_limit_ends_the_connection() -> None:
    with pytest.raises(ProtocolError, match="a packet of"):
        list(Parser(4).feed(b"\x30\xff\xff\xff\x7f"))
    with pytest.raises(ProtocolError, match="four bytes"):
        list(Parser(4).feed(b"\x30\xff\xff\xff\xff\x01"))


def test_connect_is_what_the_standard_says() -> None:
    will = packets.Will("t", b"w")
    assert packets.connect(4, "a", 20, will, None).hex() == "101300044d515454042e00140001610001740001" + "77"
    with_login = packets.connect(5, "a", 20, will, ("u", "p"))
    assert with_login[9] == 0b1110_1110
    assert with_login.endswith(b"\x00\x01u\x00\x01p")
