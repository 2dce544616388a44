"""`mitra actuator`: the process that alone may stop machines, and only when people have signed."""

from __future__ import annotations

import logging
import sqlite3
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge.actuator.__main__ import load_key, refusal, run
from edge.actuator.config import load_config
from mitra.exits import KINDS, PersonError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def actuator(
    config: Annotated[Path, typer.Option(help="The actuator's TOML file (docs/control.md).")],
    init: Annotated[
        bool, typer.Option("--init", help="Make this edge's key and its public half, then end.")
    ] = False,
) -> None:
    """Verify approvals offline and stop machines; trusts no server, only signatures of its own roster.

    Runs until Ctrl-C or SIGTERM. A remote stop is a process stop, never the safety function.

    Example: `mitra actuator --config actuator-gw-1.toml --init`, then without `--init`
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    try:
        settings = load_config(config)
        if init:
            folder = Path(settings.state_dir)
            folder.mkdir(parents=True, exist_ok=True)
            load_key(folder, settings.edge, settings.key_alg)
        else:
            run(settings)
    except (ValueError, OSError, sqlite3.Error) as error:
        code, sentence = refusal(error)
        raise PersonError(KINDS[code], sentence) from error
