"""`mitra replay`: a recording through the whole wire."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mitra.commands.numbers import MAX_COUNT, MAX_PERIOD_S, MAX_RPM, MIN_PERIOD_S, g_per_count, number, rate
from mitra.exits import PersonError
from mitra.passing import passing_folder
from mitra.replay import Replay, ReplayRequest, parse_kills
from mitra.sensor_log import LogReplay, is_sensor_log
from mitra.supervisor import StartError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
out, err = Console(), Console(stderr=True)


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(help="HDF5, NPZ, WAV, CSV or Parquet.")],
    rate_hz: Annotated[float | None, rate("Samples a second, if the file is silent.")] = None,
    scale: Annotated[float | None, g_per_count("g per count, if the file is silent.")] = None,
    period: Annotated[
        float | None, number(MIN_PERIOD_S, MAX_PERIOD_S, "Seconds from snapshot to snapshot.")
    ] = None,
    dataset: Annotated[str, typer.Option(help="Array of an HDF5 or NPZ file, if there are several.")] = "",
    axes: Annotated[str, typer.Option(help="Names of the axes in order, as x,y.")] = "",
    rpm: Annotated[float | None, number(1, MAX_RPM, "Shaft speed, for orders.")] = None,
    bearing: Annotated[str, typer.Option(help="Bearing by name, for its lines.")] = "",
    baseline: Annotated[
        int, typer.Option(min=8, max=MAX_COUNT, help="First snapshots, taken as healthy.")
    ] = 100,
    kill: Annotated[
        list[str] | None,
        typer.Option(
            help="kill -9 of ingest, broker or edge after so many stored, as ingest@300; repeatable."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Keep everything here; default: a temporary folder.")
    ] = None,
) -> None:
    """Send every snapshot of a recording through outbox, broker and stream, as fast as they go, and count.

    A log of wireless sensors (CSV with their own clocks) passes the host in its own time of arrival instead.

    Example: `mitra replay run-to-failure.h5 --rate-hz 25600 --rpm 1800 --kill ingest@300`
    """
    with ExitStack() as stack:
        folder = data or stack.enter_context(passing_folder("mitra-replay-"))
        if is_sensor_log(recording):
            with err.status("reading") as status:
                _show(LogReplay(recording, folder, lambda n: status.update(f"{n} rows")).run(), as_json)
            return
        request = ReplayRequest(
            path=recording,
            data=folder,
            rate_hz=rate_hz,
            scale_g=scale,
            period_s=period,
            dataset=dataset,
            axes=tuple(axes.split(",")) if axes else (),
            rpm=rpm,
            bearing=bearing,
            baseline=baseline,
            kills=parse_kills(kill or []),
            is_passing=data is None,
        )
        try:
            with err.status("starting") as status:
                found = Replay(request, lambda stored: status.update(f"stored {stored}")).run()
        except StartError as error:
            raise PersonError("missing", f"The replay did not start: {error}") from error
    _show(found, as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        json.dump(found, sys.stdout)
        sys.stdout.write("\n")
        return
    for key, value in found.items():
        out.print(f"{key:22} {value}", highlight=False)
