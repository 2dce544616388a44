"""A healthy gearbox learnt at load 0 only, then run at 90 % load: another load is not a fault."""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detection.figures import Figure, SetReport, folder
from models.backtest import backtest

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 10_000.0  # not stated by the source: only the shaft's 30 Hz is
RPM = 1800.0
BLOCK = 1024


def _blocks(path: Path) -> np.ndarray:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        rows = csv.reader(text)
        next(rows)
        samples = np.array([[float(cell) for cell in row[:4]] for row in rows], np.float32)
    return samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK, 4)


def measure(data: Path) -> SetReport:
    """Alarms at a load that was never learnt."""
    place = folder(data, "gearbox")
    idle, loaded = _blocks(place / "h30hz0.csv.gz"), _blocks(place / "h30hz90.csv.gz")
    report = backtest(np.concatenate([idle, loaded]), RATE_HZ, rpm=RPM, baseline=len(idle))
    said = ", ".join(f"{one.snapshot - len(idle)}: {one.cause} ({one.channel})" for one in report.alarms[:5])
    return SetReport(
        name="gearbox",
        protocol=f"{len(idle)} blocks of {BLOCK} at load 0 are learnt, {len(loaded)} at 90 % are judged",
        figures=(Figure("alarms at another load", float(len(report.alarms)), 0.0, "max", "none"),),
        notes=(
            f"alarms by block after the change of load: {said or 'none'}",
            f"the source states no sampling rate; {RATE_HZ:g} Hz is assumed",
        ),
    )
