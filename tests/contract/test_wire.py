"""Round trips and hostile bytes of the contract's codec: what was written is read, all else is Rejected."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.contract import channels as ch
from ingest.contract.limits import MAX_COMMITTED_RANGES, MAX_METRICS, MAX_WINDOW_MESSAGES, MIN_BLOCK_SAMPLES
from ingest.contract.metrics import Channel, DataType, add_metric, number, put, set_properties, signed
from ingest.contract.payload import (
    Birth,
    Committed,
    Unresolved,
    birth_of,
    read_birth,
    read_committed,
    read_message,
    read_payload,
    write_birth,
    write_committed,
    write_gap,
    write_message,
)
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.topics import Kind, Topic, parse_topic
from ingest.contract.values import AXES, Gap, Message, MessageKey, Scalar, Waveform

TIMES = st.integers(0, 4_000_000_000).map(lambda s: s * 1_000_000_000)
IDS = st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True)
NAMES = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=40).filter(
    lambda name: not name.startswith(("Mitra/", "Node Control/", "Vibration/")) and name != ch.BDSEQ
)
KEYS = st.builds(MessageKey, st.just("gw-1"), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
NUMBERS = st.floats(allow_infinity=True, allow_nan=True)


@st.composite
def waveforms(draw: st.DrawFn, axis: str) -> Waveform:
    sample_type = draw(st.sampled_from(["int16", "float32"]))
    n = draw(st.integers(MIN_BLOCK_SAMPLES, MIN_BLOCK_SAMPLES + 50))
    size = 2 if sample_type == "int16" else 4
    samples = draw(st.binary(min_size=n * size, max_size=n * size))
    rate, scale = draw(st.floats(0.5, 1e6)), draw(st.floats(1e-9, 1e3))
    return Waveform(axis, samples, sample_type, rate, scale, draw(st.integers(0, 2**62)))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    axes = draw(st.lists(st.sampled_from(AXES), unique=True, max_size=3))
    names = draw(st.lists(NAMES, unique=True, max_size=8))
    blocks = tuple(draw(waveforms(axis)) for axis in axes)
    scalars = tuple(Scalar(name, draw(NUMBERS), draw(TIMES)) for name in names)
    at = blocks[0].start_ns if blocks else scalars[0].time_ns if scalars else draw(TIMES)
    return Message("gw-1", "m-1", at, blocks, scalars, draw(st.none() | KEYS), draw(st.booleans()))


def birth_for(message: Message, *, with_aliases: bool) -> Birth:
    names = [(ch.BOOT, DataType.UINT64), (ch.SEQ, DataType.UINT64)]
    arrays = {"int16": DataType.INT16_ARRAY, "float32": DataType.FLOAT_ARRAY}
    names += [(ch.VIBRATION + one.axis, arrays[one.sample_type]) for one in message.waveforms]
    names += [(one.channel, DataType.DOUBLE) for one in message.scalars]
    return birth_of(
        Channel(name, datatype, i + 1 if with_aliases else None) for i, (name, datatype) in enumerate(names)
    )


@given(messages(), st.booleans(), st.integers(0, 255))
def test_a_message_is_read_as_it_was_written(message: Message, with_aliases: bool, seq: int) -> None:
    birth = birth_for(message, with_aliases=with_aliases)
    payload = read_payload(write_message(message, birth, seq, historical=message.historical))
    assert not isinstance(payload, Rejected)
    assert payload.seq == seq
    found = read_message(payload, "gw-1", "m-1", birth)
    assert isinstance(found, Message)
    assert found.key == message.key
    assert found.waveforms == message.waveforms
    assert [s.channel for s in found.scalars] == [s.channel for s in message.scalars]
    for got, sent in zip(found.scalars, message.scalars, strict=True):
        assert got.value == sent.value or (math.isnan(got.value) and math.isnan(sent.value))
        assert got.time_ns == sent.time_ns
    if message.waveforms or message.scalars:
        assert found.historical == message.historical
        assert found.time_ns == message.time_ns


@given(messages())
def test_an_alias_that_no_birth_explained_asks_for_a_rebirth(message: Message) -> None:
    payload = read_payload(write_message(message, birth_for(message, with_aliases=True), 0))
    assert not isinstance(payload, Rejected)
    found = read_message(payload, "gw-1", "m-1", None)
    assert isinstance(found, Unresolved) == (len(payload.metrics) > 0)


@given(KEYS, TIMES, st.integers(0, 10**12), st.integers(1, 2**40), st.text(max_size=100))
def test_a_gap_is_read_as_it_was_written(key: MessageKey, at: int, length: int, n: int, reason: str) -> None:
    gap = Gap("gw-1", "m-1", at, at + length, n, reason, key)
    birth = birth_of([Channel(ch.BOOT, DataType.UINT64, 1), Channel(ch.SEQ, DataType.UINT64, 2)])
    payload = read_payload(write_gap(gap, birth, 3, at))
    assert not isinstance(payload, Rejected)
    assert read_message(payload, "gw-1", "m-1", birth) == gap


RUNS = st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), max_size=MAX_COMMITTED_RANGES + 5)


@given(st.integers(0, 2**63 - 1), st.integers(-1, 2**62), RUNS, st.integers(0, 2**32 - 1))
def test_a_watermark_is_read_as_it_was_written_up_to_its_limit(
    boot: int, through: int, runs: list[tuple[int, int]], window: int
) -> None:
    said = Committed(boot, through, tuple(runs), window)
    payload = read_payload(write_committed(said, 5))
    assert not isinstance(payload, Rejected)
    window = min(max(window, 1), MAX_WINDOW_MESSAGES)
    assert read_committed(payload) == Committed(boot, through, tuple(runs[:MAX_COMMITTED_RANGES]), window)


@given(
    st.lists(st.tuples(NAMES, st.floats(allow_nan=False) | st.none()), max_size=20, unique_by=lambda p: p[0])
)
def test_a_birth_is_read_as_it_was_written(declared: list[tuple[str, float | None]]) -> None:
    channels = [
        Channel(name, DataType.DOUBLE, i + 1, "mm/s", 5.0, 0.25) for i, (name, _) in enumerate(declared)
    ]
    values = [value for _, value in declared]
    read = read_birth(write_birth(zip(channels, values, strict=True), 0, 9_000_000))
    assert not isinstance(read, Rejected)
    payload, birth = read
    assert payload.seq == 0
    assert list(birth.channels.values()) == channels
    assert birth.by_alias == {channel.alias: channel for channel in channels}
    assert birth.facts == {name: value for name, value in declared if value is not None}


@given(st.sampled_from([8, 16, 32, 64]), st.integers(-(2**63), 2**63 - 1))
def test_signed_numbers_survive_their_unsigned_field(bits: int, value: int) -> None:
    value = signed(value, bits)
    datatype = {8: DataType.INT8, 16: DataType.INT16, 32: DataType.INT32, 64: DataType.INT64}[bits]
    metric = Payload.Metric(name="x")
    put(metric, datatype, value)
    assert number(metric, datatype) == float(value)


@given(IDS, IDS, IDS, st.sampled_from(list(Kind)))
def test_a_topic_is_read_as_it_was_written(site: str, node: str, device: str, kind: Kind) -> None:
    has_device = kind.value.startswith("D")
    topic = Topic(site, kind, node, device if has_device else "")
    assert parse_topic(str(topic)) == topic


# ---- hostile


def feed(raw: bytes) -> None:
    """Everything that a host or an edge does with bytes from outside; nothing may raise."""
    payload = read_payload(raw)
    birth = read_birth(raw)
    known = None if isinstance(birth, Rejected) else birth[1]
    if isinstance(payload, Rejected):
        assert payload.reason
        return
    read_committed(payload)
    for one in (None, known):
        found = read_message(payload, "gw-1", "m-1", one)
        assert isinstance(found, Message | Gap | Unresolved | Rejected)


@given(st.binary(max_size=400))
@settings(max_examples=400)
def test_any_bytes_are_read_or_rejected(raw: bytes) -> None:
    feed(raw)


@given(messages(), st.data())
@settings(max_examples=100)
def test_a_mutated_message_is_read_or_rejected(message: Message, data: st.DataObject) -> None:
    raw = bytearray(write_message(message, birth_for(message, with_aliases=False), 1))
    for _ in range(data.draw(st.integers(1, 6))):
        if raw:
            raw[data.draw(st.integers(0, min(len(raw) - 1, 300)))] = data.draw(st.integers(0, 255))
    feed(bytes(raw))
    feed(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


VALUES = st.sampled_from(
    ["int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value"]
)
OWN = st.sampled_from(
    [
        *(getattr(ch, name) for name in dir(ch) if name.isupper() and isinstance(getattr(ch, name), str)),
        "Vibration/x",
        "Vibration/w",
        "",
    ]
)


@st.composite
def wrong_payloads(draw: st.DrawFn) -> bytes:
    """Well-formed Protobuf that lies: known names with wrong types, absurd codes, bytes of odd lengths."""
    payload = Payload()
    if draw(st.booleans()):
        payload.timestamp = draw(st.integers(0, 2**64 - 1))
    for _ in range(draw(st.integers(0, 8))):
        metric = payload.metrics.add()
        metric.name = draw(OWN)
        metric.datatype = draw(st.integers(0, 2**32 - 1) | st.integers(0, 35))
        metric.timestamp = draw(st.integers(0, 2**64 - 1))
        if draw(st.booleans()):
            metric.alias = draw(st.integers(0, 2**64 - 1))
        fill(metric, draw)
        for key in draw(st.lists(st.sampled_from(["rate_hz", "scale", "engUnit", "start_ns"]), max_size=4)):
            metric.properties.keys.append(key)
            if draw(st.booleans()):
                value = metric.properties.values.add()
                value.type = draw(st.integers(0, 2**32 - 1) | st.integers(0, 14))
                fill(value, draw)
    return payload.SerializeToString()


def fill(target: Payload.Metric | Payload.PropertyValue, draw: st.DrawFn) -> None:
    field = draw(VALUES)
    drawn = {
        "int_value": st.integers(0, 2**32 - 1),
        "long_value": st.integers(0, 2**64 - 1),
        "float_value": st.floats(width=32),
        "double_value": st.floats(),
        "boolean_value": st.booleans(),
        "string_value": st.sampled_from(["g", "mm/s", "", "x" * 300, "\u2028"]),
    }[field]
    if isinstance(target, Payload.Metric) and draw(st.booleans()):
        target.bytes_value = draw(st.binary(max_size=1200))
    else:
        setattr(target, field, draw(drawn))


@given(wrong_payloads())
@settings(max_examples=150)
def test_well_formed_lies_are_read_or_rejected(raw: bytes) -> None:
    feed(raw)


def test_what_is_over_a_limit_is_rejected_with_its_reason() -> None:
    many = Payload()
    for i in range(MAX_METRICS + 1):
        add_metric(many, f"c{i}", DataType.DOUBLE, 1.0)
    long_name, keys = Payload(), Payload()
    add_metric(long_name, "x" * 129, DataType.DOUBLE, 1.0)
    metric = add_metric(keys, "x", DataType.DOUBLE, 1.0)
    metric.properties.keys.extend(["k"] * 33)
    bad_text = b"\x12\x04\x0a\x02\xff\xfe"
    for raw, reason in (
        (bytes(8 * 1024 * 1024 + 1), "oversize"),
        (many.SerializeToString(), "too_many_metrics"),
        (long_name.SerializeToString(), "metric_name_long"),
        (keys.SerializeToString(), "too_many_properties"),
        (b"\x12\xff", "not_sparkplug"),
    ):
        found = read_payload(raw)
        assert isinstance(found, Rejected)
        assert found.reason == reason
    found = read_payload(bad_text)
    assert isinstance(found, Rejected)
    assert found.reason == "not_utf8"


def test_text_that_is_no_utf8_is_left_out_or_rejected_wherever_it_stands() -> None:
    broken = b"\xff\xfe"
    payload = Payload()
    add_metric(payload, "State", DataType.STRING, "????")
    set_properties(payload.metrics[0], {"engUnit": (DataType.STRING, "!!!!"), "####": (DataType.STRING, "g")})
    raw = payload.SerializeToString()
    for mark in (b"????", b"!!!!", b"####"):
        feed(raw.replace(mark, broken * 2))
    read = read_birth(raw.replace(b"????", broken * 2).replace(b"!!!!", broken * 2))
    assert not isinstance(read, Rejected)
    assert read[1].facts == {}
    assert read[1].channels["State"].unit == ""
    gap = Gap("gw-1", "m-1", 1, 2, 3, "????")
    damaged = write_gap(gap, birth_of([]), 0, 5).replace(b"????", broken * 2)
    gap_payload = read_payload(damaged)
    assert not isinstance(gap_payload, Rejected)
    assert read_message(gap_payload, "gw-1", "m-1", None) == Rejected("not_utf8", ch.GAP_REASON)


def test_deep_templates_end_in_a_rejection() -> None:
    inner = b""
    for _ in range(200):
        # metrics[0].template_value.metrics[0]... two levels a turn
        inner = b"\x12" + varint(len(inner)) + inner
        inner = b"\x92\x01" + varint(len(inner)) + inner
    raw = b"\x12" + varint(len(inner)) + inner
    feed(raw)
    assert isinstance(read_payload(raw), Rejected)


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


@given(st.text(max_size=60))
def test_any_topic_is_read_or_rejected(text: str) -> None:
    found = parse_topic(text)
    if isinstance(found, Topic):
        assert str(found) == text
        assert not set("+#") & set(text)
    else:
        assert found.reason in {"topic_form", "topic_kind", "topic_id"}
