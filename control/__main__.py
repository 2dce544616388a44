"""Run control: `python -m control --config FILE`."""

from __future__ import annotations

import argparse
import queue
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path

import uvicorn

from control.config import ControlSettings, load_settings
from control.link import Link
from control.log import to_stderr
from control.service import Service
from control.serving import serve
from control.webhook import Webhooks
from control.witnesses import Witnesses
from ingest.contract.approval.topics import Leaf
from ingest.contract.explain import of_system

TICK_S = 0.25
MAX_CONNECTIONS = 512
EXIT_SETTING, EXIT_PORT, EXIT_DISK = 3, 4, 5


class PortTakenError(Exception):
    """The address cannot be listened on."""


def run(settings: ControlSettings) -> None:
    """Serve until SIGTERM or SIGINT. A broken worker ends the process: the supervisor starts it anew.

    Raises PortTakenError, ValueError for a setting, OSError and sqlite3.Error for the disk, RuntimeError for
    what else broke.
    """
    to_stderr()
    listener = _listener(settings)  # before the broker: a second control must not take the first one's place
    links: list[Link] = []

    def say(site: str, edge: str, leaf: Leaf, data: bytes) -> None:
        links[0].say(site, edge, leaf, data)

    service = Service(settings, say, lambda: int(time.time()))
    link = Link(settings.broker, service.topics())
    links.append(link)
    witnesses = Witnesses(settings.witnesses, service.audit)
    webhooks = Webhooks(settings.webhook)
    service.audit.on_written = webhooks.offer
    config = uvicorn.Config(
        service.app(),
        log_level="warning",
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=10,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    server = uvicorn.Server(config)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            _pump(service, link, witnesses, server)
        except BaseException as error:
            failed.append(error)
            server.should_exit = True
            raise

    link.start()
    worker = threading.Thread(target=work, name="desk")
    worker.start()
    serve(server, [listener])
    server.should_exit = True
    worker.join()
    link.stop()
    witnesses.close()
    webhooks.close()
    service.close()
    if failed and isinstance(failed[0], OSError | sqlite3.Error):
        raise failed[0]
    if failed:
        raise RuntimeError("a thread of control broke; it is to be started anew") from failed[0]


def _listener(settings: ControlSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise PortTakenError(
            f"nothing can listen on {settings.host}:{settings.port} ({of_system(error)}). "
            "End the program that holds that port, or change `host` or `port`"
        ) from error


def _pump(service: Service, link: Link, witnesses: Witnesses, server: uvicorn.Server) -> None:
    due = time.monotonic()
    while not server.should_exit:
        if link.came.is_set():
            link.came.clear()
            service.on_connected()
        try:
            topic, data = link.inbox.get(timeout=TICK_S)
            service.on_message(topic, data)
        except queue.Empty:
            pass
        if time.monotonic() >= due:
            due = time.monotonic() + TICK_S
            checkpoint = service.tick()
            if checkpoint is not None:
                witnesses.offer(checkpoint)


def refusal(error: ValueError | PortTakenError | OSError | sqlite3.Error) -> tuple[int, str]:
    """The exit code and the sentence for what ended control."""
    if isinstance(error, ValueError):
        return EXIT_SETTING, f"Control did not start, so nobody can approve a stop: {error}"
    if isinstance(error, PortTakenError):
        return EXIT_PORT, f"Control did not start, so nobody can approve a stop: {error}."
    if isinstance(error, FileNotFoundError):
        return EXIT_SETTING, (
            "Control did not start, so nobody can approve a stop: its configuration names a file that is not "
            f"there: {of_system(error)}. See password_file and tls_* there."
        )
    return EXIT_DISK, (
        f"Control stopped, so nobody can approve a stop now: {of_system(error)}. `state_dir` must be a "
        "folder that this user may write; a damaged database there comes back from a backup."
    )


def main() -> int:
    """Parse the arguments and serve. Exit codes: 0 stopped, 3 a setting is wrong, 4 no port, 5 the disk."""
    parser = argparse.ArgumentParser(prog="python -m control", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file")
    arguments = parser.parse_args()
    try:
        run(load_settings(arguments.config))
    except (ValueError, PortTakenError, OSError, sqlite3.Error) as error:
        code, sentence = refusal(error)
        print(sentence, file=sys.stderr)
        return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
