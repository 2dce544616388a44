"""Who may approve: persons and their keys, as the roster file (a TUF target) names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from ingest.contract.approval.codes import Code
from ingest.contract.approval.keys import ED25519, ES256
from ingest.contract.approval.strict import (
    Shape,
    canonical,
    fits,
    is_b64,
    is_name,
    is_one_of,
    is_text,
    parse_object,
    unb64,
)
from ingest.contract.rejected import Rejected

MAX_ROSTER_BYTES = 256 * 1024
MAX_PERSONS = 500
MAX_KEYS_A_PERSON = 4
ROLES = ("approver", "lead", "viewer")
APPROVING_ROLES = frozenset({"approver", "lead"})
PASSKEY, SOFTWARE = "passkey", "software"

_CREDENTIAL: Shape = {
    "id": is_b64(256),
    "alg": is_one_of(ED25519, ES256),
    "public_key": is_b64(65, 32),
    "kind": is_one_of(PASSKEY, SOFTWARE),
}
_PERSON: Shape = {
    "id": is_name,
    "name": is_text(80, 1),
    "role": is_one_of(*ROLES),
    "credentials": lambda value: isinstance(value, list) and len(value) <= MAX_KEYS_A_PERSON,
}
_ROSTER: Shape = {
    "v": is_one_of(1),
    "site": is_name,
    "persons": lambda value: isinstance(value, list) and len(value) <= MAX_PERSONS,
}


@dataclass(frozen=True, slots=True)
class Credential:
    """One key of one person. id, public_key: base64url; kind: passkey, or software (demo and tests only)."""

    id: str
    alg: str
    public_key: str
    kind: str

    @property
    def public_bytes(self) -> bytes:
        """The raw public key."""
        return unb64(self.public_key) or b""


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the plant and the keys enrolled in his presence."""

    id: str
    name: str
    role: str
    credentials: tuple[Credential, ...]

    @property
    def may_approve(self) -> bool:
        """True for approvers and leads; viewers only look."""
        return self.role in APPROVING_ROLES


@dataclass(frozen=True, slots=True)
class Roster:
    """The persons of one site. Every person and credential id appears once, else ValueError."""

    site: str
    persons: tuple[Person, ...]

    def __post_init__(self) -> None:
        ids = [person.id for person in self.persons]
        keys = [key.id for person in self.persons for key in person.credentials]
        publics = [key.public_key for person in self.persons for key in person.credentials]
        if len(set(ids)) != len(ids) or len(set(keys)) != len(keys) or len(set(publics)) != len(publics):
            raise ValueError("a roster names each person and each key once")

    def find(self, credential_id: str) -> tuple[Person, Credential] | None:
        """The person and key of a credential id, or None."""
        for person in self.persons:
            for key in person.credentials:
                if key.id == credential_id:
                    return person, key
        return None

    def to_bytes(self) -> bytes:
        """The canonical roster file."""
        persons: list[dict[str, Any]] = [
            {
                "id": person.id,
                "name": person.name,
                "role": person.role,
                "credentials": [
                    {"id": k.id, "alg": k.alg, "public_key": k.public_key, "kind": k.kind}
                    for k in person.credentials
                ],
            }
            for person in self.persons
        ]
        return canonical({"v": 1, "site": self.site, "persons": persons})


def parse_roster(data: bytes) -> Roster | Rejected:
    """The roster in data, or why it is none. Total; that it is genuine is for `trust` to say."""
    found = parse_object(data, MAX_ROSTER_BYTES)
    if isinstance(found, Rejected):
        return found
    wrong = fits(found, _ROSTER)
    if wrong is not None:
        return wrong
    persons = []
    for one in cast("list[object]", found["persons"]):
        person = _parse_person(one)
        if isinstance(person, Rejected):
            return person
        persons.append(person)
    try:
        return Roster(str(found["site"]), tuple(persons))
    except ValueError as error:
        return Rejected(Code.BAD_FIELD, str(error))


def _parse_person(one: object) -> Person | Rejected:
    if not isinstance(one, dict):
        return Rejected(Code.BAD_FIELD, "persons")
    wrong = fits(one, _PERSON)
    if wrong is not None:
        return wrong
    keys = []
    for key in one["credentials"]:
        wrong = fits(key, _CREDENTIAL) if isinstance(key, dict) else Rejected(Code.BAD_FIELD, "credentials")
        if wrong is not None:
            return wrong
        keys.append(Credential(**key))
    return Person(one["id"], one["name"], one["role"], tuple(keys))
