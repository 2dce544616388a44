"""Whatever arrives at an edge node: it is carried out, or refused with a counted reason; nothing raises."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.channels import Channels
from edge.node import Acquire, EdgeNode, Forget, Link, Note, Now, Publish
from ingest.contract import channels as ch
from ingest.contract.payload import Committed, write_committed
from ingest.contract.sparkplug_b_pb2 import Payload

TOPICS = st.sampled_from(
    [
        "spBv1.0/plant-1/NCMD/gw-1",
        "spBv1.0/plant-1/DCMD/gw-1/m-1",
        "spBv1.0/STATE/other",
        "spBv1.0/plant-1/NCMD/gw-1/#",
        "$SYS/broker",
        "",
    ]
)
OWN = [getattr(ch, name) for name in dir(ch) if name.isupper() and isinstance(getattr(ch, name), str)]
FIELDS = {
    "int_value": st.integers(0, 2**32 - 1),
    "long_value": st.integers(0, 2**64 - 1),
    "boolean_value": st.booleans(),
    "double_value": st.floats(),
    "string_value": st.sampled_from(["m-1", "../..", "", "M 1", "x" * 500]),
    "bytes_value": st.binary(max_size=40),
}


def born() -> EdgeNode:
    node = EdgeNode("plant-1", "gw-1", "", boot_id=7, channels=Channels())
    node.connecting(0)
    node.connected()
    node.subscribed(Now(1, 1))
    return node


def feed(node: EdgeNode, topic: str, raw: bytes, at: int) -> None:
    before = sum(node.refused.values())
    commands = node.received(topic, raw, Now(at, at))
    for command in commands:
        assert isinstance(command, Forget | Acquire | Note | Publish)
    if topic.startswith("spBv1.0/plant-1/DCMD"):
        assert [type(one) for one in commands] == [Note]
    refused = sum(node.refused.values()) - before
    assert refused == sum(isinstance(one, Note) and one.event in node.refused for one in commands)
    assert node.link is Link.BORN


@given(st.lists(st.tuples(TOPICS, st.binary(max_size=200)), max_size=8))
@settings(max_examples=150)
def test_any_bytes_on_any_topic(messages: list[tuple[str, bytes]]) -> None:
    node = born()
    for i, (topic, raw) in enumerate(messages):
        feed(node, topic, raw, 10**9 * (i + 2))


@st.composite
def lies(draw: st.DrawFn) -> bytes:
    payload = Payload()
    for _ in range(draw(st.integers(0, 6))):
        metric = payload.metrics.add()
        metric.name = draw(st.sampled_from(OWN))
        metric.datatype = draw(st.integers(0, 40))
        metric.is_null = draw(st.booleans())
        field = draw(st.sampled_from(sorted(FIELDS)))
        setattr(metric, field, draw(FIELDS[field]))
    return payload.SerializeToString()


@given(lies())
@settings(max_examples=300)
def test_commands_that_lie_about_their_types(raw: bytes) -> None:
    feed(born(), "spBv1.0/plant-1/NCMD/gw-1", raw, 10**10)


@given(st.integers(-1, 2**62), st.lists(st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)), max_size=64))
def test_a_watermark_mutated_on_its_way(through: int, runs: list[tuple[int, int]]) -> None:
    raw = bytearray(write_committed(Committed(7, through, tuple(runs)), 5))
    for i in range(0, len(raw), 3):
        raw[i] ^= 0x55
        feed(born(), "spBv1.0/plant-1/NCMD/gw-1", bytes(raw), 10**10)
