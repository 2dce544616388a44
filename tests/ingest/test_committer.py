"""Storing beside judging: in order, never ahead of the disk, and honest about failure."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from sparkplug_wire import SITE, dbirth, ddata, message, nbirth

from ingest.committer import Committer
from ingest.contract.batch import Batch
from ingest.contract.payload import Committed, read_committed, read_payload
from ingest.contract.rows import Outputs
from ingest.gate import Gate
from ingest.host import Host, Send
from ingest.inbox import Inbox
from ingest.journal.entry import Intake
from ingest.journal.journal import Journal
from ingest.stream import Stream
from tests.waiting import until


def intake(n: int) -> Intake:
    return Intake(Batch(n))


def test_batches_are_stored_in_their_order_and_drain_waits_for_them() -> None:
    stored: list[int] = []

    def store(one: Intake, _outputs: Outputs) -> bool:
        time.sleep(0.001)
        stored.append(one.batch.now_ns)
        return True

    committer = Committer(store)
    for n in range(50):
        committer.put(intake(n), Outputs())
    assert committer.drain()
    assert stored == list(range(50))
    committer.stop()


def test_after_a_batch_that_was_given_up_nothing_is_stored() -> None:
    stored: list[int] = []

    def store(one: Intake, _outputs: Outputs) -> bool:
        if one.batch.now_ns == 2:
            return False
        stored.append(one.batch.now_ns)
        return True

    committer = Committer(store)
    for n in range(6):
        committer.put(intake(n), Outputs())
    assert not committer.drain()
    assert stored == [0, 1]
    committer.stop()


def test_broken_code_is_raised_to_the_loop() -> None:
    def store(_one: Intake, _outputs: Outputs) -> bool:
        raise KeyError("broken")

    committer = Committer(store)
    committer.put(intake(0), Outputs())
    with pytest.raises(KeyError, match="broken"):
        committer.drain()
    committer.stop()


def test_an_edge_is_never_told_of_what_is_only_on_its_way_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal.db")
    gates, entered = threading.Semaphore(0), threading.Semaphore(0)
    real, sent = journal.commit, list[Send]()

    def slow(one: Intake, outputs: Outputs) -> int:
        entered.release()
        assert gates.acquire(timeout=60)
        return real(one, outputs)

    monkeypatch.setattr(journal, "commit", slow)
    inbox = Inbox(Host(SITE, "mitra"), Gate(journal), journal, publish=sent.append)
    stream = Stream(inbox, journal, lambda state, _batch: (state, Outputs()), None)
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    inbox.offer(*nbirth())
    inbox.offer(*dbirth(1))
    assert entered.acquire(timeout=60)
    for key in range(6):
        inbox.offer(*ddata(message(time.time_ns(), key=key), key + 2))
        time.sleep(0.02)
    on_disk: set[int] = set()
    deadline = time.monotonic() + 60
    while len(on_disk) < 6:
        assert time.monotonic() < deadline
        said = told(sent)
        on_disk = {seq for first, last in journal.stored_runs("gw-1", 7) for seq in range(first, last + 1)}
        assert {seq for seq in range(10) if any(one.holds(seq) for one in said)} <= on_disk
        gates.release()
        time.sleep(0.02)
    inbox.stop()
    for _ in range(20):
        gates.release()
    thread.join(60)
    assert not thread.is_alive()


def told(sent: list[Send]) -> list[Committed]:
    found = [read_committed(read_payload(one.payload)) for one in sent if "/NCMD/" in one.topic]
    return [one for one in found if isinstance(one, Committed)]


def test_while_there_is_nothing_to_store_it_is_asked_again_and_again_what_else_is_to_do() -> None:
    asked: list[str] = []
    committer = Committer(lambda _one, _outputs: True, lambda: asked.append(threading.current_thread().name))
    until(lambda: len(asked) >= 2, "idle turns")
    committer.put(intake(1), Outputs())
    assert committer.drain()
    committer.stop()
    assert set(asked) == {"committer"}


def test_what_goes_wrong_while_idle_is_raised_by_the_next_batch() -> None:
    def idle() -> None:
        asked.set()
        raise RuntimeError("no disk")

    asked = threading.Event()
    committer = Committer(lambda _one, _outputs: True, idle)
    assert asked.wait(20)
    until(lambda: committer._failure is not None, "the failure to be kept")
    with pytest.raises(RuntimeError, match="no disk"):
        committer.put(intake(1), Outputs())
    committer.stop()
