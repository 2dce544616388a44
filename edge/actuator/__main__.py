"""Run the actuator: `python -m edge.actuator --config FILE`."""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sqlite3
import sys
import time
from pathlib import Path
from types import FrameType

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edge.actuator.actuator import Actuator
from edge.actuator.book import Book
from edge.actuator.config import ActuatorConfig, load_config
from edge.actuator.link import Link
from edge.actuator.outputs import make_output, write_atomically
from edge.actuator.panel import Panel
from edge.actuator.roster import RosterFiles
from edge.log import to_stderr
from ingest.contract.approval.keys import ES256, PrivateKey, public_of
from ingest.contract.approval.settings import SettingsError
from ingest.contract.explain import of_system

POLL_S = 0.05
EXIT_SETTING, EXIT_DISK = 3, 5


class SystemClock:
    """This host's clocks."""

    def wall_s(self) -> int:
        """Unix seconds."""
        return int(time.time())

    def monotonic_ms(self) -> int:
        """Milliseconds since some fixed moment."""
        return time.monotonic_ns() // 1_000_000


def load_key(state_dir: Path, edge: str, alg: str) -> PrivateKey:
    """The edge's own key, made at first start; its public half lies beside it for control and the page."""
    path = state_dir / "edge.key"
    if not path.exists():
        made: PrivateKey = (
            ec.generate_private_key(ec.SECP256R1()) if alg == ES256 else ed25519.Ed25519PrivateKey.generate()
        )
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"{path} holds no private key that can be read; restore it from a backup, or remove it and enrol "
            "this edge again"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise SettingsError(f"{path} holds a key of another kind; remove it and enrol this edge again")
    write_atomically(state_dir / "edge.pub.json", public_of(edge, key).to_bytes())
    return key


def run(config: ActuatorConfig) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises ValueError for a setting, OSError and sqlite3.Error for the disk, RuntimeError for what else broke.
    """
    to_stderr()
    state_dir = Path(config.state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    key = load_key(state_dir, config.edge, config.key_alg)
    book = Book(state_dir / "actuator.sqlite")
    roster = RosterFiles(Path(config.roster_dir), Path(config.roster_root), config.site, book)
    outputs = {one.id: make_output(one.output, one.id, one.settings) for one in config.machine}
    link = Link(config.broker, config.site, config.edge)
    panel = Panel(Path(config.panel_dir))
    actuator = Actuator(
        config=config,
        book=book,
        roster=roster,
        outputs=outputs,
        panel=panel,
        key=key,
        clock=SystemClock(),
        say=link.say,
    )
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    link.start()
    while not stopping:
        try:
            _turn(link, actuator)
        except ValueError as error:
            raise RuntimeError("the actuator broke while it ran; it is to be started anew") from error
    link.stop()
    book.close()


def _turn(link: Link, actuator: Actuator) -> None:
    """One message, if there is one, and what time asks for."""
    try:
        leaf, data = link.inbox.get(timeout=POLL_S)
        actuator.on_message(leaf, data)
    except queue.Empty:
        pass
    if link.inbox.empty() or actuator.next_due_ms() is not None:
        actuator.tick()


def refusal(error: ValueError | OSError | sqlite3.Error) -> tuple[int, str]:
    """The exit code and the sentence for what ended the actuator."""
    if isinstance(error, ValueError):
        return EXIT_SETTING, f"The actuator did not start, so no remote stop is possible: {error}"
    if isinstance(error, FileNotFoundError):
        return EXIT_SETTING, (
            "The actuator did not start, so no remote stop is possible: its configuration names a file that "
            f"is not there: {of_system(error)}. See roster_root, password_file and tls_* there."
        )
    return EXIT_DISK, (
        f"The actuator cannot use its folder, so no remote stop is possible: {of_system(error)}. `state_dir` "
        "must be a folder that this user may write; a damaged database there comes back from a backup."
    )


def main() -> int:
    """Parse the arguments and serve. Exit codes: 0 stopped, 3 a setting is wrong, 5 the disk."""
    parser = argparse.ArgumentParser(prog="python -m edge.actuator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file")
    parser.add_argument("--init", action="store_true", help="make this edge's key, then end")
    arguments = parser.parse_args()
    try:
        config = load_config(arguments.config)
        if arguments.init:
            Path(config.state_dir).mkdir(parents=True, exist_ok=True)
            load_key(Path(config.state_dir), config.edge, config.key_alg)
        else:
            run(config)
    except (ValueError, OSError, sqlite3.Error) as error:
        code, sentence = refusal(error)
        print(sentence, file=sys.stderr)
        return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
