"""The quick path reads what the codec reads, or leaves it to the codec."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from sparkplug_wire import NOW, SAMPLES

from ingest.contract import channels as ch
from ingest.contract.metrics import Channel, DataType
from ingest.contract.payload import Birth, birth_of, read_message, read_payload, write_gap, write_message
from ingest.contract.rejected import Rejected
from ingest.contract.values import Gap, Message, MessageKey, Scalar, Waveform
from ingest.quick import Plan, Quick

FULL = birth_of(
    (
        Channel(ch.BOOT, DataType.UINT64, 1),
        Channel(ch.SEQ, DataType.UINT64, 2),
        Channel("Vibration/x", DataType.INT16_ARRAY, 3, "g", 1000.0, 0.001),
        Channel("Vibration/y", DataType.INT16_ARRAY, 4),
        Channel("Vibration/z", DataType.FLOAT_ARRAY, 5, "m/s2", 2000.0),
        Channel("Power/Active", DataType.DOUBLE, 6, "kW"),
        Channel("Temperature/a", DataType.FLOAT, 300),
    )
)
TYPES = {"x": "int16", "y": "int16", "z": "float32"}
times = st.integers(0, 4 * 10**18)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    waves = [
        Waveform(
            axis,
            SAMPLES * 2,
            TYPES[axis],
            draw(st.sampled_from([1000.0, 25_600.5])),
            draw(st.sampled_from([0.001, 1.0])),
            draw(times),
        )
        for axis in draw(st.lists(st.sampled_from("xyz"), unique=True, max_size=3))
    ]
    values = st.floats(width=32) | st.just(math.nan)
    scalars = [
        Scalar(channel, draw(values), draw(times) // 10**6 * 10**6)
        for channel in draw(st.lists(st.sampled_from(["Power/Active", "Temperature/a"]), unique=True))
    ]
    key = draw(
        st.none() | st.builds(MessageKey, st.just("gw"), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
    )
    return Message("gw", "m", NOW, tuple(waves), tuple(scalars), key, draw(st.booleans()))


def same(one: Message, other: Message) -> bool:
    """Equal, NaN being equal to NaN, and samples by their bytes."""
    return repr(_plain(one)) == repr(_plain(other))


def _plain(message: Message) -> Message:
    waves = tuple(structs.replace(wave, samples=bytes(wave.samples)) for wave in message.waveforms)
    return structs.replace(message, waveforms=waves)


def codec(raw: bytes, birth: Birth) -> object:
    payload = read_payload(raw)
    return payload if isinstance(payload, Rejected) else read_message(payload, "gw", "m", birth)


@given(messages(), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_the_quick_path_and_the_codec_read_the_same(message: Message, seq: int) -> None:
    raw = write_message(message, FULL, seq, historical=message.historical)
    quick = Quick().read(raw, "gw", "m", Plan(FULL))
    expected = codec(raw, FULL)
    assert isinstance(expected, Message)
    small = message.key is None or max(message.key.boot_id, message.key.seq64) < 2**63
    assert (quick is not None) or not small
    if quick is not None:
        assert same(quick[0], expected)
        assert quick[1] == seq


@given(
    messages(),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 400),
)
@settings(max_examples=400, deadline=None)
def test_mutated_bytes_are_read_as_the_codec_reads_them_or_left_to_it(
    message: Message, changes: list[tuple[int, int]], cut: int
) -> None:
    raw = bytearray(write_message(message, FULL, 7))
    for at, byte in changes:
        raw[at % len(raw)] = byte
    mutated = bytes(raw[: len(raw) - cut % 40])
    quick = Quick().read(mutated, "gw", "m", Plan(FULL))
    if quick is not None:
        expected = codec(mutated, FULL)
        assert isinstance(expected, Message)
        assert same(quick[0], expected)


@given(st.binary(max_size=120))
@settings(deadline=None)
def test_any_bytes_are_survived(raw: bytes) -> None:
    quick = Quick().read(raw, "gw", "m", Plan(FULL))
    if quick is not None:
        assert isinstance(codec(raw, FULL), Message)


def test_gaps_and_names_are_left_to_the_codec() -> None:
    gap = Gap("gw", "m", 1, 2, 3, "outbox_full", MessageKey("gw", 1, 2))
    assert Quick().read(write_gap(gap, FULL, 1, NOW), "gw", "m", Plan(FULL)) is None
    bare = birth_of((Channel("Power/Active", DataType.DOUBLE),))
    named = write_message(Message("gw", "m", NOW, (), (Scalar("Power/Active", 1.0, NOW),)), bare, 1)
    assert Quick().read(named, "gw", "m", Plan(bare)) is None
