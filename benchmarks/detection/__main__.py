"""`python -m benchmarks.detection --data DIR [--set NAME] [--json]`: our figures beside the references."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.detection import bearings, cmapss, cwru, gearbox, nab, skab, tables
from benchmarks.detection.figures import MissingSetError, SetReport

if TYPE_CHECKING:
    from collections.abc import Callable

SETS: dict[str, Callable[[Path], SetReport]] = {
    "skab": skab.measure,
    "nab": nab.measure,
    "femto": bearings.measure_femto,
    "ims": bearings.measure_ims,
    "cwru": cwru.measure,
    "cmapss": cmapss.measure,
    "gearbox": gearbox.measure,
    "tables": tables.measure,
}


def as_json(report: SetReport, seconds: float) -> dict[str, object]:
    """A report as plain values."""
    figures = [{**dataclasses.asdict(figure), "met": figure.met} for figure in report.figures]
    return {**dataclasses.asdict(report), "figures": figures, "seconds": round(seconds, 1)}


def as_text(report: SetReport) -> str:
    """A report as lines for a person."""
    lines = [f"{report.name}: {report.protocol}"]
    marks = {True: "met", False: "MISSED", None: ""}
    for figure in report.figures:
        sign = ">=" if figure.goal_is == "min" else "<="
        goal = "" if figure.goal is None else f"goal {sign} {figure.goal:.4g}"
        lines.append(
            f"  {figure.name:<34}{figure.value:>10.4g}  {goal:<16}{marks[figure.met]:<8}{figure.reference}"
        )
    return "\n".join([*lines, *(f"  - {note}" for note in report.notes)])


def main() -> int:
    """Measure the sets asked for; a set that is not there is named and skipped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MITRA_DATA", "../shared/data")))
    parser.add_argument("--set", choices=sorted(SETS), action="append", help="one set (may be repeated)")
    parser.add_argument("--json", action="store_true", help="JSON instead of lines")
    asked = parser.parse_args()
    results: dict[str, object] = {}
    for name in asked.set or SETS:
        start = time.monotonic()
        try:
            report = SETS[name](asked.data)
        except MissingSetError as missing:
            results[name] = {"skipped": str(missing)}
            print(f"{name} skipped: {missing}", file=sys.stderr)
            continue
        results[name] = as_json(report, time.monotonic() - start)
        if not asked.json:
            print(as_text(report), flush=True)
    if asked.json:
        print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
