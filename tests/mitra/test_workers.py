"""What is stored depends neither on how many workers make features nor on how batches are cut."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import channels as ch
from ingest.contract.batch import Batch
from ingest.contract.metrics import Channel, DataType
from ingest.contract.payload import birth_of, write_birth, write_message
from ingest.contract.plant import Plant
from ingest.contract.rows import FeatureRow
from ingest.contract.topics import Kind, device_topic, node_topic
from ingest.contract.values import Message, MessageKey, Scalar, Waveform
from ingest.gate import Gate, GatePolicy
from ingest.host import Host
from ingest.inbox import Inbox
from ingest.journal.journal import Journal
from mitra import workers
from mitra.commands.serve import serve
from mitra.workers import MAX_WORKERS, MIN_SHARE, Workers, automatic, shares
from models.stream import Settings, StreamState, dump, features_of, new_state, update

S = 1_000_000_000
NOW = 1_700_000_000 * S
NODES, PER_NODE, MINUTES, LOUD_FROM = 3, 4, 40, 24
MACHINES = [(f"gw-{node}", f"m-{node}-{i}") for node in range(NODES) for i in range(PER_NODE)]
CHANNELS = (
    Channel(ch.BOOT, DataType.UINT64, 1),
    Channel(ch.SEQ, DataType.UINT64, 2),
    Channel("Vibration/x", DataType.INT16_ARRAY, 3, "g", 5_120.0, 0.001),
    Channel("Vibration/y", DataType.INT16_ARRAY, 4, "g", 5_120.0, 0.001),
    Channel("Temperature/bearing", DataType.DOUBLE, 5, "degC"),
    Channel("Speed", DataType.DOUBLE, 6, "rpm"),
)
BIRTH = birth_of(CHANNELS)
PLANT = msgspec.convert(
    {
        "plant": {"id": "plant-1", "name": "Plant"},
        "gateway": [{"id": f"gw-{node}"} for node in range(NODES)],
        "machine": [
            {
                "id": machine,
                "name": machine,
                "gateway": node,
                "rated_rpm": 1_482.0,
                "iso_group": 2,
                "support": "rigid",
                "bearing": "6205",
            }
            for node, machine in MACHINES
        ],
    },
    Plant,
)


def said(node: str, machine: str, minute: int, key: int, rng: np.random.Generator) -> Message:
    """One machine's message: the first machine grows loud, some bring no speed, some no waveform at all."""
    at_ns = NOW + minute * 60 * S
    loud = 40.0 if machine == "m-0-0" and minute >= LOUD_FROM else 1.0
    samples = (rng.normal(0, 100, (2, 512)) * loud).clip(-30_000, 30_000).astype("<i2")
    waves = tuple(
        Waveform(axis, samples[i].tobytes(), "int16", 5_120.0, 0.001, at_ns) for i, axis in enumerate("xy")
    )
    scalars = [Scalar("Temperature/bearing", 50.0 + rng.normal(), at_ns)]
    if not machine.endswith("-1"):
        scalars.append(Scalar("Speed", 1_480.0 + rng.normal(), at_ns))
    has_waves = not (machine.endswith("-2") and minute % 3 == 0)
    return Message(node, machine, at_ns, waves if has_waves else (), tuple(scalars), MessageKey(node, 7, key))


def messages() -> list[Message]:
    """Everything that the plant says, in the order of its coming."""
    rng, keys = np.random.default_rng(5), dict.fromkeys((node for node, _ in MACHINES), 0)
    found = []
    for minute in range(MINUTES):
        for node, machine in MACHINES:
            found.append(said(node, machine, minute, keys[node], rng))
            keys[node] += 1
    return found


def wire(every: Sequence[Message]) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """Births, and data with each node's own sequence."""
    seqs = dict.fromkeys((node for node, _ in MACHINES), 0)
    births, data = [], []
    for node in seqs:
        declared = ((Channel("bdSeq", DataType.INT64), 1), (Channel(ch.REBIRTH, DataType.BOOLEAN), False))
        births.append((node_topic("plant-1", Kind.NBIRTH, node), write_birth(declared, 0, NOW)))
    for node, machine in MACHINES:
        seqs[node] += 1
        body = write_birth(((channel, None) for channel in CHANNELS), seqs[node], NOW)
        births.append((device_topic("plant-1", Kind.DBIRTH, node, machine), body))
    for one in every:
        seqs[one.node] = (seqs[one.node] + 1) % 256
        topic = device_topic("plant-1", Kind.DDATA, one.node, one.machine)
        data.append((topic, write_message(one, BIRTH, seqs[one.node])))
    return births, data


