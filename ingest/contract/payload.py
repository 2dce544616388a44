"""Sparkplug payloads in and out: births, telemetry, and the host's committed watermark.

Hostile bytes give `Rejected(reason)`, never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from ingest.contract import channels as ch
from ingest.contract.limits import (
    MAX_BIRTH_METRICS,
    MAX_COMMITTED_RANGES,
    MAX_MESSAGE_BYTES,
    MAX_METRIC_NAME_CHARS,
    MAX_METRICS,
    MAX_PROPERTIES,
    MAX_WINDOW_MESSAGES,
)
from ingest.contract.metrics import (
    Channel,
    DataType,
    Metric,
    add_metric,
    is_text,
    number,
    properties_of,
    set_properties,
    uint64_array,
    uint64s,
)
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.values import AXES, Gap, Message, MessageKey, SampleType, Scalar, Waveform

NS_PER_MS = 1_000_000
SAMPLE_TYPES: dict[DataType, SampleType] = {DataType.INT16_ARRAY: "int16", DataType.FLOAT_ARRAY: "float32"}
_PLAIN_FIELDS = frozenset(
    {"int_value", "long_value", "float_value", "double_value", "boolean_value", "string_value"}
)
ARRAY_TYPES: dict[SampleType, DataType] = {kind: datatype for datatype, kind in SAMPLE_TYPES.items()}


def read_payload(raw: bytes, max_metrics: int = MAX_METRICS) -> Payload | Rejected:
    """Decode and check against the limits. Names and aliases are not resolved yet."""
    if len(raw) > MAX_MESSAGE_BYTES:
        return Rejected("oversize", f"{len(raw)} bytes")
    payload = Payload()
    try:
        payload.ParseFromString(raw)
    except (DecodeError, UnicodeDecodeError):
        return Rejected("not_sparkplug", f"{len(raw)} bytes")
    if len(payload.metrics) > max_metrics:
        return Rejected("too_many_metrics", str(len(payload.metrics)))
    for metric in payload.metrics:
        if not is_text(metric.name):
            return Rejected("not_utf8", repr(metric.name[:64]))
        if len(metric.name) > MAX_METRIC_NAME_CHARS:
            return Rejected("metric_name_long", metric.name[:64])
        if len(metric.properties.keys) > MAX_PROPERTIES:
            return Rejected("too_many_properties", metric.name[:64])
    return payload


@dataclass(frozen=True, slots=True)
class Birth:
    """What a birth certificate declared: channels by name and by alias, and plain properties by channel."""

    channels: Mapping[str, Channel]
    by_alias: Mapping[int, Channel]
    facts: Mapping[str, bool | int | float | str]


def read_birth(raw: bytes) -> tuple[Payload, Birth] | Rejected:
    """Decode an NBIRTH or DBIRTH."""
    payload = read_payload(raw, MAX_BIRTH_METRICS)
    if isinstance(payload, Rejected):
        return payload
    channels: dict[str, Channel] = {}
    by_alias: dict[int, Channel] = {}
    facts: dict[str, bool | int | float | str] = {}
    for metric in payload.metrics:
        if not metric.name:
            return Rejected("birth_without_name")
        channel = _channel(metric)
        channels[channel.name] = channel
        if channel.alias is not None:
            if channel.alias in by_alias:
                return Rejected("alias_twice", channel.name)
            by_alias[channel.alias] = channel
        field = metric.WhichOneof("value")
        if field in _PLAIN_FIELDS:
            value = getattr(metric, field)
            if not isinstance(value, bytes):
                facts[metric.name] = value
    return payload, Birth(channels, by_alias, facts)


def _channel(metric: Metric) -> Channel:
    properties = properties_of(metric)
    datatype = _datatype(metric.datatype)
    rate, scale = properties.get("rate_hz"), properties.get("scale")
    return Channel(
        metric.name,
        datatype,
        metric.alias if metric.HasField("alias") else None,
        str(properties.get("engUnit", "")),
        float(rate) if isinstance(rate, int | float) else None,
        float(scale) if isinstance(scale, int | float) else None,
    )


def _datatype(code: int) -> DataType:
    return DataType(code) if 0 <= code <= DataType.DATETIME_ARRAY else DataType.UNKNOWN


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A metric came with an alias that no birth explained: the host has to ask for a rebirth."""

    alias: int


