"""One site's desk: requests in, proposals before people, approvals to the edge, receipts back.

It decides nothing about machines: the actuator verifies what it sends again, from the persons' signatures.
One lock, the store's, for the desks of all sites; every method may be called from any thread. Time and the
way out (`say`) are passed in.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from control import log
from control.audit import Audit, AuditError, Entry
from control.config import ControlSettings, MachineSettings
from control.intake import Intake, Say, request_of
from control.rosters import RosterView
from control.store import Row, Store, approval_of
from ingest.contract.approval.assertion import Pins, check_assertion
from ingest.contract.approval.codes import Code
from ingest.contract.approval.keys import PublicKey, unseal
from ingest.contract.approval.messages import (
    RECEIPT_DOMAIN,
    TICKET_DOMAIN,
    VERSION,
    Approval,
    Envelope,
    Proposal,
    Receipt,
    ReceiptsWanted,
    Request,
    Ticket,
    sha256_hex,
)
from ingest.contract.approval.presence import is_presence_code
from ingest.contract.approval.roster import Person
from ingest.contract.approval.states import EVENT_OF_RESULT, NEXT, PENDING, SENT, State
from ingest.contract.approval.states import Event as Happened
from ingest.contract.approval.topics import Leaf
from ingest.contract.approval.trust import Floor, write_bundle
from ingest.contract.rejected import Rejected

SENT_MARGIN_S = 60
GAP_ASK_S = 5
REASON_CHARS = (3, 280)


@dataclass(frozen=True, slots=True)
class Detail:
    """All that an approver needs to see of one proposal."""

    row: Row
    machine: MachineSettings
    request: Request
    approvals: tuple[str, ...]
    events: list[dict[str, str | int]]
    receipts: list[dict[str, str | int]]


class Desk:
    """The proposals of one site."""

    def __init__(
        self,
        site: str,
        settings: ControlSettings,
        store: Store,
        *,
        audit: Audit,
        roster: RosterView,
        edge_key: Callable[[str], PublicKey | Rejected],
        now_s: Callable[[], int],
        say: Say,
    ) -> None:
        """Whatever an earlier life left pending is dead: people are asked anew or not at all."""
        self.site = site
        self._settings = settings
        self._store = store
        self._audit = audit
        self._roster = roster
        self._edge_key = edge_key
        self._now_s = now_s
        self._say = say
        self._machines: Mapping[str, MachineSettings] = {m.id: m for m in settings.machine if m.site == site}
        self._pins = Pins(settings.origin, settings.rp_id, settings.allow_software_keys)
        self._lock = store.lock
        self._roster_told = Floor()
        self._summary_due = now_s() + 60
        self._gap_due: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self._unsaid: Counter[str] = Counter()
        self._intake = Intake(
            site, settings, store, self._machines, edge_key=edge_key, say=say, count=self._count
        )
        for row in store.open(site):
            if row.state in PENDING:
                self._end(row, Happened.RESTARTED, Code.RESTARTED, "control")

    # From analytics.

    def on_request(self, data: bytes) -> Rejected | None:
        """Take a request: show it, let it wait, or say why it is dropped."""
        with self._lock:
            wrong = self._intake.take(data, self._now_s())
            self._count(f"request_{wrong.reason}" if wrong else "request_taken")
            return wrong

    # From the edge.

    def on_ticket(self, edge: str, data: bytes) -> Rejected | None:
        """Take an edge's ticket and put the proposal that waits for it before people."""
        with self._lock:
            wrong = self._take_ticket(edge, data)
            self._count(f"ticket_{wrong.reason}" if wrong else "ticket_taken")
            return wrong

    def _take_ticket(self, edge: str, data: bytes) -> Rejected | None:
        key = self._edge_key(edge)
        if isinstance(key, Rejected):
            return key
        body = unseal(TICKET_DOMAIN, data, (key,))
        ticket = body if isinstance(body, Rejected) else Ticket.parse_canonical(body)
        if isinstance(ticket, Rejected):
            return ticket
        assert isinstance(body, bytes)
        machine = self._machines.get(ticket.machine)
        if machine is None or (ticket.site, ticket.edge) != (self.site, edge) or machine.edge != edge:
            return Rejected(Code.TICKET_MISMATCH)
        if ticket.policy_version != self._settings.policy_version:
            return Rejected(Code.POLICY_MISMATCH)
        row = self._store.open_of(self.site, ticket.machine)
        if row is None or row.state is not State.PROPOSED:
            return Rejected(Code.NOT_OPEN)
        now = self._now_s()
        if ticket.state == "stopped":
            self._end(row, Happened.OVERTAKEN, Code.NOT_OPEN, f"edge {edge}", "the machine already stands")
            return None
        request = request_of(row)
        proposal = Proposal(
            v=VERSION,
            site=self.site,
            edge=edge,
            machine=machine.id,
            action="stop",
            reason=request.reason,
            evidence_sha256=request.evidence_sha256,
            proposal_id=row.id,
            edge_nonce=ticket.nonce,
            ticket_sha256=sha256_hex(body),
            issued=now,
            expires=now + min(ticket.ttl_s, self._settings.proposal_life_s),
            policy_version=ticket.policy_version,
            approvals_needed=machine.policy.approvals_needed,
            presence="",
        )
        try:
            self._record("proposed", "control", proposal=row.id, machine=machine.id, reason=request.reason)
        except AuditError as error:
            self._count("audit_failed")
            return Rejected(Code.AUDIT_UNWRITABLE, str(error))
        with self._store.transaction():
            row = self._store.advance(
                row, Happened.TICKET_CAME, now=now, who=f"edge {edge}", ticket=data, body=proposal.to_bytes()
            )
            self._store.advance(
                row, Happened.SHOWN, now=now, who="control", shown=now, deadline=proposal.expires
            )
        return None

    def on_receipt(self, edge: str, data: bytes) -> Rejected | None:
        """Take an edge's receipt: record it and move the proposal it is about."""
        with self._lock:
            wrong = self._take_receipt(edge, data)
            self._count(f"receipt_{wrong.reason}" if wrong else "receipt_taken")
            return wrong

    def _take_receipt(self, edge: str, data: bytes) -> Rejected | None:
        key = self._edge_key(edge)
        if isinstance(key, Rejected):
            return key
        body = unseal(RECEIPT_DOMAIN, data, (key,))
        receipt = body if isinstance(body, Rejected) else Receipt.parse_canonical(body)
        if isinstance(receipt, Rejected):
            return receipt
        if (receipt.site, receipt.edge) != (self.site, edge):
            return Rejected(Code.WRONG_EDGE)
        if self._store.receipt(self.site, edge, key.key_id, receipt.edge_seq) is not None:
            return Rejected(Code.DUPLICATE)
        self._check_chain(edge, key, receipt)
        try:
            self._record(
                "receipt",
                f"edge {edge}",
                machine=receipt.machine,
                result=receipt.result,
                code=receipt.code,
                seq=receipt.edge_seq,
                proposal_sha256=receipt.proposal_sha256,
            )
        except AuditError:
            # The machine has moved or not already; the receipt is kept here and in the edge's own chain.
            self._count("audit_failed")
        row = self._store.by_sent(self.site, receipt.proposal_sha256)
        happened = EVENT_OF_RESULT[receipt.result]
        now = self._now_s()
        # Together: a receipt that was kept without moving its proposal would be a duplicate the next time.
        with self._store.transaction():
            self._store.keep_receipt(receipt, key.key_id, data)
            if row is None or (row.state, happened) not in NEXT:
                self._count("receipt_without_effect")
                return None
            self._store.advance(
                row, happened, now=now, who=f"edge {edge}", detail=receipt.code, code=receipt.code
            )
        return None

    def _check_chain(self, edge: str, key: PublicKey, receipt: Receipt) -> None:
        """A receipt names the hash of the one before: a gap is asked for, a break is an alarm."""
        before = self._store.receipt(self.site, edge, key.key_id, receipt.edge_seq - 1)
        body = None if before is None else unseal(RECEIPT_DOMAIN, before, (key,))
        if isinstance(body, bytes) and sha256_hex(body) != receipt.previous_hash:
            self._count("receipt_chain_broken")
            log.say("receipt_chain_broken", logging.ERROR, edge=edge, seq=receipt.edge_seq)
        now = self._now_s()
        if before is None and receipt.edge_seq > 1 and now >= self._gap_due.get(edge, 0):
            self._gap_due[edge] = now + GAP_ASK_S
            self.want_receipts(edge)

    def want_receipts(self, edge: str) -> None:
        """Ask an edge for receipts that are missing here; without its key none could be believed."""
        key = self._edge_key(edge)
        if isinstance(key, Rejected):
            return
        last = self._store.last_receipt(self.site, edge, key.key_id)
        self._say(edge, Leaf.RECEIPTS_WANTED, ReceiptsWanted(VERSION, self.site, edge, last).to_bytes())

    def on_connected(self) -> None:
        """The link is there (again): ask every edge what was missed."""
        with self._lock:
            for edge in sorted({machine.edge for machine in self._machines.values()}):
                self.want_receipts(edge)
            self._roster_told = Floor()

    def on_served(self, edge: str) -> None:
        """The edge's key has come: ask for what it did before."""
        with self._lock:
            self.want_receipts(edge)

    # From people.

    def approve(self, proposal_id: str, person: Person, presence: str, approval: Approval) -> Row | Rejected:
        """Take one person's approval; with the last one needed the envelope goes to the edge."""
        with self._lock:
            row = self._take_approval(proposal_id, person, presence, approval)
            self._count(f"approval_{row.reason}" if isinstance(row, Rejected) else "approval_taken")
            return row

    def _take_approval(
        self, proposal_id: str, person: Person, presence: str, approval: Approval
    ) -> Row | Rejected:
        now = self._now_s()
        row = self._store.get(self.site, proposal_id)
        if row is None or row.state is not State.AWAITING or row.body is None:
            return Rejected(Code.NOT_OPEN)
        if now >= row.deadline:
            return Rejected(Code.EXPIRED)
        policy = self._machines[row.machine].policy
        if policy.presence != bool(presence) or (presence and not is_presence_code(presence)):
            return Rejected(Code.PRESENCE_WRONG)
        proposal = proposal_of(row, presence)
        roster = self._roster.current(now)
        if isinstance(roster, Rejected):
            return roster
        given = check_assertion(approval, proposal.challenge(), roster, self._pins)
        if isinstance(given, Rejected):
            self._note_refusal("approval_refused", person, row, given)
            return given
        if given.person.id != person.id:
            return Rejected(Code.UNKNOWN_CREDENTIAL, "another person's key")
        if not given.person.may_approve:
            return Rejected(Code.NO_ROLE)
        body = proposal.to_bytes()
        try:
            self._record(
                "approved", person.id, proposal=row.id, machine=row.machine, proposal_sha256=sha256_hex(body)
            )
        except AuditError as error:
            self._end(row, Happened.AUDIT_FAILED, Code.AUDIT_UNWRITABLE, "control", str(error))
            return Rejected(Code.AUDIT_UNWRITABLE, str(error))
        return self._keep_approval(row, person, body, approval, now)

    def _keep_approval(self, row: Row, person: Person, body: bytes, approval: Approval, now: int) -> Row:
        sha256, machine = sha256_hex(body), self._machines[row.machine]
        with self._store.transaction():
            self._store.approve(row, person.id, sha256, now=now, approval=approval)
            row = self._store.advance(row, Happened.APPROVAL_CAME, now=now, who=person.id)
            same = [wire for _, found, wire in self._store.approvals(row) if found == sha256]
            if len(same) < machine.policy.approvals_needed:
                return row
            hold_s = round(machine.policy.hold_off_s)
            row = self._store.advance(
                row,
                Happened.THRESHOLD_MET,
                now=now,
                who="control",
                sent_sha256=sha256,
                deadline=row.deadline + hold_s + SENT_MARGIN_S,
            )
        # Committed first: a control that dies here never sends twice, and the proposal ends as UNKNOWN.
        envelope = Envelope(body, tuple(approval_of(wire) for wire in same))
        self._say(machine.edge, Leaf.ENVELOPE, envelope.to_bytes())
        return row

    def reject(self, proposal_id: str, person: Person, reason: str) -> Row | Rejected:
        """One veto ends a proposal. reason: 3 to 280 printable characters."""
        with self._lock:
            row = self._store.get(self.site, proposal_id)
            low, high = REASON_CHARS
            reason = reason.strip()
            if row is None or row.state not in PENDING:
                return Rejected(Code.NOT_OPEN)
            if not person.may_approve:
                return Rejected(Code.NO_ROLE)
            if not low <= len(reason) <= high or not reason.isprintable():
                return Rejected(Code.BAD_FIELD, "reason")
            self._count("rejected")
            return self._end(row, Happened.VETOED, Code.VETO, person.id, reason)

    # From the clock.

    def tick(self) -> None:
        """Time-outs, tickets asked again, waiting requests, a changed roster. Call about once a second."""
        with self._lock:
            now = self._now_s()
            for row in self._store.open(self.site):
                if now >= row.deadline:
                    code = Code.NO_RECEIPT if row.state in SENT else Code.TIMED_OUT
                    if row.state is State.PROPOSED:
                        code = Code.NO_TICKET
                    self._end(row, Happened.TIMED_OUT, code, "control")
                elif row.state is State.PROPOSED:
                    self._intake.want_ticket_again(row, now)
            self._intake.next_held(now)
            self._watch_roster(now)
            if now >= self._summary_due:
                self._summarise(now)

    def _watch_roster(self, now: int) -> None:
        is_refused = isinstance(self._roster.current(now), Rejected)
        believed = self._roster.floor  # asked once: a web request may judge the next one meanwhile
        if is_refused or believed == self._roster_told:
            return
        if believed.targets != self._roster_told.targets:
            try:
                self._record("roster", "leads", version=believed.targets)
            except AuditError:
                self._count("audit_failed")
                return
        self._roster_told = believed
        if any(one.id == self.site and one.send_roster for one in self._settings.site):
            bundle = write_bundle(self._roster.files())
            for edge in sorted({machine.edge for machine in self._machines.values()}):
                self._say(edge, Leaf.ROSTER, bundle)

    def _summarise(self, now: int) -> None:
        """Refusals that a flood can cause are recorded once a minute by number, not one by one."""
        self._summary_due = now + 60
        self._store.forget_seen(self.site, now - self._settings.fatigue.dedup_s)
        refused = {name: count for name, count in self._unsaid.items() if not name.endswith("_taken")}
        if not refused:
            return
        try:
            self._record("refusals", "control", **refused)
        except AuditError:
            self._count("audit_failed")
            return
        self._unsaid.clear()

    # For the screens.

    def detail(self, proposal_id: str) -> Detail | None:
        """One proposal of this site, or None."""
        with self._lock:
            row = self._store.get(self.site, proposal_id)
            return None if row is None else self._detail(row)

    def listing(self, *, is_open: bool, limit: int = 50) -> list[Detail]:
        """What people are asked now, or what was decided."""
        with self._lock:
            rows = self._store.open(self.site) if is_open else self._store.closed(self.site, limit)
            return [self._detail(row) for row in rows if row.machine in self._machines]

    def held_by_line(self) -> dict[str, int]:
        """How many machines of each line wait to be asked about."""
        with self._lock:
            held = self._store.held(self.site)
            return dict(Counter(self._machines[h.machine].line for h in held if h.machine in self._machines))

    def receipts(self, limit: int = 100) -> list[dict[str, str | int]]:
        """The edges' receipts, newest first."""
        with self._lock:
            return self._store.receipts(self.site, limit)

    def roster(self) -> Rejected | tuple[Person, ...]:
        """The persons of this site, or why there are none."""
        found = self._roster.current(self._now_s())
        return found if isinstance(found, Rejected) else found.persons

    def _detail(self, row: Row) -> Detail:
        receipts = self._store.receipts(self.site, 20, row.sent_sha256) if row.sent_sha256 else []
        persons = tuple(person for person, _, _ in self._store.approvals(row))
        machine = self._machines[row.machine]
        return Detail(row, machine, request_of(row), persons, self._store.events(row), receipts)

    # Inside.

    def _end(self, row: Row, happened: Happened, code: Code, who: str, detail: str = "") -> Row:
        try:
            self._record(str(happened), who, proposal=row.id, machine=row.machine, code=code, detail=detail)
        except AuditError:
            # Ending without a command is always safe, recorded or not.
            self._count("audit_failed")
        with self._store.transaction():
            return self._store.advance(
                row, happened, now=self._now_s(), who=who, detail=detail or code, code=str(code)
            )

    def _note_refusal(self, kind: str, person: Person, row: Row, why: Rejected) -> None:
        try:
            self._record(kind, person.id, proposal=row.id, code=why.reason)
        except AuditError:
            self._count("audit_failed")

    def _record(self, kind: str, who: str, **what: str | int) -> None:
        self._audit.write(Entry(self._now_s(), self.site, kind, who, {k: _plain(v) for k, v in what.items()}))

    def _count(self, name: str) -> None:
        self.counts[name] += 1
        self._unsaid[name] += 1


def _plain(value: str | int) -> str | int:
    return str(value) if isinstance(value, str) else value


def proposal_of(row: Row, presence: str) -> Proposal:
    """Exactly what a person signs, with the code that he read at the machine."""
    found = Proposal.parse_canonical(row.body or b"")
    assert not isinstance(found, Rejected)
    return dataclasses.replace(found, presence=presence)
