"""Bearings run to failure: FEMTO (PRONOSTIA) and IMS test 2, through the health code of the stream."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import h5py
import numpy as np

from benchmarks.detection.figures import Figure, SetReport, folder
from models.backtest import Report, backtest, backtest_rows

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 25_600.0
PERIOD_S = 10.0
BASELINE = 100
HEALTHY_SHARE = 0.7
LEAD_MIN = 10.0
RAW = {"1_2": 1800.0, "2_1": 1650.0, "3_1": 1500.0}  # rpm of the operating condition
TABLES = ("1_1", "2_2", "3_2")
SUDDEN = frozenset({"3_1"})  # fails within minutes: any alarm counts
FEATURES = tuple(
    f"{name}_{axis}" for name in ("rms", "peak", "kurt", "skew", "crest", "p2p") for axis in "hv"
)

IMS_BASELINE = 200
IMS_LEAD_H = 74.0


def _features(path: Path) -> np.ndarray:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        return np.array([[float(row[name]) for name in FEATURES] for row in csv.DictReader(text)])


def _run(place: Path, bearing: str) -> Report:
    if bearing in RAW:
        with h5py.File(place / f"Bearing{bearing}_raw.h5") as file:
            snapshots = (file["acc_milli_g"][:] * 1e-3).astype(np.float32)
        return backtest(snapshots, RATE_HZ, rpm=RAW[bearing], baseline=BASELINE, period_s=PERIOD_S)
    values = _features(place / f"Bearing{bearing}_features.csv.gz")
    return backtest_rows(FEATURES, values, baseline=BASELINE, period_s=PERIOD_S)


def measure_femto(data: Path) -> SetReport:
    """First alarm of each bearing after the first 70 % of its life, and alarms within those healthy hours."""
    place = folder(data, "femto")
    in_time, false_alarms, notes = 0, 0, []
    figures = []
    for bearing in sorted([*RAW, *TABLES]):
        report = _run(place, bearing)
        healthy = HEALTHY_SHARE * report.snapshots
        early = sum(one.snapshot < healthy for one in report.alarms)
        # A false alarm is no early one: only alarms after the healthy hours count as in time.
        first = next((one.snapshot for one in report.alarms if one.snapshot >= healthy), None)
        lead = 0.0 if first is None else (report.snapshots - 1 - first) * PERIOD_S / 60.0
        false_alarms += early
        in_time += (lead > 0.0) if bearing in SUDDEN else lead >= LEAD_MIN
        kind = "raw" if bearing in RAW else "features"
        said = ", ".join(f"{one.snapshot}: {one.cause}" for one in report.alarms[:5])
        figures.append(Figure(f"{bearing} ({kind}) minutes before the end", lead))
        notes.append(
            f"{bearing}: {report.snapshots} snapshots, {early} in healthy hours; {said or 'no alarm'}"
        )
    return SetReport(
        name="FEMTO bearings",
        protocol="first 100 snapshots are a bearing's own baseline; end of recording is the failure",
        figures=(
            Figure(
                "alarms in time, of 6",
                float(in_time),
                5.0,
                "min",
                "at least 10 min; RMS + 6 MAD: 194 min on 1_1",
            ),
            Figure(
                "false alarms in healthy hours", float(false_alarms), 1.0, "max", "first 70 % of each life"
            ),
            *figures,
        ),
        notes=tuple(notes),
    )


BEARINGS = ("Bearing 1", "Bearing 2", "Bearing 3", "Bearing 4")
FAILED = "Bearing 1"


def measure_ims(data: Path) -> SetReport:
    """Hours of warning on bearing 1 of test 2, and alarms that name one of the three that lived.

    The four bearings share a shaft and a housing, so they are one machine with four channels, as in a plant:
    an alarm names the loudest. Each channel as a machine of its own is reported beside it; a level alone
    cannot tell: 74 h before the end bearing 1 had risen by less than bearing 4 did thirty hours later.
    """
    path = folder(data, "ims") / "2nd_test_resmaple_10minutes.csv"
    with path.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    times = [datetime.strptime(row["Datetime"], "%Y.%m.%d.%H.%M.%S").replace(tzinfo=UTC) for row in rows]
    time_ns = np.array([int(when.timestamp()) * 10**9 for when in times])
    level = np.array([[float(row[name]) for name in BEARINGS] for row in rows])
    rig = backtest_rows(BEARINGS, level, baseline=IMS_BASELINE, time_ns=time_ns)
    first = next((one.snapshot for one in rig.alarms if one.channel == FAILED), None)
    lead_h = 0.0 if first is None else float(time_ns[-1] - time_ns[first]) / 3.6e12
    wrong = sum(one.channel != FAILED for one in rig.alarms)
    apart = 0
    notes = [
        f"the rig: {', '.join(f'row {one.snapshot} {one.channel}' for one in rig.alarms)} of {len(rows)} rows"
    ]
    for k, name in enumerate(BEARINGS):
        report = backtest_rows(("level",), level[:, k : k + 1], baseline=IMS_BASELINE, time_ns=time_ns)
        apart += len(report.alarms) if name != FAILED else 0
        notes.append(f"{name} alone: alarms at rows {[one.snapshot for one in report.alarms][:8]}")
    return SetReport(
        name="IMS test 2",
        protocol="mean |acceleration| a snapshot, first 200 rows of each channel are its baseline, one rig",
        figures=(
            Figure("bearing 1, hours before the end", lead_h, IMS_LEAD_H, "min", "74 h"),
            Figure("alarms that name a bearing that lived", float(wrong), 0.0, "max", "none"),
            Figure(
                "the same, each channel a machine", float(apart), None, "max", "bearing 1 shakes them all"
            ),
        ),
        notes=tuple(notes),
    )
