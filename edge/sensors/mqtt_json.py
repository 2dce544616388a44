"""The `mqtt-json` sensor: JSON that some other system publishes, mapped to channels by the plant file."""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.sensors.protocol import SensorConfigError, SensorError, Telemetry
from edge.sensors.scaled import Scaled, WaveSource, scaled, wave_source
from edge.sensors.settings import Settings
from edge.sensors.waves import waveform
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MAX_MESSAGE_BYTES, MAX_METRICS, MIN_BLOCK_SAMPLES
from ingest.contract.plant import Machine, Plant
from ingest.contract.values import Scalar, Waveform

SECOND_NS: Final = 1_000_000_000
NS_PER: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
MAX_WAITING: Final = 1_000
"""Messages that may wait for the next reads; the oldest goes first, and is counted."""


@dataclass(frozen=True, slots=True)
class JsonSettings:
    """What the plant file says. numbers, waves: (topic or empty for any, path in the JSON, target)."""

    host: str
    port: int
    tls: bool
    topic: str
    numbers: tuple[tuple[str, str, Scaled], ...]
    waves: tuple[tuple[str, str, WaveSource], ...]
    qos: int = 1
    period_s: float = 1.0
    timeout_s: float = 5.0
    time: str = ""
    time_unit: str = "s"
    user: str = ""
    password_file: Path | None = None
    tls_ca: Path | None = None


