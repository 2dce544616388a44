"""Verify an exported audit log offline: `python -m control.audit_verify EXPORT --log-key FILE`.

For a third party: this file and `merkle.py`, Python's standard library and `cryptography` are all it takes.
It finds every edited, deleted, reordered or cut off entry, and with witnesses' cosignatures (or a second
export) a fork.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256, Hash

from control.merkle import leaf_hash, roots_at

CHECKPOINT_DOMAIN = b"mitra.checkpoint.v1"
COSIGN_DOMAIN = b"mitra.cosign.v1"
EXIT_INPUT, EXIT_WRONG = 3, 6


class ExportError(ValueError):
    """The input cannot be read at all."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key file: {owner, alg, public_key}."""

    owner: str
    alg: str
    public: bytes

    @property
    def key_id(self) -> str:
        """The first 16 hex digits of its SHA-256."""
        digest = Hash(SHA256())
        digest.update(self.public)
        return digest.finalize().hex()[:16]

    def signed(self, signature: bytes, data: bytes) -> bool:
        """True when this key signed data."""
        try:
            if self.alg == "Ed25519":
                ed25519.Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
            else:
                point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), self.public)
                point.verify(signature, data, ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement of size and root. cosigned: signatures by the witnesses' key ids."""

    body: bytes
    signature: bytes
    cosigned: Mapping[str, bytes]
    size: int
    root: str
    log: str


@dataclass(slots=True)
class Export:
    """What an export file holds."""

    entries: list[bytes] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)


def unb64(text: str) -> bytes:
    """Unpadded base64url. Raises ExportError."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise ExportError(f"not base64url: {text[:40]}") from error


def load_key(path: Path) -> Key:
    """A public key file. Raises ExportError."""
    try:
        found = json.loads(path.read_bytes())
        return Key(str(found["owner"]), str(found["alg"]), unb64(str(found["public_key"])))
    except OSError as error:
        raise ExportError(f"the public key {path} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} is no public key file, as audit.pub.json is one") from error


def read_export(lines: Iterable[bytes]) -> Export:
    """Parse JSON lines. Raises ExportError with the line's number."""
    export = Export()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            if "entry" in found:
                export.entries.append(unb64(found["entry"]))
            else:
                export.checkpoints.append(_checkpoint(found))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ExportError(f"line {number}: {error}") from error
    return export


def _checkpoint(found: Mapping[str, object]) -> Checkpoint:
    body = unb64(str(found["checkpoint"]))
    inside = json.loads(body)
    cosigned = found["cosigned"]
    if not isinstance(cosigned, dict):
        raise ExportError("cosigned is not an object")
    given = {str(key): unb64(str(text)) for key, text in cosigned.items()}
    size, root, log = int(inside["size"]), str(inside["root"]), str(inside["log"])
    return Checkpoint(body, unb64(str(found["signature"])), given, size, root, log)


def verify(
    export: Export,
    log_key: Key,
    witness_keys: Sequence[Key] = (),
    needed: int = 0,
    at_least: int = 0,
) -> list[str]:
    """Everything that is wrong, empty when nothing is.

    needed: cosignatures that the newest checkpoint must have; at_least: entries that must exist, from a
    checkpoint that the verifier kept earlier.
    """
    wrong = [
        f"checkpoint {c.size}: not signed by the log"
        for c in export.checkpoints
        if not _is_signed(c, log_key)
    ]
    checkpoints = sorted((c for c in export.checkpoints if _is_signed(c, log_key)), key=lambda c: c.size)
    if not checkpoints:
        return [*wrong, "there is no signed checkpoint"]
    leaves = [leaf_hash(entry) for entry in export.entries]
    roots = roots_at(leaves, [one.size for one in checkpoints])
    for one in checkpoints:
        if one.size > len(leaves):
            wrong.append(f"checkpoint {one.size}: the log was cut, only {len(leaves)} entries are here")
        elif roots[one.size].hex() != one.root:
            wrong.append(f"checkpoint {one.size}: an entry before {one.size} was edited, removed or moved")
    newest = checkpoints[-1]
    if len(leaves) > newest.size:
        wrong.append(f"entries after {newest.size} are under no checkpoint: {len(leaves) - newest.size}")
    if newest.size < at_least:
        wrong.append(f"the log was cut: {newest.size} entries, but {at_least} were signed before")
    witnessed = [c for c in checkpoints if count_cosigned(c, witness_keys) >= needed]
    if needed and not witnessed:
        wrong.append(f"no checkpoint has the cosignatures of {needed} witnesses")
    return wrong


def count_cosigned(checkpoint: Checkpoint, witness_keys: Sequence[Key]) -> int:
    """How many different witnesses validly cosigned a checkpoint."""
    data = COSIGN_DOMAIN + b"\0" + checkpoint.body
    return sum(key.signed(checkpoint.cosigned.get(key.key_id, b""), data) for key in witness_keys)


def forks(one: Export, other: Export, log_key: Key) -> list[str]:
    """Proof that a log showed two histories: two signed checkpoints that cannot both be of one log."""
    found = []
    for first in one.checkpoints:
        for second in other.checkpoints:
            both = _is_signed(first, log_key) and _is_signed(second, log_key)
            if both and first.size == second.size and first.root != second.root:
                found.append(f"two roots were signed for the same {first.size} entries: the log was forked")
    shorter, longer = sorted((one, other), key=lambda export: len(export.entries))
    if shorter.entries != longer.entries[: len(shorter.entries)]:
        found.append("the two exports hold different entries at the same place")
    return found


def _is_signed(checkpoint: Checkpoint, log_key: Key) -> bool:
    data = CHECKPOINT_DOMAIN + b"\0" + checkpoint.body
    return checkpoint.log == log_key.owner and log_key.signed(checkpoint.signature, data)


def main() -> int:
    """Exit codes: 0 whole, 3 the input cannot be read, 6 something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m control.audit_verify", description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument("--log-key", type=Path, required=True)
    parser.add_argument("--witness-key", type=Path, action="append", default=[])
    parser.add_argument("--needed", type=int, default=0, help="cosignatures needed, for example 2")
    parser.add_argument("--at-least", type=int, default=0, help="entries known from an earlier check")
    parser.add_argument("--against", type=Path, help="another export of the same log: look for a fork")
    arguments = parser.parse_args()
    try:
        log_key = load_key(arguments.log_key)
        witness_keys = [load_key(path) for path in arguments.witness_key]
        export = read_export(arguments.export.read_bytes().splitlines())
        wrong = verify(export, log_key, witness_keys, arguments.needed, arguments.at_least)
        if arguments.against:
            wrong += forks(export, read_export(arguments.against.read_bytes().splitlines()), log_key)
    except (OSError, ExportError) as error:
        print(f"cannot verify: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_INPUT
    size = max((c.size for c in export.checkpoints), default=0)
    print(json.dumps({"entries": len(export.entries), "newest_checkpoint": size, "wrong": wrong}))  # noqa: T201
    return EXIT_WRONG if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
