"""The check of one person's WebAuthn assertion, offline. Source: W3C WebAuthn Level 3, section 7.2."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from ingest.contract.approval.codes import Code
from ingest.contract.approval.keys import is_signature
from ingest.contract.approval.messages import Approval
from ingest.contract.approval.roster import SOFTWARE, Credential, Person, Roster
from ingest.contract.approval.strict import b64, parse_object, unb64
from ingest.contract.rejected import Rejected

USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED, EXTENSIONS = (
    0x01,
    0x04,
    0x08,
    0x10,
    0x40,
    0x80,
)
RESERVED = 0x02 | 0x20
_HEAD_BYTES = 37
MAX_CLIENT_DATA_BYTES = 1_024


@dataclass(frozen=True, slots=True)
class Pins:
    """Where an assertion must come from. software: are keys in files believed (demo and tests only)."""

    origin: str
    rp_id: str
    software: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """An assertion that passed every check. sign_count alarms when it falls; it decides nothing."""

    person: Person
    credential: Credential
    sign_count: int


def check_assertion(approval: Approval, challenge: bytes, roster: Roster, pins: Pins) -> Given | Rejected:
    """Who gave this approval to exactly this challenge, or why it counts for nothing. Total."""
    found = roster.find(approval.credential)
    if found is None:
        return Rejected(Code.UNKNOWN_CREDENTIAL)
    person, credential = found
    if credential.kind == SOFTWARE and not pins.software:
        return Rejected(Code.SOFTWARE_KEY)
    client_data = unb64(approval.clientDataJSON) or b""
    data = unb64(approval.authenticatorData) or b""
    wrong = _check_client_data(client_data, challenge, pins) or _check_authenticator_data(data, pins)
    if wrong is not None:
        return wrong
    signed = data + hashlib.sha256(client_data).digest()
    signature = unb64(approval.signature) or b""
    if not is_signature(credential.alg, credential.public_bytes, signature, signed):
        return Rejected(Code.BAD_SIGNATURE)
    return Given(person, credential, int.from_bytes(data[33:37], "big"))


def _check_client_data(data: bytes, challenge: bytes, pins: Pins) -> Rejected | None:
    found = parse_object(data, MAX_CLIENT_DATA_BYTES)
    if isinstance(found, Rejected):
        return found
    given = found.get("challenge")
    # Browsers may add members of their own, so unknown ones pass here; the four that matter are exact.
    if found.get("type") != "webauthn.get":
        return Rejected(Code.TYPE)
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), b64(challenge).encode()):
        return Rejected(Code.CHALLENGE)
    if found.get("origin") != pins.origin:
        return Rejected(Code.ORIGIN)
    if found.get("crossOrigin", False) is not False or "topOrigin" in found:
        return Rejected(Code.CROSS_ORIGIN)
    return None


def _check_authenticator_data(data: bytes, pins: Pins) -> Rejected | None:
    if len(data) < _HEAD_BYTES:
        return Rejected(Code.AUTHENTICATOR_DATA)
    flags = data[32]
    if flags & (ATTESTED | RESERVED) or (len(data) > _HEAD_BYTES) != bool(flags & EXTENSIONS):
        return Rejected(Code.AUTHENTICATOR_DATA)
    if data[:32] != hashlib.sha256(pins.rp_id.encode()).digest():
        return Rejected(Code.RP_ID)
    if not flags & USER_PRESENT:
        return Rejected(Code.NOT_PRESENT)
    if not flags & USER_VERIFIED:
        return Rejected(Code.NOT_VERIFIED)
    if flags & (BACKUP_ELIGIBLE | BACKED_UP):
        # A passkey that a cloud can copy is not a key in this person's hand.
        return Rejected(Code.SYNCED)
    return None
