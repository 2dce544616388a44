"""How fast features are made, against the FFT's own rate and other extractors, in one run on one core.

    python -m benchmarks.features --json [--no-peers] [--cache DIR]

The roofline is scipy's batched float32 rfft. Roofline and kernel take turns, so that a noisy neighbour hits
both; the best round of each counts. What is dearer than every block may pay is timed one by one (`dear_us`,
one axis), and so is what the slow rounds add to a block of three axes at a block a second (`rounds_us`).
Peers are installed into an environment of their own below the cache folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft

from features.bearings import find, orders_of
from features.cepstrum import strongest_family
from features.extract import extract
from features.kurtogram import best_band
from features.listening import coherence_db
from features.order_tracking import to_angle
from features.power import current_signature
from features.rounds import new_rounds
from features.signature import diagnose
from features.speed import from_spectrum
from features.table import FEATURES, ON_DEMAND
from features.trends import SAMPLED, hour
from features.vibration import Facts, extract_blocks, settings_of, warm_up
from features.windows import empty, insert
from ingest.contract.values import AXES, Message, Scalar, Waveform

if TYPE_CHECKING:
    from collections.abc import Callable

BATCHES = (1, 3, 64)
PEERS = {
    "tsfresh_minimal": "tsfresh",
    "tsfel_statistical": "tsfel",
    "tsfel_spectral": "tsfel",
    "tsflex": "tsflex",
    "pycatch22": "pycatch22",
}
RATE_HZ, SPEED_HZ, SCALE_G = 25_600.0, 24.7, 1e-3
GOALS = {64: 0.33, 3: 0.20}


def _rate(work: Callable[[], object], n_samples: int, repeats: int) -> float:
    """MS/s of the best of `repeats` calls."""
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return n_samples / best / 1e6


def measure(n_samples: int, rounds: int) -> dict[str, Any]:
    """Roofline and kernel rates of blocks of n_samples, in turns over `rounds`."""
    facts = Facts(orders=orders_of(find("6205")), gear_teeth=23, vanes=7)
    settings = settings_of([facts] * max(BATCHES), RATE_HZ, SCALE_G, SPEED_HZ)
    counts = np.random.default_rng(0).normal(0, 3_000, (max(BATCHES), n_samples)).astype(np.int16)
    kinds: dict[str, Any] = {"int16": counts, "float32": counts.astype(np.float32)}
    roofline = 0.0
    kernel = {kind: dict.fromkeys(BATCHES, 0.0) for kind in kinds}
    warm_up()
    for _ in range(rounds):
        roofline = max(roofline, _rate(lambda: scipy.fft.rfft(kinds["float32"]), counts.size, 20))
        for kind, blocks in kinds.items():
            for batch in BATCHES:
                part, known = blocks[:batch], settings[:batch]
                repeats = max(20, 128 // batch)
                work = lambda part=part, known=known: extract_blocks(part, known)  # noqa: E731
                kernel[kind][batch] = max(kernel[kind][batch], _rate(work, part.size, repeats))
    return {
        "n_samples": n_samples,
        "roofline_ms_s": round(roofline, 1),
        "kernel_ms_s": {str(batch): round(kernel["float32"][batch], 1) for batch in BATCHES},
        "kernel_int16_ms_s": {str(batch): round(kernel["int16"][batch], 1) for batch in BATCHES},
        "ratio": {str(batch): round(kernel["float32"][batch] / roofline, 3) for batch in BATCHES},
        "n_features": len(FEATURES),
        "goal_ratio": {str(batch): goal for batch, goal in GOALS.items()},
    }


def measure_dear(n_samples: int, repeats: int = 30) -> dict[str, float]:
    """Microseconds of one call of each of `ON_DEMAND`, for one block of one axis; the best of `repeats`."""
    orders, rng = orders_of(find("6205")), np.random.default_rng(0)
    t = np.arange(n_samples) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * k * SPEED_HZ * t) / k for k in (1, 2, 3)) + rng.normal(0, 0.3, n_samples)
    long = np.tile(wave, 4)  # a diagnosis wants twenty turns
    turns = SPEED_HZ * (0.98 * t + 0.02 * t**2 / t[-1])  # a shaft that runs up
    current = np.sin(2 * np.pi * 50 * t)
    window = empty(SAMPLED, 3_600 * 10**9, 64)
    for minute in range(60):
        window = insert(window, minute * 60 * 10**9, rng.uniform(1, 2, len(SAMPLED)).astype(np.float32))
    work: dict[str, Callable[[], object]] = {
        "features.speed.from_spectrum": lambda: from_spectrum(wave, RATE_HZ, SPEED_HZ),
        "features.trends.hour": lambda: hour(window, 3_540 * 10**9, 80.0, 2.0),
        "features.listening.coherence_db": lambda: coherence_db(wave, RATE_HZ, SPEED_HZ, orders),
        "features.cepstrum.strongest_family": lambda: strongest_family(wave, RATE_HZ, 20, 200),
        "features.kurtogram.best_band": lambda: best_band(wave, RATE_HZ, 400),
        "features.signature.diagnose": lambda: diagnose(long, RATE_HZ, 60 * SPEED_HZ, orders),
        "features.order_tracking.to_angle": lambda: to_angle(wave, turns, 256),
        "features.power.current_signature": lambda: current_signature(current, RATE_HZ, 50.0, 0.02),
    }
    best = {name: min(_seconds(call) for _ in range(repeats)) for name, call in work.items()}
    return {one.function: round(1e6 * best[one.function], 1) for one in ON_DEMAND}


def measure_rounds(n_samples: int, n_machines: int = 16) -> float:
    """Microseconds that rounds add to a message of three axes that tells its speed, at one message a second.

    An hour of rounds of many machines is timed with and without what is remembered; a round is one of sixty
    messages.
    """
    rng, facts = np.random.default_rng(0), Facts(orders=orders_of(find("6205")), speed_hz=SPEED_HZ)
    samples = rng.normal(0, 3_000, n_samples).astype("<i2").tobytes()
    known = {f"m-{i}": facts for i in range(n_machines)}

    def messages(minute: int) -> list[Message]:
        at = minute * 60 * 10**9
        waves = tuple(Waveform(axis, samples, "int16", RATE_HZ, SCALE_G, at) for axis in AXES)
        told = (Scalar("Speed", 60 * SPEED_HZ, at), Scalar("Power/Active", 5.0, at))
        return [Message("gw", name, at, waves, (*told, Scalar("Temperature/a", 50.0, at))) for name in known]

    batches, rounds, best = [messages(minute) for minute in range(1, 61)], new_rounds(known), float("inf")
    extract(batches[0], known, rounds)
    with_rounds = _seconds(lambda: [extract(batch, known, rounds) for batch in batches])
    for _ in range(2):
        best = min(best, _seconds(lambda: [extract(batch, known) for batch in batches]))
    return round(1e6 * (with_rounds - best) / (len(batches) * n_machines) / 60, 2)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peer_python(folder: Path) -> Path:
    """The peers' own interpreter; made on first use."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    return python


