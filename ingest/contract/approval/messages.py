"""The messages of an approved stop: frozen, checked field by field, with one canonical form (RFC 8785).

Request (analytics) -> Ticket (signed by the edge) -> Proposal -> Envelope (with persons' approvals)
-> Receipt (signed by the edge). A value that breaks its shape cannot be built (ValueError); bytes that
break it parse to Rejected(code).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, cast

from ingest.contract.approval.codes import Code
from ingest.contract.approval.strict import (
    Shape,
    b64,
    canonical,
    fits,
    is_b64,
    is_hex,
    is_int,
    is_name,
    is_one_of,
    is_sha256,
    is_share,
    is_text,
    parse_object,
    unb64,
)
from ingest.contract.rejected import Rejected

VERSION = 1
MAX_ENVELOPE_BYTES = 8 * 1024
MAX_PROPOSAL_BYTES = 2 * 1024
MAX_SIGNED_BYTES = 4 * 1024
MAX_REQUEST_BYTES = 32 * 1024
MAX_APPROVALS = 8
MAX_TTL_S = 3_600

APPROVAL_DOMAIN = b"mitra.approval.v1"
LOGIN_DOMAIN = b"mitra.login.v1"
ENROL_DOMAIN = b"mitra.enrol.v1"
TICKET_DOMAIN = b"mitra.ticket.v1"
RECEIPT_DOMAIN = b"mitra.receipt.v1"

_PRESENCE = re.compile(r"(?:[0-9]{6})?", re.ASCII)
RESULTS = ("verified", "hold_off", "acting", "confirmed", "failed", "unknown", "refused")
OBSERVED = ("running", "stopped", "unknown")


def digest(domain: bytes, body: bytes) -> bytes:
    """SHA-256 of domain, NUL, body: what a person's or an edge's key signs. No two domains can collide."""
    return hashlib.sha256(domain + b"\0" + body).digest()


def sha256_hex(data: bytes) -> str:
    """SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _is_presence(value: object) -> bool:
    return isinstance(value, str) and _PRESENCE.fullmatch(value) is not None


def _is_window(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"start_ms", "end_ms"}:
        return False
    stamp = is_int(0)
    return stamp(value["start_ms"]) and stamp(value["end_ms"]) and value["start_ms"] <= value["end_ms"]


def _is_evidence(value: object) -> bool:
    """facts: up to 24 {name, value} texts; trend: up to 240 numbers; trend_unit: text."""
    if not isinstance(value, dict) or set(value) != {"facts", "trend", "trend_unit"}:
        return False
    facts, trend, text = value["facts"], value["trend"], is_text(80)
    return (
        isinstance(facts, list)
        and len(facts) <= 24
        and all(
            isinstance(f, dict) and set(f) == {"name", "value"} and all(map(text, f.values())) for f in facts
        )
        and isinstance(trend, list)
        and len(trend) <= 240
        and all(type(v) in (int, float) and abs(v) < 1e12 for v in trend)
        and text(value["trend_unit"])
    )


