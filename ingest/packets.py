"""MQTT 3.1.1 and 5 as bytes: the packets that a host application sends, and a parser of those it receives.

Pure: no socket, no clock. One read of a megabyte holds twenty blocks of telemetry; to fetch each of them with
system calls of its own costs more than what is done with it after.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

import msgspec

from ingest.contract.limits import MAX_MESSAGE_BYTES

MAX_PACKET_BYTES = MAX_MESSAGE_BYTES + 70_000
LEVELS = {"3.1.1": 4, "5": 5}


class Kind(IntEnum):
    """Packet types."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class ProtocolError(Exception):
    """The other side does not speak MQTT as it should; the connection is of no use."""


class Packet(msgspec.Struct, frozen=True, gc=False):
    """A received packet other than a message. code: a refusal when >= 0x80 or, in CONNACK, not 0."""

    kind: Kind
    code: int = 0
    number: int = 0


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message. number: to acknowledge when it came with QoS 1, else 0."""

    topic: str
    payload: bytes
    number: int = 0


class Will(msgspec.Struct, frozen=True, gc=False):
    """What the broker says for us when we are gone: QoS 1, retained."""

    topic: str
    payload: bytes


def _length(n: int) -> bytes:
    out = bytearray()
    while True:
        n, low = n >> 7, n & 0x7F
        out.append(low | (0x80 if n else 0))
        if not n:
            return bytes(out)


def _packet(head: int, *parts: bytes) -> bytes:
    return b"".join((bytes([head]), _length(sum(map(len, parts))), *parts))


def _data(raw: bytes) -> bytes:
    if len(raw) > 65_535:
        raise ValueError("a text or a will of MQTT has at most 65535 bytes")
    return struct.pack(">H", len(raw)) + raw


def connect(
    version: int, client_id: str, keepalive_s: int, will: Will, login: tuple[str, str] | None
) -> bytes:
    """CONNECT with a clean session that ends with the connection."""
    no_properties = b"\0" if version == 5 else b""
    flags = 0b0010_1110 | (0b1100_0000 if login else 0)
    parts = [_data(b"MQTT"), bytes([version, flags]), struct.pack(">H", keepalive_s), no_properties]
    parts += [_data(client_id.encode()), no_properties, _data(will.topic.encode()), _data(will.payload)]
    parts += [_data(word.encode()) for word in login or ()]
    return _packet(0x10, *parts)


def subscribe(version: int, number: int, filters: Iterable[tuple[str, int]]) -> bytes:
    """SUBSCRIBE to filters with the highest QoS wanted of each."""
    no_properties = b"\0" if version == 5 else b""
    asked = b"".join(_data(topic.encode()) + bytes([qos]) for topic, qos in filters)
    return _packet(0x82, struct.pack(">H", number), no_properties, asked)


def publish(version: int, topic: str, payload: bytes, number: int, *, retain: bool) -> bytes:
    """PUBLISH with QoS 0 (number 0) or QoS 1."""
    head = 0x30 | (2 if number else 0) | int(retain)
    numbered = struct.pack(">H", number) if number else b""
    return _packet(head, _data(topic.encode()), numbered, b"\0" if version == 5 else b"", payload)


def acknowledge(number: int) -> bytes:
    """PUBACK."""
    return _packet(0x40, struct.pack(">H", number))


PING = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"


class Parser:
    """Bytes in, packets out. Give it what a read returned; it keeps what is not whole yet."""

    def __init__(self, version: int) -> None:
        self._five = version == 5
        self._rest = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Packet | Received]:
        """The packets that are whole now. Raises ProtocolError.

        Packets are read where they lie; only one that began in an earlier read is put together first.
        """
        view = memoryview(data)
        at, end = 0, len(view)
        if self._rest:
            at = self._complete(view)
            size, body = _size(self._rest, 0, len(self._rest))
            if body < 0 or body + size > len(self._rest):
                return
            packet = self._read(self._rest[0], memoryview(bytes(self._rest))[body:])
            self._rest.clear()
            yield packet
        while True:
            size, body = _size(view, at, end)
            if body < 0 or body + size > end:
                break
            yield self._read(view[at], view[body : body + size])
            at = body + size
        self._rest += view[at:]

    def _complete(self, view: memoryview) -> int:
        """Move to the packet that was begun what belongs to it; how many bytes."""
        at = 0
        while at < len(view):
            size, body = _size(self._rest, 0, len(self._rest))
            missing = 1 if body < 0 else body + size - len(self._rest)
            if missing == 0:
                break
            self._rest += view[at : at + missing]
            at += min(missing, len(view) - at)
        return at

    def _read(self, head: int, body: memoryview) -> Packet | Received:
        kind = head >> 4
        try:
            if kind == Kind.PUBLISH:
                return self._message(head, body)
            if kind == Kind.CONNACK:
                return Packet(Kind.CONNACK, body[1])
            if kind == Kind.PUBACK:
                return Packet(Kind.PUBACK, 0, struct.unpack_from(">H", body)[0])
            if kind == Kind.SUBACK:
                at = 2
                if self._five:
                    size, at = _number(body, 2)
                    at += size
                return Packet(Kind.SUBACK, max(body[at:], default=0x80), struct.unpack_from(">H", body)[0])
            if kind == Kind.DISCONNECT:
                return Packet(Kind.DISCONNECT, body[0] if len(body) else 0)
            return Packet(Kind(kind))
        except (IndexError, struct.error, ValueError) as error:
            raise ProtocolError(f"packet of type {kind} with {len(body)} bytes") from error

    def _message(self, head: int, body: memoryview) -> Received:
        at = 2 + struct.unpack_from(">H", body)[0]
        topic = str(body[2:at], "utf-8", "replace")
        number = 0
        if head & 0b110:
            number = struct.unpack_from(">H", body, at)[0]
            at += 2
        if self._five:
            size, at = _number(body, at)
            at += size
        if at > len(body):
            raise ProtocolError("a message that ends before its payload")
        return Received(topic, bytes(body[at:]), number)


def _size(view: memoryview | bytearray, at: int, end: int) -> tuple[int, int]:
    """Size and start of the body of the packet at `at`; the start is -1 while the header is not whole."""
    size, shift = 0, 0
    for i in range(at + 1, at + 5):
        if i >= end:
            return 0, -1
        byte = view[i]
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            if size > MAX_PACKET_BYTES:
                raise ProtocolError(f"a packet of {size} bytes")
            return size, i + 1
        shift += 7
    raise ProtocolError("a packet length of more than four bytes")


def _number(view: memoryview, at: int) -> tuple[int, int]:
    """A variable byte integer and the place after it."""
    value, shift = 0, 0
    for i in range(at, at + 4):
        value |= (view[i] & 0x7F) << shift
        if view[i] < 0x80:
            return value, i + 1
        shift += 7
    raise ValueError("a length of more than four bytes")
