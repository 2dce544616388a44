"""A technician at the terminal or in a script: the same HTTP interface and bytes as a person's page."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from control.authenticator import SoftwareKey, load_software_key, make_software_key
from control.roster import enrol, person
from control.sessions import login_challenge
from ingest.contract.approval.keys import PublicKey, unseal
from ingest.contract.approval.messages import TICKET_DOMAIN, Approval, Proposal, Ticket, sha256_hex
from ingest.contract.approval.strict import unb64
from ingest.contract.rejected import Rejected

TIMEOUT_S = 10.0


class RefusedError(Exception):
    """Control refused; code is why."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".strip())
        self.code = code


class Technician:
    """One person with a software key. Use as a context manager, or call close()."""

    def __init__(
        self,
        url: str,
        key_file: Path | SoftwareKey,
        edge_keys: tuple[PublicKey, ...] = (),
        client: httpx.Client | None = None,
    ) -> None:
        """url: control's address; edge_keys: to check tickets by (none: they are not checked)."""
        self.key = load_software_key(key_file) if isinstance(key_file, Path) else key_file
        self._edge_keys = edge_keys
        self._client = client or httpx.Client(base_url=url, timeout=TIMEOUT_S)
        self._headers = {"origin": self.key.origin}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def login(self) -> dict[str, Any]:
        """Sign a login. Raises RefusedError."""
        nonce = self._call("POST", "/api/v1/login/nonce")["nonce"]
        given = self.key.assertion(login_challenge(self.key.site, nonce))
        body = {"site": self.key.site, "nonce": nonce, "assertion": given.to_object()}
        me = self._call("POST", "/api/v1/login", body)
        self._headers["x-csrf-token"] = me["csrf"]
        return me

    def proposals(self, state: str = "open") -> list[dict[str, Any]]:
        """Proposals that are open, or closed ones."""
        found: list[dict[str, Any]] = self._call("GET", f"/api/v1/proposals?state={state}")["proposals"]
        return found

    def proposal(self, proposal_id: str) -> dict[str, Any]:
        """One proposal with the exact bytes to sign."""
        return self._call("GET", f"/api/v1/proposals/{proposal_id}")

    def sign(self, proposal_id: str, presence: str = "") -> Approval:
        """Read the exact bytes, check them against the edge's signed ticket, and sign them."""
        found = self.proposal(proposal_id)
        parsed = Proposal.parse_canonical(unb64(found["proposal"] or "") or b"")
        if isinstance(parsed, Rejected):
            raise RefusedError(parsed.reason, "this proposal cannot be signed")
        if self._edge_keys:
            check_ticket(parsed, found["ticket"].encode(), self._edge_keys)
        return self.key.assertion(dataclasses.replace(parsed, presence=presence).challenge())

    def approve(self, proposal_id: str, presence: str = "") -> dict[str, Any]:
        """Approve a stop. presence: the code shown at the machine, where it needs one."""
        given = self.sign(proposal_id, presence)
        body = {"presence": presence, "assertion": given.to_object()}
        return self._call("POST", f"/api/v1/proposals/{proposal_id}/approvals", body)

    def reject(self, proposal_id: str, reason: str) -> dict[str, Any]:
        """Reject a stop: the machine runs on."""
        return self._call("POST", f"/api/v1/proposals/{proposal_id}/rejection", {"reason": reason})

    def receipts(self) -> list[dict[str, Any]]:
        """What the edges did and refused."""
        found: list[dict[str, Any]] = self._call("GET", "/api/v1/receipts")["receipts"]
        return found

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._client.request(method, path, json=body, headers=self._headers)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict) or not (answer.is_success or "code" in found):
            raise RefusedError(
                str(answer.status_code), "what answers there is not control: see its address and port"
            )
        if answer.is_success:
            return found
        raise RefusedError(str(found["code"]), str(found.get("detail", "")))


def check_ticket(proposal: Proposal, wire: bytes, edge_keys: tuple[PublicKey, ...]) -> Ticket:
    """The ticket that the edge itself signed for this proposal's machine. Raises RefusedError."""
    body = unseal(TICKET_DOMAIN, wire, edge_keys)
    ticket = body if isinstance(body, Rejected) else Ticket.parse_canonical(body)
    if isinstance(ticket, Rejected):
        raise RefusedError(ticket.reason, "the edge did not sign this ticket")
    same = (ticket.site, ticket.edge, ticket.machine, ticket.nonce, sha256_hex(ticket.to_bytes()))
    named = (proposal.site, proposal.edge, proposal.machine, proposal.edge_nonce, proposal.ticket_sha256)
    if same != named:
        raise RefusedError("ticket_mismatch", "the proposal names another machine than the edge's ticket")
    return ticket


def enrol_software(
    roster_folder: Path,
    key_file: Path,
    *,
    site: str,
    person_id: str,
    name: str,
    role: str,
    origin: str,
    rp_id: str,
) -> SoftwareKey:
    """Make a key file and put its public half into the roster's draft (publish it afterwards)."""
    key = make_software_key(site, person_id, name, origin=origin, rp_id=rp_id)
    key.save(key_file)
    enrol(roster_folder, person(person_id, name, role, [key.public_credential()]))
    return key