def measure_peers(cache: Path, n_samples: int, roofline_ms_s: float) -> dict[str, Any]:
    """MS/s of each peer, or the reason why it could not be measured."""
    python = _peer_python(cache / f"peers-{sys.version_info.major}.{sys.version_info.minor}")
    found: dict[str, Any] = {}
    for name, package in PEERS.items():
        installed = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "setuptools<81", package],
            capture_output=True,
            text=True,
            check=False,
        )
        if installed.returncode:
            found[name] = {"not_measured": installed.stderr.strip().splitlines()[-1:]}
            continue
        command = [str(python), str(Path(__file__).with_name("peers.py")), name, str(n_samples)]
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if run.returncode:
            found[name] = {"not_measured": run.stderr.strip().splitlines()[-1:]}
            continue
        result = json.loads(run.stdout.splitlines()[-1])
        result["ratio"] = result["ms_s"] / roofline_ms_s
        found[name] = {key: float(f"{value:.4g}") for key, value in result.items()}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON only")
    parser.add_argument("--no-peers", action="store_true", help="leave the other extractors out")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--samples", type=int, default=8_192, help="samples a block")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ayo-mitra"
    parser.add_argument("--cache", type=Path, default=cache, help="where the peers' environment is kept")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    result = measure(arguments.samples, arguments.rounds)
    result["dear_us"] = measure_dear(arguments.samples)
    result["rounds_us"] = measure_rounds(arguments.samples)
    if not arguments.no_peers:
        result["peers"] = measure_peers(arguments.cache, arguments.samples, result["roofline_ms_s"])
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"scipy float32 rfft, batch 64: {result['roofline_ms_s']} MS/s")
    print(f"kernel, {result['n_features']} features an axis:")
    for batch in BATCHES:
        rate, ratio = result["kernel_ms_s"][str(batch)], result["ratio"][str(batch)]
        print(f"  batch {batch:>2}: {rate} MS/s, ratio {ratio}")
    print(f"  what rounds add to a block a second of three axes: {result['rounds_us']} us")
    for name, cost in result["dear_us"].items():
        print(f"  {name}: {cost} us")
    for name, peer in result.get("peers", {}).items():
        print(f"  {name}: {peer}")


if __name__ == "__main__":
    main()
