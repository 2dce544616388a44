"""The loop from the queue to the disk: exactly once, over restarts and full disks."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from sparkplug_wire import SITE, dbirth, ddata, message, nbirth

from ingest.contract.actions import Action, ActionKind
from ingest.contract.batch import Batch
from ingest.contract.payload import Committed, read_committed, read_payload
from ingest.contract.rows import FeatureRow, Outputs, StopAdvice
from ingest.desk import Desk
from ingest.gate import Gate
from ingest.host import Host, Send
from ingest.inbox import Inbox, InboxPolicy
from ingest.journal.journal import Journal
from ingest.metrics import IngestState, MetricsFile, read_health
from ingest.reader import Reader
from ingest.snapshots import Snapshots
from ingest.stream import Stream, StreamPolicy
from tests.waiting import until

State = tuple[float, ...]


def update(state: State, batch: Batch) -> tuple[State, Outputs]:
    """A fold whose result depends on every row and on their order."""
    rows = tuple(
        FeatureRow(m.machine, m.time_ns, ("p",), np.array([m.scalars[0].value], np.float32), m.key)
        for m in batch.messages
    )
    advice = tuple(
        StopAdvice(m.machine, m.time_ns, "c", 0.9, "r", "m", (0, 1))
        for m in batch.messages
        if m.scalars[0].value < 0
    )
    return replay(state, rows, batch.actions, batch.now_ns), Outputs(rows, advice=advice)


def replay(state: State, rows: tuple[FeatureRow, ...], actions: tuple[Action, ...], now_ns: int) -> State:
    total = (state[0] + now_ns) % 1_000_003
    for row in rows:
        total = (total * 31 + float(row.values[0])) % 1_000_003
    return (total + 1000 * len(actions),)


class Plant:
    """A stream in a thread, its network replaced by direct calls."""

    def __init__(self, folder: Path, **policy: object) -> None:
        self.folder = folder
        self.sent: list[Send] = []
        self.states: list[bool] = []
        self.advised: list[StopAdvice] = []
        self.asked = 0
        self.journal = Journal(folder / "journal.db")
        self.desk = Desk(folder / "desk.db")
        host = Host(SITE, "mitra")
        self.gate = Gate(self.journal, clocks=self.journal.clocks())
        self.inbox = Inbox(
            host,
            self.gate,
            self.journal,
            publish=self.sent.append,
            say_state=lambda: self.states.append(self.inbox.is_accepting),
            desk=self.desk,
            policy=InboxPolicy(**policy),
        )
        snapshots: Snapshots[State] = Snapshots(
            folder / "snapshots",
            lambda state: [json.dumps(state).encode()],
            lambda raw: tuple(json.loads(raw)),
            replay,
        )
        self.metrics = MetricsFile(folder / "ingest.metrics")
        self.stream: Stream[State] = Stream(
            self.inbox,
            self.journal,
            update,
            (0.0,),
            snapshots,
            self.hand_on,
            self.metrics,
            StreamPolicy(metrics_every_s=0.0, snapshot_every_s=0.0),
        )
        self.thread = threading.Thread(target=self.stream.run, daemon=True)

    def hand_on(self, advice: tuple[StopAdvice, ...]) -> bool:
        self.asked += 1
        if self.asked == 1:
            return False  # the broker is away
        self.advised.extend(advice)
        return True

    def start(self) -> Plant:
        self.thread.start()
        self.inbox.offer(*nbirth())
        self.inbox.offer(*dbirth(1))
        return self

    def send(self, key: int, seq: int, power: float = 1.0) -> None:
        self.inbox.offer(*ddata(message(time.time_ns(), key=key, power=power), seq % 256))

    def stop(self) -> None:
        self.inbox.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()
        self.journal.close()

    def committed(self) -> Committed | None:
        for send in reversed(self.sent):
            if "/NCMD/" in send.topic:
                payload = read_payload(send.payload)
                found = read_committed(payload)
                if isinstance(found, Committed):
                    return found
        return None


def stored(plant: Plant) -> int:
    reader = Reader(plant.folder / "journal.db")
    try:
        return reader.counters().get("stored_messages", 0)
    finally:
        reader.close()


def test_the_edge_is_told_how_much_may_be_on_the_way(tmp_path: Path) -> None:
    plant = Plant(tmp_path, window_bytes=4_000).start()
    n_bytes = len(ddata(message(time.time_ns(), key=0), 2)[1])
    until(lambda: plant.inbox.idle)
    plant.send(0, 2)
    until(lambda: plant.committed() is not None)
    plant.send(1, 3)
    until(lambda: (plant.committed() or Committed(0, -1)).through == 1)
    plant.stop()
    told = plant.committed()
    assert told is not None
    assert told.window == pytest.approx(4_000 / n_bytes, rel=0.1)


def test_messages_are_stored_once_and_the_edge_is_told(tmp_path: Path) -> None:
    plant = Plant(tmp_path).start()
    for key in range(300):
        plant.send(key, key + 2)
        plant.send(key, key + 2)
    until(lambda: (plant.committed() or Committed(0, -1)).through == 299)
    plant.stop()
    reader = Reader(tmp_path / "journal.db")
    assert len(reader.rows("pump-1").time_ns) == 300
    assert reader.counters()["duplicates"] == 300
    assert reader.nodes()["gw-1"].machines == ("pump-1",)


def test_a_restart_folds_to_the_same_state(tmp_path: Path) -> None:
    plant = Plant(tmp_path).start()
    for key in range(100):
        plant.send(key, key + 2, power=float(key))
    plant.desk.say(Action("a-1", ActionKind.ACKNOWLEDGE, "ani", 1, "pump-1"))
    until(lambda: stored(plant) == 100)
    until(lambda: plant.journal._db.execute("SELECT count(*) FROM applied_action").fetchone() == (1,))
    plant.stop()
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    shutil.copy(tmp_path / "journal.db", crashed / "journal.db")
    again = Plant(crashed)  # no snapshot: every row is folded
    again.inbox.stop()
    assert again.stream.run() == plant.stream.state
    quick = Plant(tmp_path)  # from the snapshot
    quick.inbox.stop()
    assert quick.stream.run() == plant.stream.state
    snapshots = sorted((tmp_path / "snapshots").glob("*.bin"))
    snapshots[-1].write_bytes(b"torn" + snapshots[-1].read_bytes()[4:])
    older = Plant(tmp_path)
    older.inbox.stop()
    assert older.stream.run() == plant.stream.state


def test_a_stop_request_is_handed_on_once_it_is_stored_also_after_a_crash(tmp_path: Path) -> None:
    plant = Plant(tmp_path).start()
    plant.send(0, 2, power=-1.0)
    until(lambda: len(plant.advised) == 1, "the request that was not handed on at first")
    assert plant.asked == 2
    plant.stop()
    db = sqlite3.connect(tmp_path / "journal.db")
    db.execute("UPDATE meta SET value = 0 WHERE name = 'advice_told'")
    db.commit()
    db.close()
    again = Plant(tmp_path)
    again.asked = 1
    again.inbox.stop()
    again.stream.run()
    assert len(again.advised) == 1


def test_a_stream_that_nothing_reaches_still_says_that_it_runs(tmp_path: Path) -> None:
    plant = Plant(tmp_path).start()
    plant.send(0, 2)
    until(lambda: stored(plant) == 1)
    since_ns = time.time_ns()

    def told() -> bool:
        health = read_health(tmp_path / "ingest.metrics")
        return health is not None and health.updated_ns > since_ns and health.counters["messages"] == 1

    until(told, "news of an idle stream")
    plant.stop()


def test_a_full_disk_stops_acceptance_damages_nothing_and_is_resumed_from(tmp_path: Path) -> None:
    plant = Plant(tmp_path).start()
    plant.send(0, 2)
    until(lambda: stored(plant) == 1)
    pages = plant.journal._db.execute("PRAGMA page_count").fetchone()[0]
    plant.journal._db.execute(f"PRAGMA max_page_count = {pages}")
    key = 1
    deadline = time.monotonic() + 60
    while _state(tmp_path) is not IngestState.STORAGE_FULL:
        assert time.monotonic() < deadline
        plant.send(key, key + 2)
        key += 1
        time.sleep(0.001)
    assert not plant.inbox.offer(*ddata(message(time.time_ns(), key=10_000), 0))
    assert plant.states == [False]
    held = stored(plant)
    plant.journal._db.execute("PRAGMA max_page_count = 1073741823")
    until(lambda: _state(tmp_path) is IngestState.RUNNING)
    until(lambda: stored(plant) > held)
    assert plant.states == [False, True]
    plant.send(10_001, 5)
    last = stored(plant)
    until(lambda: stored(plant) > last or (plant.committed() or Committed(0, -1)).holds(10_001))
    plant.stop()
    db = sqlite3.connect(tmp_path / "journal.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    keys = [row[0] for row in db.execute("SELECT seq64 FROM feature_row ORDER BY id")]
    assert len(keys) == len(set(keys)) == Reader(tmp_path / "journal.db").counters()["stored_messages"]
    assert Reader(tmp_path / "journal.db").counters()["refused_storage_full"] > 0


def _state(folder: Path) -> IngestState | None:
    health = read_health(folder / "ingest.metrics")
    return health.state if health else None


def test_an_overloaded_inbox_drops_with_a_reason_and_declares_it(tmp_path: Path) -> None:
    plant = Plant(tmp_path, max_waiting=10)
    plant.inbox.offer(*nbirth())
    plant.inbox.offer(*dbirth(1))
    taken = [plant.inbox.offer(*ddata(message(time.time_ns() + i), (i + 2) % 256)) for i in range(50)]
    assert taken.count(False) == 42
    plant.thread.start()
    until(lambda: stored(plant) == 8)
    plant.stop()
    reader = Reader(tmp_path / "journal.db")
    assert reader.counters()["refused_overload"] == 42
    assert [(gap.machine, gap.n_messages, gap.reason) for gap in reader.gaps()] == [
        ("pump-1", 42, "host_overloaded")
    ]


def test_a_loss_of_our_own_asks_no_node_for_births(tmp_path: Path) -> None:
    plant = Plant(tmp_path, max_waiting=10)
    plant.inbox.offer(*nbirth())
    plant.inbox.offer(*dbirth(1))
    for key in range(20):
        plant.send(key, key + 2)
    plant.thread.start()
    until(lambda: stored(plant) == 8)
    plant.send(20, 22)
    plant.send(21, 23)
    until(lambda: (plant.committed() or Committed(0, -1)).holds(21))
    plant.stop()
    rebirths = [send for send in plant.sent if b"Node Control/Rebirth" in send.payload]
    assert rebirths == []
    assert "sequence" not in {gap.reason for gap in Reader(tmp_path / "journal.db").gaps()}


def test_a_quarantine_survives_a_restart_and_a_person_releases_it(tmp_path: Path) -> None:
    plant = Plant(tmp_path).start()
    late = time.time_ns() - 7200 * 10**9
    plant.send(0, 2)
    plant.inbox.offer(*ddata(message(late, key=1), 3))
    until(lambda: (plant.committed() or Committed(0, -1)).through == 1)
    plant.stop()
    again = Plant(tmp_path).start()
    again.desk.say(Action("r-1", ActionKind.CLOCK_RELEASE, "ani", 1, "pump-1", values={"node": "gw-1"}))
    until(lambda: stored(again) == 2)
    until(lambda: len(again.journal.quarantined("gw-1")) == 0)
    again.stop()
    assert len(Reader(tmp_path / "journal.db").rows("pump-1").time_ns) == 2


def test_a_message_comes_through_within_milliseconds_when_it_is_alone(tmp_path: Path) -> None:
    plant = Plant(tmp_path).start()
    keys = count()

    def soonest_ms() -> float:
        key = next(keys)  # one at a time; what else the machine does may delay some, but not all
        plant.send(key, key + 2)
        until(lambda: stored(plant) > key)
        return plant.stream.latency.quantile_ms(0.01)

    until(lambda: 0 < soonest_ms() <= 50)
    plant.stop()


@pytest.mark.parametrize("text", [b"", b"0000", b"%08x {}" % 7])
def test_an_unreadable_metrics_file_is_no_news(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "ingest.metrics"
    path.write_bytes(text)
    assert read_health(path) is None
    assert read_health(tmp_path / "none") is None
