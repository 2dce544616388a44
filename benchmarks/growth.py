"""Does a block cost more when there are more machines, or more history?

    python -m benchmarks.growth --json

Decode, gate, features, models and journal in one process without a broker, measured as processor time of the
thread, in batches of 64. The setups take turns, so that a noisy neighbour hits all of them; the median of the
rounds counts. The plant's own clock gives each machine a block a second, so that what is done once a minute
weighs alike in all setups. Memory is what the process grew by when the machines were made and had spoken.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.senders import CHANNELS, NODE_BIRTH, Template, varint
from benchmarks.whole_path import PER_GATEWAY, SITE, plant_file, rss_mb
from ingest.contract.payload import write_birth
from ingest.contract.plant import parse_plant
from ingest.contract.topics import Kind, device_topic, node_topic
from ingest.gate import Gate
from ingest.host import Host, HostPolicy
from ingest.inbox import Inbox
from ingest.journal.journal import Journal
from models.stream import Settings, new_state, update, warm_up

BATCH, SAMPLES = 64, 8_192
MACHINES = (100, 1_000, 10_000)
HISTORY = (0, 100_000, 1_000_000)
BOOT = 1 << 61
NS_PER_S = 1_000_000_000
FLAT = 0.20


class Setup:
    """One plant and its journal; `round` puts batches through."""

    def __init__(self, folder: Path, machines: int, templates: list[Template]) -> None:
        folder.mkdir(parents=True)
        gateways = plant_file(folder, machines)
        plant = parse_plant((folder / "plant.toml").read_text("utf-8"))
        self.journal = Journal(folder / "journal.db")
        self.host = Host(SITE, "mitra", HostPolicy(max_nodes=machines))
        self.machines, self.now_ns = machines, time.time_ns()
        self.inbox = self.fresh_inbox()
        self.state = new_state(plant, Settings())
        self.templates = templates
        self.seqs: dict[str, int] = {}
        self.counts: dict[str, int] = dict.fromkeys(gateways, 0)
        for node, own in gateways.items():
            self._birth(node, own)
        self.turns = self._turns(gateways)
        self.batches = self.inbox.batches(BATCH, 0.0)

    def fresh_inbox(self) -> Inbox:
        """An inbox on the journal as it is, on this plant's own clock."""
        return Inbox(
            self.host,
            Gate(self.journal),
            self.journal,
            publish=lambda _send: None,
            clock_ns=lambda: self.now_ns,
        )

    def _birth(self, node: str, own: list[str]) -> None:
        now = self.now_ns
        self.host.receive(node_topic(SITE, Kind.NBIRTH, node), write_birth(NODE_BIRTH, 0, now), now)
        for i, machine in enumerate(own):
            body = write_birth(((channel, None) for channel in CHANNELS), (i + 1) % 256, now)
            self.host.receive(device_topic(SITE, Kind.DBIRTH, node, machine), body, now)
        self.seqs[node] = (len(own) + 1) % 256

    @staticmethod
    def _turns(gateways: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
        while True:
            for i in range(PER_GATEWAY):
                for node, own in gateways.items():
                    if i < len(own):
                        yield node, device_topic(SITE, Kind.DDATA, node, own[i])

    def put(self, n_batches: int) -> list[float]:
        """Processor time a block of each batch, in us."""
        costs = []
        for _ in range(n_batches):
            self.inbox.offer_many([self._message(i) for i in range(BATCH)])
            began = time.thread_time()
            intake = next(self.batches)
            self.state, outputs = update(self.state, intake.batch)
            self.journal.commit(intake, outputs)
            self.inbox.committed(intake)
            costs.append((time.thread_time() - began) / BATCH * 1e6)
            if len(intake.batch.messages) != BATCH:
                raise RuntimeError(f"a batch was not admitted whole: {dict(intake.counts)}")
            self.journal.tend()
        return costs

    def _message(self, i: int) -> tuple[str, bytes]:
        node, topic = next(self.turns)
        seq, count = self.seqs[node], self.counts[node]
        self.seqs[node], self.counts[node] = (seq + 1) % 256, count + 1
        self.now_ns += NS_PER_S // self.machines
        body = self.templates[i % len(self.templates)].patch(self.now_ns, count, BOOT)
        return topic, bytes(body) + b"\x18" + varint(seq)


def fill(path: Path, n_rows: int) -> None:
    """Give the journal a past: n_rows feature rows and their scalars, spread over its machines."""
    db = sqlite3.connect(path, isolation_level=None)
    set_id, vals = db.execute("SELECT set_id, vals FROM feature_row LIMIT 1").fetchone()
    ids = [row[0] for row in db.execute("SELECT id FROM machine")]
    first = db.execute("SELECT max(id) FROM feature_row").fetchone()[0] + 1
    start = time.time_ns() - n_rows * 1_000_000
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO feature_row VALUES (?,?,?,?,?,0,0,NULL,NULL,NULL,?)",
        ((first + i, ids[i % len(ids)], start + i * 1_000_000, start, set_id, vals) for i in range(n_rows)),
    )
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def in_turns(setups: dict[int, Setup], rounds: int, n_batches: int) -> dict[int, float]:
    """Median cost of a block, us, by setup."""
    for setup in setups.values():
        setup.put(10)
    costs: dict[int, list[float]] = {size: [] for size in setups}
    for _ in range(rounds):
        for size, setup in setups.items():
            costs[size] += setup.put(n_batches)
    return {size: round(statistics.median(own), 1) for size, own in costs.items()}


