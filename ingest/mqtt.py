"""The host application's MQTT connection: paho on the outside, the inbox's queue on the inside."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.host import Host, Send

LOG = logging.getLogger(__name__)
PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_S = 20
VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}


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
    """A broker from its URL. Raises BrokerError.

    >>> broker_of("mqtts://ingest:se%2Fcret@broker.plant:8884").password
    'se/cret'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BrokerError(f"{url!r} is no broker URL ({error}); write one as mqtt://host:1883") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise BrokerError(f"{url!r} is no broker URL; write one as mqtt://host:1883 or mqtts://host:8883")
    return Broker(
        parts.hostname,
        port or PORTS[parts.scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        parts.scheme == "mqtts",
        **more,
    )


class Link:
    """A connection that is kept. `publish` may be called from any thread."""

    def __init__(self, broker: Broker, host: Host, client_id: str) -> None:
        self.broker = broker
        self._host = host
        self._offer: Callable[[str, bytes], object] = lambda _topic, _raw: None
        self._state_ms = 0
        self._open = threading.Event()
        self.refusal = ""
        """Why the broker does not want us, "" when it does."""
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=VERSIONS[broker.version],
            clean_session=None if broker.version == "5" else True,
        )
        client = self._client
        if broker.user:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls or broker.ca_file:
            client.tls_set_context(_tls(broker))
        client.reconnect_delay_set(1, 30)
        client.max_queued_messages_set(1_000)
        client.on_pre_connect = self._before
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = self._received

    def start(self, offer: Callable[[str, bytes], object]) -> None:
        """Connect in the background and keep trying; messages go to offer(topic, raw)."""
        self._offer = offer
        self._client.connect_async(self.broker.host, self.broker.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def wait_open(self, timeout_s: float) -> bool:
        """Wait until the host is online: subscribed, and its birth published."""
        return self._open.wait(timeout_s)

    def publish(self, send: Send) -> None:
        """Publish; while there is no connection, what is not retained state is dropped: it is said again."""
        if self._client.is_connected():
            self._client.publish(send.topic, send.payload, send.qos, send.retain)

    def stop(self) -> None:
        """Say that the host is offline, and close."""
        if self._client.is_connected():
            death = self._host.state(online=False, timestamp_ms=time.time_ns() // 1_000_000)
            self._client.publish(death.topic, death.payload, death.qos, death.retain).wait_for_publish(5)
        self._client.disconnect()
        self._client.loop_stop()

    def _before(self, client: paho.Client, _userdata: object) -> None:
        """The will carries the timestamp of the birth that follows."""
        self._state_ms = max(time.time_ns() // 1_000_000, self._state_ms + 1)
        will = self._host.state(online=False, timestamp_ms=self._state_ms)
        client.will_set(will.topic, will.payload, will.qos, will.retain)

    def _connected(
        self, client: paho.Client, _userdata: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        if reason.is_failure:
            self.refusal = str(reason)
            LOG.error("broker_refused host=%s port=%s reason=%s", self.broker.host, self.broker.port, reason)
            return
        self.refusal = ""
        client.subscribe(list(self._host.subscriptions()))

    def _subscribed(
        self, client: paho.Client, _userdata: object, _mid: int, reasons: Any, _properties: object
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self.refusal = (
                "a subscription was refused; the broker's access list must let ingest read its site"
            )
            LOG.error("subscription_refused host=%s", self.broker.host)
            return
        birth = self._host.state(online=True, timestamp_ms=self._state_ms)
        client.publish(birth.topic, birth.payload, birth.qos, birth.retain)
        self._open.set()
        LOG.info("broker_connected host=%s port=%s", self.broker.host, self.broker.port)

    def _disconnected(
        self, _client: paho.Client, _userdata: object, _flags: object, reason: Any, _properties: object
    ) -> None:
        self._open.clear()
        LOG.warning("broker_lost host=%s port=%s reason=%s", self.broker.host, self.broker.port, reason)

    def _received(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        self._offer(topic, bytes(message.payload))


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
