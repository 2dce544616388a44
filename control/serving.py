"""A server that a signal ends in order."""

from __future__ import annotations

import signal
import socket

import uvicorn


def serve(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, and return. Raises SystemExit when nothing can listen there.

    uvicorn hands a signal on once it has ended itself: the process would die of it before files are closed,
    threads are waited for and the broker is told.
    """

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server.run(sockets=sockets)