class Message:
    """A frozen dataclass whose SHAPE names exactly its fields; OPTIONAL ones may be None (left out)."""

    __slots__ = ()
    SHAPE: ClassVar[Shape] = {}
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()
    MAX_BYTES: ClassVar[int] = MAX_SIGNED_BYTES

    def __post_init__(self) -> None:
        wrong = fits(self.to_object(), self.SHAPE, self.OPTIONAL)
        if wrong is not None:
            raise ValueError(f"{type(self).__name__}: {wrong.reason} {wrong.detail}")

    def to_object(self) -> dict[str, Any]:
        """The JSON object of this message."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {k: v for k, v in found.items() if not (v is None and k in self.OPTIONAL)}

    def to_bytes(self) -> bytes:
        """Canonical bytes (RFC 8785)."""
        return canonical(self.to_object())

    @classmethod
    def parse(cls, data: bytes) -> Self | Rejected:
        """The message in data, or why it is none. Total."""
        found = parse_object(data, cls.MAX_BYTES)
        if isinstance(found, Rejected):
            return found
        wrong = fits(found, cls.SHAPE, cls.OPTIONAL)
        return cls(**found) if wrong is None else wrong

    @classmethod
    def parse_canonical(cls, data: bytes) -> Self | Rejected:
        """Like parse, but the bytes must be the canonical ones: what is signed has one form only."""
        found = cls.parse(data)
        if not isinstance(found, Rejected) and found.to_bytes() != data:
            return Rejected(Code.NOT_CANONICAL)
        return found


@dataclass(frozen=True, slots=True)
class Request(Message):
    """Analytics asks for a stop. window: {start_ms, end_ms}; risk: 0..1; evidence_sha256: of evidence."""

    v: int
    site: str
    machine: str
    model_id: str
    model_sha256: str
    window: Mapping[str, int]
    evidence_sha256: str
    risk: float
    reason: str
    dedup_key: str
    evidence: Mapping[str, Any] | None = None

    MAX_BYTES: ClassVar[int] = MAX_REQUEST_BYTES
    OPTIONAL: ClassVar[frozenset[str]] = frozenset({"evidence"})
    SHAPE: ClassVar[Shape] = {
        "v": is_one_of(VERSION),
        "site": is_name,
        "machine": is_name,
        "model_id": is_name,
        "model_sha256": is_sha256,
        "window": _is_window,
        "evidence_sha256": is_sha256,
        "risk": is_share,
        "reason": is_text(280, 1),
        "dedup_key": is_name,
        "evidence": _is_evidence,
    }


def evidence_sha256(evidence: Mapping[str, Any]) -> str:
    """The hash that binds what an approver saw to what was signed."""
    return sha256_hex(canonical(evidence))


@dataclass(frozen=True, slots=True)
class TicketWanted(Message):
    """Control asks an edge for a ticket for one machine. Harmless from anybody: a ticket stops nothing."""

    v: int
    site: str
    edge: str
    machine: str

    SHAPE: ClassVar[Shape] = {"v": is_one_of(VERSION), "site": is_name, "edge": is_name, "machine": is_name}


@dataclass(frozen=True, slots=True)
class ReceiptsWanted(Message):
    """Control asks an edge for its receipts after a sequence number, to close a gap after a lost link."""

    v: int
    site: str
    edge: str
    after_seq: int

    SHAPE: ClassVar[Shape] = {
        "v": is_one_of(VERSION),
        "site": is_name,
        "edge": is_name,
        "after_seq": is_int(0),
    }


@dataclass(frozen=True, slots=True)
class Ticket(Message):
    """The edge's word: this machine, called so, is in this state; one proposal may carry this nonce."""

    v: int
    site: str
    edge: str
    machine: str
    label: str
    state: str
    boot_id: str
    nonce: str
    ttl_s: int
    policy_version: int

    SHAPE: ClassVar[Shape] = {
        "v": is_one_of(VERSION),
        "site": is_name,
        "edge": is_name,
        "machine": is_name,
        "label": is_text(120, 1),
        "state": is_one_of(*OBSERVED),
        "boot_id": is_hex(32),
        "nonce": is_hex(32),
        "ttl_s": is_int(1, MAX_TTL_S),
        "policy_version": is_int(1),
    }


@dataclass(frozen=True, slots=True)
class Proposal(Message):
    """Exactly what a person signs. issued, expires: Unix s; presence: the code at the machine, or ""."""

    v: int
    site: str
    edge: str
    machine: str
    action: str
    reason: str
    evidence_sha256: str
    proposal_id: str
    edge_nonce: str
    ticket_sha256: str
    issued: int
    expires: int
    policy_version: int
    approvals_needed: int
    presence: str

    MAX_BYTES: ClassVar[int] = MAX_PROPOSAL_BYTES
    SHAPE: ClassVar[Shape] = {
        "v": is_one_of(VERSION),
        "site": is_name,
        "edge": is_name,
        "machine": is_name,
        "action": is_one_of("stop"),
        "reason": is_text(280, 1),
        "evidence_sha256": is_sha256,
        "proposal_id": is_name,
        "edge_nonce": is_hex(32),
        "ticket_sha256": is_sha256,
        "issued": is_int(0),
        "expires": is_int(0),
        "policy_version": is_int(1),
        "approvals_needed": is_int(1, MAX_APPROVALS),
        "presence": _is_presence,
    }

    def challenge(self) -> bytes:
        """The 32 bytes that a person's key signs."""
        return digest(APPROVAL_DOMAIN, self.to_bytes())


