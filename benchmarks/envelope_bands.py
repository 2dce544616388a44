"""Does a band searched per machine beat the fixed one in the stream's envelope? Measured on real recordings.

    python -m benchmarks.envelope_bands --data DIR --json

The stream learns a machine's envelope while the machine is healthy, so the band can only be searched in
healthy blocks (`features.kurtogram`, highest median kurtosis over the blocks). Two questions are asked.

CWRU: by how many dB do the lines of the damaged part rise over the healthy recording, in the median over
the blocks of a file (`rise_db`), and is it that part's slot which rises most (`named`)? `searched_in_fault`
is no way to run a plant, for the band would be known only after the damage: it is the most that a search
could give. FEMTO, raw bearings: when does the stream raise its first alarm, and how many alarms lie in the
first 70 % of a life?
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.diagnosis import RATE_HZ, read
from features.bearings import Orders, find, orders_of
from features.extract import extract
from features.kurtogram import kurtogram
from features.table import COLUMN
from features.vibration import Facts, extract_axis
from ingest.contract.channels import SPEED_RPM
from ingest.contract.values import AXES, Message, Scalar, Waveform
from models.backtest import START_NS, Report, backtest_rows
from models.online.columns import HARMONICS
from models.recordings import load_recording

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Blocks = np.ndarray[Any, np.dtype[np.float32]]
Range = tuple[float, float]

BLOCK = 8_192
SLOT_OF = {"B": "bsf", "IR": "bpfi", "OR": "bpfo"}
FEMTO = {"Bearing1_2": 1_800.0, "Bearing2_1": 1_650.0, "Bearing3_1": 1_500.0}
FEMTO_RATE_HZ, FEMTO_PERIOD_S, FEMTO_BASELINE, FEMTO_WIDTH_HZ = 25_600.0, 10.0, 100, 1_000.0


def search(blocks: Iterable[NDArray[Any]], rate_hz: float, min_width_hz: float) -> Range:
    """The band whose kurtosis is highest in the median over blocks of one length."""
    found: dict[Range, list[float]] = {}
    for block in blocks:
        for band in kurtogram(block.astype(np.float64), rate_hz, min_width_hz):
            found.setdefault((band.low_hz, band.high_hz), []).append(band.kurtosis)
    return max(found, key=lambda band: float(np.median(found[band])))


def _slots_db(blocks: Blocks, shaft_hz: float, orders: Orders, band_hz: Range | None) -> dict[str, float]:
    rows = extract_axis(blocks, RATE_HZ, 1.0, shaft_hz, Facts(orders=orders, band_hz=band_hz))
    levels = {}
    for part in SLOT_OF.values():
        lines = rows[:, [COLUMN[f"envelope_{part}_{harmonic}_g"] for harmonic in HARMONICS[part]]]
        levels[part] = float(np.median(10 * np.log10(np.sum(lines.astype(np.float64) ** 2, axis=1))))
    return levels


def _blocks(wave: NDArray[np.float64]) -> Blocks:
    return wave[: len(wave) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float32)


def cwru(folder: Path) -> dict[str, Any]:
    """Rise of the damaged part's slot over the healthy recording, for three ways to choose the band."""
    orders = orders_of(find("6205"))
    with (folder / "index.csv").open(newline="") as table:
        entries = [entry for entry in csv.DictReader(table) if entry["faulty_end"] == "Drive"]
    wave, healthy_rpm = read(folder, next(entry for entry in entries if entry["class"] == "Normal"))
    healthy, width_hz = _blocks(wave), 3 * orders.bpfi * healthy_rpm / 60
    searched = search(healthy, RATE_HZ, width_hz)
    result: dict[str, Any] = {"searched_hz": [round(edge) for edge in searched]}
    for way in ("fixed", "searched", "searched_in_fault"):
        rises, named = [], 0
        for entry in entries:
            part = SLOT_OF.get(entry["class"])
            if part is None:
                continue
            wave, rpm = read(folder, entry)
            faulty = _blocks(wave)
            if way == "searched_in_fault":
                band: Range | None = search(faulty, RATE_HZ, width_hz)
            else:
                band = searched if way == "searched" else None
            before = _slots_db(healthy, healthy_rpm / 60, orders, band)
            after = _slots_db(faulty, rpm / 60, orders, band)
            rise = {one: after[one] - before[one] for one in after}
            rises.append(rise[part])
            named += part == max(rise, key=rise.__getitem__)
        result[way] = {
            "rise_db_median": round(float(np.median(rises)), 1),
            "rise_db_tenth": round(float(np.percentile(rises, 10)), 1),
            "named": named,
            "files": len(rises),
        }
    return result


def femto(path: Path, rpm: float) -> dict[str, Any]:
    """First alarm and early alarms of one life, with the fixed and with the searched band."""
    snapshots = load_recording(path, "acc_milli_g", 1e-3)
    band = search(snapshots[:FEMTO_BASELINE, :, 0], FEMTO_RATE_HZ, FEMTO_WIDTH_HZ)
    result: dict[str, Any] = {"searched_hz": [round(edge) for edge in band]}
    for way, band_hz in (("fixed", None), ("searched", band)):
        report = _judged(snapshots, rpm, band_hz)
        result[way] = {
            "lead_min": None if report.lead_s is None else round(report.lead_s / 60, 1),
            "alarms_before_70_percent": sum(one.snapshot < 0.7 * report.snapshots for one in report.alarms),
        }
    return result


def _judged(snapshots: Blocks, rpm: float, band_hz: Range | None) -> Report:
    facts = {"bearing": Facts(band_hz=band_hz, speed_hz=rpm / 60)}
    rows = [row for i in range(len(snapshots)) for row in extract([_message(snapshots[i], rpm, i)], facts)]
    values = np.stack([row.values for row in rows]).astype(np.float64)
    return backtest_rows(rows[0].names, values, FEMTO_BASELINE, period_s=FEMTO_PERIOD_S)


def _message(snapshot: Blocks, rpm: float, i: int) -> Message:
    at_ns = START_NS + round(i * FEMTO_PERIOD_S * 1e9)
    waves = tuple(
        Waveform(axis, np.ascontiguousarray(column, "<f4").tobytes(), "float32", FEMTO_RATE_HZ, 1.0, at_ns)
        for axis, column in zip(AXES, snapshot.T, strict=False)
    )
    return Message("recording", "bearing", at_ns, waves, (Scalar(SPEED_RPM, rpm, at_ns),))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with cwru/ and femto/")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    arguments = parser.parse_args()
    if not (arguments.data / "cwru" / "index.csv").exists():
        parser.error(f"{arguments.data} has no cwru/index.csv; give the folder of the recordings")
    result = {"cwru": cwru(arguments.data / "cwru")}
    for name, rpm in FEMTO.items():
        result[f"femto_{name}"] = femto(arguments.data / "femto" / f"{name}_raw.h5", rpm)
    print(json.dumps(result, indent=None if arguments.json else 2))


if __name__ == "__main__":
    main()
