"""`mitra backtest`: a recording through the production models: what they would have said, and how early."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ingest.contract.plant import Machine
from mitra.commands.numbers import MAX_COUNT, MAX_PERIOD_S, MAX_RPM, MIN_PERIOD_S, g_per_count, number, rate
from mitra.commands.speech import AsJson, err, say, say_json, say_table, target
from mitra.exits import PersonError
from mitra.layout import writing
from models.backtest import DEFAULT_PERIOD_S, Report
from models.backtest import backtest as judge
from models.recordings import RecordingError, cut, load_recording

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def backtest(
    recording: Annotated[
        Path, typer.Argument(help="HDF5, NPZ, CSV or Parquet: [snapshot,] sample [, axis].")
    ],
    rate_hz: Annotated[float, rate()],
    rpm: Annotated[float | None, number(0.1, MAX_RPM, "Shaft speed, for orders.")] = None,
    bearing: Annotated[str, typer.Option(help="A bearing by name, for its lines (needs --rpm).")] = "",
    baseline: Annotated[
        int, typer.Option(min=8, max=MAX_COUNT, help="First snapshots, taken as healthy.")
    ] = 100,
    period: Annotated[
        float, number(MIN_PERIOD_S, MAX_PERIOD_S, "Seconds from snapshot to snapshot.")
    ] = DEFAULT_PERIOD_S,
    dataset: Annotated[str, typer.Option(help="Array of an HDF5 or NPZ file, if there are several.")] = "",
    scale: Annotated[float, g_per_count()] = 1.0,
    block: Annotated[
        int, typer.Option(min=256, max=131_072, help="Cut one long recording into blocks of so many samples.")
    ] = 8192,
    out: Annotated[Path | None, typer.Option(help="CSV: snapshot,health,score,condition.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge the snapshots of a recording in order, as the stream would have: health, alarms, lead time.

    A recording of one long snapshot is cut into blocks, whose period follows from the rate.

    Example: `mitra backtest run-to-failure.h5 --rate-hz 25600 --rpm 1800 --out health.csv`
    """
    if out is not None:
        target(out)
    try:
        waves = load_recording(recording, dataset, scale)
        if len(waves) == 1 and waves.shape[1] >= 2 * block:
            waves, period = cut(waves, block), block / rate_hz
        with err.status(f"judging {len(waves)} snapshots"):
            report = judge(waves, rate_hz, rpm, baseline, period_s=period, machine=_machine(bearing, rpm))
    except (RecordingError, ValueError) as error:
        raise PersonError("setting", f"Nothing was judged: {error}.") from error
    except KeyError as error:
        raise PersonError("setting", f"Nothing was judged: {error.args[0]}.") from error
    if out is not None:
        _write(out, report)
    if as_json:
        say_json(report.as_dict())
    else:
        _tell(report)


def _machine(bearing: str, rpm: float | None) -> Machine | None:
    if not bearing:
        return None
    if rpm is None:
        raise PersonError("setting", "A bearing's lines lie at multiples of the speed: give --rpm too.")
    facts = {
        "id": "machine",
        "name": "Recording",
        "gateway": "recording",
        "bearing": bearing,
        "rated_rpm": rpm,
    }
    return msgspec.convert(facts, Machine)


def _write(out: Path, report: Report) -> None:
    with writing(out), out.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(["snapshot", "health", "score", "condition"])
        writer.writerows(
            (number, *values)
            for number, values in enumerate(zip(report.health, report.score, report.condition, strict=True))
        )


def _tell(report: Report) -> None:
    if report.first_alarm is None:
        say(f"{report.snapshots} snapshots, no alarm; lowest health {min(report.health, default=100.0):.0f}")
        return
    say(
        f"{report.snapshots} snapshots, first alarm at snapshot {report.first_alarm}, "
        f"{report.lead_s:.0f} s before the last one"
    )
    say_table(
        ("snapshot", "cause", "priority", "what spoke loudest"),
        ((one.snapshot, one.cause, one.priority, one.channel) for one in report.alarms),
    )
