"""Dumps as versions before wrote them: a checksum first, and the arrays within the tables."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from models.frame import OLD_MAGIC, Blob
from models.persist import _decode


def as_before(dump: bytes) -> dict[str, Any]:
    """The tables of a dump, with the bytes of its arrays where they once were."""
    raw = msgspec.msgpack.encode(_decode(dump), enc_hook=_inline)
    tables: dict[str, Any] = msgspec.msgpack.decode(raw)
    return tables


def _inline(blob: Any) -> bytes:
    assert isinstance(blob, Blob)
    return blob.data


def in_the_old_frame(tables: dict[str, Any]) -> bytes:
    """A dump of these tables."""
    raw = msgspec.msgpack.encode(tables)
    return OLD_MAGIC + zlib.crc32(raw).to_bytes(4, "little") + raw
