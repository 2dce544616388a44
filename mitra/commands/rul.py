"""`mitra rul`: remaining life learnt from runs to failure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mitra.commands.numbers import MAX_COUNT, chance, number
from mitra.commands.speech import AsJson, progress, readable, reading, say, say_json, say_table, target
from mitra.exits import PersonError
from mitra.layout import writing
from models.rul import ModelFileError, RunTableError, run_predict, run_train

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Remaining life from runs to failure: train, predict.",
)


@app.command()
def train(
    sources: Annotated[
        list[Path], typer.Argument(help="Run tables: unit, cycle, columns; each to its failure.")
    ],
    out: Annotated[Path, typer.Option(help="Where the model is written.")],
    cap: Annotated[
        float | None, number(1, MAX_COUNT, "Longest life told apart, cycles; default 0.63 of the median.")
    ] = None,
    seed: Annotated[int, chance()] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn remaining life from units that ran to failure; each unit's last row is its failure.

    With a header: a unit and a cycle column by their usual names, else the first two. Without: numbers
    separated by spaces, as the C-MAPSS files.

    Example: `mitra rul train train_FD001.txt --out life.skops`
    """
    for source in sources:
        readable(source, "the run table")
    target(out)
    try:
        with reading(sources[0], "the run table"), writing(out), progress("training") as told:
            model = run_train(
                sources,
                out,
                cap_cycles=cap,
                seed=seed,
                progress=told,
            )
    except RunTableError as error:
        raise PersonError("setting", str(error)) from error
    learnt = {
        "units": model.units,
        "columns": len(model.columns),
        "median_life_cycles": model.median_life_cycles,
        "cap_cycles": model.cap_cycles,
        "rmse_cycles": model.rmse_cycles,
        "out": str(out),
    }
    if as_json:
        say_json(learnt)
        return
    say(
        f"{model.units} units, median life {model.median_life_cycles:g} cycles; RMSE on units not trained "
        f"on {model.rmse_cycles:.2f} cycles (capped at {model.cap_cycles:g}) -> {out}"
    )


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A file of `mitra rul train`.")],
    source: Annotated[Path, typer.Argument(help="A table with the same columns.")],
    out: Annotated[Path, typer.Option(help="Where `unit,rul,lower,upper` is written.")],
    as_json: AsJson = False,
) -> None:
    """Say how many cycles each unit has left at its last row, with a 90 % interval.

    Example: `mitra rul predict life.skops test_FD001.txt --out rul.csv`
    """
    readable(model, "the model")
    readable(source, "the run table")
    target(out)
    try:
        with reading(source, "the run table"), writing(out):
            found = run_predict(model, source, out)
    except (ModelFileError, RunTableError) as error:
        raise PersonError("setting", str(error)) from error
    if as_json:
        say_json(found)
        return
    rows = [(one.unit, f"{one.rul:.1f}", f"{one.lower:.1f}", f"{one.upper:.1f}") for one in found]
    say_table(("unit", "cycles left", "lower", "upper"), rows)
