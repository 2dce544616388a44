"""`mitra audit`: the log of decisions, exported for a third party and verified offline."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Annotated

import typer

from control.audit import Audit, AuditError
from control.audit_verify import ExportError, forks, load_key, read_export, verify
from control.keyfile import load_or_make_key
from control.service import LOG_ID
from mitra.commands.numbers import MAX_COUNT
from mitra.commands.speech import AsJson, err, readable, reading, say, say_json, target
from mitra.exits import PersonError
from mitra.layout import writing

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="The log of decisions: export, verify.",
)


@app.command()
def export(
    state_dir: Annotated[Path, typer.Argument(help="Control's `state_dir`.")],
    out: Annotated[Path, typer.Option(help="Where the JSON lines are written.")],
    as_json: AsJson = False,
) -> None:
    """Sign the log as it stands now and copy all of it: entries, checkpoints, cosignatures.

    Run it as control's own user. Give a third party the file and `audit.pub.json`.

    Example: `mitra audit export control --out audit.jsonl`
    """
    readable(state_dir / "audit.sqlite", "control's audit log")
    readable(state_dir / "audit.key", "control's audit key")
    target(out)
    try:
        log = Audit(state_dir / "audit.sqlite", LOG_ID, load_or_make_key(state_dir / "audit.key"))
        try:
            log.checkpoint(int(time.time()))
            with writing(out):
                out.write_bytes(b"".join(log.export()))
        finally:
            log.close()
    except (AuditError, sqlite3.Error) as error:
        raise PersonError("disk", f"The log in {state_dir} was not exported: {error}") from error
    except ValueError as error:
        raise PersonError("setting", f"The log in {state_dir} was not exported: {error}") from error
    if as_json:
        say_json({"entries": log.size, "out": str(out), "log_key": str(state_dir / "audit.pub.json")})
    else:
        say(f"{log.size} entries -> {out}")


@app.command("verify")
def check(
    export_file: Annotated[Path, typer.Argument(metavar="EXPORT", help="A file of `mitra audit export`.")],
    log_key: Annotated[Path, typer.Option(help="The log's public key (audit.pub.json), had from elsewhere.")],
    witness_key: Annotated[
        list[Path] | None, typer.Option(help="A witness's public key; repeatable.")
    ] = None,
    needed: Annotated[int, typer.Option(min=0, max=MAX_COUNT, help="Witnesses that must have cosigned.")] = 0,
    at_least: Annotated[
        int, typer.Option(min=0, max=MAX_COUNT, help="Entries known from an earlier check.")
    ] = 0,
    against: Annotated[
        Path | None, typer.Option(help="Another export of the same log: look for a fork.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify an export offline. Exit code 6: an entry was edited, removed, moved or cut off.

    Example: `mitra audit verify audit.jsonl --log-key audit.pub.json --witness-key bank.pub.json --needed 1`
    """
    try:
        with reading(export_file, "the export"):
            key = load_key(log_key)
            witnesses = [load_key(path) for path in witness_key or ()]
            found = read_export(export_file.read_bytes().splitlines())
            wrong = verify(found, key, witnesses, needed, at_least)
            if against is not None:
                wrong += forks(found, read_export(against.read_bytes().splitlines()), key)
    except ExportError as error:
        raise PersonError("setting", f"{export_file} cannot be verified: {error}") from error
    newest = max((one.size for one in found.checkpoints), default=0)
    if as_json:
        say_json({"entries": len(found.entries), "newest_checkpoint": newest, "wrong": wrong})
    else:
        say(f"{len(found.entries)} entries, newest checkpoint over {newest}: {'WRONG' if wrong else 'whole'}")
        for line in wrong:
            say(f"  {line}")
    if wrong:
        err.print("The log is not what was signed: keep this file and ask who had access.")
        raise typer.Exit(6)
