"""The `sparkplug` sensor: a device of another Sparkplug B system, on its own broker, as a machine of ours.

A node that publishes to our own broker needs none of this: it is heard as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from edge.sensors.protocol import SensorConfigError, Telemetry
from edge.sensors.scaled import Scaled, WaveSource, scaled, wave_source
from edge.sensors.settings import Settings
from edge.sensors.subscription import SECOND_NS, Broker, Listener, broker_of
from ingest.contract import channels as ch
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MAX_METRICS, MIN_BLOCK_SAMPLES
from ingest.contract.metrics import Channel, DataType, Metric, add_metric, number
from ingest.contract.payload import SAMPLE_TYPES, Birth, read_birth, read_payload
from ingest.contract.plant import Machine, Plant
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.topics import NAMESPACE, Kind
from ingest.contract.values import SAMPLE_BYTES, Scalar, Waveform

NS_PER_MS: Final = 1_000_000
BIRTHS: Final = frozenset({Kind.NBIRTH, Kind.DBIRTH})
DATA: Final = frozenset({Kind.NDATA, Kind.DDATA})
KNOWN_TYPES: Final = frozenset(DataType)
REBIRTH_PAUSE_NS: Final = 10 * SECOND_NS


@dataclass(frozen=True, slots=True)
class SparkplugSettings:
    """What the plant file says. device: empty for the node's own metrics; numbers, waves: by metric name."""

    broker: Broker
    group: str
    node: str
    device: str
    numbers: Mapping[str, Scaled]
    waves: Mapping[str, WaveSource]
    period_s: float = 1.0


