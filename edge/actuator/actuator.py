"""The actuator: tickets out, envelopes in, and at most one stop a proposal.

One thread calls it. It talks through `say(leaf, bytes)` and looks at the world through the clock, outputs and
panel it is given, so that tests can kill it between any two steps.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from edge import log
from edge.actuator.book import Book, Stage
from edge.actuator.config import ActuatorConfig
from edge.actuator.judge import Here, Issued, Known, Now, Refused, Stop, judge
from edge.actuator.outputs import STOPPED, UNKNOWN, Output, OutputError
from edge.actuator.panel import Panel
from edge.actuator.roster import RosterFiles
from ingest.contract.approval.assertion import Pins
from ingest.contract.approval.codes import Code
from ingest.contract.approval.keys import PrivateKey, public_of, seal
from ingest.contract.approval.messages import (
    RECEIPT_DOMAIN,
    TICKET_DOMAIN,
    VERSION,
    Receipt,
    ReceiptsWanted,
    Ticket,
    TicketWanted,
    sha256_hex,
)
from ingest.contract.approval.presence import presence_code
from ingest.contract.approval.topics import Leaf
from ingest.contract.rejected import Rejected

MAX_TICKETS_A_MACHINE = 4
MAX_PRESENCE_TRIES = 3
MAX_UNSENT = 256
MAX_RECEIPTS_AN_ANSWER = 100
MAX_WAITING = 8
ROSTER_WAIT_MS = 2_000
_NO_ROSTER = frozenset({Code.ROSTER_MISSING, Code.ROSTER_UNVERIFIED, Code.ROSTER_ROLLBACK, Code.ROSTER_STALE})


class Clock(Protocol):
    """The two clocks of this host."""

    def wall_s(self) -> int:
        """Unix seconds."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that no one can set back."""
        ...


@dataclass(slots=True)
class _Running:
    """A verified stop on its way. due_ms: when to act, or when to give up reading back."""

    stop: Stop
    due_ms: int
    stage: Stage = Stage.HOLDING
    error: str = ""


