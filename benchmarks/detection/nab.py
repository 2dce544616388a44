"""Numenta Anomaly Benchmark, the groups given: one pass, 15 % probation, one threshold, standard profile."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detection.figures import Figure, SetReport, folder
from benchmarks.detection.nab_rules import Window, file_score, normalised, probation_rows
from models.score.files import read_table
from models.score.novelty import AlarmPace, paced_score
from models.score.table import ALARM_SCORE, score_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LIMITS = np.arange(0.6, 1.21, 0.05)
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


def held_out_score(
    names: list[str], statistic: dict[str, NDArray[np.float64]], windows: dict[str, tuple[Window, ...]]
) -> float:
    """Score when each group is judged with the limit that is best on the other groups."""
    raw = {}
    for limit in LIMITS:
        pace = AlarmPace(limit=float(limit))
        for name in names:
            start = probation_rows(len(statistic[name]))
            alarm = paced_score(statistic[name], start, pace) >= ALARM_SCORE
            raw[float(limit), name] = file_score(alarm, windows[name])
    total = 0.0
    for group in sorted({name.split("/")[0] for name in names}):
        inside = [name for name in names if name.startswith(f"{group}/")]
        others = [name for name in names if name not in inside]
        best = max(LIMITS, key=lambda limit: sum(raw[float(limit), name] for name in others))
        total += sum(raw[float(best), name] for name in inside)
    return normalised(total, sum(len(found) for found in windows.values()))


def measure(data: Path) -> SetReport:
    """Score every series with the production defaults, beside the published scores of the same files."""
    place = folder(data, "nab")
    names = series_names(place)
    statistic, windows = {}, {}
    total, false_alarms = 0.0, 0
    for name in names:
        values, windows[name] = series(place, name)
        judged = score_table(values, channels=("value",), probation=0.15)
        statistic[name] = judged.statistic[:, 0]
        total += file_score(judged.alarm, windows[name])
        inside = np.zeros(len(values), bool)
        for window in windows[name]:
            inside[window.first_row : window.last_row + 1] = True
        false_alarms += int(np.sum(judged.alarm & ~inside))
    n_windows = sum(len(found) for found in windows.values())
    theirs = {
        detector: normalised(sum(published(place, detector)[name] for name in names), n_windows)
        for detector in DETECTORS
    }
    said = ", ".join(f"{detector} {score:.1f}" for detector, score in theirs.items())
    ours = normalised(total, n_windows)
    return SetReport(
        name="NAB groups given",
        protocol="one pass, first 15 % (at most 750 rows) probation, default threshold, standard profile",
        figures=(
            Figure("score, floor", ours, theirs["randomCutForest"], "min", said),
            Figure("score, goal HTM", ours, theirs["numenta"], "min", "HTM is numenta"),
            Figure("score, limit chosen on other groups", held_out_score(names, statistic, windows)),
            Figure("alarms outside windows", float(false_alarms)),
        ),
        notes=(f"{len(names)} series, {n_windows} windows; references: published scores of these files",),
    )
