"""The reading threads: what breaks or hangs in one source is told, declared, and costs the others nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import edge.place
from edge.agent import Agent
from edge.config import AgentConfig
from edge.intake import Intake
from edge.outbox import counts
from edge.outbox_rows import Loss
from edge.place import BROKEN, HUNG, HUNG_NS, Place
from edge.readers import Change, Readers
from edge.sensors import Telemetry
from edge.status import read_status
from ingest.contract.values import Scalar
from tests.waiting import until

PERIOD_NS = 20_000_000


@dataclass
class Source:
    """Answers every read with its count; `odd` is raised instead while it is set, `held` holds a read."""

    period_ns: int = PERIOD_NS
    exhausted: bool = False
    trouble: str | None = None
    odd: Exception | None = None
    held: threading.Event | None = None
    reads: int = 0
    closed: int = 0
    asked: list[tuple[int, int]] = field(default_factory=list)

    def open(self) -> None: ...

    def read(self, now_ns: int) -> Telemetry:
        self.reads += 1
        if self.held is not None:
            self.held.wait(60)
        if self.odd is not None:
            raise self.odd
        return (Scalar("Temperature/case", float(self.reads), now_ns),)

    def acquire(self, n_samples: int, period_ns: int) -> bool:
        self.asked.append((n_samples, period_ns))
        return True

    def close(self) -> None:
        self.closed += 1


class Rig:
    """Readers and what they leave in the intake."""

    def __init__(self, sources: dict[str, Source], hung_ns: int = HUNG_NS) -> None:
        self.intake = Intake(lambda: None)
        self.changes: list[Change] = []
        self.losses: list[Loss] = []
        self.readers = Readers("gw-1", dict(sources), self.intake, self.changes.append, hung_ns)

    def heard(self, machine: str) -> int:
        return sum(one.machine == machine for one in self.intake.take(1000))

    def lost(self, machine: str, reason: str) -> int:
        self.losses += self.intake.take_losses()
        return sum(one.n_messages for one in self.losses if (one.machine, one.reason) == (machine, reason))


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(sources: dict[str, Source], hung_ns: int = HUNG_NS) -> Rig:
        made.append(Rig(sources, hung_ns))
        made[-1].readers.start()
        return made[-1]

    yield make
    for one in made:
        one.readers.stop(2.0)


def test_a_source_that_breaks_is_tried_again_and_its_neighbour_never_notices(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge.readers.MAX_THREADS", 1)
    monkeypatch.setattr(edge.place, "LONGEST_PAUSE_NS", 200_000_000)
    monkeypatch.setattr(logging.getLogger("edge"), "propagate", True)  # an agent's `main` may have run here
    odd, well = Source(odd=ZeroDivisionError("an odd telegram")), Source()
    running = rig({"m-odd": odd, "m-well": well})
    until(lambda: odd.reads >= 2)
    heard = well.reads
    until(lambda: well.reads > heard + 20)
    assert running.readers.silent() == {"m-odd": "broken: ZeroDivisionError: an odd telegram"}
    assert running.lost("m-odd", BROKEN) >= 2
    assert odd.closed >= 1, "a broken source is opened anew"
    odd.odd = None
    until(lambda: running.heard("m-odd") > 0)
    until(lambda: not running.readers.silent())
    assert [one.trouble is None for one in running.changes] == [False, True]
    until(lambda: running.lost("m-odd", BROKEN) > 10)  # the reads that fell into the pauses, too
    assert running.readers.failure is None
    told = [one for one in caplog.records if one.getMessage() == "source_broken"]
    assert told
    assert all(one.exc_info and one.exc_info[1] for one in told), "with its trace"


def test_machines_behind_a_read_that_hangs_are_read_on_and_the_hole_is_declared(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.readers.MAX_THREADS", 1)
    hung, well = Source(held=threading.Event()), Source()
    running = rig({"m-hung": hung, "m-well": well}, hung_ns=300_000_000)

    def looked(condition: Callable[[], object]) -> bool:
        running.readers.look_after(time.monotonic_ns())
        return bool(condition())

    until(lambda: looked(lambda: "m-hung" in running.readers.silent()))
    assert "not come back" in running.readers.silent()["m-hung"]
    heard = well.reads
    until(lambda: looked(lambda: well.reads > heard + 20))
    assert hung.reads == 1
    assert hung.held is not None
    hung.held.set()
    until(lambda: looked(lambda: hung.reads > 5))
    assert running.readers.silent() == {}
    assert running.lost("m-hung", HUNG) >= 0.3e9 // PERIOD_NS - 1
    assert running.lost("m-well", HUNG) == 0
    assert [one.trouble is None for one in running.changes] == [False, True]


def test_a_read_that_still_hangs_when_the_agent_stops_is_declared(rig: Callable[..., Rig]) -> None:
    hung = Source(held=threading.Event())
    running = rig({"m-hung": hung}, hung_ns=100_000_000)
    until(lambda: running.readers.look_after(time.monotonic_ns()) or running.readers.silent())
    running.readers.stop(0.1)
    assert running.lost("m-hung", HUNG) >= 4
    assert hung.held is not None
    hung.held.set()


def test_what_the_host_asks_of_a_source_reaches_it_before_its_next_read(rig: Callable[..., Rig]) -> None:
    source = Source()
    running = rig({"m-1": source})
    assert running.readers.acquire("m-1", 4096, 1_000_000_000)
    assert not running.readers.acquire("m-2", 4096, 1_000_000_000)
    until(lambda: source.asked == [(4096, 1_000_000_000)])


def test_a_read_that_comes_back_while_its_hanging_is_told_ends_as_one_that_answers() -> None:
    source, back = Source(held=threading.Event()), threading.Event()
    told: list[bool] = []
    assert source.held is not None
    held = source.held

    def tell(change: Change) -> None:
        if change.trouble is not None:
            held.set()
            back.wait(0.3)  # room for the reading thread to speak first
        told.append(change.trouble is not None)
        back.set()

    readers = Readers("gw-1", {"m-1": source}, Intake(lambda: None), tell, hung_ns=100_000_000)
    readers.start()
    until(lambda: readers.look_after(time.monotonic_ns()) or len(told) == 2)
    readers.stop(2.0)
    assert told == [True, False], "the last word on a machine that answers was that it is lost"


def test_a_read_that_came_back_is_not_called_hanging_until_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hour_ns = 3_600_000_000_000
    source = Source(period_ns=hour_ns, held=threading.Event())
    assert source.held is not None
    held = source.held
    readers = Readers("gw-1", {"m-1": source}, Intake(lambda: None), lambda _: None, hung_ns=100_000_000)
    (place,), really = readers._places, readers.mark
    marked: list[str | None] = []

    def slowly(machine: str, trouble: str | None) -> None:
        if trouble is not None:
            held.set()
            until_s = time.monotonic() + 0.3
            while place.asking_ns and time.monotonic() < until_s:
                time.sleep(0.01)  # room for the read to come back
        marked.append(trouble)
        really(machine, trouble)

    monkeypatch.setattr(readers, "mark", slowly)
    readers.start()
    until(lambda: readers.look_after(time.monotonic_ns()) or marked)
    try:
        until(lambda: not readers.silent(), "a machine that answered is silent for an hour")
    finally:
        readers.stop(2.0)


def test_the_hosts_newest_wish_is_not_lost_while_an_older_one_is_carried_out() -> None:
    source = Source()
    readers = Readers("gw-1", {"m-1": source}, Intake(lambda: None), lambda _: None)
    wishes = [(4096, 1), (8192, 1), (0, 0)]

    class Interrupted(Place):
        """The host's thread has a newer wish whenever the reading thread looks at the present one."""

        __slots__ = ()

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name == "wanted" and found is not None and wishes:
                asking = threading.Thread(target=readers.acquire, args=("m-1", *wishes.pop(0)))
                asking.start()
                asking.join(0.2)
            return found

    readers._places[0].__class__ = Interrupted
    readers.acquire("m-1", *wishes.pop(0))
    readers.start()
    try:
        until(lambda: (0, 0) in source.asked, "the order to go back to normal")
    finally:
        readers.stop(2.0)