def spread(costs: dict[int, float]) -> float:
    """The dearest against the cheapest, less 1."""
    return round(max(costs.values()) / min(costs.values()) - 1.0, 3)


def main() -> int:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--batches", type=int, default=16, help="batches of 64 blocks in a round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warm_up()
    templates = [Template(seed, SAMPLES) for seed in range(4)]
    with tempfile.TemporaryDirectory(prefix="mitra-growth-") as name:
        folder = Path(name)
        setups: dict[int, Setup] = {}
        memory: dict[int, float] = {}
        for machines in MACHINES:
            before = rss_mb(_self())
            setups[machines] = Setup(folder / f"m{machines}", machines, templates)
            setups[machines].put(machines // BATCH + 1)
            memory[machines] = (rss_mb(_self()) - before) * 1024 / machines
        by_machines = in_turns(setups, options.rounds, options.batches)
        for setup in setups.values():
            setup.journal.close()
        past = {n_rows: _with_past(folder / f"h{n_rows}", n_rows, templates) for n_rows in HISTORY}
        by_history = in_turns(past, options.rounds, options.batches)
    result: dict[str, Any] = {
        "us_per_block_by_machines": by_machines,
        "spread_by_machines": spread(by_machines),
        "us_per_block_by_history_rows": by_history,
        "spread_by_history": spread(by_history),
        "kb_per_machine": round(memory[max(MACHINES)], 1),
        "batch": BATCH,
    }
    result["flat"] = result["spread_by_machines"] <= FLAT and result["spread_by_history"] <= FLAT
    print(json.dumps(result, indent=None if options.json else 2))
    return 0


def _with_past(folder: Path, n_rows: int, templates: list[Template]) -> Setup:
    """A plant of 100 machines whose journal holds n_rows of history already."""
    setup = Setup(folder, 100, templates)
    setup.put(2)
    setup.journal.close()
    fill(setup.journal.path, n_rows)
    setup.journal = Journal(setup.journal.path)
    setup.inbox = setup.fresh_inbox()
    setup.batches = setup.inbox.batches(BATCH, 0.0)
    return setup


def _self() -> int:
    return int(Path("/proc/self").resolve().name)


if __name__ == "__main__":
    sys.exit(main())
