"""The `mqtt-json` sensor: JSON that some other system publishes, mapped to channels by the plant file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from edge.sensors.protocol import SensorConfigError, Telemetry
from edge.sensors.scaled import Scaled, WaveSource, scaled, wave_source
from edge.sensors.settings import Settings
from edge.sensors.subscription import Broker, Listener, broker_of
from edge.sensors.waves import waveform
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MAX_MESSAGE_BYTES, MAX_METRICS, MIN_BLOCK_SAMPLES
from ingest.contract.plant import Machine, Plant
from ingest.contract.values import Scalar, Waveform

NS_PER: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@dataclass(frozen=True, slots=True)
class JsonSettings:
    """What the plant file says. numbers, waves: (topic or empty for any, path in the JSON, target)."""

    broker: Broker
    topic: str
    numbers: tuple[tuple[str, str, Scaled], ...]
    waves: tuple[tuple[str, str, WaveSource], ...]
    period_s: float = 1.0
    time: str = ""
    time_unit: str = "s"


class MqttJsonSensor(Listener):
    """One message of the source becomes one message of the machine.

    `dropped` counts messages that waited too long, `rejected` those that held nothing usable.
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
        super().__init__(settings.broker, (settings.topic,), settings.period_s)
        self.settings = settings
        self.rejected = 0

    @classmethod
    def from_config(
        cls,
        _plant: Plant,
        machine: Machine,
        config: Mapping[str, Any],
        folder: Path,
        /,
    ) -> MqttJsonSensor:
        """The sensor of a machine. Raises SensorConfigError; connects to nothing."""
        return cls(_settings(Settings(machine.id, config), folder))

    def _heard(self, topic: str, payload: bytes, now_ns: int) -> Telemetry:
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
    broker = broker_of(settings, folder)
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
        broker=broker,
        topic=settings.text("topic"),
        numbers=tuple((_topic(one), one.text("path"), scaled(one)) for one in fields),
        waves=tuple((_topic(one), one.text("path"), wave_source(one)) for one in waves),
        period_s=settings.number("period_s", 1.0, low=0.01, high=86_400),
        time=settings.text("time") if settings.has("time") else "",
        time_unit=unit,
    )
    for one in (*fields, *waves, settings):
        one.done()
    return made


def _topic(entry: Settings) -> str:
    return entry.text("topic") if entry.has("topic") else ""
