"""The verdict on an envelope: stop this machine, or refuse with a code. Pure: no clock, file or network.

Everything that decides is passed in. The order of the checks is that of the design: the bytes, the ticket,
the machine and policy, the time, every approval, and last the number of persons and their presence.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ingest.contract.approval.assertion import Given, Pins, check_assertion
from ingest.contract.approval.codes import Code
from ingest.contract.approval.messages import MAX_TTL_S, Envelope, Proposal, Ticket, sha256_hex
from ingest.contract.approval.policy import Policy
from ingest.contract.approval.roster import Roster
from ingest.contract.rejected import Rejected

CLOCK_SLACK_S = 60


@dataclass(frozen=True, slots=True)
class Issued:
    """A ticket that this process gave out. sha256: of its canonical bytes; deadline_ms: monotonic."""

    ticket: Ticket
    sha256: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Here:
    """Who I am and what each of my machines needs."""

    site: str
    edge: str
    policy_version: int
    policies: Mapping[str, Policy]
    pins: Pins


@dataclass(frozen=True, slots=True)
class Now:
    """The clocks. wall_s: Unix s; floor_s: the latest wall clock ever committed to disk."""

    wall_s: int
    monotonic_ms: int
    floor_s: int


@dataclass(frozen=True, slots=True)
class Known:
    """What this edge remembers. tickets: by nonce; presence: the code shown at each machine now."""

    tickets: Mapping[str, Issued]
    presence: Mapping[str, str]
    is_spent: Callable[[str, str], bool]
    roster: Roster | Rejected


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop that enough persons asked for. persons: ids, sorted; sign_counts: by credential."""

    proposal: Proposal
    sha256: str
    persons: tuple[str, ...]
    sign_counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing happens. sha256: of the proposal, or of the bytes when there is none in them."""

    code: Code
    sha256: str
    machine: str = ""
    detail: str = ""


def judge(data: bytes, here: Here, known: Known, now: Now) -> Stop | Refused:
    """Whether these bytes stop a machine. Total: whatever the bytes, the answer is Stop or Refused(code)."""
    envelope = Envelope.parse(data)
    if isinstance(envelope, Rejected):
        return Refused(Code(envelope.reason), sha256_hex(data), detail=envelope.detail)
    sha256 = sha256_hex(envelope.proposal)
    proposal = Proposal.parse_canonical(envelope.proposal)
    if isinstance(proposal, Rejected):
        return Refused(Code(proposal.reason), sha256, detail=proposal.detail)
    given = _check(envelope, proposal, here, known, now)
    if isinstance(given, Rejected):
        machine = proposal.machine if proposal.machine in here.policies else ""
        return Refused(Code(given.reason), sha256, machine, given.detail)
    counts = tuple((one.credential.id, one.sign_count) for one in given)
    return Stop(proposal, sha256, persons_of(given), counts)


def _check(
    envelope: Envelope, proposal: Proposal, here: Here, known: Known, now: Now
) -> tuple[Given, ...] | Rejected:
    wrong = _check_ticket(proposal, here, known, now) or _check_time(proposal, now)
    if wrong is not None:
        return wrong
    policy = here.policies[proposal.machine]
    if proposal.policy_version != here.policy_version or proposal.approvals_needed != policy.approvals_needed:
        return Rejected(Code.POLICY_MISMATCH)
    if isinstance(known.roster, Rejected):
        return known.roster
    given = _check_approvals(envelope, proposal, known.roster, here.pins)
    if isinstance(given, Rejected):
        return given
    persons = persons_of(given)
    if len(persons) < policy.approvals_needed:
        return Rejected(Code.TOO_FEW_PERSONS, f"{len(persons)} of {policy.approvals_needed}")
    shown = known.presence.get(proposal.machine, "") if policy.presence else ""
    if (policy.presence and not shown) or not hmac.compare_digest(proposal.presence, shown):
        return Rejected(Code.PRESENCE_WRONG)
    return given


def _check_ticket(proposal: Proposal, here: Here, known: Known, now: Now) -> Rejected | None:
    if (proposal.site, proposal.edge) != (here.site, here.edge):
        return Rejected(Code.WRONG_EDGE)
    if proposal.machine not in here.policies:
        return Rejected(Code.UNKNOWN_MACHINE)
    if known.is_spent(proposal.edge_nonce, proposal.proposal_id):
        return Rejected(Code.SPENT)
    issued = known.tickets.get(proposal.edge_nonce)
    if issued is None:
        return Rejected(Code.UNKNOWN_TICKET)
    if issued.ticket.machine != proposal.machine or issued.sha256 != proposal.ticket_sha256:
        return Rejected(Code.TICKET_MISMATCH)
    if now.monotonic_ms >= issued.deadline_ms:
        return Rejected(Code.TICKET_STALE)
    return None


def _check_time(proposal: Proposal, now: Now) -> Rejected | None:
    if now.wall_s < now.floor_s:
        return Rejected(Code.CLOCK_BEHIND, f"{now.floor_s - now.wall_s} s")
    if proposal.issued > now.wall_s + CLOCK_SLACK_S:
        return Rejected(Code.NOT_YET)
    if not 0 < proposal.expires - proposal.issued <= MAX_TTL_S:
        return Rejected(Code.LIFE_TOO_LONG)
    if proposal.expires <= now.wall_s:
        return Rejected(Code.EXPIRED)
    return None


def _check_approvals(
    envelope: Envelope, proposal: Proposal, roster: Roster, pins: Pins
) -> tuple[Given, ...] | Rejected:
    """Every approval, checked. One bad approval refuses all: honest senders send none."""
    challenge = proposal.challenge()
    found = []
    for approval in envelope.approvals:
        given = check_assertion(approval, challenge, roster, pins)
        if isinstance(given, Rejected):
            return given
        if not given.person.may_approve:
            return Rejected(Code.NO_ROLE, given.person.id)
        found.append(given)
    return tuple(found)


def persons_of(given: tuple[Given, ...]) -> tuple[str, ...]:
    """The different persons: two keys of one are one person."""
    return tuple(sorted({one.person.id for one in given}))
