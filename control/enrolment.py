"""Enrolment in person: the file that the approver's page made is checked before the leads sign the roster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from webauthn import verify_registration_response
from webauthn.helpers import decode_credential_public_key
from webauthn.helpers.decode_credential_public_key import DecodedEC2PublicKey, DecodedOKPPublicKey
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import CredentialDeviceType

from control.roster import RosterError, enrol, person
from ingest.contract.approval.keys import ED25519, ES256
from ingest.contract.approval.messages import ENROL_DOMAIN, digest
from ingest.contract.approval.roster import PASSKEY, Credential
from ingest.contract.approval.strict import (
    b64,
    canonical,
    fits,
    is_b64,
    is_name,
    is_one_of,
    is_text,
    parse_object,
)
from ingest.contract.rejected import Rejected

MAX_ENROLMENT_BYTES = 32 * 1024
_SHAPE = {
    "v": is_one_of(1),
    "kind": is_one_of(PASSKEY),
    "site": is_name,
    "person": is_name,
    "name": is_text(80, 1),
    "origin": is_text(200, 1),
    "rp_id": is_text(200, 1),
    "id": is_b64(256),
    "clientDataJSON": is_b64(2_048),
    "attestationObject": is_b64(8_192),
}


NO_ENROLMENT = "the enrolment file is not one that the approver's page makes; have it made and brought again"


def enrol_passkey(roster_folder: Path, data: bytes, *, site: str, role: str, origin: str, rp_id: str) -> str:
    """Put a passkey's owner into the roster's draft; returns the person's id. Raises RosterError."""
    found = parse_object(data, MAX_ENROLMENT_BYTES)
    if isinstance(found, Rejected):
        raise RosterError(f"{NO_ENROLMENT} ({found.reason})")
    wrong = fits(found, _SHAPE)
    if wrong is not None:
        raise RosterError(f"{NO_ENROLMENT} ({wrong.reason} {wrong.detail})")
    if (found["site"], found["origin"], found["rp_id"]) != (site, origin, rp_id):
        raise RosterError(
            f"this key was made for {found['site']} at {found['origin']}, not for {site} at {origin}"
        )
    credential = check_registration(found, origin, rp_id)
    enrol(roster_folder, person(str(found["person"]), str(found["name"]), role, [credential]))
    return str(found["person"])


def check_registration(found: Mapping[str, object], origin: str, rp_id: str) -> Credential:
    """The new key, when it is device-bound and verified its user. Raises RosterError."""
    challenge = digest(ENROL_DOMAIN, canonical({"person": found["person"], "site": found["site"]}))
    response = {"clientDataJSON": found["clientDataJSON"], "attestationObject": found["attestationObject"]}
    credential = {"id": found["id"], "rawId": found["id"], "type": "public-key", "response": response}
    try:
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
        )
        key = decode_credential_public_key(made.credential_public_key)
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise RosterError(f"this key was not enrolled: {error}") from error
    if made.credential_device_type is not CredentialDeviceType.SINGLE_DEVICE or made.credential_backed_up:
        raise RosterError("this passkey can be copied to a cloud; use one that stays in its device")
    if isinstance(key, DecodedEC2PublicKey) and len(key.x) == len(key.y) == 32:
        return Credential(b64(made.credential_id), ES256, b64(b"\4" + key.x + key.y), PASSKEY)
    if isinstance(key, DecodedOKPPublicKey) and len(key.x) == 32:
        return Credential(b64(made.credential_id), ED25519, b64(key.x), PASSKEY)
    raise RosterError(f"this key is neither {ED25519} nor {ES256}")
