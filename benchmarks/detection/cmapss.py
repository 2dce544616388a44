"""C-MAPSS FD001 (simulated turbofans): trained on the training file, judged at each test unit's last row."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detection.figures import Figure, SetReport, folder
from models.rul import predict, read_runs, train

if TYPE_CHECKING:
    from pathlib import Path

CAP_CYCLES = 125.0
SEED = 0


def measure(data: Path) -> SetReport:
    """Train, predict, compare with the published remaining lives."""
    place = folder(data, "cmapss")
    model = train(read_runs([place / "train_FD001.txt.gz"]), cap_cycles=CAP_CYCLES, seed=SEED)
    told = predict(model, read_runs([place / "test_FD001.txt.gz"]))
    text = gzip.decompress((place / "RUL_FD001.txt.gz").read_bytes()).decode("ascii")
    truth = np.array([float(line) for line in text.split()])
    rul, lower, upper = (np.array([getattr(one, side) for one in told]) for side in ("rul", "lower", "upper"))
    capped = np.minimum(truth, CAP_CYCLES)
    inside = 100.0 * float(np.mean((capped >= lower) & (capped <= upper)))
    return SetReport(
        name="C-MAPSS FD001 (simulated)",
        protocol=f"train file only, remaining life capped at {CAP_CYCLES:g}, one prediction a test unit",
        figures=(
            Figure("RMSE, truth capped", _rmse(rul, capped), 12.5, "max", "12.5 is good, ridge 20.1"),
            Figure("RMSE, truth as published", _rmse(rul, truth), 12.5, "max", "the same"),
            Figure("90 % intervals cover %, floor", inside, 88.0, "min", "88-92 is honest"),
            Figure("90 % intervals cover %, ceiling", inside, 92.0, "max", "88-92 is honest"),
            Figure("mean interval width, cycles", float(np.mean(upper - lower)), None, "max"),
            Figure("out-of-fold RMSE in training", model.rmse_cycles, None, "max"),
        ),
        notes=(
            "coverage on capped truth: at the cap, upper means 'or more'",
            f"{len(told)} test units, so coverage is known to about 3 points",
            "simulated: a compatibility check, not proof",
        ),
    )


def _rmse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))
