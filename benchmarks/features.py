"""How fast features are made, against the FFT's own rate and other extractors, in one run on one core.

    python -m benchmarks.features --json [--no-peers] [--cache DIR]

The roofline is scipy's batched float32 rfft. Roofline and kernel take turns, so that a noisy neighbour hits
both; the best round of each counts. Peers are installed into an environment of their own below the cache
folder.
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
from features.table import FEATURES
from features.vibration import Facts, extract_blocks, settings_row, warm_up

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
    settings = np.array([settings_row(facts, RATE_HZ, SCALE_G, SPEED_HZ)] * max(BATCHES))
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
    for name, peer in result.get("peers", {}).items():
        print(f"  {name}: {peer}")


if __name__ == "__main__":
    main()