def whole_path(folder: Path, n_workers: int, max_blocks: int) -> dict[str, Any]:
    """Bytes of the wire through host, gate, workers and journal; what the journal holds after."""
    births, data = wire(messages())
    journal = Journal(folder / "journal.db")
    gate = Gate(journal, {machine: node for node, machine in MACHINES}, GatePolicy(judge_clocks=False))
    inbox = Inbox(
        Host("plant-1", "mitra"),
        gate,
        journal,
        publish=lambda _: None,
        clock_ns=lambda: NOW + MINUTES * 60 * S,
    )
    state, crew = new_state(PLANT, Settings.backtest(10)), Workers(n_workers)
    inbox.offer_many(births + data)
    inbox.stop()
    for intake in inbox.batches(max_blocks, 0.0):
        state, outputs = crew.update(state, intake.batch)
        journal.commit(intake, outputs)
        inbox.committed(intake)
    crew.close()
    journal.close()
    return {"state": dump(state), **stored(folder / "journal.db")}


def stored(path: Path) -> dict[str, list[Any]]:
    """Every table but the numbers of its batches."""
    asked = {
        "rows": "SELECT feature_row.id, name, time_ns, names, vals, boot_id, seq64 FROM feature_row "
        "JOIN machine ON machine.id = machine_id JOIN column_set ON column_set.id = set_id "
        "ORDER BY feature_row.id",
        "scalars": "SELECT machine_id, time_ns, names, times, vals FROM scalar_row "
        "JOIN column_set ON column_set.id = set_id ORDER BY scalar_row.id",
        "latest": "SELECT machine_id, time_ns, condition, scalars, judgement FROM latest ORDER BY machine_id",
        "judgements": "SELECT machine_id, time_ns, body FROM judgement ORDER BY id",
        "alarms": "SELECT alarm_id, body FROM alarm_change ORDER BY id",
        "advice": "SELECT body FROM advice ORDER BY id",
        "keys": "SELECT node_id, boot_id, first, last FROM stored_run ORDER BY node_id, first",
        "counters": "SELECT name, value FROM counter WHERE name != 'batches' ORDER BY name",
    }
    db = sqlite3.connect(path)
    try:
        return {name: db.execute(question).fetchall() for name, question in asked.items()}
    finally:
        db.close()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One worker, batches of 64."""
    return whole_path(tmp_path_factory.mktemp("one"), 1, 64)


def test_the_reference_stores_everything_and_finds_the_loud_machine(reference: dict[str, Any]) -> None:
    assert len(reference["rows"]) == len(MACHINES) * MINUTES
    assert len(reference["alarms"]) > 0


@pytest.mark.parametrize(
    ("n_workers", "max_blocks"),
    [(1, 9), (2, 64), (2, 23), (3, 64), (5, 256), pytest.param(1, 1, marks=pytest.mark.full)],
)
def test_workers_and_batches_change_no_bit_of_what_is_stored(
    reference: dict[str, Any], tmp_path: Path, n_workers: int, max_blocks: int
) -> None:
    found = whole_path(tmp_path, n_workers, max_blocks)
    differing = [name for name, value in reference.items() if found[name] != value]
    assert differing == []


def test_update_of_workers_is_the_update_of_the_stream() -> None:
    every = tuple(messages()[: 3 * 64])
    alone, crew = new_state(PLANT, Settings.demo()), Workers(4)
    shared: StreamState = new_state(PLANT, Settings.demo())
    for start in range(0, len(every), 64):
        batch = Batch(NOW, every[start : start + 64])
        alone, expected = update(alone, batch)
        shared, found = crew.update(shared, batch)
        assert [row.values.tobytes() for row in found.rows] == [row.values.tobytes() for row in expected.rows]
        assert found.judgements == expected.judgements
    crew.close()
    assert dump(shared) == dump(alone)


def test_what_breaks_in_a_share_breaks_the_update(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: StreamState, share: Sequence[Message]) -> list[FeatureRow]:
        if any(message.machine == "m-0-1" for message in share):
            raise ArithmeticError("a kernel that fails")
        return features_of(state, share)

    monkeypatch.setattr(workers, "features_of", broken)
    crew = Workers(2)
    with pytest.raises(ArithmeticError):
        crew.update(new_state(PLANT), Batch(NOW, tuple(messages()[:32])))
    crew.close()


@given(st.lists(st.sampled_from("abcdefgh"), max_size=100), st.integers(1, MAX_WORKERS))
def test_shares_cover_a_batch_once_and_keep_machines_together(machines: list[str], wanted: int) -> None:
    found = shares(machines, wanted)
    assert sorted(place for share in found for place in share) == list(range(len(machines)))
    assert 1 <= len(found) <= max(1, min(wanted, len(machines) // MIN_SHARE))
    for share in found:
        assert share == sorted(share)
    of_machine = [{machines[place] for place in share} for share in found]
    assert sum(len(one) for one in of_machine) == len(set(machines))


@pytest.mark.parametrize("wanted", [0, -1, MAX_WORKERS + 1])
def test_a_number_of_workers_out_of_range_is_refused(wanted: int) -> None:
    with pytest.raises(ValueError, match="workers"):
        Workers(wanted)


def test_serve_offers_as_many_workers_as_there_may_be() -> None:
    offered = get_type_hints(serve, include_extras=True)["workers"].__metadata__[0]
    assert (offered.min, offered.max) == (0, MAX_WORKERS)


def test_the_automatic_number_leaves_half_of_the_cores() -> None:
    assert 1 <= automatic() <= MAX_WORKERS
