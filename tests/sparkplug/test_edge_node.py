"""The edge node profile of Sparkplug B 3.0, statement by statement; each test names what it covers.

`edge_node_statements.txt` lists every statement that applies to what an edge node sends; `test_statements.py`
holds the two together. Templates, data sets and the Quality property are never sent.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from edge.node import (
    Acquire,
    Close,
    Command,
    Damaged,
    EdgeNode,
    Forget,
    Link,
    Note,
    Now,
    Publish,
    Subscribe,
)
from edge.outbox import Outbox, OutboxLimits
from edge.outbox_rows import Loss, Stored
from edge.window import Want
from ingest.contract import channels as ch
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.payload import (
    Birth,
    Committed,
    read_birth,
    read_message,
    read_payload,
    write_committed,
)
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.values import Gap, Message, Scalar, Waveform

S = 1_000_000_000
WALL_NS = 1_795_000_000 * S
NCMD = "spBv1.0/plant-1/NCMD/gw-1"
STATE = "spBv1.0/STATE/mitra"
USUAL = {"Temperature/bearing": 61.5, "Power/Active": 22.0}


def state(online: bool, timestamp: int = 1000) -> bytes:
    return json.dumps({"online": online, "timestamp": timestamp}).encode()


class Plant:
    """An outbox, a node and a pretended connection: what the agent does, without its threads."""

    def __init__(self, folder: Path, host_id: str = "mitra") -> None:
        self.outbox = Outbox(folder / "outbox.db", "gw-1", OutboxLimits(min_free_bytes=0), 1)
        self.node = EdgeNode(
            "plant-1", "gw-1", host_id, boot_id=self.outbox.boot_id, channels=self.outbox.channels, seed=1
        )
        self.mono_ns = S
        self.sent: list[Publish] = []
        self.commands: list[Command] = []
        self.wills: list[Publish] = []
        self.bdseq = -1

    @property
    def now(self) -> Now:
        return Now(WALL_NS + self.mono_ns, self.mono_ns)

    def do(self, commands: tuple[Command, ...]) -> tuple[Command, ...]:
        self.commands += commands
        self.sent += [one for one in commands if isinstance(one, Publish)]
        return commands

    def connect(self, host_online: bool = True) -> None:
        self.bdseq += 1
        self.node.extent(self.outbox.first_n, self.outbox.next_n)
        self.wills.append(self.node.connecting(self.bdseq))
        self.do(self.node.connected())
        self.do(self.node.subscribed(self.now))
        if host_online and self.node.host_id:
            self.hear(STATE, state(online=True))

    def hear(self, topic: str, payload: bytes) -> tuple[Command, ...]:
        return self.do(self.node.received(topic, payload, self.now))

    def make(self, *messages: Message) -> list[Stored]:
        room = self.node.live_room()
        done = self.outbox.commit(self.mono_ns, messages, hand=room)
        rows = [one for one in done.stored if isinstance(one, Stored)]
        for one in messages:
            self.node.saw(one)
        self.node.extent(self.outbox.first_n, self.outbox.next_n)
        self.do(self.node.reborn(done.reborn, self.now))
        if rows[:room]:
            last = rows[:room][-1].n
            self.do(self.node.offer(Want(rows[0].n, last + 1, room, live=True), rows[:room], self.now))
        return rows

    def pump(self) -> None:
        for want in self.node.wants():
            rows = self.outbox.read(want.first, want.end, want.limit)
            self.do(self.node.offer(want, rows, self.now))

    def pass_time(self, seconds: float) -> None:
        self.mono_ns += int(seconds * S)
        self.do(self.node.tick(self.now))
        for n in self.node.overdue(self.now):
            rows = self.outbox.read(n, n + 1, 1)
            self.do(self.node.again(n, rows[0] if rows else None, self.now))

    def commit(self, through: int) -> None:
        for command in self.hear(NCMD, write_committed(Committed(self.outbox.boot_id, through), WALL_NS)):
            assert isinstance(command, Forget)
            done = self.outbox.commit(self.mono_ns, committed=[command.committed])
            self.node.window.forget(done.forgotten)
            self.node.extent(self.outbox.first_n, self.outbox.next_n)

    def kinds(self) -> list[str]:
        return [one.topic.split("/")[2] for one in self.sent]

    def of(self, kind: str) -> list[Publish]:
        return [one for one in self.sent if one.topic.split("/")[2] == kind]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def message(machine: str = "m-1", i: int = 0, samples: int = 0, values: dict[str, float] = USUAL) -> Message:
    at = WALL_NS + i * S
    scalars = tuple(Scalar(channel, value, at) for channel, value in values.items())
    waveforms = (Waveform("x", bytes(2 * samples), "int16", 25_600.0, 0.001, at),) if samples else ()
    return Message("gw-1", machine, at, waveforms, scalars)


def payload_of(sent: Publish) -> Payload:
    payload = read_payload(sent.payload, 1024)
    assert not isinstance(payload, Rejected), payload
    return payload


def birth_of(sent: Publish) -> Birth:
    read = read_birth(sent.payload)
    assert not isinstance(read, Rejected), read
    return read[1]


def seqs(sent: list[Publish]) -> list[int]:
    return [payload_of(one).seq for one in sent if "NDEATH" not in one.topic]


# ---- the session and its will


def test_the_will_is_the_nodes_death_with_the_sessions_number(plant: Plant) -> None:
    """
    tck-id-message-flow-edge-node-birth-publish-will-message
    tck-id-message-flow-edge-node-birth-publish-will-message-topic
    tck-id-message-flow-edge-node-birth-publish-will-message-payload
    tck-id-message-flow-edge-node-birth-publish-will-message-payload-bdSeq
    tck-id-message-flow-edge-node-birth-publish-will-message-qos
    tck-id-message-flow-edge-node-birth-publish-will-message-will-retained
    tck-id-payloads-ndeath-will-message
    tck-id-payloads-ndeath-will-message-qos
    tck-id-payloads-ndeath-will-message-retain
    tck-id-payloads-ndeath-bdseq
    tck-id-payloads-ndeath-seq
    tck-id-topics-ndeath-topic
    tck-id-topics-ndeath-payload
    tck-id-topics-ndeath-seq
    """
    plant.connect()
    (will,) = plant.wills
    assert (will.topic, will.qos, will.retain) == ("spBv1.0/plant-1/NDEATH/gw-1", 1, False)
    payload = payload_of(will)
    assert [(m.name, m.datatype, m.long_value) for m in payload.metrics] == [("bdSeq", DataType.INT64, 0)]
    assert not payload.HasField("seq")


def test_bdseq_grows_by_one_with_every_connect_and_births_repeat_it(plant: Plant) -> None:
    """
    tck-id-topics-nbirth-bdseq-included
    tck-id-topics-nbirth-bdseq-matching
    tck-id-topics-nbirth-bdseq-increment
    tck-id-payloads-nbirth-bdseq
    tck-id-payloads-nbirth-bdseq-repeat
    tck-id-message-flow-edge-node-birth-publish-nbirth-payload-bdSeq
    """
    for i in range(3):
        plant.connect()
        assert payload_of(plant.wills[i]).metrics[0].long_value == i
        assert birth_of(plant.of("NBIRTH")[i]).facts["bdSeq"] == i
        plant.node.disconnected()


def test_commands_are_subscribed_before_the_first_birth(plant: Plant) -> None:
    """
    tck-id-message-flow-edge-node-ncmd-subscribe
    tck-id-message-flow-device-dcmd-subscribe
    tck-id-message-flow-edge-node-birth-publish-connect
    tck-id-principles-birth-certificates-order
    tck-id-operational-behavior-primary-application-state-with-multiple-servers-state-subs
    """
    plant.connect()
    first = plant.commands[0]
    assert first == Subscribe(((NCMD, 1), ("spBv1.0/plant-1/DCMD/gw-1/+", 1), (STATE, 1)))
    assert plant.kinds()[0] == "NBIRTH"


def test_nothing_is_said_before_the_subscriptions_are_confirmed(plant: Plant) -> None:
    """tck-id-message-flow-edge-node-birth-publish-connect"""
    plant.node.connecting(0)
    plant.do(plant.node.connected())
    plant.hear(STATE, state(online=True))
    plant.make(message())
    plant.pump()
    assert plant.sent == []
    plant.do(plant.node.subscribed(plant.now))
    assert plant.kinds()[:2] == ["NBIRTH", "DBIRTH"]


# ---- births


def test_the_nodes_birth_is_complete(plant: Plant) -> None:
    """
    tck-id-topics-nbirth-topic
    tck-id-topics-nbirth-mqtt
    tck-id-topics-nbirth-seq-num
    tck-id-topics-nbirth-timestamp
    tck-id-topics-nbirth-metric-reqs
    tck-id-topics-nbirth-metrics
    tck-id-topics-nbirth-rebirth-metric
    tck-id-topics-nbirth-templates
    tck-id-payloads-nbirth-timestamp
    tck-id-payloads-nbirth-seq
    tck-id-payloads-nbirth-rebirth-req
    tck-id-payloads-nbirth-qos
    tck-id-payloads-nbirth-retain
    tck-id-payloads-sequence-num-zero-nbirth
    tck-id-message-flow-edge-node-birth-publish-nbirth-topic
    tck-id-message-flow-edge-node-birth-publish-nbirth-payload
    tck-id-message-flow-edge-node-birth-publish-nbirth-qos
    tck-id-message-flow-edge-node-birth-publish-nbirth-retained
    tck-id-message-flow-edge-node-birth-publish-nbirth-payload-seq
    tck-id-operational-behavior-data-commands-rebirth-name
    tck-id-operational-behavior-data-commands-rebirth-name-aliases
    tck-id-operational-behavior-data-commands-rebirth-datatype
    tck-id-operational-behavior-data-commands-rebirth-value
    tck-id-operational-behavior-data-publish-nbirth
    tck-id-operational-behavior-data-publish-nbirth-values
    tck-id-payloads-metric-datatype-req
    tck-id-payloads-metric-datatype-value
    tck-id-payloads-metric-datatype-value-type
    tck-id-payloads-name-birth-data-requirement
    tck-id-payloads-metric-timestamp-in-UTC
    tck-id-payloads-timestamp-in-UTC
    """
    plant.connect()
    (birth,) = plant.of("NBIRTH")
    assert (birth.topic, birth.qos, birth.retain) == ("spBv1.0/plant-1/NBIRTH/gw-1", 0, False)
    payload = payload_of(birth)
    assert payload.seq == 0
    assert payload.timestamp == plant.now.wall_ns // 1_000_000
    by_name = {metric.name: metric for metric in payload.metrics}
    rebirth = by_name["Node Control/Rebirth"]
    assert (rebirth.datatype, rebirth.boolean_value, rebirth.HasField("alias")) == (
        DataType.BOOLEAN,
        False,
        False,
    )
    assert by_name[ch.BOOT].long_value == plant.outbox.boot_id
    # What the node may ever send itself: gap records of machines that nobody can name any more.
    assert {ch.SEQ, ch.GAP_FROM, ch.GAP_TO, ch.GAP_MESSAGES, ch.GAP_REASON} <= set(by_name)
    for metric in payload.metrics:
        assert metric.name
        assert metric.datatype in set(DataType) - {DataType.UNKNOWN, DataType.TEMPLATE}
        assert metric.timestamp == payload.timestamp
        assert metric.is_null != (metric.WhichOneof("value") is not None)


def test_a_machines_birth_is_complete_and_shows_the_last_values(plant: Plant) -> None:
    """
    tck-id-topics-dbirth-topic
    tck-id-topics-dbirth-mqtt
    tck-id-topics-dbirth-seq
    tck-id-topics-dbirth-timestamp
    tck-id-topics-dbirth-metric-reqs
    tck-id-topics-dbirth-metrics
    tck-id-payloads-dbirth-timestamp
    tck-id-payloads-dbirth-seq
    tck-id-payloads-dbirth-seq-inc
    tck-id-payloads-dbirth-qos
    tck-id-payloads-dbirth-retain
    tck-id-message-flow-device-birth-publish-dbirth-topic
    tck-id-message-flow-device-birth-publish-dbirth-match-edge-node-topic
    tck-id-message-flow-device-birth-publish-dbirth-payload
    tck-id-message-flow-device-birth-publish-dbirth-qos
    tck-id-message-flow-device-birth-publish-dbirth-retained
    tck-id-message-flow-device-birth-publish-dbirth-payload-seq
    tck-id-operational-behavior-data-publish-dbirth
    tck-id-operational-behavior-data-publish-dbirth-values
    tck-id-payloads-alias-birth-requirement
    tck-id-payloads-alias-uniqueness
    tck-id-payloads-name-requirement
    tck-id-payloads-propertyset-keys-array-size
    tck-id-payloads-propertyset-values-array-size
    tck-id-payloads-metric-propertyvalue-type-type
    tck-id-payloads-metric-propertyvalue-type-value
    tck-id-payloads-metric-propertyvalue-type-req
    """
    plant.make(message("m-1", samples=256), message("m-2"))
    plant.connect()
    births = plant.of("DBIRTH")
    assert [one.topic for one in births] == [f"spBv1.0/plant-1/DBIRTH/gw-1/m-{i}" for i in (1, 2)]
    assert seqs(plant.sent[:3]) == [0, 1, 2]
    assert all((one.qos, one.retain) == (0, False) for one in births)
    aliases: list[int] = []
    for sent in [*plant.of("NBIRTH"), *births]:
        payload = payload_of(sent)
        aliases += [metric.alias for metric in payload.metrics if metric.HasField("alias")]
        for metric in payload.metrics:
            assert metric.name
            assert metric.timestamp == payload.timestamp
            assert metric.is_null != (metric.WhichOneof("value") is not None)
            assert len(metric.properties.keys) == len(metric.properties.values)
            for value in metric.properties.values:
                assert value.type in {DataType.STRING, DataType.DOUBLE}
    assert len(set(aliases)) == len(aliases) > 6
    born = birth_of(births[0])
    assert born.channels["Vibration/x"].rate_hz == 25_600.0
    assert born.channels["Vibration/x"].unit == "g"
    assert born.channels["Temperature/bearing"].unit == "degC"
    assert born.facts["Temperature/bearing"] == 61.5


def test_all_births_come_before_any_data(plant: Plant) -> None:
    """
    tck-id-message-flow-device-birth-publish-nbirth-wait
    tck-id-payloads-dbirth-order
    tck-id-payloads-ddata-order
    tck-id-payloads-ndata-order
    """
    plant.make(message("m-1"), message("m-2"), message("m-3"))
    plant.outbox.commit(1, losses=[Loss("gw-1", 1, 2, 3, "outbox_corrupt")])
    plant.connect()
    plant.pump()
    assert plant.kinds() == ["NBIRTH", "DBIRTH", "DBIRTH", "DBIRTH", "DDATA", "DDATA", "DDATA", "NDATA"]


def test_a_channel_met_for_the_first_time_renews_the_birth_before_its_data(plant: Plant) -> None:
    """
    tck-id-topics-dbirth-metric-reqs
    tck-id-operational-behavior-data-publish-dbirth
    """
    plant.connect()
    plant.make(message("m-1"))
    plant.make(message("m-1", 1, values={"Speed": 1480.0}))
    assert plant.kinds() == ["NBIRTH", "DBIRTH", "DDATA", "DBIRTH", "DDATA"]
    assert "Speed" in birth_of(plant.of("DBIRTH")[1]).channels


# ---- data


def test_data_is_unretained_qos_0_numbered_and_by_alias(plant: Plant) -> None:
    """
    tck-id-topics-ddata-topic
    tck-id-topics-ddata-mqtt
    tck-id-topics-ddata-seq-num
    tck-id-topics-ddata-timestamp
    tck-id-topics-ddata-payload
    tck-id-payloads-ddata-timestamp
    tck-id-payloads-ddata-seq
    tck-id-payloads-ddata-seq-inc
    tck-id-payloads-ddata-qos
    tck-id-payloads-ddata-retain
    tck-id-payloads-alias-data-cmd-requirement
    tck-id-payloads-name-birth-data-requirement
    tck-id-payloads-sequence-num-always-included
    tck-id-principles-rbe-recommended
    tck-id-operational-behavior-data-publish-dbirth-change
    """
    plant.connect()
    plant.make(message("m-1", samples=256))
    plant.mono_ns += 7 * S
    plant.make(message("m-1", 1, samples=256))
    first, second = plant.of("DDATA")
    assert first.topic == "spBv1.0/plant-1/DDATA/gw-1/m-1"
    assert (first.qos, first.retain) == (0, False)
    payload = payload_of(second)
    assert payload.timestamp == plant.now.wall_ns // 1_000_000
    assert payload.seq == payload_of(first).seq + 1
    for metric in payload.metrics:
        assert metric.alias
        assert not metric.name
        assert metric.HasField("timestamp")
        assert not metric.is_historical
    found = read_message(payload, "gw-1", "m-1", birth_of(plant.of("DBIRTH")[-1]))
    assert isinstance(found, Message)
    assert found.waveforms[0].start_ns == WALL_NS + S
    assert found.key is not None
    assert found.key.boot_id == plant.outbox.boot_id


def test_seq_wraps_after_255_over_all_kinds_of_messages(plant: Plant) -> None:
    """
    tck-id-payloads-sequence-num-incrementing
    tck-id-topics-ndata-seq-num
    tck-id-payloads-ndata-seq
    tck-id-payloads-ndata-seq-inc
    """
    plant.connect()
    for i in range(300):
        plant.make(message("m-1", i))
        plant.commit(i)
    plant.outbox.commit(1, losses=[Loss("gw-1", 1, 2, 3, "outbox_corrupt")])
    plant.node.extent(plant.outbox.first_n, plant.outbox.next_n)
    plant.pump()
    assert seqs(plant.sent) == [i % 256 for i in range(len(plant.sent))]
    assert len(plant.sent) > 300


def test_a_gap_of_the_node_itself_travels_as_ndata(plant: Plant) -> None:
    """
    tck-id-topics-ndata-topic
    tck-id-topics-ndata-mqtt
    tck-id-topics-ndata-timestamp
    tck-id-topics-ndata-payload
    tck-id-payloads-ndata-timestamp
    tck-id-payloads-ndata-qos
    tck-id-payloads-ndata-retain
    tck-id-operational-behavior-data-publish-nbirth-change
    tck-id-topic-structure-namespace-device-id-associated-message-types
    """
    plant.outbox.commit(1, losses=[Loss("gw-1", 5, 9, 3, "outbox_corrupt")])
    plant.connect()
    plant.pump()
    (data,) = plant.of("NDATA")
    assert (data.topic, data.qos, data.retain) == ("spBv1.0/plant-1/NDATA/gw-1", 0, False)
    payload = payload_of(data)
    assert payload.HasField("timestamp")
    gap = read_message(payload, "gw-1", "gw-1", birth_of(plant.of("NBIRTH")[0]))
    assert isinstance(gap, Gap)
    assert (gap.n_messages, gap.reason, gap.from_ns, gap.to_ns) == (3, "outbox_corrupt", 5, 9)


def test_what_was_stored_before_the_birth_is_historical_and_live_data_keeps_its_order(plant: Plant) -> None:
    """
    tck-id-operational-behavior-data-publish-dbirth-order
    tck-id-operational-behavior-data-publish-nbirth-order
    """
    plant.make(*(message("m-1", i) for i in range(300)))
    plant.connect()
    plant.make(*(message("m-1", 1000 + i) for i in range(10)))
    plant.pump()
    flags: list[tuple[int, bool]] = []
    for one in plant.of("DDATA"):
        found = read_message(payload_of(one), "gw-1", "m-1", birth_of(plant.of("DBIRTH")[-1]))
        assert isinstance(found, Message)
        flags.append(((found.time_ns - WALL_NS) // S, found.historical))
    live = [i for i, historical in flags if not historical]
    assert live == list(range(1000, 1010))
    assert flags[0] == (1000, False)  # the backlog never makes live data wait
    stored = [i for i, historical in flags if historical]
    assert stored == list(range(128))  # and takes half of the window at most


# ---- the primary host


def test_births_wait_for_the_primary_host(plant: Plant) -> None:
    """
    tck-id-message-flow-edge-node-birth-publish-phid-wait
    tck-id-message-flow-edge-node-birth-publish-phid-wait-id
    tck-id-message-flow-edge-node-birth-publish-phid-wait-online
    tck-id-operational-behavior-edge-node-birth-sequence-wait
    tck-id-operational-behavior-primary-application-state-with-multiple-servers-single-server
    """
    plant.make(message())
    plant.connect(host_online=False)
    plant.pump()
    plant.hear("spBv1.0/STATE/other", state(online=True))
    plant.hear(STATE, state(online=False))
    plant.hear(STATE, b'{"online": "true", "timestamp": 2000}')
    plant.hear(STATE, b"ONLINE")
    assert plant.sent == []
    assert plant.node.link is Link.WAITING
    plant.hear(STATE, state(online=True))
    assert plant.kinds() == ["NBIRTH", "DBIRTH"]


def test_a_host_that_goes_offline_ends_the_session_and_the_node_waits_in_a_new_one(plant: Plant) -> None:
    """
    tck-id-message-flow-edge-node-birth-publish-phid-offline
    tck-id-operational-behavior-edge-node-termination-host-offline
    tck-id-operational-behavior-edge-node-termination-host-offline-reconnect
    tck-id-operational-behavior-primary-application-state-with-multiple-servers-walk
    """
    plant.connect()
    commands = plant.hear(STATE, state(online=False, timestamp=1000))
    death, close = commands[-2:]
    assert isinstance(death, Publish)
    assert death.topic == "spBv1.0/plant-1/NDEATH/gw-1"
    assert isinstance(close, Close)
    assert plant.node.link is Link.DOWN
    plant.connect(host_online=False)
    plant.make(message())
    plant.pump()
    assert plant.kinds() == ["NBIRTH", "NDEATH"]
    plant.hear(STATE, state(online=True, timestamp=2000))
    plant.pump()
    assert plant.kinds() == ["NBIRTH", "NDEATH", "NBIRTH", "DBIRTH", "DDATA"]


def test_an_older_state_is_ignored(plant: Plant) -> None:
    """
    tck-id-message-flow-edge-node-birth-publish-phid-wait-timestamp
    tck-id-operational-behavior-edge-node-termination-host-offline-timestamp
    """
    plant.connect()
    plant.hear(STATE, state(online=False, timestamp=999))
    assert plant.node.link is Link.BORN
    assert plant.node.refused["state_stale"] == 1


def test_without_a_primary_host_the_node_is_born_at_once(tmp_path: Path) -> None:
    plant = Plant(tmp_path, host_id="")
    plant.connect()
    assert plant.kinds() == ["NBIRTH"]
    assert plant.commands[0] == Subscribe(((NCMD, 1), ("spBv1.0/plant-1/DCMD/gw-1/+", 1)))


# ---- death


def test_a_clean_stop_says_goodbye_before_it_disconnects(plant: Plant) -> None:
    """
    tck-id-operational-behavior-edge-node-intentional-disconnect-ndeath
    tck-id-operational-behavior-edge-node-intentional-disconnect-packet
    tck-id-payloads-ndeath-will-message-publisher
    tck-id-payloads-ndeath-will-message-publisher-disconnect-mqtt311
    """
    plant.connect()
    death, close = plant.do(plant.node.stopping())
    assert isinstance(death, Publish)
    assert death == plant.wills[-1]
    assert isinstance(close, Close)
    assert plant.node.stopping() == ()


def test_a_silent_sensor_is_a_dead_machine_once_its_data_is_out(plant: Plant) -> None:
    """
    tck-id-operational-behavior-device-ddeath
    tck-id-topics-ddeath-topic
    tck-id-topics-ddeath-mqtt
    tck-id-topics-ddeath-seq-num
    tck-id-payloads-ddeath-timestamp
    tck-id-payloads-ddeath-seq
    tck-id-payloads-ddeath-seq-inc
    tck-id-payloads-ddeath-seq-number
    """
    plant.connect()
    plant.make(message("m-1"))
    plant.node.lost("m-1")
    plant.pass_time(0.1)
    assert plant.of("DDEATH") == []
    plant.commit(0)
    plant.pass_time(0.1)
    (death,) = plant.of("DDEATH")
    assert (death.topic, death.qos, death.retain) == ("spBv1.0/plant-1/DDEATH/gw-1/m-1", 0, False)
    payload = payload_of(death)
    assert payload.HasField("timestamp")
    assert payload.seq == payload_of(plant.of("DDATA")[0]).seq + 1
    plant.node.found("m-1")
    plant.make(message("m-1", 1))
    assert plant.kinds()[-2:] == ["DBIRTH", "DDATA"]


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
    assert len(plant.of("DDATA")) == 256
    plant.commit(99)
    plant.pump()
    assert len(plant.of("DDATA")) == 356


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