def test_a_source_that_breaks_is_in_the_agents_health_and_in_a_gap_record(tmp_path: Path) -> None:
    sources = {"m-odd": Source(odd=TypeError("no number")), "m-well": Source()}
    config = AgentConfig(
        plant="", gateway="gw-1", broker="mqtt://127.0.0.1:1", data_dir=str(tmp_path), outbox_min_free_mb=0
    )
    agent = Agent(config, "plant-1", dict(sources))
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        until(lambda: (seen := read_status(tmp_path)) and seen.sensors_silent and seen.gap_declared)
        status = read_status(tmp_path)
        assert status is not None
        assert status.sensors_silent == {"m-odd": "broken: TypeError: no number"}
        until(lambda: (seen := read_status(tmp_path)) and seen.made > seen.gap_declared + 5)
    finally:
        agent.stop()
        thread.join(20)
    assert not thread.is_alive()
    assert counts(tmp_path / "outbox.db").holds


def test_a_reading_thread_that_breaks_itself_ends_the_agent_with_what_it_met(tmp_path: Path) -> None:
    class Unreadable(Source):
        def __getattribute__(self, name: str) -> Any:
            if name == "period_ns":
                raise AttributeError("ours is broken")
            return super().__getattribute__(name)

    config = AgentConfig(
        plant="", gateway="gw-1", broker="mqtt://127.0.0.1:1", data_dir=str(tmp_path), outbox_min_free_mb=0
    )
    agent = Agent(config, "plant-1", {"m-1": Unreadable()})
    with pytest.raises(AttributeError, match="ours is broken"):
        agent.run()
    status = read_status(tmp_path)
    assert status is not None
    assert status.state == "stopped"
