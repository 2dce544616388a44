"""People of a demo: a roster with software keys, and a scripted pair who decide as people would."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from control.roster import init, publish
from control.technician import RefusedError, Technician, enrol_software
from edge.actuator.panel import read_panel
from ingest.contract.approval.states import State
from mitra.house import House

log = logging.getLogger("mitra.technicians")

PEOPLE = (
    ("sari-wulandari", "Sari Wulandari", "approver"),
    ("budi-santoso", "Budi Santoso", "approver"),
)
POLL_S = 0.5
LOG_IN = frozenset({"not_logged_in", "csrf"})
MAX_PROBLEMS = 100


def enrol_people(house: House) -> None:
    """Make the demo's roster and two people's software keys; a roster that is there is left alone."""
    folder = house.layout.roster
    if (folder / "public").exists():
        publish(folder, datetime.now(UTC))
        return
    folder.mkdir(parents=True, exist_ok=True)
    init(folder, house.plant.site, datetime.now(UTC))
    for person_id, name, role in PEOPLE:
        enrol_software(
            folder,
            house.layout.keys / f"{person_id}.json",
            site=house.plant.site,
            person_id=person_id,
            name=name,
            role=role,
            origin=house.page_origin,
            rp_id="localhost",
        )
    publish(folder, datetime.now(UTC))


@dataclass(slots=True)
class Script:
    """Rejects the first proposal with a reason, sees that the machine runs on, and approves the next.

    What is refused, or not answered, is said and tried again, as people would. runs: says whether a machine
    runs, from its own telemetry; problems: each only once.
    """

    house: House
    runs: Callable[[str], bool]
    seen: set[str] = field(default_factory=set)
    rejected: list[str] = field(default_factory=list)
    approved: list[str] = field(default_factory=list)
    ran_on_after_rejection: bool | None = None
    problems: list[str] = field(default_factory=list)
    _begun: set[str] = field(default_factory=set)
    _closing: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Work beside the plant until `stop`."""
        self._thread = threading.Thread(target=self._work, name="technicians", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go home."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        url = f"http://127.0.0.1:{self.house.ports.control}"
        people = [Technician(url, self.house.layout.keys / f"{person_id}.json") for person_id, *_ in PEOPLE]
        is_in = False
        try:
            while not self._closing.wait(POLL_S):
                try:
                    if not is_in:
                        for person in people:
                            person.login()
                        is_in = True
                    self._look(people)
                except (RefusedError, httpx.HTTPError, ValueError) as error:
                    is_in = is_in and isinstance(error, RefusedError) and error.code not in LOG_IN
                    self._say(error)
        finally:
            for person in people:
                person.close()

    def _say(self, error: Exception) -> None:
        problem = f"{type(error).__name__}: {error}"
        if problem not in self.problems and len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
            log.warning("tried_again after=%s", problem)

    def _look(self, people: list[Technician]) -> None:
        if self.rejected and self.ran_on_after_rejection is None:
            self.ran_on_after_rejection = self.runs(self.rejected[0])
        for proposal_id in sorted(self._begun):
            self._settle(people[0].proposal(proposal_id))
        for proposal in people[0].proposals():
            self.seen.add(proposal["id"])
            if proposal["state"] != State.AWAITING:
                continue
            if not self.rejected:
                people[0].reject(proposal["id"], "Checked at the machine: it may run on for now.")
                self.rejected.append(proposal["machine"])
            else:
                self._approve(people, proposal)

    def _approve(self, people: list[Technician], proposal: dict[str, Any]) -> None:
        machine = str(proposal["machine"])
        presence = str(read_panel(self.house.layout.panels, machine).get("presence", ""))
        self._begun.add(proposal["id"])
        for person in people[: int(proposal["approvals_needed"])]:
            person.approve(proposal["id"], presence)
        self._settle(people[0].proposal(proposal["id"]))

    def _settle(self, proposal: dict[str, Any]) -> None:
        """An answer may be lost: whether a stop was approved is read off the proposal."""
        if len(proposal["approvals"]) >= int(proposal["approvals_needed"]):
            self.approved.append(str(proposal["machine"]))
            self._begun.discard(proposal["id"])
        elif not proposal["open"]:
            self._begun.discard(proposal["id"])