class Actuator:
    """Verifies envelopes and stops machines. Any sqlite3.Error before acting refuses the stop."""

    def __init__(
        self,
        *,
        config: ActuatorConfig,
        book: Book,
        roster: RosterFiles,
        outputs: Mapping[str, Output],
        panel: Panel,
        key: PrivateKey,
        clock: Clock,
        say: Callable[[Leaf, bytes], None],
    ) -> None:
        """Take over from an earlier life: what it left is read back or given up, never repeated."""
        self._config = config
        self._book = book
        self._roster = roster
        self._outputs = outputs
        self._panel = panel
        self._key = key
        self._key_id = public_of(config.edge, key).key_id
        self._clock = clock
        self._say = say
        self.here = Here(
            config.site,
            config.edge,
            config.policy_version,
            {machine.id: machine.policy for machine in config.machine},
            Pins(config.origin, config.rp_id, config.allow_software_keys),
        )
        self.boot_id = secrets.token_hex(16)
        self.refused: Counter[str] = Counter()
        self._tickets: dict[str, Issued] = {}
        self._presence: dict[str, str] = {}
        self._presence_tries: Counter[str] = Counter()
        self._running: dict[str, _Running] = {}
        self._waiting: list[tuple[bytes, int]] = []
        self._unsent: list[tuple[Receipt, bytes]] = []
        for machine in config.machine:
            self._show(machine.id)
        self._take_over()

    # What the link brings.

    def on_message(self, leaf: Leaf, data: bytes) -> None:
        """Handle one message. Leaves that are not for an edge are dropped and counted."""
        handlers: dict[Leaf, Callable[[bytes], None]] = {
            Leaf.TICKET_WANTED: self._on_ticket_wanted,
            Leaf.ENVELOPE: self._on_envelope,
            Leaf.RECEIPTS_WANTED: self._on_receipts_wanted,
            Leaf.ROSTER: self._on_roster,
        }
        handler = handlers.get(leaf)
        if handler is None:
            self.refused[Code.TOPIC] += 1
            return
        handler(data)

    def _on_ticket_wanted(self, data: bytes) -> None:
        wanted = TicketWanted.parse(data)
        if isinstance(wanted, Rejected):
            self.refused[wanted.reason] += 1
            return
        if (wanted.site, wanted.edge) != (self._config.site, self._config.edge):
            self.refused[Code.WRONG_EDGE] += 1
            return
        machine = self._config.machines.get(wanted.machine)
        if machine is None:
            self.refused[Code.UNKNOWN_MACHINE] += 1
            return
        self._drop_stale_tickets()
        open_here = [one for one in self._tickets.values() if one.ticket.machine == machine.id]
        if len(open_here) >= MAX_TICKETS_A_MACHINE:
            self.refused[Code.TICKET_LIMIT] += 1
            return
        if machine.policy.presence and not open_here:
            self._new_presence(machine.id)
        ticket = Ticket(
            VERSION,
            self._config.site,
            self._config.edge,
            machine.id,
            machine.label,
            self._outputs[machine.id].observe(),
            self.boot_id,
            secrets.token_hex(16),
            self._config.ticket_ttl_s,
            self._config.policy_version,
        )
        body = ticket.to_bytes()
        deadline_ms = self._clock.monotonic_ms() + 1_000 * self._config.ticket_ttl_s
        self._tickets[ticket.nonce] = Issued(ticket, sha256_hex(body), deadline_ms)
        self._say(Leaf.TICKET, seal(TICKET_DOMAIN, body, self._key, self._key_id).to_bytes())

    def _on_receipts_wanted(self, data: bytes) -> None:
        wanted = ReceiptsWanted.parse(data)
        if isinstance(wanted, Rejected):
            self.refused[wanted.reason] += 1
            return
        self.flush()
        for wire in self._book.receipts_after(wanted.after_seq, MAX_RECEIPTS_AN_ANSWER):
            self._say(Leaf.RECEIPT, wire)

    def _on_roster(self, data: bytes) -> None:
        wrong = self._roster.take(data, self._clock.wall_s())
        if wrong is not None:
            self.refused[wrong.reason] += 1
            log.say("roster_refused", logging.WARNING, code=wrong.reason, detail=wrong.detail)

    def _on_envelope(self, data: bytes) -> None:
        self._take(data, self._clock.monotonic_ms() + ROSTER_WAIT_MS)

    def _take(self, data: bytes, give_up_ms: int) -> None:
        """Take a stop or refuse it. What lacks nothing but a roster waits a moment: the leads may be in the
        middle of publishing one, and whoever reads half of the new files may believe neither old nor new."""
        now = Now(self._clock.wall_s(), self._clock.monotonic_ms(), self._book.floor_s)
        known = Known(self._tickets, self._presence, self._book.is_spent, self._roster.current(now.wall_s))
        verdict = judge(data, self.here, known, now)
        if isinstance(verdict, Refused):
            waits = verdict.code in _NO_ROSTER and now.monotonic_ms < give_up_ms
            if waits and len(self._waiting) < MAX_WAITING:
                self._waiting.append((data, give_up_ms))
            else:
                self._refuse(verdict)
            return
        machine = verdict.proposal.machine
        if machine in self._running:
            self._refuse(Refused(Code.BUSY, verdict.sha256, machine))
            return
        if self._panel.is_inhibited(machine):
            self._refuse(Refused(Code.LOCAL_INHIBIT, verdict.sha256, machine))
            return
        proposal = verdict.proposal
        try:
            self._book.spend(proposal.edge_nonce, proposal.proposal_id, machine, verdict.sha256, now.wall_s)
        except sqlite3.Error as error:
            # Not on the disk means it could be taken twice: so it is not taken at all.
            self._refuse(Refused(Code.DISK, verdict.sha256, machine, str(error)))
            return
        self._tickets.pop(proposal.edge_nonce, None)
        hold_off_s = self._config.machines[machine].policy.hold_off_s
        self._running[machine] = _Running(verdict, now.monotonic_ms + round(1_000 * hold_off_s))
        self._receipt(machine, verdict.sha256, "verified", self._sign_count_alarm(verdict))
        if hold_off_s:
            self._receipt(machine, verdict.sha256, "hold_off", "")
        self._show(machine)
        self.flush()

    def _sign_count_alarm(self, stop: Stop) -> str:
        """A count that does not grow may be a cloned key: it is said in the receipt, and decides nothing."""
        fell = [
            credential for credential, count in stop.sign_counts if not self._book.count(credential, count)
        ]
        if not fell:
            return ""
        self.refused[Code.SIGN_COUNT] += 1
        log.say("sign_count_fell", logging.ERROR, credentials=fell)
        return Code.SIGN_COUNT

    # What time brings.

    def tick(self) -> None:
        """Act on stops whose hold-off is over and read back those that were carried out. Call often."""
        now_ms = self._clock.monotonic_ms()
        self._take_waiting(now_ms)
        for machine, running in list(self._running.items()):
            if running.stage is Stage.HOLDING:
                self._hold_or_act(machine, running, now_ms)
            if running.stage is Stage.ACTING:
                self._read_back(machine, running, now_ms)
        self.flush()

    def next_due_ms(self) -> int | None:
        """Monotonic time of the next thing to do, or None when nothing runs."""
        due_ms = [one.due_ms for one in self._running.values()] + [give_up for _, give_up in self._waiting]
        return min(due_ms, default=None)

    def _take_waiting(self, now_ms: int) -> None:
        """Judge again what waits for a roster, when there is one or the time is over."""
        if not self._waiting:
            return
        has_roster = not isinstance(self._roster.current(self._clock.wall_s()), Rejected)
        waiting, self._waiting = self._waiting, []
        for data, give_up_ms in waiting:
            if has_roster or now_ms >= give_up_ms:
                self._take(data, give_up_ms)
            else:
                self._waiting.append((data, give_up_ms))

    def _hold_or_act(self, machine: str, running: _Running, now_ms: int) -> None:
        nonce, sha256 = running.stop.proposal.edge_nonce, running.stop.sha256
        if self._panel.is_inhibited(machine):
            self._book.stage(nonce, Stage.DONE)
            self._finish(machine, sha256, "refused", Code.LOCAL_INHIBIT)
            return
        if now_ms < running.due_ms:
            return
        self._book.stage(nonce, Stage.ACTING)
        self._receipt(machine, sha256, "acting", "")
        self.flush()
        running.stage = Stage.ACTING
        running.due_ms = now_ms + round(1_000 * self._config.read_back_s)
        log.say("stopping", logging.WARNING, machine=machine, persons=running.stop.persons)
        try:
            self._outputs[machine].stop(running.stop.proposal.proposal_id)
        except OutputError as error:
            running.error = "output"
            log.say("output_failed", logging.ERROR, machine=machine, error=str(error))

    def _read_back(self, machine: str, running: _Running, now_ms: int) -> None:
        observed = self._outputs[machine].observe()
        if observed != STOPPED and now_ms < running.due_ms:
            return
        self._book.stage(running.stop.proposal.edge_nonce, Stage.DONE)
        self._finish(machine, running.stop.sha256, _RESULT[observed], running.error)

    def _take_over(self) -> None:
        """After a crash: a stop only held is given up; one acted on is read back, not repeated."""
        for left in self._book.unfinished():
            self._book.stage(left.nonce, Stage.DONE)
            if left.machine not in self._outputs:
                continue
            if left.stage is Stage.ACTING:
                observed = self._outputs[left.machine].observe()
                self._receipt(left.machine, left.sha256, _RESULT[observed], Code.RESTARTED)
            else:
                self._receipt(left.machine, left.sha256, "refused", Code.RESTARTED)
        self.flush()

    # What it says.

    def flush(self) -> None:
        """Commit the receipts made since the last time, then publish: what is out is on the disk."""
        if not self._unsent:
            return
        last_hash = sha256_hex(self._unsent[-1][0].to_bytes())
        wires = [(receipt.edge_seq, wire) for receipt, wire in self._unsent]
        self._book.keep_receipts(wires, last_hash, self._clock.wall_s())
        self._unsent.clear()
        for _, wire in wires:
            self._say(Leaf.RECEIPT, wire)

    def _refuse(self, refused: Refused) -> None:
        self.refused[refused.code] += 1
        if refused.code is Code.PRESENCE_WRONG:
            self._presence_tries[refused.machine] += 1
            if self._presence_tries[refused.machine] >= MAX_PRESENCE_TRIES:
                self._drop_tickets(refused.machine)
        self._receipt(refused.machine, refused.sha256, "refused", refused.code)
        if len(self._unsent) >= MAX_UNSENT:
            self.flush()

    def _finish(self, machine: str, sha256: str, result: str, code: str) -> None:
        del self._running[machine]
        self._receipt(machine, sha256, result, code)
        self._drop_tickets(machine)
        self.flush()

    def _receipt(self, machine: str, sha256: str, result: str, code: str) -> None:
        last = self._unsent[-1][0] if self._unsent else None
        receipt = Receipt(
            VERSION,
            self._config.site,
            self._config.edge,
            machine,
            sha256,
            result,
            str(code),
            self._outputs[machine].observe() if machine and result != "refused" else UNKNOWN,
            (last.edge_seq if last else self._book.seq) + 1,
            sha256_hex(last.to_bytes()) if last else self._book.last_hash,
            self.boot_id,
            self._clock.monotonic_ms(),
            self._clock.wall_s(),
        )
        wire = seal(RECEIPT_DOMAIN, receipt.to_bytes(), self._key, self._key_id).to_bytes()
        self._unsent.append((receipt, wire))

    # Tickets and the panel.

    def _drop_stale_tickets(self) -> None:
        now_ms = self._clock.monotonic_ms()
        self._tickets = {nonce: one for nonce, one in self._tickets.items() if one.deadline_ms > now_ms}

    def _drop_tickets(self, machine: str) -> None:
        self._tickets = {n: one for n, one in self._tickets.items() if one.ticket.machine != machine}
        self._presence.pop(machine, None)
        self._presence_tries.pop(machine, None)
        self._show(machine)

    def _new_presence(self, machine: str) -> None:
        self._presence[machine] = presence_code(secrets.randbelow(100_000))
        self._presence_tries.pop(machine, None)
        self._show(machine)

    def _show(self, machine: str) -> None:
        running = self._running.get(machine)
        shown: dict[str, str | int] = {
            "label": self._config.machines[machine].label,
            "presence": self._presence.get(machine, ""),
        }
        if running is not None and running.stage is Stage.HOLDING:
            left_ms = max(0, running.due_ms - self._clock.monotonic_ms())
            shown["stops_at"] = self._clock.wall_s() + round(left_ms / 1_000)
        self._panel.show(machine, **shown)


_RESULT = {STOPPED: "confirmed", "running": "failed", UNKNOWN: "unknown"}
