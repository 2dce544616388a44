"""Kill -9 of edge, broker and ingest in random order and overlap, and then count every message.

    python -m benchmarks.chaos --kills 200 --json
    python -m benchmarks.chaos --kills 50 --power-cut --json      the edge's un-synced writes are lost too
    python -m benchmarks.chaos --kills 50 --proxy --json          delays, stalls, half-open lines, resets

A plant of simulated machines runs as in production: embedded broker, `mitra.analytics` with its models, one
agent a gateway. After the kills the host is kept away for a while, and the drain of what piled up is timed
against real time. The law: made = stored + in_outbox + gap_declared, nothing twice. Exit code 1 when broken.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.chaos_count import count
from benchmarks.chaos_plant import BROKER, HOST_SIDE, ChaosPlant, NeverReadyError, PlantShape, wait
from edge.status import Status, read_status
from simulators.network import CALM

GOAL_DRAIN_X = 10.0
SETTLE_S = 300.0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _statuses(plant: ChaosPlant) -> list[Status]:
    found = [read_status(plant.layout.edge(gateway)) for gateway in plant.gateways]
    return [one for one in found if one is not None]


def _waiting(plant: ChaosPlant) -> int:
    return sum(one.in_outbox for one in _statuses(plant))


def storm(plant: ChaosPlant, kills: int, mean_s: float, luck: random.Random) -> None:
    """Kill at random; what fell is started again after a while of its own, so that outages overlap."""
    names = [BROKER, HOST_SIDE, *plant.gateways]
    due: list[tuple[float, str]] = []
    for i in range(kills):
        until = time.monotonic() + luck.expovariate(1 / mean_s)
        while (now := time.monotonic()) < until:
            while due and due[0][0] <= now:
                plant.start(heapq.heappop(due)[1])
            time.sleep(min(0.02, until - now))
        up = [name for name in names if name in plant.running]
        if not up:
            # Everything is dark: the next kill waits for the first light.
            plant.start(heapq.heappop(due)[1])
            up = list(plant.running)
        name = luck.choice(up)
        plant.kill(name)
        heapq.heappush(due, (time.monotonic() + luck.uniform(0.0, 2 * mean_s), name))
        if (i + 1) % 20 == 0:
            _say(f"{i + 1} kills: {plant.kills}; in outboxes {_waiting(plant)}")
    for _, name in due:
        plant.start(name)


def settle(plant: ChaosPlant) -> float:
    """Everything runs: wait until the outboxes hold only what is on the way. Seconds it took."""
    few = max(20.0, 3.0 * plant.rate_hz)
    return wait(lambda: _waiting(plant) <= few, SETTLE_S, f"outboxes still hold {_waiting(plant)}")


def drain(plant: ChaosPlant, away_s: float) -> dict[str, Any]:
    """Keep the host away, then time how fast what piled up is stored, and how late live data is meanwhile.

    The network is calm by then: a rate is only worth measuring on a line that works.
    """
    if plant.network is not None:
        plant.network.weather = CALM
    plant.kill(HOST_SIDE)
    plant.kills[HOST_SIDE] -= 1
    time.sleep(away_s)
    plant.start_ready(HOST_SIDE)
    born_ns = time.time_ns()
    begin, backlog = time.monotonic(), _waiting(plant)
    seconds = wait(lambda: _waiting(plant) <= 2 * plant.rate_hz, SETTLE_S, "the backlog does not drain")
    end_ns = time.time_ns()
    drained = backlog + plant.rate_hz * (time.monotonic() - begin) - _waiting(plant)
    return {
        "backlog": backlog,
        "drain_s": round(seconds, 2),
        "drain_rate_x": round(drained / max(seconds, 1e-3) / plant.rate_hz, 1),
        "live_p99_ms_while_draining": _live_p99_ms(plant.layout.journal, born_ns, end_ns),
    }


def _live_p99_ms(journal: Path, from_ns: int, to_ns: int) -> float | None:
    with closing(sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True)) as db:
        late = db.execute(
            "SELECT receive_ns - time_ns FROM feature_row WHERE historical = 0 AND receive_ns BETWEEN ? AND ?"
            " ORDER BY 1",
            (from_ns, to_ns),
        ).fetchall()
    return round(late[min(len(late) - 1, int(0.99 * len(late)))][0] / 1e6, 1) if late else None


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One whole run. Raises NeverReadyError when the plant does not come back by itself."""
    luck = random.Random(options.seed)  # no secret
    shape = PlantShape(
        options.machines, options.period, options.samples, options.seed, options.power_cut, options.proxy
    )
    plant = ChaosPlant(folder, shape)
    begin = time.monotonic()
    try:
        plant.build()
        for name in plant.programs:
            plant.start_ready(name)
        wait(
            lambda: sum(one.committed for one in _statuses(plant)) > options.machines,
            120.0,
            "nothing is stored",
        )
        storm(plant, options.kills, options.mean_s, luck)
        settle_s = settle(plant)
        drained = drain(plant, options.away_s)
        settle(plant)
        fallen = plant.fallen()
        for name in (*plant.gateways, HOST_SIDE, BROKER):
            if name == HOST_SIDE:
                time.sleep(2.0)  # what was said last is stored
            plant.stop(name)
        ledger = count(plant.layout.journal, [(one, plant.layout.edge(one)) for one in plant.gateways])
        weather = dict(plant.network.counts) if plant.network else {}
    finally:
        plant.close()
    return {
        "seed": options.seed,
        "variant": "power-cut" if options.power_cut else "proxy" if options.proxy else "kill",
        "machines": options.machines,
        "kills": sum(plant.kills.values()),
        "kills_by_process": dict(sorted(plant.kills.items())),
        "fell_by_themselves": fallen,
        **ledger.summary(),
        "thinned": ledger.thinned,
        "quarantined": ledger.quarantined,
        "dead_letters": ledger.dead_letters,
        "settle_s": round(settle_s, 1),
        **drained,
        "network": weather,
        "seconds": round(time.monotonic() - begin, 1),
    }


def holds(result: dict[str, Any]) -> bool:
    """True when the promise was kept."""
    return (
        result["lost"] == 0
        and result["duplicates_stored"] == 0
        and (result["keys_missing"] == 0 or result["gap_declared"] > 0)
        and not result["fell_by_themselves"]
        and result["drain_rate_x"] >= GOAL_DRAIN_X
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--period", type=float, default=1.0, help="seconds between two blocks of a machine")
    parser.add_argument("--samples", type=int, default=2048, help="samples of a block")
    parser.add_argument("--mean-s", type=float, default=2.0, help="mean seconds between two kills")
    parser.add_argument(
        "--away-s", type=float, default=60.0, help="how long the host is away before the drain"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--power-cut", action="store_true", help="the edge's disk forgets what was not synced"
    )
    parser.add_argument(
        "--proxy", action="store_true", help="gateways reach the broker through a bad network"
    )
    parser.add_argument("--folder", type=Path, help="keep the plant here; default: a temporary folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        try:
            result = run(options, folder)
        except NeverReadyError as error:
            _say(f"The plant did not come back: {error}")
            return 1
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:28} {value}")
    return 0 if holds(result) else 1


if __name__ == "__main__":
    sys.exit(main())
