"""`mitra control`: the isolated approval service."""

from __future__ import annotations

import logging
import sqlite3
import sys
from pathlib import Path
from typing import Annotated

import typer

from control.__main__ import PortTakenError, refusal, run
from control.config import load_settings
from mitra.exits import KINDS, PersonError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def control(config: Annotated[Path, typer.Option(help="Control's TOML file (docs/control.md).")]) -> None:
    """Turn requests into proposals, collect people's signatures, publish them; decide nothing.

    Run it as a user of its own. Runs until Ctrl-C or SIGTERM.

    Example: `mitra control --config control.toml`
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    try:
        run(load_settings(config))
    except (ValueError, PortTakenError, OSError, sqlite3.Error) as error:
        code, sentence = refusal(error)
        raise PersonError(KINDS[code], sentence) from error
