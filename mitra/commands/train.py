"""`mitra train`: a batch model from the plant's own history and its technicians' verdicts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ingest.influx import Influx
from ingest.views import END_NS
from mitra.commands.numbers import chance, number
from mitra.commands.speech import AsJson, DataFolder, err, nanoseconds, progress, say, say_json
from mitra.exits import PersonError
from mitra.layout import Layout, read_plant
from mitra.training import CODE_VERSION, Elsewhere, Past, keep, past_of, read_golden
from models.registry import Registry
from models.training import KINDS, TrainingError, card
from models.training import train as learn

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
MAX_HORIZON_DAYS = 3_660.0
DAY_NS = 24 * 3600 * 10**9


@app.command()
def train(
    data: DataFolder,
    plant: Annotated[Path, typer.Option(help="The plant file: machines and their kinds.")],
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.")] = "isolation-forest",
    name: Annotated[str, typer.Option(help="Name in the registry; default: the kind.")] = "",
    since: Annotated[str, typer.Option("--from", help="ISO 8601, sensor time, UTC without an offset.")] = "",
    until: Annotated[str, typer.Option("--to", help="The same; not included.")] = "",
    horizon_days: Annotated[
        float, number(0.001, MAX_HORIZON_DAYS, "A failure is foreseen this early.")
    ] = 7.0,
    golden: Annotated[
        Path | None, typer.Option(help="Golden cases that no training sees: case,machine,from,to,faulty.")
    ] = None,
    rows: Annotated[
        list[Path] | None,
        typer.Option(help="Files instead of the plant's history: Parquet, CSV, NPZ or HDF5; repeatable."),
    ] = None,
    machine_column: Annotated[str, typer.Option(help="Of --rows: whose row it is.")] = "machine",
    time_column: Annotated[str, typer.Option(help="Of --rows: ns since 1970 or ISO 8601.")] = "time_ns",
    influx: Annotated[str, typer.Option(help="Read the rows from InfluxDB 2 here, as http://host:8086")] = "",
    influx_org: Annotated[str, typer.Option(help="Its organisation.")] = "",
    influx_bucket: Annotated[str, typer.Option(help="Its bucket.")] = "",
    influx_token: Annotated[str, typer.Option(envvar="INFLUX_TOKEN", help="Its token.")] = "",
    seed: Annotated[int, chance()] = 0,
    as_json: AsJson = False,
) -> None:
    """Train a model, sign it into the registry, and print its card; no machine is judged by it yet.

    Figures are of machines that the model had not seen. The same history, verdicts and seed give the same
    model. Verdicts in quarantine do not train. Next: `mitra model challenge`, `mitra model compare`.

    Example: `mitra train --data plant-data --plant plant.toml --kind failure-horizon --golden golden.csv`
    """
    facts = read_plant(plant)
    window = (
        nanoseconds(since, "--from") if since else 0,
        nanoseconds(until, "--to") if until else END_NS,
    )
    if rows and influx:
        raise PersonError("setting", "Rows come from --rows or from --influx, not from both. Leave one out.")
    server = _server(influx, influx_token, influx_org, influx_bucket)
    cases = read_golden(golden, facts) if golden is not None else ()
    elsewhere = Elsewhere(tuple(rows or ()), machine_column, time_column, server)
    with err.status("reading the history"):
        past = past_of(data, facts, window, cases, elsewhere)
    try:
        with progress(f"training {kind}") as told:
            trained = learn(
                name or kind,
                kind,
                past.frame,
                past.labels,
                created_ns=time.time_ns(),
                code_version=CODE_VERSION,
                seed=seed,
                horizon_ns=int(horizon_days * DAY_NS),
                golden=cases,
                progress=told,
            )
    except (TrainingError, ValueError) as error:
        raise PersonError("setting", f"Nothing was trained: {error}{_waiting(past)}") from error
    _tell(data, keep(data, trained), past, as_json)


def _server(url: str, token: str, org: str, bucket: str) -> Influx | None:
    try:
        return Influx(url, token, org, bucket) if url else None
    except ValueError as error:
        raise PersonError("setting", f"--influx: {error}.") from error


def _tell(data: Path, label: str, past: Past, as_json: bool) -> None:
    called, _, number = label.partition("@")
    manifest = Registry(Layout(data).registry).manifest(called, int(number))
    if past.waiting:
        err.print(_waiting(past).strip(), highlight=False)
    if as_json:
        say_json({"label": label, "manifest": manifest, "quarantined": len(past.waiting)})
    else:
        say(card(manifest))


def _waiting(past: Past) -> str:
    """That verdicts are doubted, and what to do; "" when none is."""
    if not past.waiting:
        return ""
    return (
        f" {len(past.waiting)} of {len(past.weighed)} verdicts are in quarantine and did not train: "
        "`mitra labels waiting` shows why, `mitra labels vouch` lets a second person vouch for them."
    )
