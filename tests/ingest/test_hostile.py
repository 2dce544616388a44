"""Ten thousand hostile messages: the loop stays up, memory stays flat, each one is counted with a reason."""

from __future__ import annotations

import random
import string
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sparkplug_wire import SITE, dbirth, ddata, message, nbirth, ndeath

from ingest.contract.batch import Batch
from ingest.contract.limits import MAX_MESSAGE_BYTES
from ingest.contract.metrics import DataType, add_metric, set_properties
from ingest.contract.rows import FeatureRow, Outputs
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.gate import Gate, GatePolicy
from ingest.host import Host, HostPolicy
from ingest.inbox import Inbox
from ingest.journal.journal import Journal
from ingest.reader import Reader
from ingest.stream import Stream

N_MESSAGES = 10_000
KINDS = ("NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "NDATA", "DDATA", "NCMD", "DCMD", "STATE", "XDATA")


def update(state: None, batch: Batch) -> tuple[None, Outputs]:
    return state, Outputs(
        tuple(
            FeatureRow(m.machine, m.time_ns, ("n",), np.array([len(m.waveforms)], np.float32), m.key)
            for m in batch.messages
        )
    )


def bodies(rng: random.Random) -> Iterator[bytes]:
    """Truncated, mutated, deep, oversize, wrongly typed and random payloads, for ever."""
    now = time.time_ns()
    good = [nbirth()[1], ndeath()[1], dbirth(1)[1], *(ddata(message(now, key=i), i)[1] for i in range(4))]
    while True:
        raw = rng.choice(good)
        yield raw[: rng.randrange(len(raw))]
        mutated = bytearray(raw)
        for _ in range(rng.randrange(1, 6)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        yield bytes(mutated)
        yield raw + rng.randbytes(rng.randrange(1, 20))
        yield rng.randbytes(rng.randrange(200))
        yield _deep(rng.choice([3, 90, 150]))
        yield _odd(rng)
        if rng.random() < 0.002:
            yield bytes(MAX_MESSAGE_BYTES + 1)
        if rng.random() < 0.01:
            yield _many(2_000)
        yield b""


def _deep(levels: int) -> bytes:
    """Templates within templates, wrapped by hand: a recursion for whoever follows it."""
    body = b""
    for _ in range(levels):
        metric = b"\x0a\x01t\x92\x01" + _length(len(body)) + body
        body = b"\x12" + _length(len(metric)) + metric
    return body


def _length(n: int) -> bytes:
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + _length(n >> 7)


def _odd(rng: random.Random) -> bytes:
    payload = Payload(timestamp=rng.choice([0, 1, 1 << 63]), seq=rng.randrange(1 << 20))
    for _ in range(rng.randrange(4)):
        name = rng.choice(
            ["Vibration/x", "Vibration/q", "Mitra/Boot", "Mitra/Gap/Messages", "bdSeq", "é" * 200, "a"]
        )
        kind = rng.choice(
            [DataType.DOUBLE, DataType.INT16_ARRAY, DataType.STRING, DataType.UINT64, DataType.BOOLEAN]
        )
        value = {
            DataType.DOUBLE: float("inf"),
            DataType.INT16_ARRAY: rng.randbytes(rng.choice([0, 3, 512])),
            DataType.STRING: "x" * rng.randrange(100),
            DataType.UINT64: rng.randrange(1 << 64),
            DataType.BOOLEAN: True,
        }[kind]
        metric = add_metric(payload, name, kind, value, alias=rng.choice([None, 1, 3, 99]))
        if rng.random() < 0.5:
            set_properties(
                metric,
                {
                    "rate_hz": (DataType.DOUBLE, rng.choice([0.0, -1.0, 1e300, float("nan"), 1000.0])),
                    "scale": (DataType.DOUBLE, rng.choice([0.0, float("inf"), 0.001])),
                    "engUnit": (DataType.STRING, rng.choice(["g", "furlong", ""])),
                },
            )
    return payload.SerializeToString()


def _many(n: int) -> bytes:
    payload = Payload()
    for i in range(n):
        add_metric(payload, f"m{i}", DataType.DOUBLE, 1.0)
    return payload.SerializeToString()


def topics(rng: random.Random) -> Iterator[str]:
    """Right ones and injections."""
    while True:
        yield f"spBv1.0/{SITE}/DDATA/gw-1/pump-1"
        yield f"spBv1.0/{SITE}/{rng.choice(KINDS)}/gw-{rng.randrange(3)}"
        yield f"spBv1.0/{SITE}/{rng.choice(KINDS)}/gw-1/m-{rng.randrange(10_000)}"
        word = "".join(rng.choices(string.printable, k=rng.randrange(30)))
        yield f"spBv1.0/{SITE}/DDATA/gw-1/{word}"
        yield rng.choice(
            [
                "#",
                "+",
                "$SYS/x",
                "spBv1.0",
                "a/" * 3000,
                "spBv1.0/other/DDATA/gw-1/m",
                "spBv1.0/STATE/mitra",
                "",
            ]
        )


def assert_stored(journal: Journal, boot_id: int, seq64: int) -> None:
    deadline = time.monotonic() + 60
    while journal.stored_runs("gw-1", boot_id) != [(seq64, seq64)]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ten_thousand_hostile_messages_are_each_counted(tmp_path: Path) -> None:
    rng = random.Random(20_260_713)
    journal = Journal(tmp_path / "journal.db")
    host = Host(SITE, "mitra", HostPolicy(reorder_ms=50, max_nodes=100, max_devices=50))
    gate = Gate(journal, policy=GatePolicy(rate=1e9, burst=1e9, max_machines=200))
    inbox = Inbox(host, gate, journal, publish=lambda _send: None)
    stream = Stream(inbox, journal, update, None)
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    body, topic = bodies(rng), topics(rng)
    n_offered = 0

    def offer(where: str, raw: bytes) -> None:
        nonlocal n_offered
        n_offered += 1
        inbox.offer(where, raw)

    def send(n: int) -> None:
        for i in range(n):
            if i % 500 == 0:
                offer(*nbirth())
                offer(*dbirth(1))
            offer(next(topic), next(body))
            while inbox.waiting > 2_000:
                time.sleep(0.001)
        deadline = time.monotonic() + 60
        while inbox.waiting:
            assert time.monotonic() < deadline
            assert thread.is_alive()
            time.sleep(0.01)

    send(N_MESSAGES // 2)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    send(N_MESSAGES // 2)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 16 * 1024 * 1024
    for sent in (nbirth(), dbirth(1), ddata(message(time.time_ns(), key=1_000_000, boot=99), 2)):
        offer(*sent)
    assert_stored(journal, 99, 1_000_000)  # still in order after all that
    inbox.stop()
    thread.join(60)
    assert not thread.is_alive()
    reader = Reader(journal.path)
    counters = reader.counters()
    refused = {name: count for name, count in counters.items() if name.startswith("refused_")}
    ends = ("births", "deaths", "states", "stored_messages", "quarantined", "gap_records")
    others = sum(
        count
        for name, count in counters.items()
        if name in ends or name.startswith(("ignored", "duplicates"))
    )
    assert sum(refused.values()) + others == n_offered
    assert sum(refused.values()) > N_MESSAGES / 2
    expected = {
        "topic_form",
        "topic_id",
        "topic_kind",
        "foreign_site",
        "not_sparkplug",
        "too_many_metrics",
        "unit",
    }
    assert expected <= {name.removeprefix("refused_") for name in refused}
    assert {letter.reason for letter in reader.dead_letters(1_000)} <= {
        name.removeprefix("refused_") for name in refused
    }