class MqttJsonSensor:
    """One message of the source becomes one message of the machine.

    `dropped` counts messages that waited too long, `rejected` those that were no usable JSON.
    """

    SAMPLE: ClassVar[Mapping[str, Any]] = {
        "broker": "mqtt://192.168.1.5:1883",
        "topic": "site/pump-1/#",
        "time": "ts",
        "time_unit": "ms",
        "fields": [{"path": "sensors.0.temperature", "channel": "Temperature/bearing"}],
        "waveforms": [{"path": "vibration.x", "axis": "x", "rate_hz": 6_400.0, "scale_g": 0.001}],
    }

    def __init__(self, settings: JsonSettings) -> None:
        self.settings = settings
        self.dropped = 0
        self.rejected = 0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._refusal = ""
        self._client: mqtt.Client | None = None

    @classmethod
    def from_config(
        cls,
        plant: Plant,  # noqa: ARG003  # the same call for every sensor
        machine: Machine,
        config: Mapping[str, Any],
        folder: Path,
    ) -> MqttJsonSensor:
        """The sensor of a machine. Raises SensorConfigError; connects to nothing."""
        return cls(_settings(Settings(machine.id, config), folder))

    @property
    def period_ns(self) -> int:
        """Nanoseconds to the next read; 0 while messages wait."""
        return 0 if self._waiting else round(self.settings.period_s * SECOND_NS)

    @property
    def exhausted(self) -> bool:
        """A source never ends."""
        return False

    def open(self) -> None:
        """Connect and subscribe. Raises SensorError."""
        settings = self.settings
        where = f"{settings.host}:{settings.port}"
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self._client, self._refusal = client, ""
        self._answered.clear()
        client.on_connect, client.on_message = self._connected, self._arrived
        try:
            if settings.tls:
                client.tls_set(ca_certs=str(settings.tls_ca) if settings.tls_ca else None)
            if settings.user:
                password = (
                    settings.password_file.read_text("utf-8").strip() if settings.password_file else None
                )
                client.username_pw_set(settings.user, password)
            client.connect_timeout = settings.timeout_s
            client.connect(settings.host, settings.port, keepalive=30)
        except (OSError, ValueError) as error:
            raise SensorError(
                f"No broker answers at {where} ({error}). Check its address and cable."
            ) from error
        client.loop_start()
        if not self._answered.wait(settings.timeout_s):
            raise SensorError(f"The broker at {where} does not answer. Check that it speaks MQTT there.")
        if self._refusal:
            raise SensorError(
                f"The broker at {where} refuses: {self._refusal}. Check user and password_file."
            )

    def read(self, now_ns: int) -> Telemetry:
        """The oldest message that waits; empty when none does. Raises SensorError."""
        with self._lock:
            topic, payload = self._waiting.popleft() if self._waiting else ("", b"")
        if not topic:
            if self._client is None or not self._client.is_connected():
                raise SensorError(f"The connection to {self.settings.host}:{self.settings.port} is lost.")
            return ()
        return self._telemetry(topic, payload, now_ns)

    def acquire(self, n_samples: int, period_ns: int) -> bool:  # noqa: ARG002  # the same for every sensor
        """The source decides what it measures."""
        return False

    def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _connected(
        self, client: mqtt.Client, _data: object, _flags: object, reason: object, _properties: object
    ) -> None:
        self._refusal = str(reason) if getattr(reason, "is_failure", False) else ""
        if not self._refusal:
            client.subscribe(self.settings.topic, self.settings.qos)
        self._answered.set()

    def _arrived(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._lock:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append((message.topic, bytes(message.payload)))

    def _telemetry(self, topic: str, payload: bytes, now_ns: int) -> Telemetry:
        try:
            document = json.loads(payload) if len(payload) <= MAX_MESSAGE_BYTES else None
        except (ValueError, RecursionError):
            self.rejected += 1
            return ()
        time_ns = self._time_ns(document, now_ns)
        waves = [
            _wave(source, pick(document, path), time_ns)
            for only, path, source in self.settings.waves
            if only in ("", topic)
        ]
        numbers = [
            _number(target, pick(document, path), time_ns)
            for only, path, target in self.settings.numbers
            if only in ("", topic)
        ]
        found = tuple(one for one in (*waves, *numbers) if one is not None)
        self.rejected += not found
        return found

    def _time_ns(self, document: object, now_ns: int) -> int:
        stamp = pick(document, self.settings.time) if self.settings.time else None
        if (
            isinstance(stamp, bool)
            or not isinstance(stamp, int | float)
            or not math.isfinite(stamp)
            or stamp < 0
        ):
            return now_ns
        return round(stamp * NS_PER[self.settings.time_unit])


def pick(document: object, path: str) -> object:
    """What stands at a dotted path; None when nothing does.

    >>> pick({"a": [{"b": 7}]}, "a.0.b"), pick({"a": 1}, "a.b")
    (7, None)
    """
    for step in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(step)
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def _number(target: Scaled, value: object, time_ns: int) -> Scalar | None:
    return target.scalar(float(value), time_ns) if isinstance(value, int | float) else None


def _wave(source: WaveSource, value: object, time_ns: int) -> Waveform | None:
    if not isinstance(value, list) or not MIN_BLOCK_SAMPLES <= len(value) <= MAX_BLOCK_SAMPLES:
        return None
    return waveform(source, value, time_ns)


def _settings(settings: Settings, folder: Path) -> JsonSettings:
    broker = settings.text("broker")
    url = urlsplit(broker)
    if url.scheme not in PORTS or not url.hostname:
        raise settings.wrong("broker", "must be an address as mqtt://host:1883 or mqtts://host:8883", broker)
    fields = [settings.inner("fields", one) for one in settings.tables("fields")]
    waves = [settings.inner("waveforms", one) for one in settings.tables("waveforms")]
    if not 1 <= len(fields) + len(waves) <= MAX_METRICS:
        raise SensorConfigError(
            f"Machine {settings.machine}: its sensor maps {len(fields) + len(waves)} values; name 1 to "
            f"{MAX_METRICS} under [[machine.sensor.fields]] or [[machine.sensor.waveforms]]."
        )
    unit = settings.text("time_unit", "s")
    if unit not in NS_PER:
        raise settings.wrong("time_unit", f"must be one of {', '.join(NS_PER)}", unit)
    made = JsonSettings(
        host=url.hostname,
        port=url.port or PORTS[url.scheme],
        tls=url.scheme == "mqtts",
        topic=settings.text("topic"),
        numbers=tuple((_topic(one), one.text("path"), scaled(one)) for one in fields),
        waves=tuple((_topic(one), one.text("path"), wave_source(one)) for one in waves),
        qos=settings.whole("qos", 1, low=0, high=2),
        period_s=settings.number("period_s", 1.0, low=0.01, high=86_400),
        timeout_s=settings.number("timeout_s", 5.0, low=0.1, high=60),
        time=settings.text("time") if settings.has("time") else "",
        time_unit=unit,
        user=settings.text("user") if settings.has("user") else "",
        password_file=folder / settings.text("password_file") if settings.has("password_file") else None,
        tls_ca=folder / settings.text("tls_ca") if settings.has("tls_ca") else None,
    )
    for one in (*fields, *waves, settings):
        one.done()
    return made


def _topic(entry: Settings) -> str:
    return entry.text("topic") if entry.has("topic") else ""