def read_message(
    payload: Payload, node: str, machine: str, birth: Birth | None
) -> Message | Gap | Unresolved | Rejected:
    """The telemetry in a decoded DDATA (or NDATA, with the node as machine)."""
    try:
        return _read_message(payload, node, machine, birth)
    except ValueError as error:
        return Rejected("value", str(error)[:200])


def _read_message(
    payload: Payload, node: str, machine: str, birth: Birth | None
) -> Message | Gap | Unresolved | Rejected:
    by_alias = birth.by_alias if birth else {}
    by_name = birth.channels if birth else {}
    waveforms: list[Waveform] = []
    scalars: list[Scalar] = []
    own: dict[str, Metric] = {}
    historical = False
    time_ns = payload.timestamp * NS_PER_MS
    for metric in payload.metrics:
        if metric.name:
            channel = by_name.get(metric.name) or Channel(metric.name, _datatype(metric.datatype))
        else:
            found = by_alias.get(metric.alias)
            if found is None:
                return Unresolved(metric.alias)
            channel = found
        historical = historical or metric.is_historical
        if channel.name.startswith("Mitra/"):
            own[channel.name] = metric
        elif channel.datatype in SAMPLE_TYPES and channel.name.startswith(ch.VIBRATION):
            waveform = _waveform(metric, channel, time_ns)
            if isinstance(waveform, Rejected):
                return waveform
            waveforms.append(waveform)
        elif not channel.name.startswith("Node Control/") and channel.name != ch.BDSEQ:
            value = number(metric, channel.datatype)
            if not isinstance(value, Rejected):
                at_ns = metric.timestamp * NS_PER_MS if metric.HasField("timestamp") else time_ns
                scalars.append(Scalar(channel.name, value, at_ns))
    key = _key(node, own)
    if ch.GAP_MESSAGES in own:
        return _gap(node, machine, own, key)
    at = waveforms[0].start_ns if waveforms else (scalars[0].time_ns if scalars else time_ns)
    thinned = ch.THINNED in own and own[ch.THINNED].long_value > 0
    return Message(node, machine, at, tuple(waveforms), tuple(scalars), key, historical, thinned)


def _waveform(metric: Metric, channel: Channel, time_ns: int) -> Waveform | Rejected:
    properties = properties_of(metric) if metric.HasField("properties") else {}
    unit = str(properties.get("engUnit", channel.unit))
    g_per_unit = ch.G_PER_UNIT.get(unit)
    if g_per_unit is None:
        return Rejected("unit", f"{channel.name} in {unit!r}; known: {', '.join(ch.G_PER_UNIT)}")
    rate_hz, scale = properties.get("rate_hz", channel.rate_hz), properties.get("scale", channel.scale)
    if not isinstance(rate_hz, int | float):
        return Rejected("rate_missing", channel.name)
    if scale is None:
        scale = 1.0 if channel.datatype is DataType.FLOAT_ARRAY else None
    if not isinstance(scale, int | float):
        return Rejected("scale_missing", channel.name)
    start_ns = properties.get(
        "start_ns", metric.timestamp * NS_PER_MS if metric.HasField("timestamp") else time_ns
    )
    axis = channel.name[len(ch.VIBRATION) :]
    if axis not in AXES:
        return Rejected("axis", channel.name)
    return Waveform(
        axis,
        metric.bytes_value,
        SAMPLE_TYPES[channel.datatype],
        float(rate_hz),
        float(scale) * g_per_unit,
        int(start_ns),
    )


def _key(node: str, own: Mapping[str, Metric]) -> MessageKey | None:
    if ch.BOOT not in own or ch.SEQ not in own:
        return None
    return MessageKey(node, own[ch.BOOT].long_value, own[ch.SEQ].long_value)


