"""The whole path on one machine: gateways -> broker -> gate -> features -> models -> journal -> watermark.

    python -m benchmarks.pipeline --machines 5000 --seconds 30 --json
    python -m benchmarks.pipeline --find-highest --json             the highest rate that is held

Every machine sends one 3 x 8,192 int16 block a second with a key; the server is `mitra.analytics` with its
models, journal and keeper. Ages are from the sensor's time, which is the moment of publishing, to the end of
the transaction that stored the message. Senders wait, as an edge does, while the host allows them no more on
the way: less is then offered than asked for, `window_waited_s` says so, and such a rate is not held.
The figures are Mosquitto's; those of the embedded broker follow under its name. `cores_of_strangers` says
what other programs took from this machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.whole_path import Bench, Wanted

FIRST_PER_S, STEP_PER_S, FINEST_PER_S, MOST_PER_S = 1_000.0, 1_000.0, 250.0, 20_000.0
HELD_P99_MS, HELD_DRAIN_S, HELD_WAITED_S = 1_000.0, 2.0, 0.5
FIND_DRAIN_S = 20.0


def held(figures: dict[str, Any]) -> bool:
    """Whether a rate was held: everything is stored, and no queue grew while it was sent."""
    return bool(
        figures["lost"] == 0
        and figures["drained_s"] < HELD_DRAIN_S
        and figures["window_waited_s"] < HELD_WAITED_S
        and figures["p99_ms"] < HELD_P99_MS
    )


def highest(measure: Callable[[float], dict[str, Any]]) -> tuple[float, list[dict[str, Any]]]:
    """Raise the rate by steps until it is not held, twice; then halve the step. The rate, and every phase.

    >>> highest(lambda rate: {"lost": rate > 3_400, "drained_s": 1, "window_waited_s": 0, "p99_ms": 50})[0]
    3250.0
    """
    phases: list[dict[str, Any]] = []

    def is_held(rate: float) -> bool:
        for _ in range(2):  # a stranger's burst is no limit of ours
            figures = measure(rate)
            phases.append({"asked_per_s": rate, "held": held(figures), **figures})
            if held(figures):
                return True
        return False

    best, step, rate = 0.0, STEP_PER_S, FIRST_PER_S
    while step >= FINEST_PER_S and rate <= MOST_PER_S:
        if is_held(rate):
            best = rate
        else:
            step /= 2
        rate = best + step
    return best, phases


def run(wanted: Wanted, options: argparse.Namespace) -> dict[str, Any]:
    """One broker's figures."""
    per_s = options.per_second or float(wanted.machines)
    with ExitStack() as stack:
        bench = Bench(stack, wanted)
        if not options.find_highest:
            return bench.phase(per_s, options.seconds)
        best, phases = highest(lambda rate: bench.phase(rate, options.seconds, FIND_DRAIN_S))
    failed = [one for one in phases if not one["held"]]
    return {
        "held_per_s": best,
        "at_held": next(
            (one for one in reversed(phases) if one["held"] and one["asked_per_s"] == best), None
        ),
        "limit": failed[-1]["limit"] if failed else "not reached",
        "phases": phases,
    }


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--machines", type=int, default=5_000)
    parser.add_argument(
        "--per-second", type=float, help="blocks a second of all machines; one each by default"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of each rate")
    parser.add_argument("--samples", type=int, default=8_192)
    parser.add_argument("--window", type=int, default=256, help="uncommitted messages of one gateway")
    parser.add_argument("--workers", type=int, default=0, help="threads that make features; 0: the default")
    parser.add_argument("--broker", choices=("mosquitto", "embedded", "both"), default="both")
    parser.add_argument("--find-highest", action="store_true", help="raise the rate until it is not held")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    brokers = ("mosquitto", "embedded") if options.broker == "both" else (options.broker,)
    figures = {
        broker: run(
            Wanted(options.machines, broker, options.samples, options.window, options.workers), options
        )
        for broker in brokers
    }
    result = {
        "machines": options.machines,
        "broker": brokers[0],
        "samples": 3 * options.samples,
        **figures[brokers[0]],
        **{broker: figures[broker] for broker in brokers[1:]},
    }
    print(json.dumps(result, indent=None if options.json else 2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
