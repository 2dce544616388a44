"""`mitra labels`: what people and closed work orders say was true, before it may train a model."""

from __future__ import annotations

import getpass
import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
import uvicorn

from ingest.contract.rejected import Rejected
from mitra.commands.speech import AsJson, DataFolder, err, moment, reading, say, say_json, say_table
from mitra.exits import PersonError
from mitra.layout import Layout, make_folder, plant_folder, read_plant
from mitra.stored import book_of_desk, reader_of
from mitra.supervisor import is_own_address
from mitra.verdicts import vouch, weighed_of
from mitra.work_orders import PATH as ORDERS_PATH
from mitra.work_orders import Orders, build_app, columns_of, faults_of, say_orders, token_of
from models.labels import Release, Weighed, WorkOrders, read_work_orders

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Verdicts and work orders: import, listen, list, waiting, vouch.",
)
REASON_MIN = 10


@app.command("import")
def bring_in(
    file: Annotated[
        Path, typer.Argument(help="CSV of closed work orders, as the maintenance system exports it.")
    ],
    plant: Annotated[Path, typer.Option(help="The plant file: its machines and time zone.")],
    data: DataFolder,
    fault: Annotated[
        list[str] | None, typer.Option(help="Their fault code = ours, as BRG01=bearing_outer; repeatable.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Our column = theirs, as machine=Aset; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read closed work orders as verdicts; the same export twice counts once.

    Needed columns: order, machine, opened, closed (common names are known, also Indonesian ones). Planned
    work is no fault. The verdicts go to the desk, as if said on a screen.

    Example: `mitra labels import orders.csv --plant plant.toml --data plant-data --fault BRG01=bearing_outer`
    """
    facts = read_plant(plant)
    with reading(file, "the work orders"):
        lines = file.read_text("utf-8-sig").splitlines()
    found = read_work_orders(
        lines,
        machines=frozenset(facts.by_id()),
        said_ns=time.time_ns(),
        zone=ZoneInfo(facts.plant.timezone),
        faults=faults_of(fault or (), "--fault"),
        names=columns_of(column or (), "--column"),
    )
    if isinstance(found, Rejected):
        raise PersonError("setting", f"{file} was not read: {found.detail}. Name columns with --column.")
    new, not_said = say_orders(found.labels, Layout(data).desk)
    _tell(replace(found, refused=found.refused + tuple((0, one) for one in not_said)), new, as_json)


def _tell(found: WorkOrders, new: int, as_json: bool) -> None:
    refused = [{"row": row, "reason": why.reason, "detail": why.detail} for row, why in found.refused]
    if as_json:
        say_json({"labels": len(found.labels), "new": new, "planned": found.planned, "refused": refused})
        return
    say(
        f"{len(found.labels)} verdicts, {new} of them new; {found.planned} planned orders; "
        f"{len(refused)} rows refused"
    )
    for one in refused[:20]:
        err.print(f"row {one['row']}: {one['reason']} {one['detail']}", markup=False, highlight=False)


@app.command()
def listen(
    plant: Annotated[Path, typer.Option(help="The plant file: its machines and time zone.")],
    data: DataFolder,
    token_file: Annotated[
        Path | None, typer.Option(help="The word it must know; default: screens/work-orders.token of --data.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8_095,
    fault: Annotated[
        list[str] | None, typer.Option(help="Their fault code = ours, as BRG01=bearing_outer; repeatable.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Our field = theirs, as machine=Aset; repeatable.")
    ] = None,
) -> None:
    """Take closed work orders by POST /work-orders, as JSON, from a maintenance system that knows the token.

    The same rules as for a CSV. An order posted again counts once; with other content it corrects itself.
    Beyond this machine, put a proxy with TLS before it.

    Example: `mitra labels listen --plant plant.toml --data plant-data --fault BRG01=bearing_outer`
    """
    facts = read_plant(plant)
    zone = ZoneInfo(facts.plant.timezone)
    known = Orders(
        frozenset(facts.by_id()),
        zone,
        faults_of(fault or (), "--fault"),
        columns_of(column or (), "--column"),
    )
    path = token_file or Layout(data).desk.parent / "work-orders.token"
    token = token_of(path)
    make_folder(Layout(data).desk.parent)
    try:
        with socket.create_server((host, port)) as listener:
            err.print(f"POST http://{host}:{port}{ORDERS_PATH}, token in {path}", highlight=False)
            config = uvicorn.Config(build_app(known, Layout(data).desk, token), log_level="warning")
            config.timeout_keep_alive, config.limit_concurrency = 10, 16
            uvicorn.Server(config).run(sockets=[listener])
    except OSError as error:
        if not is_own_address(host):
            raise PersonError(
                "setting",
                f"{host!r} is no address of this machine, so no work order arrives. Name one of its own with "
                "--host, or 0.0.0.0 for all of them.",
            ) from error
        raise PersonError(
            "missing",
            f"Nothing listens on {host}:{port} ({os.strerror(error.errno or 0)}), so no work order arrives. "
            "Name a free port with --port.",
        ) from error


@app.command("list")
def listing(data: DataFolder, as_json: AsJson = False) -> None:
    """List the verdicts that hold: corrections replace, undone ones are left out.

    Example: `mitra labels list --data plant-data`
    """
    book = book_of_desk(plant_folder(data).desk)
    held = book.current()
    if as_json:
        say_json({"labels": held, "refused": book.refused})
        return
    head = ("machine", "verdict", "fault", "from (UTC)", "to (UTC)", "by", "id")
    rows = (
        (
            one.machine,
            one.verdict.value,
            one.fault,
            moment(one.from_ns),
            moment(one.to_ns),
            one.by,
            one.label_id,
        )
        for one in held
    )
    say_table(head, rows)


@app.command()
def waiting(data: DataFolder, as_json: AsJson = False) -> None:
    """List the verdicts in quarantine and why each is doubted; they train nothing until somebody vouches.

    Example: `mitra labels waiting --data plant-data`
    """
    found = _doubted(data)
    if as_json:
        say_json([{"label": one.label, "doubts": one.doubts} for one in found])
        return
    head = ("machine", "verdict", "fault", "from (UTC)", "by", "doubts", "id")
    rows = (
        (
            one.label.machine,
            one.label.verdict.value,
            one.label.fault,
            moment(one.label.from_ns),
            one.label.by,
            ", ".join(one.doubts),
            one.label.label_id,
        )
        for one in found
    )
    say_table(head, rows)


@app.command("vouch")
def vouch_for(
    data: DataFolder,
    reason: Annotated[str, typer.Option(help="How you know, for whoever asks later: 10 characters or more.")],
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids, as `mitra labels waiting` lists them.")
    ] = None,
    doubt: Annotated[
        str, typer.Option(help="All verdicts that wait for this doubt alone, as no_data_then.")
    ] = "",
    by: Annotated[str, typer.Option(help="Who vouches; default: who is logged in here.")] = "",
    as_json: AsJson = False,
) -> None:
    """Vouch for doubted verdicts of somebody else: from now on they may train a model.

    Nobody vouches for his own word. What was vouched for stays on record with name and reason.

    Example: `mitra labels vouch wo:1001 --data plant-data --by Dewi --reason "I saw the bearing"`
    """
    who, named = by or getpass.getuser(), set(ids or ())
    if len(reason.strip()) < REASON_MIN:
        raise PersonError(
            "check", f"Nothing was vouched for: give a reason of {REASON_MIN} characters or more."
        )
    if bool(named) == bool(doubt):
        raise PersonError("setting", "Name the verdicts, or one doubt with --doubt.")
    found = _doubted(data)
    unknown = sorted(named - {one.label.label_id for one in found})
    if unknown:
        raise PersonError("setting", f"Not in quarantine: {', '.join(unknown[:5])}. Nothing was vouched for.")
    chosen = [one for one in found if one.label.label_id in named or one.doubts == (doubt,)]
    own = [one.label.label_id for one in chosen if one.label.by == who]
    if own:
        raise PersonError(
            "check",
            f"{who} said {', '.join(own[:5])}, and nobody vouches for his own word. Ask a second person.",
        )
    releases = [Release(one.label.label_id, who, reason.strip()) for one in chosen]
    vouch(Layout(data).vouched, releases, time.time_ns())
    if as_json:
        say_json({"vouched": [one.label_id for one in releases], "by": who})
    else:
        say(f"{who} vouches for {len(releases)} verdicts; {len(found) - len(releases)} still wait")


def _doubted(data: Path) -> list[Weighed]:
    reader = reader_of(data) if plant_folder(data).journal.exists() else None
    try:
        return [one for one in weighed_of(reader, data) if not one.admitted]
    finally:
        if reader is not None:
            reader.close()
