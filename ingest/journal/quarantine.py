"""Quarantined messages as bytes: whole, so that nothing is lost while a clock is doubted."""

from __future__ import annotations

import msgspec

from ingest.contract.values import Message, MessageKey, SampleType, Scalar, Waveform
from ingest.journal.entry import Quarantined


class _Wave(msgspec.Struct, array_like=True):
    axis: str
    samples: bytes
    sample_type: SampleType
    rate_hz: float
    scale_g: float
    start_ns: int


class _Entry(msgspec.Struct, array_like=True):
    receive_ns: int
    node: str
    machine: str
    time_ns: int
    waveforms: tuple[_Wave, ...]
    scalars: tuple[tuple[str, float, int], ...]
    key: tuple[int, int] | None
    historical: bool
    thinned: bool = False


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(_Entry).decode


def pack(one: Quarantined) -> bytes:
    """The message with its receive time."""
    message = one.message
    waves = tuple(
        _Wave(wave.axis, bytes(wave.samples), wave.sample_type, wave.rate_hz, wave.scale_g, wave.start_ns)
        for wave in message.waveforms
    )
    scalars = tuple((scalar.channel, scalar.value, scalar.time_ns) for scalar in message.scalars)
    key = (message.key.boot_id, message.key.seq64) if message.key else None
    return _ENCODE(
        _Entry(
            one.receive_ns,
            message.node,
            message.machine,
            message.time_ns,
            waves,
            scalars,
            key,
            message.historical,
            message.thinned,
        )
    )


def unpack(body: bytes) -> Quarantined:
    """What `pack` was given."""
    entry = _DECODE(body)
    message = Message(
        entry.node,
        entry.machine,
        entry.time_ns,
        tuple(
            Waveform(wave.axis, wave.samples, wave.sample_type, wave.rate_hz, wave.scale_g, wave.start_ns)
            for wave in entry.waveforms
        ),
        tuple(Scalar(channel, value, time_ns) for channel, value, time_ns in entry.scalars),
        MessageKey(entry.node, *entry.key) if entry.key else None,
        entry.historical,
        entry.thinned,
    )
    return Quarantined(message, entry.receive_ns)
