"""`python -m dashboards --config FILE`: reads files, wires the house, serves it."""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import signal
import sqlite3
import sys
import time
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from dashboards.accounts import AccountError, hash_word, parse_accounts
from dashboards.app import build_app
from dashboards.config import ConfigError, ScreensConfig, parse_config
from dashboards.house import House
from dashboards.ledger import Ledger
from dashboards.live import Hub
from dashboards.sessions import Sessions
from dashboards.source import Source
from ingest.contract.plant import PlantError, parse_plant
from ingest.desk import Desk
from ingest.reader import Reader

EXIT_SETTING, EXIT_PORT, EXIT_DISK = 3, 4, 5


def open_house(config: ScreensConfig) -> House:
    """Read the files that the configuration names and wire everything. Raises ConfigError or PlantError."""
    plant = parse_plant(_text(config.plant, "the plant file"), config.plant)
    accounts = parse_accounts(_text(config.users, "the accounts file"), config.users) if config.users else {}
    history = Path(config.history_dir) if config.history_dir else None
    source = Source(lambda: Reader(Path(config.journal), history))
    return House(
        config=config,
        plant=plant,
        source=source,
        desk=Desk(Path(config.desk)),
        hub=Hub(plant, config, source, time.time_ns),
        ledger=Ledger(Path(config.ledger), plant, source, time.time_ns),
        sessions=Sessions(_session_key(Path(config.session_file))),
        accounts=accounts,
        now_ns=time.time_ns,
    )


def _text(path: str, what: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{what} {path} is not UTF-8 text; save it as UTF-8") from error


def _session_key(path: Path) -> bytes:
    """The key that signs sessions; made at the first start, readable by its owner only."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        key = secrets.token_bytes(32)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
        return key


class ScreensServer(uvicorn.Server):
    """Lets the viewers of live streams go when it is told to end; they come back by themselves."""

    def __init__(self, hub: Hub, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams, then everything else."""
        self._hub.closing = True
        super().handle_exit(sig, frame)


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 ended, 3 a setting is wrong, 4 the port is taken, 5 the disk."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description="Serve the screens of a plant.")
    parser.add_argument("--config", type=Path, help="TOML file, see docs/screens.md")
    parser.add_argument(
        "--hash-password", action="store_true", help="print a word_hash for the accounts file"
    )
    asked = parser.parse_args(arguments)
    if asked.hash_password:
        return _print_hash()
    if asked.config is None:
        parser.error("--config FILE is needed; docs/screens.md describes it")
    _log_as_json()
    try:
        text = _text(str(asked.config), "the screens' configuration")
        config = parse_config(text, asked.config.absolute().parent, str(asked.config))
        house = open_house(config)
    except (ConfigError, PlantError, AccountError) as error:
        print(error, file=sys.stderr)
        return EXIT_SETTING
    except (OSError, sqlite3.Error) as error:
        print(
            f"The screens cannot use their files beside {config.desk} ({error}), so nobody can say anything; "
            "the plant runs on without them. Free the disk, or give this user the right to write there.",
            file=sys.stderr,
        )
        return EXIT_DISK
    server = ScreensServer(
        house.hub,
        uvicorn.Config(
            build_app(house),
            host=config.host,
            port=config.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
            timeout_keep_alive=75,
            proxy_headers=False,
        ),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn hands a signal on when it has ended: Python would die of it, as if the screens had crashed.
        signal.signal(number, server.handle_exit)
    try:
        server.run()
    except SystemExit:
        print(
            f"the screens cannot listen on {config.host}:{config.port}; the plant runs on without them. "
            "Choose another `port`, or stop the program that holds it.",
            file=sys.stderr,
        )
        return EXIT_PORT
    return 0 if server.started else EXIT_PORT


def _log_as_json() -> None:
    """One JSON object a line; tracebacks without the values of variables, which may be personal."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _print_hash() -> int:
    word = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    try:
        print(hash_word(word))
    except ValueError as error:
        print(error, file=sys.stderr)
        return EXIT_SETTING
    return 0


if __name__ == "__main__":
    sys.exit(main())
