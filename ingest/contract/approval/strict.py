"""The strict, total parser: bytes -> JSON object, or a code. Nothing hostile makes it raise."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import NoReturn

import rfc8785

from ingest.contract.approval.codes import Code
from ingest.contract.ids import is_id
from ingest.contract.rejected import Rejected

Check = Callable[[object], bool]
Shape = Mapping[str, Check]
SAFE_INTEGER = 2**53 - 1
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_B64 = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


class _DuplicateError(ValueError):
    """An object names a key twice."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateError
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def parse_object(data: bytes, max_bytes: int) -> dict[str, object] | Rejected:
    """The one JSON object in data, or Rejected(code): no duplicate keys, NaN, deep nesting or bad text.

    >>> parse_object(b'{"a":1}', 100)
    {'a': 1}
    >>> parse_object(b'{"a":1,"a":2}', 100).reason, parse_object(b"[" * 90, 100).reason
    (<Code.DUPLICATE_KEY: 'duplicate_key'>, <Code.NOT_JSON: 'not_json'>)
    """
    if len(data) > max_bytes:
        return Rejected(Code.OVERSIZE, f"{len(data)} bytes, at most {max_bytes}")
    try:
        text = data.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # a lone surrogate is not text
    except _DuplicateError:
        return Rejected(Code.DUPLICATE_KEY)
    except UnicodeError:
        return Rejected(Code.NOT_UTF8)
    except (ValueError, RecursionError):
        return Rejected(Code.NOT_JSON)
    if not isinstance(found, dict):
        return Rejected(Code.NOT_OBJECT)
    return found


def fits(
    found: Mapping[str, object], shape: Shape, optional: frozenset[str] = frozenset()
) -> Rejected | None:
    """Why found has not exactly the fields of shape, each passing its check; None when it has."""
    for name in found:
        if name not in shape:
            return Rejected(Code.UNKNOWN_FIELD, name[:64])
    for name, check in shape.items():
        if name not in found:
            if name in optional:
                continue
            return Rejected(Code.MISSING_FIELD, name)
        if not check(found[name]):
            return Rejected(Code.BAD_FIELD, name)
    return None


def canonical(found: Mapping[str, object]) -> bytes:
    """RFC 8785 bytes of an object that passed its shape."""
    return rfc8785.dumps(dict(found))  # type: ignore[arg-type]


def b64(data: bytes) -> str:
    """Unpadded base64url, as WebAuthn writes it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes | None:
    """The bytes of canonical unpadded base64url, or None.

    >>> unb64("aGk"), unb64("aGk="), unb64("aGl")
    (b'hi', None, None)
    """
    if not _B64.fullmatch(text):
        return None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if b64(data) == text else None


# Checks of one field. Each is total: any JSON value gives True or False.


def is_name(value: object) -> bool:
    """An id of a site, edge, machine or message."""
    return is_id(value)


def is_one_of(*allowed: object) -> Check:
    """Exactly one of the values, of the same type (True is not 1)."""
    return lambda value: any(type(value) is type(one) and value == one for one in allowed)


def is_int(low: int, high: int = SAFE_INTEGER) -> Check:
    """A whole number in [low, high] that every JSON reader keeps exactly."""
    return lambda value: type(value) is int and low <= value <= high


def is_share(value: object) -> bool:
    """A number in [0, 1]."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def is_text(max_chars: int, min_chars: int = 0) -> Check:
    """Printable text: no control, bidi or invisible characters, which could show a person something else."""
    return lambda value: (
        isinstance(value, str) and min_chars <= len(value) <= max_chars and value.isprintable()
    )


def is_hex(chars: int) -> Check:
    """Lower-case hexadecimal of exactly chars digits."""
    return lambda value: isinstance(value, str) and len(value) == chars and _HEX.fullmatch(value) is not None


def is_b64(max_bytes: int, min_bytes: int = 1) -> Check:
    """Unpadded base64url of min_bytes to max_bytes bytes."""

    def check(value: object) -> bool:
        if not isinstance(value, str) or len(value) > (max_bytes * 4 + 2) // 3:
            return False
        data = unb64(value)
        return data is not None and min_bytes <= len(data) <= max_bytes

    return check


is_sha256 = is_hex(64)
