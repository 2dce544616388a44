"""Single Sparkplug metrics: their types, and numbers in and out of them."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload

Metric = Payload.Metric


class DataType(IntEnum):
    """Codes of the specification (section 6.4.16)."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTY_SET = 20
    PROPERTY_SET_LIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


SIGNED_BITS: Final = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_NUMERIC_FIELDS: Final = {
    "int_value": 32,
    "long_value": 64,
    "float_value": 0,
    "double_value": 0,
    "boolean_value": 0,
}
_FIELD: Final = {
    DataType.INT8: "int_value",
    DataType.INT16: "int_value",
    DataType.INT32: "int_value",
    DataType.INT64: "long_value",
    DataType.UINT8: "int_value",
    DataType.UINT16: "int_value",
    DataType.UINT32: "int_value",
    DataType.UINT64: "long_value",
    DataType.DATETIME: "long_value",
    DataType.FLOAT: "float_value",
    DataType.DOUBLE: "double_value",
    DataType.BOOLEAN: "boolean_value",
    DataType.STRING: "string_value",
    DataType.TEXT: "string_value",
    DataType.UUID: "string_value",
    DataType.BYTES: "bytes_value",
    DataType.INT16_ARRAY: "bytes_value",
    DataType.FLOAT_ARRAY: "bytes_value",
    DataType.UINT64_ARRAY: "bytes_value",
}
Value = bool | int | float | str | bytes | memoryview | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A metric as its birth certificate declared it. rate_hz, scale and unit are for waveforms."""

    name: str
    datatype: DataType
    alias: int | None = None
    unit: str = ""
    rate_hz: float | None = None
    scale: float | None = None


def signed(raw: int, bits: int) -> int:
    """The two's complement reading of an unsigned field.

    >>> signed(0xFFFFFFFE, 32)
    -2
    """
    raw &= (1 << bits) - 1
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def number(metric: Metric, datatype: DataType) -> float | Rejected:
    """The numeric value of a metric: NaN when null, Rejected when it carries no number."""
    if metric.is_null:
        return math.nan
    field = metric.WhichOneof("value")
    if field not in _NUMERIC_FIELDS:
        return Rejected("not_numeric", metric.name[:64])
    raw = getattr(metric, field)
    if datatype in SIGNED_BITS and field in ("int_value", "long_value"):
        raw = signed(raw, SIGNED_BITS[datatype])
    return float(raw)


def _unsigned(datatype: DataType, value: Value) -> Value:
    if datatype in SIGNED_BITS and isinstance(value, int) and value < 0:
        return value & ((1 << (64 if datatype is DataType.INT64 else 32)) - 1)
    return bytes(value) if isinstance(value, memoryview) else value


def put(metric: Metric, datatype: DataType, value: Value) -> None:
    """Set a metric's value field as its type asks; None makes it null. KeyError for a type never written."""
    metric.datatype = datatype
    if value is None:
        metric.is_null = True
        return
    setattr(metric, _FIELD[datatype], _unsigned(datatype, value))


def add_metric(
    payload: Payload,
    name: str,
    datatype: DataType,
    value: Value,
    *,
    alias: int | None = None,
    timestamp_ms: int | None = None,
) -> Metric:
    """Append a metric. With an empty name only the alias travels (data after a birth)."""
    metric = payload.metrics.add()
    if name:
        metric.name = name
    if alias is not None:
        metric.alias = alias
    if timestamp_ms is not None:
        metric.timestamp = timestamp_ms
    put(metric, datatype, value)
    return metric


def set_properties(metric: Metric, properties: Mapping[str, tuple[DataType, Value]]) -> None:
    """Attach a property set: name -> (type, value)."""
    for key, (datatype, value) in properties.items():
        metric.properties.keys.append(key)
        entry = metric.properties.values.add()
        entry.type = datatype
        setattr(entry, _FIELD[datatype], _unsigned(datatype, value))


def is_text(value: object) -> bool:
    """False for a Protobuf 2 string that is no UTF-8: the runtime hands such a one out as bytes."""
    return isinstance(value, str)


def properties_of(metric: Metric) -> dict[str, bool | int | float | str]:
    """Simple properties by name; nested sets, nulls and text that is no UTF-8 are left out."""
    found: dict[str, bool | int | float | str] = {}
    for key, entry in zip(metric.properties.keys, metric.properties.values, strict=False):
        field = entry.WhichOneof("value")
        if field in ("propertyset_value", "propertysets_value") or field is None or entry.is_null:
            continue
        value = getattr(entry, field)
        if not is_text(key) or isinstance(value, bytes):
            continue
        if entry.type in SIGNED_BITS and field in ("int_value", "long_value"):
            value = signed(value, SIGNED_BITS[DataType(entry.type)])
        found[key] = value
    return found


def uint64_array(values: tuple[int, ...]) -> bytes:
    """Little-endian bytes of a UInt64Array.

    >>> uint64_array((1,)).hex()
    '0100000000000000'
    """
    return struct.pack(f"<{len(values)}Q", *values)


def uint64s(raw: bytes) -> tuple[int, ...] | Rejected:
    """Values of a UInt64Array; Rejected when the bytes are no whole number of them."""
    if len(raw) % 8:
        return Rejected("array_length", f"{len(raw)} bytes")
    return struct.unpack(f"<{len(raw) // 8}Q", raw)
