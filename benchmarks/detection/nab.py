"""Numenta Anomaly Benchmark, the groups given: one pass, 15 % probation, one threshold, standard profile."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detection.figures import Figure, SetReport, folder
from benchmarks.detection.nab_rules import Window, file_score, normalised
from models.score.files import read_table
from models.score.table import score_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DETECTORS = ("randomCutForest", "htmjava", "numenta", "ARTime")


def series_names(place: Path) -> list[str]:
    """Labelled series whose file is there, as `group/file.csv`."""
    labels = json.loads((place / "labels" / "combined_windows.json").read_text("utf-8"))
    return sorted(name for name in labels if (place / "data" / name).is_file())


def windows_of(place: Path, name: str, times: tuple[str, ...]) -> tuple[Window, ...]:
    """Labelled windows of one series as row numbers."""
    labels = json.loads((place / "labels" / "combined_windows.json").read_text("utf-8"))
    rows: dict[str, int] = {}
    for row, time in enumerate(times):
        rows.setdefault(time, row)  # a repeated timestamp means its first row
    return tuple(Window(rows[first[:19]], rows[last[:19]]) for first, last in labels[name])


def published(place: Path, detector: str) -> dict[str, float]:
    """Published raw score of each series by one detector."""
    path = place / "published_scores" / f"{detector}_standard_scores.csv"
    with path.open(encoding="utf-8", newline="") as text:
        return {row["File"]: float(row["Score"]) for row in csv.DictReader(text) if "/" in row["File"]}


def series(place: Path, name: str) -> tuple[NDArray[np.float64], tuple[Window, ...]]:
    """Values (n,) and windows of one series."""
    table = read_table(place / "data" / name, "timestamp", ("value",))
    return table.values[:, 0], windows_of(place, name, table.times)


def measure(data: Path) -> SetReport:
    """Score every series with the production defaults, beside the published scores of the same files."""
    place = folder(data, "nab")
    names = series_names(place)
    total, n_windows, false_alarms = 0.0, 0, 0
    for name in names:
        values, windows = series(place, name)
        alarm = score_table(values, channels=("value",), probation=0.15).alarm
        total += file_score(alarm, windows)
        n_windows += len(windows)
        inside = np.zeros(len(alarm), bool)
        for window in windows:
            inside[window.first_row : window.last_row + 1] = True
        false_alarms += int(np.sum(alarm & ~inside))
    theirs = {
        detector: normalised(sum(published(place, detector)[name] for name in names), n_windows)
        for detector in DETECTORS
    }
    said = ", ".join(f"{detector} {score:.1f}" for detector, score in theirs.items())
    return SetReport(
        name="NAB groups given",
        protocol="one pass, first 15 % (at most 750 rows) probation, default threshold, standard profile",
        figures=(
            Figure("score, floor", normalised(total, n_windows), theirs["randomCutForest"], "min", said),
            Figure("score, goal", normalised(total, n_windows), theirs["htmjava"], "min", said),
            Figure("alarms outside windows", float(false_alarms), None, "max"),
        ),
        notes=(
            f"{len(names)} series, {n_windows} windows; references are the published scores of these files",
        ),
    )
