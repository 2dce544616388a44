"""The host application's MQTT connection: a socket on the outside, the inbox's queue on the inside."""

from __future__ import annotations

import contextlib
import logging
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from ingest import packets
from ingest.host import Host, Send
from ingest.packets import ProtocolError

LOG = logging.getLogger(__name__)
PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_S = 20
CONNECT_S, CLOSE_S, POLL_S = 10.0, 5.0, 0.5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
READ_BYTES = 1 << 20
GATHER_S, FEW_BYTES = 0.002, 1 << 17
"""Reads that follow one another faster, with so little, let messages gather for that long: thousands of
wake-ups a second take the interpreter from the thread that makes features, and cores stay idle.
"""
REFUSED = 0x80
_LOGIN = re.compile(r"//.*@")


class BrokerError(Exception):
    """The broker cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are there. Certificates are PEM files; ca_file turns TLS on too."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    version: Literal["3.1.1", "5"] = "3.1.1"

    def __post_init__(self) -> None:
        if not self.host or not 0 < self.port < 65_536:
            raise ValueError(f"a broker needs a host and a port below 65536, got {self.host!r}:{self.port}")


def broker_of(url: str, **more: Any) -> Broker:
    """A broker from its URL. Raises BrokerError, whose words do not tell the login.

    >>> broker_of("mqtts://ingest:se%2Fcret@broker.plant:8884").password
    'se/cret'
    """
    told = _LOGIN.sub("//", url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BrokerError(f"{told!r} is no broker URL; write one as mqtt://host:1883") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise BrokerError(f"{told!r} is no broker URL; write one as mqtt://host:1883 or mqtts://host:8883")
    return Broker(
        parts.hostname,
        port or PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        parts.scheme == "mqtts",
        **more,
    )


class Link:
    """A connection that is kept: one thread reads, anyone may publish.

    paho-mqtt fetches every message with several system calls and takes the interpreter's lock back after
    each: beside a busy stream that would be the narrowest place of the whole path.
    """

    def __init__(self, broker: Broker, host: Host, client_id: str) -> None:
        self.broker = broker
        self.refusal = ""
        """Why the broker does not want us, "" when it does."""
        self._host = host
        self._client_id = client_id
        self._version = packets.LEVELS[broker.version]
        self._context = _tls(broker) if broker.tls or broker.ca_file else None
        self._offer: Callable[[Sequence[tuple[str, bytes]]], object] = lambda _messages: None
        self._takes: Callable[[], bool] = lambda: True
        self._saying = threading.Lock()
        self._state_ms = 0
        self._open = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._number = 0
        self._acknowledged = threading.Condition()
        self._waiting: set[int] = set()
        self._n_lost = 0
        self._written_s = 0.0
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(
        self,
        offer: Callable[[Sequence[tuple[str, bytes]]], object],
        takes: Callable[[], bool] = lambda: True,
    ) -> None:
        """Connect in the background and keep trying; messages go to offer([(topic, payload), ...]).

        takes: whether telemetry is taken now, which is what our STATE says.
        """
        self._offer, self._takes = offer, takes
        self._thread.start()

    def wait_open(self, timeout_s: float) -> bool:
        """Wait until the session has begun: subscribed, and our STATE published."""
        return self._open.wait(timeout_s)

    @property
    def is_open(self) -> bool:
        """True while the session lasts."""
        return self._open.is_set()

    def say_state(self) -> None:
        """Say whether telemetry is taken; without a connection the next session begins with it.

        Of one session all STATE messages and the will carry one time: to an edge none of them is stale.
        """
        with self._saying:
            self._publish(self._state(), online=True)

    def _state(self) -> Send:
        return self._host.state(online=self._takes(), timestamp_ms=self._state_ms)

    def publish(self, send: Send) -> bool:
        """Publish; false when it was dropped, for there is no connection."""
        return self._publish(send, online=True) is not None

    def deliver(self, send: Send, timeout_s: float) -> bool:
        """Publish with QoS 1 and wait until the broker has it; false when that cannot be known.

        Not for the thread that reads: it is the one that hears the broker's answer.
        """
        with self._acknowledged:
            n_lost = self._n_lost
        number = self._publish(send, online=True)
        with self._acknowledged:
            self._acknowledged.wait_for(
                lambda: number not in self._waiting or self._n_lost != n_lost, timeout_s
            )
            return bool(number) and number not in self._waiting and self._n_lost == n_lost

    def _publish(self, send: Send, *, online: bool = False) -> int | None:
        """Its number, 0 when it needs none; None: dropped. online: only in a session that has begun."""
        number = self._next_number() if send.qos else 0
        if number:
            with self._acknowledged:
                self._waiting.add(number)
        raw = packets.publish(self._version, send.topic, send.payload, number, retain=send.retain)
        if self._write(raw, online=online):
            return number
        with self._acknowledged:
            self._waiting.discard(number)
        return None

    def stop(self) -> None:
        """Say that the host is offline, wait until the broker has it, and close."""
        self._stopping.set()
        if self._open.is_set():
            death = self._host.state(online=False, timestamp_ms=_now_ms())
            number = self._publish(death)
            with self._acknowledged:
                self._acknowledged.wait_for(lambda: number not in self._waiting, CLOSE_S)
            self._write(packets.DISCONNECT)
        self._close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    # -- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            try:
                self._session()
                wait_s = FIRST_WAIT_S
            except (OSError, ProtocolError, BrokerError) as error:
                if not self._stopping.is_set():
                    LOG.warning(
                        "broker_lost host=%s port=%s reason=%s", self.broker.host, self.broker.port, error
                    )
            was_open = self._open.is_set()
            self._open.clear()
            self._close()
            with self._acknowledged:  # what this session did not acknowledge, no later one will
                self._waiting.clear()
                self._n_lost += 1
                self._acknowledged.notify_all()
            wait_s = FIRST_WAIT_S if was_open else min(2 * wait_s, LONGEST_WAIT_S)
            self._stopping.wait(wait_s)

    def _session(self) -> None:
        """One connection, from CONNECT to its end."""
        raw = socket.create_connection((self.broker.host, self.broker.port), timeout=CONNECT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ_BYTES)
        sock = self._context.wrap_socket(raw, server_hostname=self.broker.host) if self._context else raw
        sock.settimeout(0.0 if self._context else POLL_S)
        with self._lock:
            self._sock = sock
        self._state_ms = max(_now_ms(), self._state_ms + 1)
        will = self._host.state(online=False, timestamp_ms=self._state_ms)
        login = (self.broker.user, self.broker.password) if self.broker.user else None
        last_will = packets.Will(will.topic, will.payload)
        self._write(packets.connect(self._version, self._client_id, KEEPALIVE_S, last_will, login))
        parser = packets.Parser(self._version)
        buffer = bytearray(READ_BYTES)
        heard_s = read_s = time.monotonic()
        while not self._stopping.is_set() or self._open.is_set():
            n_read = self._read(sock, buffer)
            now_s = time.monotonic()
            if n_read == 0:
                raise ConnectionError("the broker closed the connection")
            if n_read > 0:
                heard_s = now_s
                self._take(parser, memoryview(buffer)[:n_read])
                if n_read < FEW_BYTES and now_s - read_s < 2 * GATHER_S:
                    time.sleep(GATHER_S)
                read_s = now_s
            if now_s - heard_s > 1.5 * KEEPALIVE_S:
                raise ConnectionError("the broker is silent")
            if now_s - self._written_s > KEEPALIVE_S / 2:
                self._write(packets.PING)

    def _read(self, sock: socket.socket, buffer: bytearray) -> int:
        """Bytes read, 0 at the end, -1 when nothing came. Under TLS reading and writing must take turns."""
        if not isinstance(sock, ssl.SSLSocket):
            try:
                return sock.recv_into(buffer)
            except TimeoutError:
                return -1
        try:
            if not sock.pending() and not select.select([sock], [], [], POLL_S)[0]:
                return -1
            with self._lock:
                return sock.recv_into(buffer)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return -1
        except ValueError as error:
            raise ConnectionError("the connection was closed here") from error

    def _take(self, parser: packets.Parser, data: memoryview) -> None:
        messages: list[tuple[str, bytes]] = []
        replies: list[bytes] = []
        for packet in parser.feed(data):
            if isinstance(packet, packets.Received):
                messages.append((packet.topic, packet.payload))
                if packet.number:
                    replies.append(packets.acknowledge(packet.number))
            else:
                self._hear(packet)
        if messages:
            self._offer(messages)
        if replies:
            self._write(b"".join(replies))

    def _hear(self, packet: packets.Packet) -> None:
        if packet.kind is packets.Kind.CONNACK:
            if packet.code:
                self.refusal = (
                    f"the broker refuses this account (code {packet.code}): check user and password"
                )
                raise BrokerError(self.refusal)
            self._write(packets.subscribe(self._version, self._next_number(), self._host.subscriptions()))
        elif packet.kind is packets.Kind.SUBACK:
            if packet.code >= REFUSED:
                self.refusal = "a subscription was refused; the broker must let this account read its site"
                raise BrokerError(self.refusal)
            self.refusal = ""
            with self._saying:  # what changes meanwhile is said after it, and in this session
                self._publish(self._state())
                self._open.set()
            LOG.info("broker_connected host=%s port=%s", self.broker.host, self.broker.port)
        elif packet.kind is packets.Kind.PUBACK:
            with self._acknowledged:
                self._waiting.discard(packet.number)
                self._acknowledged.notify_all()
        elif packet.kind is packets.Kind.DISCONNECT:
            raise ConnectionError(f"the broker ended the session (code {packet.code})")

    def _next_number(self) -> int:
        with self._acknowledged:
            self._number = self._number % 65_535 + 1
            return self._number

    def _write(self, raw: bytes, *, online: bool = False) -> bool:
        """Send whole, true when that was done; a connection that does not take it in time is given up.

        online: not on a connection that is still on its way to be one; asked here, for it may be a new one.
        """
        with self._lock:
            sock = self._sock
            if sock is None or (online and not self._open.is_set()):
                return False
            try:
                self._send_all(sock, raw)
                self._written_s = time.monotonic()
            except OSError:
                self._drop()
                return False
            return True

    @staticmethod
    def _send_all(sock: socket.socket, raw: bytes) -> None:
        """As sendall, but patient: the socket's time-out is the reader's."""
        view, deadline = memoryview(raw), time.monotonic() + CONNECT_S
        while view:
            try:
                view = view[sock.send(view) :]
            except (TimeoutError, ssl.SSLWantWriteError):
                if time.monotonic() > deadline:
                    raise
                select.select([], [sock], [], POLL_S)

    def _drop(self) -> None:
        """Shut the socket down so that the reading thread notices."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)

    def _close(self) -> None:
        with self._lock:
            if self._sock is not None:
                self._drop()
                self._sock.close()
                self._sock = None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _tls(broker: Broker) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(broker.ca_file) if broker.ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if broker.cert_file:
            context.load_cert_chain(broker.cert_file, broker.key_file)
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(
            f"the certificates for {broker.host} cannot be used ({error}); no telemetry is read until "
            "the files named in the configuration exist and fit each other"
        ) from error
    return context
