"""Topics of somebody else's broker, and a bounded place where their messages wait to be read."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.sensors.protocol import SensorError, Telemetry
from edge.sensors.settings import Settings

SECOND_NS: Final = 1_000_000_000
PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
MAX_WAITING: Final = 1_000
"""Messages that may wait for the next reads; the oldest goes first, and is counted."""
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Broker:
    """Where and as whom to connect. password_file is read when connecting, so that it may change."""

    host: str
    port: int
    tls: bool
    qos: int = 1
    timeout_s: float = 5.0
    user: str = ""
    password_file: Path | None = None
    tls_ca: Path | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def broker_of(settings: Settings, folder: Path) -> Broker:
    """broker, qos, timeout_s, user, password_file and tls_ca of a sensor table. Raises SensorConfigError."""
    address = settings.text("broker")
    url = urlsplit(address)
    if url.scheme not in PORTS or not url.hostname:
        raise settings.wrong("broker", "must be an address as mqtt://host:1883 or mqtts://host:8883", address)
    return Broker(
        host=url.hostname,
        port=url.port or PORTS[url.scheme],
        tls=url.scheme == "mqtts",
        qos=settings.whole("qos", 1, low=0, high=2),
        timeout_s=settings.number("timeout_s", 5.0, low=0.1, high=60),
        user=settings.text("user") if settings.has("user") else "",
        password_file=folder / settings.text("password_file") if settings.has("password_file") else None,
        tls_ca=folder / settings.text("tls_ca") if settings.has("tls_ca") else None,
    )


class Subscription:
    """Messages of some topics, in order of arrival. `dropped` counts those that found no place."""

    def __init__(self, broker: Broker, topics: Sequence[str]) -> None:
        self.broker = broker
        self.topics = tuple(topics)
        self.dropped = 0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._n_bytes = 0
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._refusal = ""
        self._client: mqtt.Client | None = None

    def __len__(self) -> int:
        """Messages that wait."""
        return len(self._waiting)

    def open(self) -> None:
        """Connect and subscribe. Raises SensorError."""
        broker = self.broker
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self._client, self._refusal = client, ""
        self._answered.clear()
        client.on_connect, client.on_subscribe = self._connected, self._subscribed
        client.on_message = self._arrived
        try:
            if broker.tls:
                client.tls_set(ca_certs=str(broker.tls_ca) if broker.tls_ca else None)
            if broker.user:
                password = broker.password_file.read_text("utf-8").strip() if broker.password_file else None
                client.username_pw_set(broker.user, password)
            client.connect_timeout = broker.timeout_s
            client.connect(broker.host, broker.port, keepalive=30)
        except (OSError, ValueError) as error:
            raise SensorError(
                f"No broker answers at {broker} ({error}). Check its address and cable."
            ) from error
        client.loop_start()
        if not self._answered.wait(broker.timeout_s):
            raise SensorError(f"The broker at {broker} does not answer. Check that it speaks MQTT there.")
        if self._refusal:
            raise self._refused()

    def take(self) -> tuple[str, bytes] | None:
        """The topic and payload that wait longest; None when none do. Raises SensorError if none can come."""
        with self._lock:
            if self._waiting:
                topic, payload = self._waiting.popleft()
                self._n_bytes -= len(payload)
                return topic, payload
        if self._client is None or not self._client.is_connected():
            raise SensorError(
                f"The connection to the broker at {self.broker} is lost. Check it and the cable."
            )
        if self._refusal:
            raise self._refused()
        return None

    def publish(self, topic: str, payload: bytes) -> None:
        """Say something to the source, once; what cannot be sent now is not sent later."""
        if self._client is not None and self._client.is_connected():
            self._client.publish(topic, payload, qos=0)

    def close(self) -> None:
        """Disconnect; what waits stays."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _connected(
        self, client: mqtt.Client, _data: object, _flags: object, reason: object, _properties: object
    ) -> None:
        self._refusal = (
            f"{reason}. Check user and password_file" if getattr(reason, "is_failure", False) else ""
        )
        if self._refusal:
            self._answered.set()
        else:
            client.subscribe([(topic, self.broker.qos) for topic in self.topics])

    def _subscribed(
        self, _client: mqtt.Client, _data: object, _mid: int, reasons: Sequence[object], _properties: object
    ) -> None:
        refused = [
            topic
            for topic, reason in zip(self.topics, reasons, strict=False)
            if getattr(reason, "is_failure", False)
        ]
        if refused:
            self._refusal = f"this user may not read {', '.join(refused)}. Check the broker's rights"
        self._answered.set()

    def _refused(self) -> SensorError:
        return SensorError(f"The broker at {self.broker} refuses: {self._refusal}.")

    def _arrived(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        payload = bytes(message.payload)
        with self._lock:
            self._waiting.append((message.topic, payload))
            self._n_bytes += len(payload)
            while len(self._waiting) > MAX_WAITING or self._n_bytes > MAX_WAITING_BYTES:
                self._n_bytes -= len(self._waiting.popleft()[1])
                self.dropped += 1


class Listener(ABC):
    """The part that every sensor on somebody else's broker shares: what is heard waits, and is read in order.

    `dropped` counts messages that waited too long. A sensor says what a message means in `_heard`.
    """

    def __init__(self, broker: Broker, topics: Sequence[str], period_s: float) -> None:
        self._source = Subscription(broker, topics)
        self._period_ns = round(period_s * SECOND_NS)

    @property
    def period_ns(self) -> int:
        """Nanoseconds to the next read; 0 while messages wait."""
        return 0 if len(self._source) else self._period_ns

    @property
    def exhausted(self) -> bool:
        """A source never ends."""
        return False

    @property
    def dropped(self) -> int:
        """Messages that found no place to wait."""
        return self._source.dropped

    def open(self) -> None:
        """Connect and subscribe. Raises SensorError."""
        self._source.open()

    def read(self, now_ns: int) -> Telemetry:
        """The oldest message that waits; empty when none does. Raises SensorError."""
        taken = self._source.take()
        return self._heard(*taken, now_ns) if taken else self._silence(now_ns)

    def acquire(self, _n_samples: int, _period_ns: int, /) -> bool:
        """The source decides what it measures."""
        return False

    def close(self) -> None:
        """Disconnect."""
        self._source.close()

    @abstractmethod
    def _heard(self, topic: str, payload: bytes, now_ns: int) -> Telemetry:
        """What a message says of the machine."""

    def _silence(self, _now_ns: int) -> Telemetry:
        """Nothing waits."""
        return ()
