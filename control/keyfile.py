"""A process's own private key on disk."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ingest.contract.approval.keys import PrivateKey
from ingest.contract.approval.settings import SettingsError


def load_or_make_key(path: Path) -> PrivateKey:
    """A private key of this process's own, made at first start, readable by its owner only."""
    if not path.exists():
        made = ed25519.Ed25519PrivateKey.generate()
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"{path} holds no private key that can be read; restore it from a backup"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise SettingsError(f"{path} holds a key of another kind; move it away and start again")
    return key
