"""Serve the approver's page: `python -m control.page --config FILE` (`--pin` after a review of its files)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import uvicorn

from control.page.bundle import BundleError, load_bundle, pin
from control.page.server import load_page_settings, make_page
from control.serving import serve
from ingest.contract.approval.settings import SettingsError

EXIT_SETTING, EXIT_PORT, EXIT_CHECK = 3, 4, 6


def main() -> int:
    """Parse the arguments and serve. Exit codes: 0 stopped, 3 a setting, 4 no port, 6 a changed file."""
    parser = argparse.ArgumentParser(prog="python -m control.page", description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--config", type=Path, help="TOML file")
    choice.add_argument("--pin", action="store_true", help="write the hashes of the files as they are")
    arguments = parser.parse_args()
    if arguments.pin:
        pin()
        return 0
    try:
        settings = load_page_settings(arguments.config)
        page = make_page(settings, load_bundle())
    except (SettingsError, ValueError) as error:
        print(f"The approver's page did not start, so nobody can approve: {error}", file=sys.stderr)
        return EXIT_SETTING
    except BundleError as error:
        print(f"The approver's page is not the reviewed one, so it is not served: {error}", file=sys.stderr)
        return EXIT_CHECK
    try:
        config = uvicorn.Config(
            page,
            host=settings.host,
            port=settings.port,
            log_level="warning",
            server_header=False,
            ssl_certfile=settings.tls_cert or None,
            ssl_keyfile=settings.tls_key or None,
        )
        serve(uvicorn.Server(config))
    except SystemExit:  # uvicorn's way to say that it cannot listen
        print(
            f"Nothing can listen on {settings.host}:{settings.port}, so nobody can approve. "
            "End the program that holds it, or change `port`.",
            file=sys.stderr,
        )
        return EXIT_PORT
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
