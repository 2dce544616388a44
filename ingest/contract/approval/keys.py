"""Public keys, and the one function that believes a signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ingest.contract.approval.codes import Code
from ingest.contract.approval.messages import Message, Signed, sha256_hex
from ingest.contract.approval.strict import Shape, b64, is_b64, is_name, is_one_of, unb64
from ingest.contract.rejected import Rejected

ED25519, ES256 = "Ed25519", "ES256"
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class PublicKey(Message):
    """An edge's or a log's key. public_key, base64url: 32 raw bytes (Ed25519) or a 65-byte P-256 point."""

    owner: str
    alg: str
    public_key: str

    SHAPE: ClassVar[Shape] = {
        "owner": is_name,
        "alg": is_one_of(ED25519, ES256),
        "public_key": is_b64(65, 32),
    }

    @property
    def key_id(self) -> str:
        """The first 16 hex digits of the SHA-256 of the public key."""
        return sha256_hex(unb64(self.public_key) or b"")[:16]


def is_signature(alg: str, public_key: bytes, signature: bytes, data: bytes) -> bool:
    """True when signature over data is by public_key. Total: a malformed key or signature is False."""
    try:
        if alg == ED25519:
            ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
        elif alg == ES256:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
            point.verify(signature, data, ec.ECDSA(SHA256()))
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(private_key: PrivateKey, data: bytes) -> bytes:
    """Ed25519, or ES256 in DER form as WebAuthn has it."""
    if isinstance(private_key, ed25519.Ed25519PrivateKey):
        return private_key.sign(data)
    return private_key.sign(data, ec.ECDSA(SHA256()))


def public_of(owner: str, private_key: PrivateKey) -> PublicKey:
    """The public half."""
    public = private_key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return PublicKey(owner, ED25519, b64(public.public_bytes(Encoding.Raw, PublicFormat.Raw)))
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return PublicKey(owner, ES256, b64(point))


def seal(domain: bytes, body: bytes, private_key: PrivateKey, key_id: str) -> Signed:
    """Body signed under a domain, so that a ticket is never taken for a receipt."""
    return Signed(b64(body), key_id, b64(sign(private_key, domain + b"\0" + body)))


def unseal(domain: bytes, data: bytes, keys: tuple[PublicKey, ...]) -> bytes | Rejected:
    """The body that one of keys signed under domain, or why it is not believed."""
    signed = Signed.parse(data)
    if isinstance(signed, Rejected):
        return signed
    for key in keys:
        if key.key_id == signed.key:
            public, signature = unb64(key.public_key) or b"", unb64(signed.signature) or b""
            if is_signature(key.alg, public, signature, domain + b"\0" + signed.body_bytes):
                return signed.body_bytes
    return Rejected(Code.BAD_TICKET_SIGNATURE)
