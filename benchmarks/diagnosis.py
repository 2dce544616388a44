"""Untrained diagnosis of the CWRU drive-end recordings: one verdict a file from its speed and geometry.

    python -m benchmarks.diagnosis --data DIR --json

DIR holds index.csv and the npz files of the Case Western Reserve University bearing data (12 kHz, drive
end; key DE in g, rpm). They come from https://engineering.case.edu/bearingdatacenter and are no part of
this project.

What to know before quoting the figure: the faults are spark-eroded; the classes are uneven, with one
healthy recording, whose rate is in doubt and read as 12 kHz, for then its shaft lines lie at 1, 2 and 3 x
29.9 Hz; four files name no speed, so the nominal one of their load is taken; the recordings of 0.028 inch
on the inner race show lines at orders that the geometry given does not have. Nothing is trained and no
limit is set file by file, but the limits in `features.signature` were settled with these recordings at
hand, so this is no held-out figure. `named_by_lines` counts the verdicts that rest on clear lines; the
others name a rolling element by exclusion.

`speed`: the shaft speed read off single blocks, around the no-load speed of 1,797 rpm, and with nothing
declared but 60 Hz mains, against the speed that the file tells, where it does.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from features.bearings import find, orders_of
from features.rounds import MIN_CONFIDENCE
from features.signature import Part, Signature, diagnose
from features.speed import Speed, from_mains, from_spectrum

if TYPE_CHECKING:
    from collections.abc import Callable

RATE_HZ = 12_000.0
MAINS_HZ = 60.0
NOMINAL_RPM = (1_797.0, 1_772.0, 1_750.0, 1_730.0)
CLASSES = ("Normal", "B", "IR", "OR")
CLASS_OF = {None: "Normal", Part.BALL: "B", Part.CAGE: "B", Part.INNER: "IR", Part.OUTER: "OR"}
"""The data set knows no cage faults; a cage that speaks carries a damaged rolling element."""


def scores(truth: list[str], verdict: list[str]) -> dict[str, Any]:
    """Accuracy, F1 of each class and their mean."""
    pairs = Counter(zip(truth, verdict, strict=True))
    f1 = {}
    for name in CLASSES:
        hits = pairs[name, name]
        said, true = verdict.count(name), truth.count(name)
        f1[name] = round(2 * hits / (said + true), 4) if said + true else 0.0
    return {
        "macro_f1": round(sum(f1.values()) / len(f1), 4),
        "f1": f1,
        "accuracy": round(sum(pairs[name, name] for name in CLASSES) / len(truth), 4),
        "confusion": {f"{was} called {called}": n for (was, called), n in sorted(pairs.items())},
    }


def read(folder: Path, entry: dict[str, str]) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    """The drive-end signal in g and its speed in rpm."""
    with np.load(folder / entry["file"]) as record:
        wave = record["DE"].astype(np.float64)
    return wave, float(entry["rpm_in_file"] or NOMINAL_RPM[int(entry["load_hp"])])


def evaluate(folder: Path) -> dict[str, Any]:
    """Diagnose every drive-end file that index.csv names."""
    orders = orders_of(find("6205"))
    with (folder / "index.csv").open(newline="") as table:
        entries = [entry for entry in csv.DictReader(table) if entry["faulty_end"] == "Drive"]
    files, seconds = [], 0.0
    for entry in entries:
        wave, rpm = read(folder, entry)
        started = time.perf_counter()
        found: Signature = diagnose(wave, RATE_HZ, rpm, orders)
        seconds += time.perf_counter() - started
        files.append(
            {
                "file": entry["file"],
                "truth": entry["class"],
                "verdict": CLASS_OF[found.part],
                "confidence": round(found.confidence, 3),
                "by_exclusion": found.by_exclusion,
                "score_db": {item.part.value: round(item.score_db, 1) for item in found.evidence},
                "high_share": round(found.high_share, 3),
            }
        )
    result = scores([str(f["truth"]) for f in files], [str(f["verdict"]) for f in files])
    named = [f for f in files if not f["by_exclusion"] and f["verdict"] != "Normal"]
    result["named_by_lines"] = len(named)
    result["named_by_lines_correctly"] = sum(f["verdict"] == f["truth"] for f in named)
    result["ms_per_file"] = round(1e3 * seconds / len(files), 1)
    return {**result, "n_files": len(files), "files": files}


def evaluate_speed(folder: Path, blocks_per_file: int = 6) -> dict[str, Any]:
    """Share of blocks with an answer, and its error against the told speed, by block length and method."""
    with (folder / "index.csv").open(newline="") as table:
        entries = [entry for entry in csv.DictReader(table) if entry["faulty_end"] == "Drive"]
    told = [read(folder, entry) for entry in entries if entry["rpm_in_file"]]
    ways: dict[str, Callable[[Any], Speed]] = {
        "rated": lambda block: from_spectrum(block, RATE_HZ, NOMINAL_RPM[0] / 60),
        "undeclared": lambda block: from_mains(block, RATE_HZ, MAINS_HZ),
    }
    result: dict[str, Any] = {}
    for n in (8_192, 16_384, 32_768):
        for way, look in ways.items():
            found = [
                (look(block), rpm)
                for wave, rpm in told
                for block in wave[: len(wave) // n * n].reshape(-1, n)[:blocks_per_file]
            ]
            errors = [abs(60 * one.hz / rpm - 1) for one, rpm in found if one.confidence >= MIN_CONFIDENCE]
            result[f"{way}_{n}"] = {
                "blocks": len(found),
                "answered": round(len(errors) / len(found), 3),
                "median_error": round(float(np.median(errors)), 5),
                "within_1_percent": round(float(np.mean(np.array(errors) < 0.01)), 3),
                "within_2_percent": round(float(np.mean(np.array(errors) < 0.02)), 3),
            }
    return result


def main() -> None:
    """Diagnose and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and the npz files")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    folder = arguments.data / "cwru" if (arguments.data / "cwru" / "index.csv").exists() else arguments.data
    if not (folder / "index.csv").exists():
        parser.error(f"{folder} has no index.csv; give the folder of the CWRU recordings")
    result = {"speed": evaluate_speed(folder), **evaluate(folder)}
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"macro-F1 {result['macro_f1']}, accuracy {result['accuracy']}, {result['n_files']} files")
    for case, n in result["confusion"].items():
        print(f"  {case}: {n}")


if __name__ == "__main__":
    main()
