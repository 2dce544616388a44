"""Tables without labels of faults: no crash, and their holes and clocks are declared."""

from __future__ import annotations

import csv
import gzip
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.detection.figures import Figure, SetReport, folder
from models.score import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MILL = ("X1_OutputCurrent", "Y1_OutputCurrent", "S1_OutputCurrent", "S1_OutputPower")
STEEL = ("Usage_kWh", "Lagging_Current_Power_Factor", "Leading_Current_Power_Factor")
FACTORY = ("XOAVelocity", "XPeakmg", "XRMSmg", "YOAVelocity", "YRMSmg", "ZOAVelocity", "ZRMSmg")
HYDRAULIC = ("VS1", "TS1", "TS2", "TS3", "TS4", "CE", "CP", "SE")


def measure(data: Path) -> SetReport:
    """Score each table with the defaults and count what was declared."""
    figures, notes = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for name, source, time, columns in _tables(data, Path(scratch)):
            report = run(source, Path(scratch) / "out.csv", time=time, columns=columns)
            clock = report.clock
            figures.append(Figure(f"{name}: rows in alarm %", 100.0 * report.alarm_rows / report.rows))
            notes.append(
                f"{name}: {report.rows} rows, {report.missing_cells} empty cells, "
                f"{clock.repeated} repeated times, {clock.backwards} backwards, {clock.gaps} gaps, "
                f"usual step {clock.usual_step:g}"
            )
    return SetReport(
        name="CNC mill, hydraulic rig, steel plant, factory sensors",
        protocol="`mitra score` with its defaults; no crash, holes and clocks declared; no truth",
        figures=tuple(figures),
        notes=tuple(notes),
    )


def _tables(data: Path, scratch: Path) -> Iterator[tuple[str, Path, str, Sequence[str]]]:
    for number in (1, 6):  # unworn and worn
        source = folder(data, "cnc_mill_umich") / f"experiment_{number:02d}.csv.gz"
        yield f"mill {number}", _numbered(source, scratch / f"mill{number}.csv"), "row", MILL
    yield "steel", folder(data, "steel_energy") / "Steel_industry_data_jan_oct.csv", "date", STEEL
    source = folder(data, "xep_factory") / "vibration_first_8_months.csv.gz"
    for sensor in ("sensor-1", "sensor-2", "sensor-3", "sensor-4"):
        part = scratch / f"{sensor}.csv"
        if _part(source, part, "SensorID", sensor):
            yield f"factory {sensor}", part, "Timestamp", FACTORY
    yield "hydraulic", _cycles(folder(data, "hydraulic"), scratch / "hydraulic.csv"), "cycle", HYDRAULIC


def _numbered(source: Path, target: Path) -> Path:
    """The mill's tables have a nameless first column: the row number."""
    with gzip.open(source, "rt", encoding="utf-8") as text:
        lines = text.read().splitlines()
    target.write_text("\n".join([f"row{lines[0]}", *lines[1:]]) + "\n", "utf-8")
    return target


def _part(source: Path, target: Path, column: str, value: str) -> bool:
    with gzip.open(source, "rt", encoding="utf-8", newline="") as text:
        rows = csv.DictReader(text)
        kept = [row for row in rows if row[column] == value]
        names = rows.fieldnames or []
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows(kept)
    return bool(kept)


def _cycles(place: Path, target: Path) -> Path:
    """Mean of each sensor over each 60 s cycle."""
    means = []
    for name in HYDRAULIC:
        with gzip.open(place / f"{name}.txt.gz", "rt", encoding="ascii") as text:
            means.append([float(np.mean([float(cell) for cell in line.split()])) for line in text])
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["cycle", *HYDRAULIC])
        writer.writerows([k, *values] for k, values in enumerate(zip(*means, strict=True)))
    return target
