"""`mitra score`: any table of numbers, judged row by row by the production code."""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import Annotated, Literal

import typer

from mitra.commands.numbers import MAX_COUNT, number
from mitra.commands.speech import AsJson, err, readable, reading, say, say_json, target
from mitra.exits import PersonError
from mitra.layout import writing
from models.score import TableError, run

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def score(
    source: Annotated[
        Path, typer.Argument(help="CSV (comma, semicolon or tab; also .gz), Parquet, NPZ or HDF5.")
    ],
    time: Annotated[str, typer.Option(help="Name of the time column.")],
    out: Annotated[Path, typer.Option(help="Where `timestamp,score,alarm` is written.")],
    columns: Annotated[str, typer.Option(help="Columns to judge, as a,b,c; default: all numeric.")] = "",
    fit_rows: Annotated[
        int | None, typer.Option(min=2, max=MAX_COUNT, help="First rows, taken as healthy and learnt from.")
    ] = None,
    probation: Annotated[float, number(0.001, 0.999, "The same as a share of all rows.")] = 0.15,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the reasons of each row, in words.")
    ] = False,
    language: Annotated[Literal["en", "id"], typer.Option(help="Of the reasons.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Score every row of a table in one pass, in row order, without looking ahead.

    Writes `timestamp,score,alarm`: score in [0, 1], alarm 0 or 1 at the default threshold.

    Example: `mitra score pump.csv --time datetime --fit-rows 400 --out scores.csv --explain`
    """
    started_s = clock.perf_counter()
    readable(source, "the table")
    target(out)
    try:
        with reading(source, "the table"), writing(out), err.status(f"scoring {source.name}"):
            report = run(
                source,
                out,
                time=time,
                columns=[one.strip() for one in columns.split(",")] if columns else None,
                fit_rows=fit_rows,
                probation=probation,
                explain=explain,
                language=language,
            )
    except TableError as error:
        raise PersonError("setting", str(error)) from error
    if as_json:
        say_json(report)
        return
    say(
        f"{report.rows} rows, {report.learning_rows} learnt from, {report.alarms} alarms over "
        f"{report.alarm_rows} rows -> {out}"
    )
    err.print(f"judge {report.judge}, {clock.perf_counter() - started_s:.1f} s", highlight=False)
