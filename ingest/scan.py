"""The one message shape that almost all telemetry has, found in its bytes without building objects.

`scan` walks the protobuf of a data message whose metrics carry aliases only. Whatever it does not know, it
gives back: then the codec of the contract decides. What it does know, it must read as the codec does; a
test holds them to each other. It keeps the interpreter's lock: it is done in two microseconds, and whoever
lets the lock go waits longer than that to have it back.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from ingest.contract.limits import MAX_METRICS

ALIAS, TIMESTAMP, KIND, FIRST, SECOND, HISTORICAL, START_NS, RATE_AT, SCALE_AT, IN_G, N_COLUMNS = range(11)
NOTHING, LONG, FLOAT, DOUBLE, BYTES, NULL = range(6)
UNKNOWN: Final = -1
PROPERTIES: Final = (b"start_ns", b"rate_hz", b"scale", b"engUnit")
_LENGTHS = np.array([len(name) for name in PROPERTIES], np.int64)
_NAMES = np.array([list(name.ljust(8)) for name in PROPERTIES], np.uint8)


@numba.njit(cache=True, inline="always")
def _varint(raw: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """A number and the place after it; the place is UNKNOWN when it does not end in time."""
    value, shift = np.uint64(0), np.uint64(0)
    while at < end and shift < 64:
        byte = np.uint64(raw[at])
        at += 1
        value |= (byte & np.uint64(127)) << shift
        if byte < 128:
            return int(np.int64(value)), at
        shift += np.uint64(7)
    return 0, -1


@numba.njit(cache=True)
def _property_name(raw: NDArray[np.uint8], at: int, length: int) -> int:
    """Which of PROPERTIES a key is, or UNKNOWN."""
    for i in range(len(_LENGTHS)):
        if length == _LENGTHS[i]:
            same = True
            for k in range(length):
                same = same and raw[at + k] == _NAMES[i, k]
            if same:
                return i
    return -1


@numba.njit(cache=True)
def _property_value(raw: NDArray[np.uint8], at: int, end: int, name: int, row: NDArray[np.int64]) -> bool:
    """One PropertyValue: its type is what the codec writes, or it is given back."""
    n_values = 0
    while at < end:
        tag, at = _varint(raw, at, end)
        if at < 0:
            return False
        if tag == 0x08:  # type: a start must be a 64-bit number, or its sign would need work
            kind, at = _varint(raw, at, end)
            if at < 0 or (name == 0 and kind not in (4, 8)):
                return False
            continue
        n_values += 1
        if tag == 0x20 and name == 0:  # long
            row[6], at = _varint(raw, at, end)
            if at < 0 or row[6] < 0:
                return False
        elif tag == 0x31 and name in (1, 2) and at + 8 <= end:  # double
            row[7 if name == 1 else 8] = at
            at += 8
        elif tag == 0x42 and name == 3 and at + 2 <= end and raw[at] == 1 and raw[at + 1] == 103:  # "g"
            row[9] = 1
            at += 2
        else:
            return False
    return n_values == 1


@numba.njit(cache=True)
def _properties(raw: NDArray[np.uint8], at: int, end: int, row: NDArray[np.int64]) -> bool:
    names = np.empty(4, np.int64)
    n_names = n_values = 0
    while at < end:
        tag, at = _varint(raw, at, end)
        if at < 0:
            return False
        length, at = _varint(raw, at, end)
        if at < 0 or length < 0 or length > end - at:
            return False
        if tag == 0x0A and n_names < 4 and n_values == 0:
            names[n_names] = _property_name(raw, at, length)
            for i in range(n_names):
                if names[i] == names[n_names]:
                    return False
            if names[n_names] < 0:
                return False
            n_names += 1
        elif tag == 0x12 and n_values < n_names:
            if not _property_value(raw, at, at + length, names[n_values], row):
                return False
            n_values += 1
        else:
            return False
        at += length
    return n_names == n_values


@numba.njit(cache=True)
def _metric(raw: NDArray[np.uint8], at: int, end: int, row: NDArray[np.int64]) -> bool:  # noqa: C901, PLR0912
    """One metric: alias, timestamp, a value. Anything named, boolean or nested is given back.

    One flat loop over the tags: that is what a parser is, and calls would cost more than they explain.
    """
    row[0] = row[1] = row[6] = row[7] = row[8] = -1
    row[2] = row[3] = row[4] = row[5] = row[9] = 0
    is_null = False
    n_properties = n_values = 0
    while at < end:
        tag, at = _varint(raw, at, end)
        if at < 0:
            return False
        if tag == 0x65 and at + 4 <= end:
            row[2], row[3], n_values = 2, at, n_values + 1
            at += 4
            continue
        if tag == 0x69 and at + 8 <= end:
            row[2], row[3], n_values = 3, at, n_values + 1
            at += 8
            continue
        value, at = _varint(raw, at, end)
        if at < 0 or value < 0:
            return False
        if tag == 0x10:
            row[0] = value
        elif tag == 0x18:
            row[1] = value
        elif tag == 0x28:
            row[5] = value != 0
        elif tag == 0x38:
            is_null = value != 0
        elif tag == 0x58:
            row[2], row[3], n_values = 1, value, n_values + 1
        elif tag in (0x4A, 0x82):
            if value > end - at:
                return False
            if tag == 0x82:
                row[2], row[3], row[4], n_values = 4, at, value, n_values + 1
            else:
                n_properties += 1
                if not _properties(raw, at, at + value, row):
                    return False
            at += value
        elif tag != 0x20:  # the data type is the birth's
            return False
    if is_null:
        row[2] = 5
    return row[0] >= 0 and n_properties <= 1 and n_values <= 1


@numba.njit(cache=True)
def scan(raw: NDArray[np.uint8], rows: NDArray[np.int64], head: NDArray[np.int64]) -> int:
    """Metrics of a data message into rows (MAX_METRICS, N_COLUMNS); how many, or UNKNOWN.

    head: timestamp in ms and seq, -1 where there is none. Floats, doubles and bytes are given as places.
    """
    at, end, n_rows = 0, len(raw), 0
    head[0] = head[1] = -1
    while at < end:
        tag, at = _varint(raw, at, end)
        if at < 0:
            return -1
        if tag == 0x12:
            length, at = _varint(raw, at, end)
            if at < 0 or length < 0 or length > end - at or n_rows >= len(rows):
                return -1
            if not _metric(raw, at, at + length, rows[n_rows]):
                return -1
            at += length
            n_rows += 1
        elif tag in (0x08, 0x18):
            value, at = _varint(raw, at, end)
            if at < 0 or value < 0:
                return -1
            head[0 if tag == 0x08 else 1] = value
        else:
            return -1
    return n_rows


def room() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Arrays for `scan` to write into."""
    return np.empty((MAX_METRICS, N_COLUMNS), np.int64), np.empty(2, np.int64)
