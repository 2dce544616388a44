"""Who vouches for a model: Ed25519 (RFC 8032) over the manifest, whose hashes cover every file."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

CONTEXT = b"ayo-mitra model manifest v1\n"  # a signature for a model is no signature for anything else
KEY_BYTES = 32


class UntrustedModelError(ValueError):
    """A model whose signature or content does not hold. It is not loaded."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The private key of whoever trains models on this server."""

    key: Ed25519PrivateKey

    @classmethod
    def new(cls) -> Signer:
        """A fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Signer:
        """From 32 raw bytes. Raises ValueError for any other length."""
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def to_bytes(self) -> bytes:
        """32 raw bytes: keep them where only the training process reads."""
        return self.key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

    @property
    def public(self) -> bytes:
        """32 raw bytes that others verify with."""
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, manifest: bytes) -> bytes:
        """64 bytes over a manifest."""
        return self.key.sign(CONTEXT + manifest)


def verify(manifest: bytes, signature: bytes, trusted: frozenset[bytes]) -> bytes:
    """The trusted public key that signed. Raises UntrustedModelError when none did."""
    for public in sorted(trusted):
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, CONTEXT + manifest)
        except InvalidSignature:
            continue
        return public
    raise UntrustedModelError(
        "No trusted key signed this model, so it was not loaded and the one in use stays. "
        "Train it on this server, or add its signer's public key if you know whose it is."
    )
