"""A small plant for tests of approved stops: roster, keys, actuator and control on one fake clock."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
import shutil
import tempfile
from collections import deque
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519
from starlette.testclient import TestClient

from control.authenticator import SoftwareKey, make_software_key
from control.config import ControlSettings, EdgeSettings, Fatigue, MachineSettings, SiteSettings
from control.roster import enrol, init, person, publish, read_public, revoke
from control.service import Service
from control.technician import Technician
from edge.actuator.actuator import Actuator
from edge.actuator.book import Book
from edge.actuator.config import ActuatorConfig, MachineConfig
from edge.actuator.judge import Known, Now
from edge.actuator.outputs import make_output, write_atomically
from edge.actuator.panel import Panel, read_panel
from edge.actuator.roster import RosterFiles
from ingest.contract.approval.keys import PublicKey, public_of, sign, unseal
from ingest.contract.approval.messages import (
    RECEIPT_DOMAIN,
    TICKET_DOMAIN,
    Approval,
    Envelope,
    Proposal,
    Receipt,
    Request,
    Ticket,
    TicketWanted,
    evidence_sha256,
    sha256_hex,
)
from ingest.contract.approval.policy import POLICY_VERSION
from ingest.contract.approval.settings import BrokerSettings
from ingest.contract.approval.strict import b64
from ingest.contract.approval.topics import TO_EDGE, Leaf, control_topic, parse_control_topic, request_topic
from ingest.contract.rejected import Rejected

SITE, EDGE = "plant-1", "gw-1"
ORIGIN, RP_ID = "http://localhost:8444", "localhost"
START_S = 1_800_000_000
MACHINES = {"fan-1": "low", "pump-1": "normal", "mill-1": "high", "kiln-1": "critical"}
PEOPLE = {"budi": "approver", "sari": "approver", "dewi": "lead", "tamu": "viewer"}


class FakeClock:
    """Wall and monotonic time that only tests move."""

    def __init__(self) -> None:
        self.wall = START_S
        self.monotonic = 1_000_000

    def wall_s(self) -> int:
        return self.wall

    def monotonic_ms(self) -> int:
        return self.monotonic

    def sleep(self, seconds: float) -> None:
        self.wall += round(seconds)
        self.monotonic += round(1_000 * seconds)


@cache
def _roster() -> tuple[dict[str, bytes], dict[str, SoftwareKey]]:
    """A roster with everybody in it, made once for all tests: its files by path, to be written for each."""
    with tempfile.TemporaryDirectory(prefix="mitra-roster-") as made:
        folder, now = Path(made), datetime.fromtimestamp(START_S, UTC)
        init(folder, SITE, now)
        keys = {}
        for name, role in PEOPLE.items():
            keys[name] = make_software_key(SITE, name, name.title(), origin=ORIGIN, rp_id=RP_ID)
            enrol(folder, person(name, name.title(), role, [keys[name].public_credential()]))
        publish(folder, now)
        files = {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    return files, keys


class Plant:
    """One edge with four machines and four persons; the messages it says are kept in `said`."""

    def __init__(self, folder: Path, **config: object) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.roster_dir = folder / "roster"
        made, keys = _roster()
        for name, data in made.items():
            (self.roster_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (self.roster_dir / name).write_bytes(data)
        self.keys = dict(keys)
        self.root = self.roster_dir / "public" / "1.root.json"
        self.edge_key = ed25519.Ed25519PrivateKey.generate()
        machines = tuple(
            MachineConfig(
                machine, machine.title(), "simulated", level, 0.0, {"switch_dir": str(self.switch_dir)}
            )
            for machine, level in MACHINES.items()
        )
        self.config = dataclasses.replace(
            ActuatorConfig(
                site=SITE,
                edge=EDGE,
                state_dir=str(folder / "actuator"),
                roster_dir=str(self.roster_dir / "public"),
                roster_root=str(self.root),
                panel_dir=str(folder / "panel"),
                origin=ORIGIN,
                rp_id=RP_ID,
                broker=BrokerSettings("127.0.0.1"),
                machine=machines,
                allow_software_keys=True,
            ),
            **config,
        )
        self.book_path: Path | str = folder / "actuator.sqlite"
        self.said: list[tuple[Leaf, bytes]] = []
        self.outputs = {m.id: make_output(m.output, m.id, m.settings) for m in machines}
        self.actuator = self.start()

    @property
    def switch_dir(self) -> Path:
        return self.folder / "switches"

    @property
    def edge_public(self) -> PublicKey:
        return public_of(EDGE, self.edge_key)

    def start(self) -> Actuator:
        """Start the actuator process anew on what is on the disk."""
        self.book = Book(self.book_path)
        self.actuator = Actuator(
            config=self.config,
            book=self.book,
            roster=RosterFiles(Path(self.config.roster_dir), Path(self.config.roster_root), SITE, self.book),
            outputs=self.outputs,
            panel=Panel(Path(self.config.panel_dir)),
            key=self.edge_key,
            clock=self.clock,
            say=self.say,
        )
        return self.actuator

    def say(self, leaf: Leaf, data: bytes) -> None:
        self.said.append((leaf, data))

    # What an honest control server does.

    def ticket(self, machine: str) -> Ticket:
        self.actuator.on_message(Leaf.TICKET_WANTED, TicketWanted(1, SITE, EDGE, machine).to_bytes())
        leaf, wire = self.said[-1]
        assert leaf is Leaf.TICKET
        body = unseal(TICKET_DOMAIN, wire, (self.edge_public,))
        assert isinstance(body, bytes)
        found = Ticket.parse_canonical(body)
        assert isinstance(found, Ticket)
        return found

    def proposal(self, machine: str, **changes: object) -> Proposal:
        ticket = self.ticket(machine)
        policy = self.config.machines[machine].policy
        made = Proposal(
            v=1,
            site=SITE,
            edge=EDGE,
            machine=machine,
            action="stop",
            reason="outer race fault grows",
            evidence_sha256="a" * 64,
            proposal_id=secrets.token_hex(8),
            edge_nonce=ticket.nonce,
            ticket_sha256=sha256_hex(ticket.to_bytes()),
            issued=self.clock.wall,
            expires=self.clock.wall + 300,
            policy_version=POLICY_VERSION,
            approvals_needed=policy.approvals_needed,
            presence=self.presence(machine),
        )
        return dataclasses.replace(made, **changes)

    def presence(self, machine: str) -> str:
        return str(read_panel(Path(self.config.panel_dir), machine).get("presence", ""))

    def sign(self, proposal: Proposal, *people: str) -> tuple[Approval, ...]:
        return tuple(self.keys[name].assertion(proposal.challenge()) for name in people)

    def send(self, data: bytes) -> Receipt:
        """Deliver bytes as an envelope and let time do its work; the last receipt is the answer."""
        before = len(self.said)
        self.actuator.on_message(Leaf.ENVELOPE, data)
        self.actuator.tick()
        while len(self.said) == before:  # it waits for a roster
            assert self.actuator.next_due_ms() is not None, "no receipt, and none is to come"
            self.clock.sleep(1)
            self.actuator.tick()
        leaf, wire = self.said[-1]
        assert leaf is Leaf.RECEIPT
        return self._opened(wire)

    def approve(self, proposal: Proposal, *people: str) -> Receipt:
        return self.send(Envelope(proposal.to_bytes(), self.sign(proposal, *people)).to_bytes())

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.wall, UTC)

    def twisted_approval(
        self,
        name: str,
        proposal: Proposal,
        *,
        client: dict[str, object] | None = None,
        rp_id: str = RP_ID,
        raw: bytes | None = None,
        sign_count: int = 0,
    ) -> Approval:
        """A correctly signed assertion whose inside is not what an honest browser would make."""
        key = self.keys[name]
        found = {
            "type": "webauthn.get",
            "challenge": b64(proposal.challenge()),
            "origin": ORIGIN,
            "crossOrigin": False,
        }
        client_data = json.dumps({**found, **(client or {})}).encode() if raw is None else raw
        data = hashlib.sha256(rp_id.encode()).digest() + b"\x05" + sign_count.to_bytes(4, "big")
        signature = sign(key._private(), data + hashlib.sha256(client_data).digest())
        return Approval(key.credential, b64(client_data), b64(data), b64(signature))

    def send_approvals(self, proposal: Proposal, *approvals: Approval) -> Receipt:
        return self.send(Envelope(proposal.to_bytes(), approvals).to_bytes())

    def known_and_now(self) -> tuple[Known, Now]:
        """What the actuator would judge by at this moment."""
        roster = self.actuator._roster.current(self.clock.wall)
        known = Known(self.actuator._tickets, self.actuator._presence, self.book.is_spent, roster)
        return known, Now(self.clock.wall, self.clock.monotonic, self.book.floor_s)

    def receipts(self) -> list[Receipt]:
        """Every receipt said so far, its signature checked."""
        return [self._opened(wire) for leaf, wire in self.said if leaf is Leaf.RECEIPT]

    def _opened(self, wire: bytes) -> Receipt:
        body = unseal(RECEIPT_DOMAIN, wire, (self.edge_public,))
        assert isinstance(body, bytes)
        receipt = Receipt.parse_canonical(body)
        assert isinstance(receipt, Receipt)
        return receipt

    def next_roster(self, revoked: str) -> dict[str, bytes]:
        """What a roster without this person changes in the public files; nothing is laid down here yet."""
        with tempfile.TemporaryDirectory(prefix="mitra-roster-") as made:
            folder = Path(made) / "roster"
            shutil.copytree(self.roster_dir, folder)
            revoke(folder, revoked)
            publish(folder, self.now())
            before = read_public(self.roster_dir / "public")
            return {k: data for k, data in read_public(folder / "public").items() if data != before[k]}

    def lay_down(self, name: str, data: bytes) -> None:
        """Replace one file of the public roster, as a copying program does."""
        write_atomically(self.roster_dir / "public" / name, data)

    def runs(self, machine: str) -> bool:
        return self.outputs[machine].observe() == "running"

    def all_run(self) -> bool:
        return all(map(self.runs, MACHINES))


class WholePlant(Plant):
    """The same with control in front: messages go through `wire`, people through the HTTP interface."""

    def __init__(self, folder: Path, **settings: object) -> None:
        super().__init__(folder)
        self.wire: deque[tuple[str, bytes]] = deque()
        self.sent: list[tuple[str, bytes]] = []
        key_file = folder / "edge.pub.json"
        key_file.write_bytes(self.edge_public.to_bytes())
        self.settings = dataclasses.replace(
            ControlSettings(
                host="127.0.0.1",
                port=8443,
                state_dir=str(folder / "control"),
                origin=ORIGIN,
                rp_id=RP_ID,
                broker=BrokerSettings("127.0.0.1"),
                site=(SiteSettings(SITE, "Plant One", self.config.roster_dir, self.config.roster_root),),
                edge=(EdgeSettings(EDGE, SITE, str(key_file)),),
                machine=tuple(
                    MachineSettings(one, SITE, EDGE, one.title(), "line-a", level)
                    for one, level in MACHINES.items()
                ),
                fatigue=Fatigue(gap_s=0, per_hour=1_000, quiet_after_veto_s=0),
                allow_software_keys=True,
            ),
            **settings,
        )
        self.service = self.start_control()

    def start_control(self) -> Service:
        """Start control anew on what is on the disk; everybody is logged out."""
        self.service = Service(self.settings, self.from_control, self.clock.wall_s)
        self.service.on_connected()
        self.pump()
        return self.service

    def from_control(self, site: str, edge: str, leaf: Leaf, data: bytes) -> None:
        self.wire.append((control_topic(site, edge, leaf), data))

    def say(self, leaf: Leaf, data: bytes) -> None:
        super().say(leaf, data)
        if hasattr(self, "wire"):
            self.wire.append((control_topic(SITE, EDGE, leaf), data))

    def pump(self) -> None:
        """Deliver until nobody has anything to say."""
        while self.wire:
            topic, data = self.wire.popleft()
            self.sent.append((topic, data))
            found = parse_control_topic(topic)
            if not isinstance(found, Rejected) and found[2] in TO_EDGE:
                if found[:2] == (SITE, EDGE):
                    self.actuator.on_message(found[2], data)
            else:
                self.service.on_message(topic, data)
            self.actuator.tick()

    def pass_time(self, seconds: float = 1) -> None:
        self.clock.sleep(seconds)
        self.service.tick()
        self.actuator.tick()
        self.pump()

    def request(self, machine: str, /, **changes: object) -> Rejected | None:
        """Analytics asks."""
        evidence = {
            "facts": [{"name": "BPFO", "value": "9.4 mm/s"}],
            "trend": [1.0, 2.5],
            "trend_unit": "mm/s",
        }
        made = Request(
            v=1,
            site=SITE,
            machine=machine,
            model_id="baseline",
            model_sha256="b" * 64,
            window={"start_ms": 0, "end_ms": 1_000},
            evidence_sha256=evidence_sha256(evidence),
            risk=0.87,
            reason="outer race fault grows",
            dedup_key=secrets.token_hex(8),
            evidence=evidence,
        )
        answer = self.service.on_message(request_topic(SITE), dataclasses.replace(made, **changes).to_bytes())
        self.pump()
        return answer

    def http(self) -> TestClient:
        """A client without any login."""
        return TestClient(self.service.app(), base_url="http://localhost:8443", headers={"origin": ORIGIN})

    def technician(self, name: str) -> Technician:
        """A person, logged in."""
        made = Technician("", self.keys[name], (self.edge_public,), client=self.http())
        made.login()
        return made

    def state(self, proposal_id: str) -> str:
        detail = self.service.desks[SITE].detail(proposal_id)
        assert detail is not None
        return str(detail.row.state)

    def envelope(self, machine: str, *people: str) -> bytes:
        """An honest, approved envelope, caught on its way to the edge: what a broker holds in its hand."""
        self.request(machine)
        detail = next(d for d in self.service.desks[SITE].listing(is_open=True) if d.machine.id == machine)
        code = self.presence(machine) if detail.machine.policy.presence else ""
        for name in people:
            self.technician(name).approve(detail.row.id, code)
        topic, data = self.wire.popleft()
        assert topic == control_topic(SITE, EDGE, Leaf.ENVELOPE)
        return data
