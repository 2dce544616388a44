"""A whole plant on one machine: broker, gateways, stream, screens, isolated control, and a growing fault."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.actuator.book import Book
from ingest.contract.approval.keys import PublicKey, unseal
from ingest.contract.approval.messages import RECEIPT_DOMAIN, Receipt
from ingest.contract.channels import SPEED_RPM, STATE, RunState
from ingest.contract.plant import parse_plant
from ingest.contract.rejected import Rejected
from ingest.reader import Reader
from mitra.exits import PersonError
from mitra.house import House, Ports, secrets_of
from mitra.layout import Layout, make_folder, writing
from mitra.mailbox import Clerk
from mitra.serve import hold
from mitra.supervisor import Supervisor, free_port, port_is_free
from mitra.tally import Tally, tally
from mitra.technicians import Script, enrol_people
from simulators.plant import PlantFile, PlantRequest, write_plant

HOST = "127.0.0.1"
SETTLE_S = 20.0
MAX_RECEIPTS = 10_000
DEMO_FATIGUE = {"gap_s": 5, "per_hour": 60, "quiet_after_veto_s": 8, "dedup_s": 5, "held_s": 600}
"""A demonstration lasts minutes, not shifts: people are asked more often than `control` allows by default."""


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What to show. faulty: which machine fails; onset_s, growth_s: of its fault; ports: 0 = a free one.

    is_passing: the data folder was made for this run alone.
    """

    data: Path
    n_machines: int = 20
    n_gateways: int = 2
    seed: int = 1
    language: str = "id"
    faulty: int = 0
    onset_s: float = 60.0
    growth_s: float = 120.0
    screens_port: int = 0
    control_port: int = 0
    page_port: int = 0
    is_passing: bool = False


@dataclass(slots=True)
class Demo:
    """A running demonstration; `stop` ends every process."""

    request: DemoRequest
    supervisor: Supervisor
    house: House
    plant_file: PlantFile
    clerk: Clerk
    lock: int
    """Descriptor that keeps the data folder for this plant alone."""

    @property
    def urls(self) -> dict[str, str]:
        """Addresses for a browser."""
        return {
            "screens": f"http://{HOST}:{self.house.ports.screens}",
            "machine": f"http://{HOST}:{self.house.ports.screens}/machines/{self.plant_file.faulty_machine}",
            "approvals": self.house.page_origin,
        }

    def start(self, told: Callable[[str], None]) -> None:
        """Start everything in order. told: hears what is being started. Raises StartError."""
        house = self.house
        told("broker")
        self.supervisor.start(house.broker())
        enrol_people(house)
        told("analytics")
        self.supervisor.start(house.analytics())
        for gateway in house.plant.gateway:
            told(f"gateway {gateway.id}")
            self.supervisor.start(house.actuator(gateway.id))
            self.supervisor.start(house.edge(gateway.id))
        told("control")
        self.supervisor.start(house.control())
        self.supervisor.start(house.page())
        told("screens")
        self.supervisor.start(house.screens())

    def runs(self, machine: str) -> bool:
        """Whether a machine runs, by its own newest telemetry."""
        latest = Reader(self.house.layout.journal).machine(machine)
        if latest is None:
            return False
        state = latest.scalars.get(STATE)
        speed = latest.scalars.get(SPEED_RPM)
        return (state is None or state[0] != RunState.STOPPED) and (speed is None or speed[0] > 0)

    def quiet(self) -> None:
        """Let the gateways stop sensing and wait until the server has stored what they made."""
        for gateway in self.house.plant.gateway:
            self.supervisor.stop_one(f"edge-{gateway.id}")
        deadline = time.monotonic() + SETTLE_S
        before = -1
        while before != (stored := self._tally().stored) and time.monotonic() < deadline:
            before = stored
            time.sleep(1.0)

    def _tally(self) -> Tally:
        edges = [(one.id, self.house.layout.edge(one.id)) for one in self.house.plant.gateway]
        return tally(self.house.layout.journal, edges)

    def report(self, script: Script | None) -> dict[str, Any]:
        """What happened, counted at the ends: outboxes, journal, switches and the edges' receipts."""
        found = self._tally()
        reader = Reader(self.house.layout.journal)
        alarmed = {view.machine for view in reader.alarms(limit=10_000)}
        faulty = self.plant_file.faulty_machine
        receipts = receipts_of(self.house)
        verified = {one.machine for one in receipts if one.result == "verified"}
        allowed = verified & set(script.approved) if script else verified
        confirmed = [one for one in receipts if one.result == "confirmed" and one.machine in allowed]
        switched = _switched_off(self.house.layout.switches)
        return {
            "machines": len(self.house.plant.machine),
            "blocks_published": found.made,
            "blocks_stored": found.stored,
            "in_outbox": found.in_outbox,
            "gap_declared": found.gap_declared,
            "lost": found.lost,
            "duplicates_stored": found.duplicates_stored,
            "alarms": len(reader.alarms(limit=10_000)),
            "faulty_machine": faulty,
            "faulty_machine_alarmed": faulty in alarmed,
            "healthy_machines_alarmed": sorted(alarmed - {faulty}),
            "proposals": len(script.seen) if script else 0,
            "rejected": script.rejected if script else [],
            "ran_on_after_rejection": script.ran_on_after_rejection if script else None,
            "approved_stops": len(confirmed),
            "unapproved_stops": len(set(switched) - allowed),
            "machines_stopped": switched,
            "receipts": len(receipts),
            "restarts": self.supervisor.restarts(),
            "problems": script.problems if script else [],
        }

    def stop(self) -> None:
        """End every process, and let go of the folder."""
        self.clerk.close()
        self.supervisor.stop()
        os.close(self.lock)