@dataclass(frozen=True, slots=True)
class Approval(Message):
    """One WebAuthn assertion, every part in unpadded base64url."""

    credential: str
    clientDataJSON: str  # noqa: N815 - WebAuthn's own name
    authenticatorData: str  # noqa: N815 - WebAuthn's own name
    signature: str

    SHAPE: ClassVar[Shape] = {
        "credential": is_b64(256),
        "clientDataJSON": is_b64(1_024),
        "authenticatorData": is_b64(512),
        "signature": is_b64(128),
    }


@dataclass(frozen=True, slots=True)
class Envelope:
    """A proposal's original bytes and the approvals given to exactly those bytes."""

    proposal: bytes
    approvals: tuple[Approval, ...]

    def to_bytes(self) -> bytes:
        """The message to the edge, at most 8 KiB (ValueError beyond)."""
        approvals = [one.to_object() for one in self.approvals]
        data = canonical({"v": VERSION, "proposal": b64(self.proposal), "approvals": approvals})
        if len(data) > MAX_ENVELOPE_BYTES:
            raise ValueError(f"an envelope holds at most {MAX_ENVELOPE_BYTES} bytes, got {len(data)}")
        return data

    @classmethod
    def parse(cls, data: bytes) -> Envelope | Rejected:
        """The envelope in data, or why it is none. Total; says nothing yet about who signed."""
        found = parse_object(data, MAX_ENVELOPE_BYTES)
        if isinstance(found, Rejected):
            return found
        wrong = fits(
            found, {"v": is_one_of(VERSION), "proposal": is_b64(MAX_PROPOSAL_BYTES), "approvals": _is_list}
        )
        if wrong is not None:
            return wrong
        approvals = []
        for one in cast("list[object]", found["approvals"]):
            if not isinstance(one, dict):
                return Rejected(Code.BAD_FIELD, "approvals")
            wrong = fits(one, Approval.SHAPE)
            if wrong is not None:
                return wrong
            approvals.append(Approval(**one))
        return cls(unb64(str(found["proposal"])) or b"", tuple(approvals))


def _is_list(value: object) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= MAX_APPROVALS


@dataclass(frozen=True, slots=True)
class Receipt(Message):
    """The edge's account of one step or refusal, chained to the one before. monotonic: ms; wall: Unix s."""

    v: int
    site: str
    edge: str
    machine: str
    proposal_sha256: str
    result: str
    code: str
    observed_state: str
    edge_seq: int
    previous_hash: str
    boot_id: str
    monotonic: int
    wall: int

    SHAPE: ClassVar[Shape] = {
        "v": is_one_of(VERSION),
        "site": is_name,
        "edge": is_name,
        "machine": lambda value: value == "" or is_name(value),
        "proposal_sha256": is_sha256,
        "result": is_one_of(*RESULTS),
        "code": is_text(64),
        "observed_state": is_one_of(*OBSERVED),
        "edge_seq": is_int(1),
        "previous_hash": is_sha256,
        "boot_id": is_hex(32),
        "monotonic": is_int(0),
        "wall": is_int(0),
    }


@dataclass(frozen=True, slots=True)
class Signed(Message):
    """Bytes that an edge signed: body (canonical, base64url), the key's id and the signature."""

    body: str
    key: str
    signature: str

    SHAPE: ClassVar[Shape] = {"body": is_b64(MAX_PROPOSAL_BYTES), "key": is_hex(16), "signature": is_b64(128)}

    @property
    def body_bytes(self) -> bytes:
        """What was signed."""
        return unb64(self.body) or b""
