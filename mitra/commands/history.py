"""`mitra history`: what happened, in Parquet segments: export, import, verify, compact."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from ingest.historian import history as historian
from ingest.historian.history import HistoryError
from ingest.historian.segments import Kind
from ingest.views import END_NS
from mitra.commands.speech import (
    AsJson,
    DataFolder,
    err,
    nanoseconds,
    readable,
    say,
    say_json,
    say_table,
    target,
)
from mitra.exits import PersonError
from mitra.layout import Layout, writing

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="The history of the plant: export, import, verify, compact.",
)
FORMS: dict[str, Literal["parquet", "csv"]] = {".parquet": "parquet", ".csv": "csv"}


def history_of(data: Path) -> Path:
    """The history's folder. Raises PersonError when there is none."""
    folder = Layout(data).history
    if not folder.is_dir():
        raise PersonError(
            "setting",
            f"There is no history in {data} ({folder} is missing). Name the folder that `mitra serve` uses; "
            "the first segments appear within a minute or two of the first data.",
        )
    return folder


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="A new .parquet or .csv file.")],
    data: DataFolder,
    kind: Annotated[Kind, typer.Option(help="What to copy; tens are ten-minute aggregates.")] = Kind.ROWS,
    machine: Annotated[str, typer.Option(help="Only this machine.")] = "",
    since: Annotated[str, typer.Option("--from", help="ISO 8601, sensor time, UTC without an offset.")] = "",
    until: Annotated[str, typer.Option("--to", help="The same; not included.")] = "",
    as_json: AsJson = False,
) -> None:
    """Copy a part of the history into one file, for a notebook or another plant.

    What the newest minute brought is not in it yet: it is still in the journal.

    Example: `mitra history export rows.parquet --data plant-data --machine pump-1 --from 2026-01-01`
    """
    form = FORMS.get(out.suffix.lower())
    if form is None:
        raise PersonError("setting", f"{out.name}: write a .parquet or a .csv file.")
    folder = history_of(data)
    target(out)
    try:
        n_rows = historian.export(
            folder,
            out,
            kind=kind,
            machine=machine or None,
            from_ns=nanoseconds(since, "--from") if since else 0,
            to_ns=nanoseconds(until, "--to") if until else END_NS,
            form=form,
        )
    except HistoryError as error:
        raise PersonError("disk", str(error)) from error
    if as_json:
        say_json({"rows": n_rows, "out": str(out)})
    else:
        say(f"{n_rows} rows -> {out}")
    if not n_rows:
        err.print("Nothing of that is in the history: see the machine's id and the times.")


@app.command("import")
def bring_in(
    files: Annotated[list[Path], typer.Argument(help="Parquet files with `machine`, `time_ns`, columns.")],
    data: DataFolder,
    as_json: AsJson = False,
) -> None:
    """Take feature rows from elsewhere into the history; the same content twice is stored once.

    Example: `mitra history import old-plant.parquet --data plant-data`
    """
    for path in files:
        readable(path, "the file to import")
    folder = Layout(data).history
    try:
        with writing(folder):
            n_rows = historian.bring_in(folder, files)
    except HistoryError as error:
        raise PersonError("setting", str(error)) from error
    if as_json:
        say_json({"rows": n_rows, "files": len(files)})
    else:
        say(f"{n_rows} rows of {len(files)} files")


@app.command()
def verify(data: DataFolder, as_json: AsJson = False) -> None:
    """Read every segment whole: checksums, ids, times; and what is in none. Exit code 6: something is wrong.

    Example: `mitra history verify --data plant-data`
    """
    folder = history_of(data)
    with err.status("reading every segment"):
        found = historian.verify(folder)
    if as_json:
        say_json(
            {
                "good": found.good,
                "segments": found.n_segments,
                "rows": found.n_rows,
                "bytes": found.n_bytes,
                "by_kind": found.by_kind,
                "findings": found.findings,
                "missing": found.missing,
            }
        )
    else:
        say(f"{found.n_segments} segments, {found.n_rows} rows, {found.n_bytes / 1e6:.1f} MB")
        for finding in found.findings:
            say(f"  {finding.file} {finding.what}")
        for kind, first, last in found.missing:
            say(f"  {kind} {first} to {last} are in no segment")
    if not found.good:
        err.print("Restore what is named from a backup; everything else can be used.")
        raise typer.Exit(6)


@app.command()
def compact(data: DataFolder, as_json: AsJson = False) -> None:
    """Merge small segments, aggregate, thin and expire now.

    `mitra serve` does it by itself every ten minutes; run this while it is stopped.

    Example: `mitra history compact --data plant-data`
    """
    folder = history_of(data)
    try:
        with err.status("compacting"):
            done = historian.compact(folder, time.time_ns())
    except HistoryError as error:
        raise PersonError("disk", str(error)) from error
    if as_json:
        say_json(done)
    else:
        say_table(("what", "segments"), done.items())
