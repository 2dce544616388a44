"""CWRU drive end: untrained diagnosis with the orders given, one verdict a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.detection.figures import Figure, SetReport, folder
from benchmarks.diagnosis import evaluate

if TYPE_CHECKING:
    from pathlib import Path


def measure(data: Path) -> SetReport:
    """Macro-F1 over the drive-end files; what to know before quoting it stands in `benchmarks.diagnosis`."""
    found = evaluate(folder(data, "cwru"))
    return SetReport(
        name="CWRU drive end",
        protocol="untrained, bearing orders given, one verdict a file",
        figures=(
            Figure("macro-F1", float(found["macro_f1"]), 0.652, "min", "plain envelope peak 0.652"),
            Figure("accuracy", float(found["accuracy"])),
        ),
        notes=(
            f"{found['n_files']} files, one of them healthy; limits were settled with these files at hand",
        ),
    )
