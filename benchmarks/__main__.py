"""`python -m benchmarks [NAME ...]`: every benchmark in turn, one JSON line each; `--quick` is shorter.

Those that want recordings of real machines take their folder from MITRA_DATA and say so when it is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One benchmark. quick: shorter arguments; needs_data: `--data` with the folder of recordings."""

    about: str
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    needs_data: bool = False


BENCHMARKS: dict[str, Entry] = {
    "features": Entry("the kernel against the FFT's own rate and other extractors", (), ("--no-peers",)),
    "diagnosis": Entry("faults named on recordings with known faults", needs_data=True),
    "envelope_bands": Entry("a band searched per machine against the stream's fixed one", needs_data=True),
    "online": Entry("online models, rows a second"),
    "detection": Entry("detection and remaining life beside published references", needs_data=True),
    "pipeline": Entry(
        "the whole path: edges, broker, stream, journal", ("--seconds", "30"), ("--seconds", "10")
    ),
    "false_alarms": Entry("alarms of healthy plants a machine-month, and faults named", (), ("--quick",)),
    "growth": Entry("cost a block against machines and history"),
    "chaos": Entry("processes killed at random, messages counted", ("--kills", "200"), ("--kills", "10")),
    "mutations": Entry(
        "mutated approvals against the actuator", ("--count", "1000000"), ("--count", "20000")
    ),
    "screens": Entry("goals of the screens", (), ("--quick",)),
    "plant_story": Entry("months of plant life with and without us", (), ("--days", "30", "--seeds", "1")),
}


def command(name: str, entry: Entry, *, quick: bool, data: Path) -> list[str]:
    """How one benchmark is run."""
    more = ["--data", str(data)] if entry.needs_data else []
    return [
        sys.executable,
        "-m",
        f"benchmarks.{name}",
        *(entry.quick if quick else entry.arguments),
        *more,
        "--json",
    ]


def main() -> int:
    """Run them; the exit code says how many did not end well."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which; default: all")
    parser.add_argument("--quick", action="store_true", help="shorter runs, coarser figures")
    options = parser.parse_args()
    data = Path(os.environ.get("MITRA_DATA", "../shared/data"))
    failed = 0
    for name in options.names or BENCHMARKS:
        entry = BENCHMARKS[name]
        if entry.needs_data and not data.is_dir():
            print(json.dumps({"benchmark": name, "left_out": f"no recordings in {data}; set MITRA_DATA"}))
            continue
        started_s = time.perf_counter()
        done = subprocess.run(
            command(name, entry, quick=options.quick, data=data),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        failed += done.returncode != 0
        line = {"benchmark": name, "about": entry.about, "seconds": round(time.perf_counter() - started_s, 1)}
        try:
            line["figures"] = json.loads(done.stdout)
        except ValueError:
            line |= {"exit_code": done.returncode, "said": done.stdout[-500:]}
        print(json.dumps(line), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
