"""`mitra page`: the approver's page, static and pinned by hash, served apart from control."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from control.page.bundle import BundleError, load_bundle
from control.page.server import load_page_settings, make_page
from mitra.exits import PersonError
from mitra.supervisor import port_is_free

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command()
def page(config: Annotated[Path, typer.Option(help="The page's TOML file (docs/control.md).")]) -> None:
    """Serve the page on which people read a proposal's exact bytes and sign them.

    Runs until Ctrl-C or SIGTERM. Exit code 6: a file of the page is not the reviewed one.

    Example: `mitra page --config page.toml`
    """
    try:
        settings = load_page_settings(config)
        application = make_page(settings, load_bundle())
    except BundleError as error:
        raise PersonError(
            "check", f"The approver's page is not the reviewed one, so it is not served: {error}"
        ) from error
    except ValueError as error:
        raise PersonError(
            "setting", f"The approver's page did not start, so nobody can approve: {error}"
        ) from error
    if not port_is_free(settings.host, settings.port):
        raise PersonError(
            "missing",
            f"Port {settings.port} on {settings.host} cannot be had, so nobody can approve a stop. "
            "End the program that holds it, or change `port`.",
        )
    uvicorn.run(
        application,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        server_header=False,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
