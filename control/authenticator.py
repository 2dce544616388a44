"""A software authenticator: the same bytes as a passkey, with the key in a file.

For scripts, tests and the demo only. A key in a file can be copied, so an actuator refuses it unless its own
configuration says `allow_software_keys = true`, and every screen that uses one says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from ingest.contract.approval.assertion import USER_PRESENT, USER_VERIFIED
from ingest.contract.approval.keys import ED25519, ES256, PrivateKey, public_of, sign
from ingest.contract.approval.messages import Approval
from ingest.contract.approval.roster import SOFTWARE, Credential
from ingest.contract.approval.strict import b64, unb64
from ingest.contract.ids import check_id


@dataclass(frozen=True, slots=True)
class SoftwareKey:
    """One person's key file. private_key: PKCS#8, base64url; origin, rp_id: the approver's page."""

    site: str
    person: str
    name: str
    origin: str
    rp_id: str
    credential: str
    alg: str
    private_key: str
    kind: str = SOFTWARE

    def __post_init__(self) -> None:
        check_id(self.site, "site")
        check_id(self.person, "person")
        if self.kind != SOFTWARE or self.alg not in (ED25519, ES256):
            raise ValueError(f"not a software key of {ED25519} or {ES256}: {self.kind}, {self.alg}")

    def _private(self) -> PrivateKey:
        key = load_der_private_key(unb64(self.private_key) or b"", None)
        if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.person}'s key file holds a key of another kind")
        return key

    def public_credential(self) -> Credential:
        """What the roster names."""
        return Credential(
            self.credential, self.alg, public_of(self.person, self._private()).public_key, SOFTWARE
        )

    def assertion(self, challenge: bytes, flags: int = USER_PRESENT | USER_VERIFIED) -> Approval:
        """Sign a challenge as an authenticator does. The sign count is always 0: a file cannot count."""
        client = {
            "type": "webauthn.get",
            "challenge": b64(challenge),
            "origin": self.origin,
            "crossOrigin": False,
        }
        client_data = json.dumps(client, separators=(",", ":")).encode()
        data = hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + bytes(4)
        signature = sign(self._private(), data + hashlib.sha256(client_data).digest())
        return Approval(self.credential, b64(client_data), b64(data), b64(signature))

    def save(self, path: Path) -> None:
        """Write the key file for its owner only. Raises FileExistsError rather than replace a key."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2)


def make_software_key(
    site: str, person: str, name: str, *, origin: str, rp_id: str, alg: str = ED25519
) -> SoftwareKey:
    """A new key for one person."""
    made: PrivateKey = (
        ec.generate_private_key(ec.SECP256R1()) if alg == ES256 else ed25519.Ed25519PrivateKey.generate()
    )
    private = made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    credential = b64(secrets.token_bytes(16))
    return SoftwareKey(site, person, name, origin, rp_id, credential, alg, b64(private))


def load_software_key(path: Path) -> SoftwareKey:
    """Read a key file. Raises ValueError with a sentence when it is none."""
    try:
        return SoftwareKey(**json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"the key file {path} cannot be read ({error.strerror}); check the path") from error
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a technician's key file; `mitra technician enrol` makes one, and a damaged one "
            "is revoked and made anew"
        ) from error
