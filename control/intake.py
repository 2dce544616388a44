"""What analytics may reach: its requests become proposals only as often as people can judge them.

Called under the desk's lock.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from control.budget import HOUR_S, may_ask
from control.config import ControlSettings, MachineSettings
from control.store import Row, Store
from ingest.contract.approval.codes import Code
from ingest.contract.approval.keys import PublicKey
from ingest.contract.approval.messages import VERSION, Request, TicketWanted, evidence_sha256
from ingest.contract.approval.states import State
from ingest.contract.approval.topics import Leaf
from ingest.contract.rejected import Rejected

ASK_AGAIN_S = 5
Say = Callable[[str, Leaf, bytes], None]


class Intake:
    """Duplicates, one open proposal a machine, the budget, and a bounded waiting list."""

    def __init__(
        self,
        site: str,
        settings: ControlSettings,
        store: Store,
        machines: Mapping[str, MachineSettings],
        *,
        edge_key: Callable[[str], PublicKey | Rejected],
        say: Say,
        count: Callable[[str], None],
    ) -> None:
        """machines: those of this site; edge_key: by which an edge's tickets are known; count: notes what is
        dropped."""
        self._site, self._settings, self._store, self._machines = site, settings, store, machines
        self._edge_key, self._say, self._count = edge_key, say, count
        self._asked_at: dict[str, int] = {}

    def take(self, data: bytes, now: int) -> Rejected | None:
        """Show a request, let it wait, or say why it is dropped."""
        request = Request.parse(data)
        if isinstance(request, Rejected):
            return request
        if request.site != self._site:
            return Rejected(Code.TOPIC)
        if request.machine not in self._machines:
            return Rejected(Code.UNKNOWN_MACHINE)
        key = self._edge_key(self._machines[request.machine].edge)
        if isinstance(key, Rejected):
            return key
        if request.evidence is not None and evidence_sha256(request.evidence) != request.evidence_sha256:
            return Rejected(Code.EVIDENCE_MISMATCH)
        if self._store.is_seen(self._site, request.dedup_key, now, self._settings.fatigue.dedup_s):
            return Rejected(Code.DUPLICATE)
        row = self._store.open_of(self._site, request.machine)
        if row is not None:
            self._store.asked_again(row)
            return Rejected(Code.OPEN_PROPOSAL)
        if self._is_quiet(request.machine, now) or not self._has_budget(now):
            if not self._store.hold(self._site, request.machine, data, risk=float(request.risk), now=now):
                return Rejected(Code.QUEUE_FULL)
            return Rejected(Code.BUDGET)
        self._propose(request, data, now)
        return None

    def _is_quiet(self, machine: str, now: int) -> bool:
        vetoed = self._store.last_veto(self._site, machine)
        return vetoed is not None and now - vetoed < self._settings.fatigue.quiet_after_veto_s

    def _has_budget(self, now: int) -> bool:
        fatigue = self._settings.fatigue
        asked_at = self._store.shown_since(self._site, now - HOUR_S - self._settings.ticket_wait_s)
        return may_ask(asked_at, now, fatigue.gap_s, fatigue.per_hour)

    def _propose(self, request: Request, data: bytes, now: int) -> None:
        machine = self._machines[request.machine]
        row = Row(
            id=secrets.token_hex(8),
            site=self._site,
            machine=machine.id,
            line=machine.line,
            state=State.PROPOSED,
            request=data,
            asked=1,
            created=now,
            shown=None,
            deadline=now + self._settings.ticket_wait_s,
        )
        self._store.add(row)
        self._store.drop_held(self._site, machine.id)
        self.want_ticket(row, now)

    def want_ticket(self, row: Row, now: int) -> None:
        """Ask the machine's edge for a ticket."""
        edge = self._machines[row.machine].edge
        self._asked_at = {one: at for one, at in self._asked_at.items() if at > now - HOUR_S}
        self._asked_at[row.id] = now
        self._say(edge, Leaf.TICKET_WANTED, TicketWanted(VERSION, self._site, edge, row.machine).to_bytes())

    def want_ticket_again(self, row: Row, now: int) -> None:
        """Ask again when the edge has been silent for a while."""
        if now - self._asked_at.get(row.id, 0) >= ASK_AGAIN_S:
            self.want_ticket(row, now)

    def next_held(self, now: int) -> None:
        """Put the riskiest waiting request before people, if they may be asked again."""
        for held in self._store.held(self._site):
            if now - held.at > self._settings.fatigue.held_s or held.machine not in self._machines:
                self._store.drop_held(self._site, held.machine)
                self._count("held_dropped")
                continue
            if not self._has_budget(now):
                continue
            request = Request.parse(held.request)
            is_open = self._store.open_of(self._site, held.machine) is not None
            if not is_open and not self._is_quiet(held.machine, now) and not isinstance(request, Rejected):
                self._propose(request, held.request, now)


def request_of(row: Row) -> Request:
    """The request that a stored proposal came from."""
    found = Request.parse(row.request)
    assert not isinstance(found, Rejected)
    return found
