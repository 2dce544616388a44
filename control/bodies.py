"""What comes in and goes out over HTTP."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from control.desk import Detail
from control.sessions import Session
from ingest.contract.approval.messages import Approval, sha256_hex
from ingest.contract.approval.states import OPEN
from ingest.contract.approval.strict import b64

_B64 = r"^[A-Za-z0-9_-]+$"
_ID = r"^[a-z0-9-]{1,64}$"


class Body(BaseModel):
    """Strict: nothing is converted, nothing unknown passes."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Assertion(Body):
    """A WebAuthn assertion, every part in unpadded base64url."""

    credential: str = Field(max_length=342, pattern=_B64)
    clientDataJSON: str = Field(max_length=1_366, pattern=_B64)  # noqa: N815 - WebAuthn's own name
    authenticatorData: str = Field(max_length=684, pattern=_B64)  # noqa: N815 - WebAuthn's own name
    signature: str = Field(max_length=172, pattern=_B64)

    def approval(self) -> Approval:
        """The contract's value. Raises ValueError when it is not canonical base64url."""
        return Approval(self.credential, self.clientDataJSON, self.authenticatorData, self.signature)


class Login(Body):
    """The assertion signs SHA-256(mitra.login.v1 NUL canonical {nonce, site})."""

    site: str = Field(pattern=_ID)
    nonce: str = Field(pattern=r"^[0-9a-f]{32}$")
    assertion: Assertion


class Approve(Body):
    """presence: six digits shown at the machine, or empty; the assertion signs the challenge."""

    presence: str = Field(default="", pattern=r"^([0-9]{6})?$")
    assertion: Assertion


class Reject(Body):
    """reason: what the next shift should know, 3 to 280 characters."""

    reason: str = Field(min_length=1, max_length=400)


def me(session: Session) -> dict[str, Any]:
    """A session for its own holder."""
    person = session.person
    keys = [{"id": key.id, "kind": key.kind} for key in person.credentials]
    return {
        "site": session.site,
        "person": person.id,
        "name": person.name,
        "role": person.role,
        "may_approve": person.may_approve,
        "csrf": session.csrf,
        "credentials": keys,
    }


def summary(detail: Detail) -> dict[str, Any]:
    """A proposal in a list."""
    row, machine, request = detail.row, detail.machine, detail.request
    return {
        "id": row.id,
        "machine": machine.id,
        "label": machine.label,
        "line": machine.line,
        "criticality": machine.criticality,
        "state": row.state,
        "open": row.state in OPEN,
        "code": row.code,
        "risk": request.risk,
        "reason": request.reason,
        "asked": row.asked,
        "created": row.created,
        "expires": row.deadline,
        "closed": row.closed,
        "approvals": list(detail.approvals),
        "approvals_needed": machine.policy.approvals_needed,
        "presence": machine.policy.presence,
    }


def whole(detail: Detail) -> dict[str, Any]:
    """A proposal with the exact bytes to sign, the edge's signed ticket and all that led to it."""
    request, row = detail.request, detail.row
    return {
        **summary(detail),
        "hold_off_s": detail.machine.policy.hold_off_s,
        "model": request.model_id,
        "window": dict(request.window),
        "evidence": None if request.evidence is None else dict(request.evidence),
        "proposal": None if row.body is None else b64(row.body),
        "proposal_sha256": None if row.body is None else sha256_hex(row.body),
        "ticket": None if row.ticket is None else row.ticket.decode(),
        "events": detail.events,
        "receipts": detail.receipts,
    }
