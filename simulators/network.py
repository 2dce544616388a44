"""A bad network on purpose: a TCP proxy with seeded delay, stalls, half-open connections and resets.

TCP hides lost packets behind waiting, so loss shows here as it shows to a program: as a stall. What befalls
a connection is decided by the seed, the connection's number and its chunks alone, never by the clock.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

CHUNK_BYTES: Final = 65_536
MAX_CONNECTIONS: Final = 1_000
START_S: Final = 10.0


class Fate(StrEnum):
    """What happens to one chunk."""

    PASS = "pass"  # noqa: S105  # no password
    STALL = "stall"
    HALF_OPEN = "half_open"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is.

    delay_s, jitter_s: each chunk comes later by delay_s and up to jitter_s more; stall: chance a chunk that
    it waits stall_s, as after lost packets; half_open: chance a chunk that both sides hear nothing any more,
    though neither is told; reset: chance a chunk that both sides are cut off. Chances are in [0, 1].
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    stall: float = 0.0
    stall_s: float = 1.0
    half_open: float = 0.0
    reset: float = 0.0

    def __post_init__(self) -> None:
        chances = (self.stall, self.half_open, self.reset)
        if min(chances) < 0 or sum(chances) > 1:
            raise ValueError(f"chances must be in [0, 1] and add up to at most 1, got {chances}")
        if min(self.delay_s, self.jitter_s, self.stall_s) < 0:
            raise ValueError("times must not be negative")


CALM: Final = Weather()


@dataclass(slots=True)
class Luck:
    """The fates of one direction of one connection, in order. Pure: the same seed, the same fates."""

    seed: int
    connection: int
    direction: int
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random((self.seed * 1_000_003 + self.connection) * 2 + self.direction)  # noqa: S311

    def next(self, weather: Weather) -> tuple[Fate, float]:
        """Fate of the next chunk, and how many seconds it waits.

        >>> Luck(1, 1, 0).next(CALM)
        (<Fate.PASS: 'pass'>, 0.0)
        """
        draw, wait_s = self._random.random(), weather.delay_s + weather.jitter_s * self._random.random()
        if draw < weather.reset:
            return Fate.RESET, 0.0
        if draw < weather.reset + weather.half_open:
            return Fate.HALF_OPEN, 0.0
        if draw < weather.reset + weather.half_open + weather.stall:
            return Fate.STALL, wait_s + weather.stall_s
        return Fate.PASS, wait_s


@dataclass(slots=True, eq=False)
class _Connection:
    number: int
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_deaf: bool = False

    def drop(self) -> None:
        """Cut both sides off with a reset, not a farewell."""
        for writer in (self.client, self.server):
            endpoint = writer.get_extra_info("socket")
            if endpoint is not None and not writer.is_closing():
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class BadNetwork:
    """A proxy between clients and one server, in a thread of its own. Use it as a context.

    `port` is where clients connect. `weather` may be replaced at any time. `counts` says what happened:
    connections, refused, bytes, and each Fate but PASS.
    """

    def __init__(
        self, target: tuple[str, int], weather: Weather = CALM, seed: int = 0, port: int = 0
    ) -> None:
        self.target = target
        self.weather = weather
        self.seed = seed
        self.port = port
        self.counts: Counter[str] = Counter()
        self._is_cut = False
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bad-network", daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> BadNetwork:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        self._loop.close()

    def cut(self) -> None:
        """The cable is out: every connection is reset, and new ones are too, until `mend`."""
        self._is_cut = True
        self._do(self._drop_all())

    def mend(self) -> None:
        """The cable is in again."""
        self._is_cut = False

    def go_deaf(self) -> None:
        """Every connection of now becomes half-open: nobody is told, and nothing passes any more."""
        for connection in tuple(self._connections):
            connection.is_deaf = True
            self.counts[Fate.HALF_OPEN] += 1

    @property
    def n_connections(self) -> int:
        """Connections of now."""
        return len(self._connections)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._drop_all()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _drop_all(self) -> None:
        for connection in tuple(self._connections):
            connection.drop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut or len(self._connections) >= MAX_CONNECTIONS:
            self.counts["refused"] += 1
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target, limit=CHUNK_BYTES)
        except OSError:
            self.counts["refused"] += 1
            writer.transport.abort()
            return
        self.counts["connections"] += 1
        connection = _Connection(self.counts["connections"], writer, far_writer)
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._carry(connection, reader, far_writer, 0), self._carry(connection, far_reader, writer, 1)
            )
        finally:
            self._connections.discard(connection)
            writer.transport.abort()
            far_writer.transport.abort()

    async def _carry(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: int,
    ) -> None:
        """Carry one direction, chunk by chunk, until it ends."""
        luck = Luck(self.seed, connection.number, direction)
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                fate, wait_s = luck.next(self.weather)
                if fate is not Fate.PASS:
                    self.counts[fate] += 1
                if fate is Fate.RESET:
                    connection.drop()
                    return
                connection.is_deaf = connection.is_deaf or fate is Fate.HALF_OPEN
                if connection.is_deaf:
                    continue
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                writer.write(chunk)
                await writer.drain()
                self.counts["bytes"] += len(chunk)
            if not connection.is_deaf and writer.can_write_eof():
                writer.write_eof()
        except OSError:
            connection.drop()