class SparkplugSensor(Listener):
    """Data of one device; one of its messages becomes one of ours.

    Metrics travel by alias after a birth. A device that was born before we listened is asked for a rebirth,
    at most once in ten seconds. `rejected` counts messages that could not be read.
    """

    SAMPLE: ClassVar[Mapping[str, Any]] = {
        "broker": "mqtt://192.168.1.5:1883",
        "group": "plant-2",
        "node": "gateway-3",
        "device": "pump-7",
        "metrics": [{"name": "Motor/Temp", "channel": "Temperature/winding"}],
        "waveforms": [{"name": "Accel/X", "axis": "x", "rate_hz": 6_400.0, "scale_g": 0.001}],
    }

    def __init__(self, settings: SparkplugSettings) -> None:
        topic = f"{NAMESPACE}/{settings.group}/+/{settings.node}"
        topic = f"{topic}/{settings.device}" if settings.device else topic
        super().__init__(settings.broker, (topic,), settings.period_s)
        self.settings = settings
        self.rejected = 0
        self._birth: Birth | None = None
        self._ask_after_ns = 0

    @classmethod
    def from_config(
        cls,
        _plant: Plant,
        machine: Machine,
        config: Mapping[str, Any],
        folder: Path,
        /,
    ) -> SparkplugSensor:
        """The sensor of a machine. Raises SensorConfigError; connects to nothing."""
        return cls(_settings(Settings(machine.id, config), folder))

    def open(self) -> None:
        """Connect and subscribe. Raises SensorError."""
        super().open()
        self._ask_after_ns = 0

    def _heard(self, topic: str, payload: bytes, now_ns: int) -> Telemetry:
        kind = topic.split("/")[2]
        if kind in BIRTHS:
            return self._be_born(payload, now_ns)
        return self._data(payload, now_ns) if kind in DATA else ()

    def _silence(self, now_ns: int) -> Telemetry:
        if self._birth is None:
            self._ask_for_rebirth(now_ns)
        return ()

    def _be_born(self, raw: bytes, now_ns: int) -> Telemetry:
        """A birth names the metrics, and tells their values of now."""
        born = read_birth(raw)
        if isinstance(born, Rejected):
            self.rejected += 1
            return ()
        payload, self._birth = born
        return self._telemetry(payload, now_ns)

    def _data(self, raw: bytes, now_ns: int) -> Telemetry:
        payload = read_payload(raw)
        if isinstance(payload, Rejected):
            self.rejected += 1
            return ()
        return self._telemetry(payload, now_ns)

    def _telemetry(self, payload: Payload, now_ns: int) -> Telemetry:
        base_ns = payload.timestamp * NS_PER_MS if payload.HasField("timestamp") else now_ns
        found: list[Waveform | Scalar] = []
        for metric in payload.metrics:
            channel = self._channel(metric)
            if channel is None:
                self._ask_for_rebirth(now_ns)
                continue
            at_ns = metric.timestamp * NS_PER_MS if metric.HasField("timestamp") else base_ns
            if channel.name in self.settings.numbers:
                value = number(metric, channel.datatype)
                if not isinstance(value, Rejected):
                    found.append(self.settings.numbers[channel.name].scalar(value, at_ns))
            elif channel.name in self.settings.waves:
                wave = _wave(self.settings.waves[channel.name], metric, channel, at_ns)
                found += [] if wave is None else [wave]
        return tuple(found)

    def _channel(self, metric: Metric) -> Channel | None:
        """What a metric is, by its name or by the alias of its birth; None when nobody knows."""
        if metric.name:
            known = self._birth.channels.get(metric.name) if self._birth else None
            datatype = DataType(metric.datatype) if metric.datatype in KNOWN_TYPES else DataType.UNKNOWN
            return known or Channel(metric.name, datatype)
        return self._birth.by_alias.get(metric.alias) if self._birth else None

    def _ask_for_rebirth(self, now_ns: int) -> None:
        if now_ns < self._ask_after_ns <= now_ns + 2 * REBIRTH_PAUSE_NS:
            return
        self._ask_after_ns = now_ns + REBIRTH_PAUSE_NS
        payload = Payload(timestamp=now_ns // NS_PER_MS)
        add_metric(payload, ch.REBIRTH, DataType.BOOLEAN, True)
        topic = f"{NAMESPACE}/{self.settings.group}/{Kind.NCMD}/{self.settings.node}"
        self._source.publish(topic, payload.SerializeToString())


def _wave(source: WaveSource, metric: Metric, channel: Channel, start_ns: int) -> Waveform | None:
    """An array metric as one axis; None for another type or an impossible length."""
    sample_type = SAMPLE_TYPES.get(channel.datatype)
    if sample_type is None or metric.WhichOneof("value") != "bytes_value":
        return None
    samples = metric.bytes_value
    whole, rest = divmod(len(samples), SAMPLE_BYTES[sample_type])
    if rest or not MIN_BLOCK_SAMPLES <= whole <= MAX_BLOCK_SAMPLES:
        return None
    return Waveform(source.axis, samples, sample_type, source.rate_hz, source.scale_g, start_ns)


def _settings(settings: Settings, folder: Path) -> SparkplugSettings:
    broker = broker_of(settings, folder)
    numbers = {one.text("name"): one for one in _entries(settings, "metrics")}
    waves = {one.text("name"): one for one in _entries(settings, "waveforms")}
    if not 1 <= len(numbers) + len(waves) <= MAX_METRICS:
        raise SensorConfigError(
            f"Machine {settings.machine}: its sensor maps {len(numbers) + len(waves)} metrics; name 1 to "
            f"{MAX_METRICS} under [[machine.sensor.metrics]] or [[machine.sensor.waveforms]]."
        )
    made = SparkplugSettings(
        broker=broker,
        group=_level(settings, "group"),
        node=_level(settings, "node"),
        device=_level(settings, "device") if settings.has("device") else "",
        numbers={name: scaled(one) for name, one in numbers.items()},
        waves={name: wave_source(one) for name, one in waves.items()},
        period_s=settings.number("period_s", 1.0, low=0.01, high=86_400),
    )
    for one in (*numbers.values(), *waves.values(), settings):
        one.done()
    return made


def _entries(settings: Settings, key: str) -> list[Settings]:
    return [settings.inner(key, one) for one in settings.tables(key)]


def _level(settings: Settings, key: str) -> str:
    """One level of a topic: other systems allow more than our own ids do."""
    text = settings.text(key)
    if set(text) & set("/+#\0") or len(text) > 128:
        raise settings.wrong(key, "must be one level of a topic, without / + #", text)
    return text
