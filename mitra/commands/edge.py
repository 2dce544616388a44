"""`mitra edge`: the agent of one gateway. It loads nothing heavier than the agent itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.__main__ import NotStartedError, serve, status_of
from mitra.exits import KINDS, PersonError

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def edge(
    config: Annotated[Path, typer.Option(help="The agent's TOML file (docs/edge.md).")],
    status: Annotated[
        bool, typer.Option("--status", help="Print what the agent last said of itself, as JSON, and end.")
    ] = False,
) -> None:
    """Read this gateway's sensors, keep every message in the outbox, send it, forget what is stored.

    Runs until Ctrl-C or SIGTERM. Exit codes: 0 stopped or drained, 3 a setting is wrong, 5 the outbox
    cannot be opened.

    Example: `mitra edge --config gw-1.toml`
    """
    try:
        if status:
            typer.echo(status_of(config))
        else:
            serve(config)
    except NotStartedError as error:
        raise PersonError(KINDS[error.code], str(error)) from error