def receipts_of(house: House) -> list[Receipt]:
    """Every receipt in the actuators' own books whose signature holds: the edge's word, not the server's."""
    found = []
    for gateway in house.plant.gateway:
        folder = house.layout.actuator(gateway.id)
        key = PublicKey.parse((folder / "edge.pub.json").read_bytes())
        book = Book(folder / "actuator.sqlite")
        try:
            for wire in book.receipts_after(0, MAX_RECEIPTS):
                body = Rejected("key") if isinstance(key, Rejected) else unseal(RECEIPT_DOMAIN, wire, (key,))
                receipt = body if isinstance(body, Rejected) else Receipt.parse_canonical(body)
                if not isinstance(receipt, Rejected):
                    found.append(receipt)
        finally:
            book.close()
    return found


def _switched_off(folder: Path) -> list[str]:
    """Machines whose simulated switch says that they were stopped."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.exists() else []:
        with suppress(ValueError):
            if json.loads(path.read_text("utf-8")).get("run") is False:
                found.append(path.stem)
    return found


def prepare(request: DemoRequest) -> Demo:
    """Write the plant and its accounts; nothing runs yet. Raises PersonError."""
    layout = Layout(make_folder(request.data).resolve())
    lock = hold(layout)
    try:
        return _prepared(request, layout, lock)
    except PersonError:
        os.close(lock)
        raise


def _prepared(request: DemoRequest, layout: Layout, lock: int) -> Demo:
    ports = Ports(
        broker=free_port(HOST),
        screens=_port(request.screens_port, "screens"),
        control=_port(request.control_port, "control"),
        page=_port(request.page_port, "page"),
    )
    plant_path = layout.root / "plant.toml"
    plant_file = write_plant(
        PlantRequest(
            n_machines=request.n_machines,
            n_gateways=min(request.n_gateways, request.n_machines),
            seed=request.seed,
            language="en" if request.language == "en" else "id",
            origin_ns=time.time_ns(),
            faulty=request.faulty,
            onset_s=request.onset_s,
            growth_s=request.growth_s,
            switches=str(make_folder(layout.switches)),
        )
    )
    with writing(plant_path):
        plant_path.write_text(plant_file.text, "utf-8")
    plant = parse_plant(plant_file.text, str(plant_path))
    house = House(
        layout,
        plant,
        plant_path,
        ports,
        secrets_of(layout, plant),
        demo=True,
        stream={"profile": "demo"},
        fatigue=DEMO_FATIGUE,
    )
    supervisor = Supervisor(layout.logs, (lock,), layout.root if request.is_passing else None)
    return Demo(request, supervisor, house, plant_file, Clerk(supervisor, layout, plant_path), lock)


def _port(wanted: int, what: str) -> int:
    if wanted == 0:
        return free_port(HOST)
    if not port_is_free(HOST, wanted):
        raise PersonError(
            "missing",
            f"Port {wanted}, wanted for {what}, is in use by another program. "
            f"Stop that program, or choose another port with --{what}-port.",
        )
    return wanted
