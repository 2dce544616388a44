"""The MQTT session on paho, driven by the agent's own thread: no thread of paho's, no queue of its own.

Each session is a client of its own, because each CONNECT carries a will with a new bdSeq. Only making the
connection (name, TCP, TLS) happens on a helper thread, since it may take seconds.
"""

from __future__ import annotations

import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket
from typing import Any, cast

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.config import Broker
from edge.node import Publish, Subscribe

KEEPALIVE_S = 15
CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0
_VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}


@dataclass(frozen=True, slots=True)
class Opened:
    """The broker accepted the session."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker confirmed the subscriptions; refused: those it did not."""

    refused: bool


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over, or never began: why."""

    reason: str


Event = Opened | Subscribed | Arrived | Closed


class Session:
    """One connection from its first packet to its last. Used by one thread, but for `_connect`."""

    def __init__(
        self, broker: Broker, client_id: str, version: str, will: Publish, wake: Callable[[], None]
    ) -> None:
        self._broker, self._wake = broker, wake
        self._events: deque[Event] = deque()
        self._is_ready = threading.Event()
        self._is_over = False
        self._handing_over = threading.Lock()
        self._subscribe_mid: int | None = None
        self._goodbye: ReasonCode | None = None
        self._last_word: mqtt.MQTTMessageInfo | None = None
        self._was_opened = False
        is_v5 = version == "5"
        if is_v5:
            self._goodbye = ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
        self._client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=_VERSIONS[version],
            clean_session=None if is_v5 else True,
            reconnect_on_failure=False,
        )
        client.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain)
        client.connect_timeout = CONNECT_TIMEOUT_S
        if broker.user:
            client.username_pw_set(broker.user, broker.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        threading.Thread(target=self._connect, name="mqtt-connect", daemon=True).start()

    def _connect(self) -> None:
        try:
            if self._broker.tls:
                context = ssl.create_default_context(cafile=self._broker.ca or None)
                if self._broker.cert:
                    context.load_cert_chain(self._broker.cert, self._broker.key)
                self._client.tls_set_context(context)
            self._client.connect(self._broker.host, self._broker.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self._events.append(Closed(f"{type(error).__name__}: {error}"))
        with self._handing_over:
            is_wanted = not self._is_over
            if is_wanted:
                self._is_ready.set()
        if is_wanted:
            self._wake()
        else:  # the agent lost patience meanwhile: this session must not live beside the next one
            self._client.disconnect()

    @property
    def socket(self) -> socket | None:
        """What to wait on; None before and after."""
        if self._is_over or not self._is_ready.is_set():
            return None
        return cast("socket | None", self._client.socket())

    @property
    def wants_write(self) -> bool:
        """True while packets wait for the socket."""
        return bool(self._client.want_write())

    def step(self, *, readable: bool) -> list[Event]:
        """Read and write what is there without waiting; what happened since the last call."""
        if self._is_ready.is_set() and not self._is_over:
            sock = self._client.socket()
            pending = getattr(sock, "pending", None)
            if readable or (pending is not None and pending()):
                self._client.loop_read(max_packets=64)
            if self._client.want_write():
                self._client.loop_write()
            self._client.loop_misc()
        events = [self._events.popleft() for _ in range(len(self._events))]
        if any(isinstance(event, Closed) for event in events):
            self._is_over = True
        return events

    def publish(self, command: Publish) -> None:
        """Send; paho writes at once what the socket takes and keeps the rest."""
        info = self._client.publish(command.topic, command.payload, command.qos, command.retain)
        if command.qos and info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._last_word = info

    def subscribe(self, command: Subscribe) -> None:
        """Ask for topics, in one packet."""
        _, self._subscribe_mid = self._client.subscribe(list(command.topics))

    def close(self) -> None:
        """Send DISCONNECT after everything that waits; on MQTT 5 it tells the broker to send the will.

        The death certificate is waited for: a socket that is closed with something unread in it takes back
        what was written last. Blocks at most a second.
        """
        until_s = time.monotonic() + CLOSE_TIMEOUT_S
        with self._handing_over:
            sock = self.socket
            self._is_over = sock is None
        if sock is not None:
            sock.settimeout(CLOSE_TIMEOUT_S)
            while self.wants_write and self._client.loop_write() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                pass
            while (
                self.socket is not None and self._last_word is not None and not self._last_word.is_published()
            ):
                if not select.select([sock], [], [], max(0.0, until_s - time.monotonic()))[0]:
                    break
                self._client.loop_read(max_packets=64)
            self._client.disconnect(self._goodbye)
        self._is_over = True

    # ---- paho's callbacks: on the agent's thread, inside `step`

    def _on_connect(
        self,
        _client: mqtt.Client,
        _data: Any,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _props: Properties | None,
    ) -> None:
        self._was_opened = not reason.is_failure
        self._events.append(Opened() if self._was_opened else Closed(f"refused: {reason}"))

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, mid: int, reasons: list[ReasonCode], _props: Properties | None
    ) -> None:
        if mid == self._subscribe_mid:
            self._events.append(Subscribed(any(reason.is_failure for reason in reasons)))

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._events.append(Arrived(message.topic, bytes(message.payload)))

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: Any,
        _flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _props: Properties | None,
    ) -> None:
        if self._was_opened:
            self._events.append(Closed(f"connection lost: {reason}"))
        else:
            self._events.append(Closed("the broker hung up before it accepted the session: see its log"))