def _gap(node: str, machine: str, own: Mapping[str, Metric], key: MessageKey | None) -> Gap | Rejected:
    if ch.GAP_FROM not in own or ch.GAP_TO not in own:
        return Rejected("gap_incomplete")
    reason = own[ch.GAP_REASON].string_value[:200] if ch.GAP_REASON in own else ""
    if not is_text(reason):
        return Rejected("not_utf8", ch.GAP_REASON)
    n_messages = own[ch.GAP_MESSAGES].long_value
    return Gap(node, machine, own[ch.GAP_FROM].long_value, own[ch.GAP_TO].long_value, n_messages, reason, key)


def write_message(message: Message, birth: Birth, seq: int, *, historical: bool = False) -> bytes:
    """Encode a DDATA; channels travel by alias where the birth gave one. KeyError: unborn channel."""
    payload = Payload(timestamp=message.time_ns // NS_PER_MS, seq=seq)
    historical = historical or message.historical
    if message.key is not None:
        _add_key(payload, message.key, birth, message.time_ns)
    for waveform in message.waveforms:
        channel = birth.channels[ch.VIBRATION + waveform.axis]
        metric = add_metric(
            payload,
            "" if channel.alias is not None else channel.name,
            ARRAY_TYPES[waveform.sample_type],
            waveform.samples,
            alias=channel.alias,
            timestamp_ms=waveform.start_ns // NS_PER_MS,
        )
        properties: dict[str, tuple[DataType, int | float | str]] = {
            "start_ns": (DataType.INT64, waveform.start_ns)
        }
        if waveform.rate_hz != channel.rate_hz:
            properties["rate_hz"] = (DataType.DOUBLE, waveform.rate_hz)
        if waveform.scale_g != channel.scale or channel.unit != "g":
            properties["scale"] = (DataType.DOUBLE, waveform.scale_g)
            properties["engUnit"] = (DataType.STRING, "g")
        set_properties(metric, properties)
        if historical:
            metric.is_historical = True
    for scalar in message.scalars:
        channel = birth.channels[scalar.channel]
        metric = add_metric(
            payload,
            "" if channel.alias is not None else channel.name,
            DataType.DOUBLE,
            None if math.isnan(scalar.value) else scalar.value,
            alias=channel.alias,
            timestamp_ms=scalar.time_ns // NS_PER_MS,
        )
        if historical:
            metric.is_historical = True
    return payload.SerializeToString()


def write_gap(gap: Gap, birth: Birth, seq: int, time_ns: int) -> bytes:
    """Encode a gap record as DDATA."""
    payload = Payload(timestamp=time_ns // NS_PER_MS, seq=seq)
    if gap.key is not None:
        _add_key(payload, gap.key, birth, time_ns)
    time_ms = time_ns // NS_PER_MS
    add_metric(payload, ch.GAP_FROM, DataType.UINT64, gap.from_ns, timestamp_ms=time_ms)
    add_metric(payload, ch.GAP_TO, DataType.UINT64, gap.to_ns, timestamp_ms=time_ms)
    add_metric(payload, ch.GAP_MESSAGES, DataType.UINT64, gap.n_messages, timestamp_ms=time_ms)
    add_metric(payload, ch.GAP_REASON, DataType.STRING, gap.reason, timestamp_ms=time_ms)
    return payload.SerializeToString()


def _add_key(payload: Payload, key: MessageKey, birth: Birth, time_ns: int) -> None:
    for name, value in ((ch.BOOT, key.boot_id), (ch.SEQ, key.seq64)):
        channel = birth.channels.get(name)
        alias = channel.alias if channel else None
        add_metric(
            payload,
            "" if alias is not None else name,
            DataType.UINT64,
            value,
            alias=alias,
            timestamp_ms=time_ns // NS_PER_MS,
        )


def write_birth(
    declared: Iterable[tuple[Channel, bool | int | float | str | None]], seq: int | None, time_ns: int
) -> bytes:
    """Encode an NBIRTH or DBIRTH: every channel with its present value (None = null)."""
    payload = Payload(timestamp=time_ns // NS_PER_MS)
    if seq is not None:
        payload.seq = seq
    for channel, value in declared:
        metric = add_metric(
            payload,
            channel.name,
            channel.datatype,
            value,
            alias=channel.alias,
            timestamp_ms=time_ns // NS_PER_MS,
        )
        properties: dict[str, tuple[DataType, float | str]] = {}
        if channel.unit:
            properties["engUnit"] = (DataType.STRING, channel.unit)
        if channel.rate_hz is not None:
            properties["rate_hz"] = (DataType.DOUBLE, channel.rate_hz)
        if channel.scale is not None:
            properties["scale"] = (DataType.DOUBLE, channel.scale)
        if properties:
            set_properties(metric, properties)
    return payload.SerializeToString()


def birth_of(declared: Iterable[Channel]) -> Birth:
    """The Birth that a host reads from `write_birth` of the same channels."""
    listed = tuple(declared)
    return Birth(
        {channel.name: channel for channel in listed},
        {channel.alias: channel for channel in listed if channel.alias is not None},
        {},
    )


@dataclass(frozen=True, slots=True)
class Committed:
    """What the host has stored of one boot: every seq64 up to and with `through`, and the runs after it.

    `through` is -1 when nothing from the start is whole yet. ranges: (first, last) pairs, both included.
    window: messages that the node may have on the way; a host that does not say allows the most.
    """

    boot_id: int
    through: int
    ranges: tuple[tuple[int, int], ...] = ()
    window: int = MAX_WINDOW_MESSAGES

    def holds(self, seq64: int) -> bool:
        """True when the message with this count is stored."""
        return seq64 <= self.through or any(first <= seq64 <= last for first, last in self.ranges)


def write_committed(committed: Committed, time_ns: int) -> bytes:
    """Encode the watermark as NCMD. Ranges beyond the limit are left out: the edge then sends those again."""
    payload = Payload(timestamp=time_ns // NS_PER_MS)
    ranges = committed.ranges[:MAX_COMMITTED_RANGES]
    add_metric(payload, ch.COMMITTED_BOOT, DataType.UINT64, committed.boot_id)
    add_metric(payload, ch.COMMITTED_SEQ, DataType.INT64, committed.through)
    flat = tuple(bound for pair in ranges for bound in pair)
    add_metric(payload, ch.COMMITTED_RANGES, DataType.UINT64_ARRAY, uint64_array(flat))
    add_metric(payload, ch.COMMITTED_WINDOW, DataType.UINT32, committed.window)
    return payload.SerializeToString()


def read_committed(payload: Payload) -> Committed | Rejected | None:
    """The watermark in a decoded NCMD; None when it carries none."""
    own = {metric.name: metric for metric in payload.metrics}
    if ch.COMMITTED_BOOT not in own:
        return None
    if ch.COMMITTED_SEQ not in own:
        return Rejected("committed_incomplete")
    through = number(own[ch.COMMITTED_SEQ], DataType.INT64)
    flat = uint64s(own[ch.COMMITTED_RANGES].bytes_value) if ch.COMMITTED_RANGES in own else ()
    if isinstance(through, Rejected):
        return through
    if isinstance(flat, Rejected):
        return flat
    if len(flat) % 2 or len(flat) > 2 * MAX_COMMITTED_RANGES:
        return Rejected("committed_ranges", str(len(flat)))
    window = own[ch.COMMITTED_WINDOW].int_value if ch.COMMITTED_WINDOW in own else MAX_WINDOW_MESSAGES
    exact = own[ch.COMMITTED_SEQ].long_value
    return Committed(
        own[ch.COMMITTED_BOOT].long_value,
        exact if exact < 1 << 63 else -1,
        tuple(zip(flat[::2], flat[1::2], strict=True)),
        min(max(window, 1), MAX_WINDOW_MESSAGES),
    )
