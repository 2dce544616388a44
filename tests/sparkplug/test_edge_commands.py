"""What a host may ask of an edge node, and our own promise: a window, back-pressure, resend."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from edge.node import (
    Acquire,
    Damaged,
    Forget,
    Link,
    Note,
)
from ingest.contract import channels as ch
from ingest.contract.limits import FIRST_WINDOW_MESSAGES, MAX_WINDOW_MESSAGES
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.payload import (
    Committed,
    write_committed,
)
from ingest.contract.sparkplug_b_pb2 import Payload
from tests.sparkplug.edge_rig import (
    NCMD,
    STATE,
    WALL_NS,
    Plant,
    S,
    birth_of,
    message,
    payload_of,
    seqs,
)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


# ---- commands


def rebirth() -> bytes:
    payload = Payload(timestamp=1)
    add_metric(payload, "Node Control/Rebirth", DataType.BOOLEAN, value=True)
    return payload.SerializeToString()


def test_a_rebirth_is_answered_with_every_birth_under_the_same_bdseq(plant: Plant) -> None:
    """
    tck-id-operational-behavior-data-commands-rebirth-action-1
    tck-id-operational-behavior-data-commands-rebirth-action-2
    tck-id-operational-behavior-data-commands-rebirth-action-3
    """
    plant.connect()
    plant.make(message("m-1"), message("m-2"))
    plant.pass_time(2)
    before = len(plant.sent)
    plant.hear(NCMD, rebirth())
    plant.pump()
    after = plant.sent[before:]
    assert [one.topic.split("/")[2] for one in after] == ["NBIRTH", "DBIRTH", "DBIRTH", "DDATA", "DDATA"]
    assert seqs(after) == [0, 1, 2, 3, 4]
    assert [birth_of(one).facts["bdSeq"] for one in plant.of("NBIRTH")] == [0, 0]
    # What the host may not have understood goes out once more, as history.
    assert all(m.is_historical for one in after[3:] for m in payload_of(one).metrics)


def test_many_rebirth_requests_within_a_second_get_one_answer(plant: Plant) -> None:
    plant.connect()
    for _ in range(50):
        plant.hear(NCMD, rebirth())
    assert plant.kinds() == ["NBIRTH"]
    plant.pass_time(1.1)
    plant.pass_time(1.1)
    assert plant.kinds() == ["NBIRTH", "NBIRTH"]


def test_a_bare_dcmd_is_refused_whatever_it_says(plant: Plant) -> None:
    """
    tck-id-topics-dcmd-topic
    tck-id-topic-structure-namespace-a
    """
    plant.connect()
    plant.make(message("m-1"))
    before = list(plant.sent)
    payload = Payload(timestamp=1)
    add_metric(payload, "State", DataType.INT32, 0)
    add_metric(payload, "Node Control/Rebirth", DataType.BOOLEAN, value=True)
    for raw in (payload.SerializeToString(), b"", b"\xff" * 50):
        commands = plant.hear("spBv1.0/plant-1/DCMD/gw-1/m-1", raw)
        assert [type(one) for one in commands] == [Note]
    assert plant.node.refused["dcmd_refused"] == 3
    assert plant.sent == before


@pytest.mark.parametrize(
    ("topic", "raw", "reason"),
    [
        ("spBv1.0/plant-2/NCMD/gw-1", rebirth(), "topic_foreign"),
        ("spBv1.0/plant-1/NCMD/gw-2", rebirth(), "topic_foreign"),
        ("spBv1.0/plant-1/NDATA/gw-1", rebirth(), "kind_unexpected"),
        (NCMD, b"\xff\xff", "ncmd_not_sparkplug"),
        (NCMD, bytes(9 * 1024 * 1024), "ncmd_oversize"),
        (NCMD, Payload(timestamp=1).SerializeToString(), "ncmd_unknown"),
        (STATE, b"[]", "state_form"),
        (STATE, b"\xff", "state_not_json"),
        (STATE, b"[" * 1000, "state_not_json"),
        (STATE, bytes(5000), "state_oversize"),
        (STATE, b'{"online": true, "timestamp": true}', "state_form"),
    ],
)
def test_what_cannot_be_understood_is_counted_and_changes_nothing(
    plant: Plant, topic: str, raw: bytes, reason: str
) -> None:
    plant.connect()
    sent = list(plant.sent)
    plant.hear(topic, raw)
    assert plant.node.refused[reason] == 1
    assert plant.node.link is Link.BORN
    assert plant.sent == sent


def test_more_acquisition_is_asked_with_an_end(plant: Plant) -> None:
    plant.connect()
    payload = Payload(timestamp=1)
    add_metric(payload, ch.ACQUIRE_MACHINE, DataType.STRING, "m-1")
    add_metric(payload, ch.ACQUIRE_SAMPLES, DataType.INT64, 65_536)
    add_metric(payload, ch.ACQUIRE_UNTIL_NS, DataType.INT64, WALL_NS + 60 * S)
    (command,) = plant.hear(NCMD, payload.SerializeToString())
    assert isinstance(command, Acquire)
    assert (command.request.machine, command.request.n_samples) == ("m-1", 65_536)
    assert command.request.period_ns is None
    endless = Payload(timestamp=1)
    add_metric(endless, ch.ACQUIRE_MACHINE, DataType.STRING, "m-1")
    plant.hear(NCMD, endless.SerializeToString())
    assert plant.node.refused["acquire_without_end"] == 1


# ---- our own promise: window, back-pressure, resend


def test_an_absent_commit_stops_the_node_at_its_window(plant: Plant) -> None:
    plant.connect()
    for i in range(400):
        plant.make(message("m-1", i))
    plant.pump()
    assert len(plant.of("DDATA")) == FIRST_WINDOW_MESSAGES, "before the host has said how many it allows"
    plant.commit(9)
    plant.pump()
    assert len(plant.of("DDATA")) == 256 + 10, "an older host says nothing and allows the most"
    plant.commit(109)
    plant.pump()
    assert len(plant.of("DDATA")) == 256 + 110


def test_the_host_narrows_and_widens_the_window(plant: Plant) -> None:
    plant.connect()
    for i in range(200):
        plant.make(message("m-1", i))
    plant.commit(FIRST_WINDOW_MESSAGES - 1, window=5)
    plant.pump()
    assert plant.node.window.on_the_way == 5
    assert plant.node.live_room() == 0
    plant.commit(FIRST_WINDOW_MESSAGES + 1, window=2)
    plant.pump()
    assert plant.node.window.on_the_way == 3, "what is on the way stays there"
    plant.commit(FIRST_WINDOW_MESSAGES + 4, window=0)
    plant.pump()
    assert plant.node.window.on_the_way == 1, "no host can silence a node by allowing nothing"
    plant.commit(FIRST_WINDOW_MESSAGES + 5, window=2**32 - 1)
    plant.pump()
    assert plant.node.window.on_the_way == 200 - FIRST_WINDOW_MESSAGES - 6
    assert plant.node.window.allowed == MAX_WINDOW_MESSAGES


def test_what_is_not_committed_in_time_goes_again_ever_more_rarely(plant: Plant) -> None:
    plant.connect()
    plant.make(message("m-1"))
    times = []
    for second in range(400):
        before = len(plant.of("DDATA"))
        plant.pass_time(1)
        if len(plant.of("DDATA")) > before:
            times.append(second)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 7 <= times[0] <= 13
    assert pauses == sorted(pauses)
    assert len(times) <= 6
    assert all(m.is_historical for m in payload_of(plant.of("DDATA")[-1]).metrics)
    plant.commit(0)
    plant.pass_time(1000)
    assert plant.node.window.on_the_way == 0


def test_live_data_is_never_late_behind_a_backlog_of_days(plant: Plant) -> None:
    for i in range(40):
        plant.make(*(message("m-1", i * 50 + k) for k in range(50)))
    plant.connect()
    committed = -1
    late = 0
    for round_ in range(60):
        plant.pump()
        rows = plant.make(message("m-1", 10_000 + round_))
        late += not plant.node.window.is_on_the_way(rows[0].n)
        boot_n = plant.outbox.next_n
        sent = {
            one.n for one in plant.outbox.read(0, boot_n, 10_000) if plant.node.window.is_on_the_way(one.n)
        }
        runs = tuple((n - 1, n - 1) for n in sorted(sent))[:64]
        for command in plant.hear(
            NCMD, write_committed(Committed(plant.outbox.boot_id, committed, runs), WALL_NS)
        ):
            assert isinstance(command, Forget)
            done = plant.outbox.commit(plant.mono_ns, committed=[command.committed])
            plant.node.window.forget(done.forgotten)
    assert late == 0
    assert plant.outbox.counts().in_outbox == 0


def test_a_message_with_a_damaged_body_is_given_back(plant: Plant) -> None:
    plant.make(message("m-1"), message("m-1", 1))
    plant.outbox._connection.execute("UPDATE message SET body = x'ffff' WHERE n = 1")
    plant.connect()
    plant.pump()
    damaged = [one for one in plant.commands if isinstance(one, Damaged)]
    assert [one.row.n for one in damaged] == [1]
    assert len(plant.of("DDATA")) == 1
    plant.do(plant.node.again(1, plant.outbox.replace_damaged(damaged[0].row), plant.now))
    assert len(plant.of("DDATA")) == 2
