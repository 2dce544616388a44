"""What a dump is as bytes: a head in msgpack, the arrays after it as they are, and a checksum at the end.

Only taking copies of the arrays needs the state to stand still. `frame` does that at once; what it returns
depends on the state no more, so that checksum and disk need not hold the stream up.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAGIC: Final = b"MITRA-STREAM-2\0"
OLD_MAGIC: Final = b"MITRA-STREAM\0"
"""Of dumps that have a checksum first and their arrays within the head."""
CRC_BYTES: Final = 4
LENGTH_BYTES: Final = 8


class StateError(ValueError):
    """These bytes are no state of the stream that this version can read."""


class Blob:
    """The bytes of an array, kept out of the head."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


def frame(head: msgspec.Struct) -> Iterator[bytes]:
    """The parts of a dump, in order. The head is encoded before this returns; blobs must not change."""
    blobs: list[bytes] = []
    end = 0

    def put(blob: Any) -> tuple[int, int]:
        nonlocal end
        if not isinstance(blob, Blob):
            raise TypeError(f"{type(blob).__name__} is nothing that a dump holds")
        blobs.append(blob.data)
        end += len(blob.data)
        return end - len(blob.data), end

    raw = msgspec.msgpack.encode(head, enc_hook=put)
    return _sealed([MAGIC, len(raw).to_bytes(LENGTH_BYTES, "little"), raw, *blobs])


def _sealed(parts: list[bytes]) -> Iterator[bytes]:
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
        yield part
    yield crc.to_bytes(CRC_BYTES, "little")


def unframe(data: bytes) -> tuple[dict[str, Any], Callable[[type, Any], Any]]:
    """The head's tables, and the hook for `msgspec.convert` that finds blobs. Raises StateError.

    Errors of msgspec mean damage as well and are the caller's to name.
    """
    if data.startswith(MAGIC):
        body, checksum = data[:-CRC_BYTES], data[-CRC_BYTES:]
        at = len(MAGIC) + LENGTH_BYTES
        blobs_at = at + int.from_bytes(data[len(MAGIC) : at], "little")
        raw = data[at:blobs_at]
    elif data.startswith(OLD_MAGIC):
        at = len(OLD_MAGIC)
        checksum, body, blobs_at = data[at : at + CRC_BYTES], data[at + CRC_BYTES :], 0
        raw = body
    else:
        raise StateError("this is no saved state of the stream")
    if zlib.crc32(body).to_bytes(CRC_BYTES, "little") != checksum:
        raise StateError("the saved state is damaged or was cut short; start afresh from the journal")

    def find(kind: type, told: Any) -> Any:
        if kind is not Blob:
            raise TypeError(f"{kind.__name__} is nothing that a dump holds")
        if isinstance(told, bytes):
            return Blob(told)
        start, end = told
        return Blob(data[blobs_at + start : blobs_at + end])

    return msgspec.msgpack.decode(raw), find
