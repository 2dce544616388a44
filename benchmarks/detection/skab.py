"""SKAB, experiments with the valve at the pump inlet: rows in order, fitted on the first 400 of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detection.figures import Figure, SetReport, folder
from models.score.files import read_table
from models.score.table import score_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FIT_ROWS = 400
CHANNELS = (
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows judged right and wrong, over any number of files."""

    hits: int
    false_alarms: int
    misses: int
    quiet: int

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(2 * self.hits + self.false_alarms + self.misses, 1)

    @property
    def false_alarm_percent(self) -> float:
        return 100.0 * self.false_alarms / max(self.false_alarms + self.quiet, 1)

    @property
    def missed_percent(self) -> float:
        return 100.0 * self.misses / max(self.misses + self.hits, 1)


def counted(alarm: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Counts:
    """Compare row by row. alarm, truth: (n,)."""
    return Counts(
        int(np.sum(alarm & truth)),
        int(np.sum(alarm & ~truth)),
        int(np.sum(~alarm & truth)),
        int(np.sum(~alarm & ~truth)),
    )


def measure(data: Path) -> SetReport:
    """Score valve1 with the production defaults; one threshold for all files."""
    place = folder(data, "skab") / "data"
    alarms, truths = [], []
    for path in sorted((place / "valve1").glob("*.csv")):
        table = read_table(path, "datetime", CHANNELS)
        labels = read_table(path, "datetime", ("anomaly",)).values[:, 0] > 0.5
        alarms.append(score_table(table.values, channels=table.channels, fit_rows=FIT_ROWS).alarm[FIT_ROWS:])
        truths.append(labels[FIT_ROWS:])
    counts = counted(np.concatenate(alarms), np.concatenate(truths))
    return SetReport(
        name="SKAB valve1",
        protocol="rows in order, fit on the first 400 of each file, later rows judged, default threshold",
        figures=(
            Figure("F1", counts.f1, 0.80, "min", "Conv-AE 0.78 on all 34 files; always-alarm 0.70"),
            Figure("FAR %", counts.false_alarm_percent, 12.0, "max", "Conv-AE 13.6"),
            Figure("MAR %", counts.missed_percent, 26.0, "max", "Conv-AE 28"),
            Figure(
                "healthy run, rows in alarm %", _healthy_run(place), None, "max", "no label: anomaly-free"
            ),
        ),
        notes=(
            f"{len(alarms)} files",
            "the healthy run is 9,005 rows after a fit on 400: a long extrapolation",
        ),
    )


def _healthy_run(place: Path) -> float:
    table = read_table(place / "anomaly-free" / "anomaly-free.csv", "datetime", CHANNELS)
    scores = score_table(table.values, channels=table.channels, fit_rows=FIT_ROWS)
    return 100.0 * float(scores.alarm[FIT_ROWS:].mean())
