"""The edge node profile of Sparkplug B 3.0, statement by statement; each test names what it covers.

`edge_node_statements.txt` lists every statement that applies to what an edge node sends; `test_statements.py`
holds the two together. Templates, data sets and the Quality property are never sent.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.node import (
    Close,
    Link,
    Publish,
    Subscribe,
)
from edge.outbox_rows import Loss
from ingest.contract import channels as ch
from ingest.contract.limits import MAX_WINDOW_MESSAGES
from ingest.contract.metrics import DataType
from ingest.contract.payload import (
    read_message,
)
from ingest.contract.values import Gap, Message
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
    state,
)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


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
    plant.node.window.allow(MAX_WINDOW_MESSAGES)
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
