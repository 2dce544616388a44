"""Bodies: Sparkplug payloads as the outbox keeps them, complete but for what only sending decides.

That is `seq` and the payload's timestamp, which says when it was published; the metrics carry sensor time.

A body explains itself: every waveform carries its rate, scale and unit, so that a birth certificate
written after a restart cannot change what an older message means. Aliases are the outbox's, for ever.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from ingest.contract import channels as ch
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.payload import SAMPLE_TYPES, Birth, write_gap, write_message
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.values import Gap, Message

_TIMESTAMP_TAG: Final = b"\x08"
_SEQ_TAG: Final = b"\x18"
_SEQ_ZERO: Final = b"\x18\x00"
_TAILS: Final = tuple(
    _SEQ_TAG + (bytes([seq]) if seq < 128 else bytes([seq & 0x7F | 0x80, seq >> 7])) for seq in range(256)
)


def message_body(message: Message, birth: Birth) -> bytes:
    """The body of telemetry that has its key. Raises KeyError for a channel that has no alias yet."""
    return _unsent(write_message(message, birth, 0))


def gap_body(gap: Gap, birth: Birth, time_ns: int) -> bytes:
    """The body of a gap record that has its key."""
    return _unsent(write_gap(gap, birth, 0, time_ns))


def _unsent(payload: bytes) -> bytes:
    """A payload without its first field, the timestamp, and its last, seq 0."""
    start = 0
    if payload[:1] == _TIMESTAMP_TAG:
        start = 1
        while payload[start] & 0x80:
            start += 1
        start += 1
    return payload[start:].removesuffix(_SEQ_ZERO)


def sent(body: bytes, seq: int, time_ns: int) -> bytes:
    """The payload to publish now. Fields of a message may come in any order, so appending is enough.

    >>> sent(b"", 200, 5_000_000).hex()
    '080518c801'
    """
    return body + _TIMESTAMP_TAG + _varint(time_ns // 1_000_000) + _TAILS[seq]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read(body: bytes) -> Payload | None:
    try:
        return Payload.FromString(body)
    except DecodeError:
        return None  # the file was damaged where nobody checks: inside a blob


def as_historical(body: bytes) -> bytes | None:
    """The same body with every metric flagged as stored before it was sent; None when it is damaged."""
    payload = _read(body)
    if payload is None:
        return None
    for metric in payload.metrics:
        metric.is_historical = True
    return payload.SerializeToString()


def without_waveforms(body: bytes) -> bytes | None:
    """The body with its scalars only, saying how many waveforms were taken out; None when nothing is left."""
    payload = _read(body)
    if payload is None:
        return None
    kept = [metric for metric in payload.metrics if metric.datatype not in SAMPLE_TYPES]
    n_waveforms = len(payload.metrics) - len(kept)
    thin = Payload()
    thin.metrics.extend(kept)
    time_ms = max((metric.timestamp for metric in kept), default=0)
    add_metric(thin, ch.THINNED, DataType.UINT64, n_waveforms, timestamp_ms=time_ms)
    # Boot and seq64 always travel along; telemetry is what is left beside them.
    return thin.SerializeToString() if len(kept) > 2 else None
