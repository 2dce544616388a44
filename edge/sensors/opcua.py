"""The `opcua` sensor: nodes of an OPC UA server, numbers as scalars and arrays as vibration."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from asyncua.sync import Client, SyncNode
from asyncua.ua import DataValue, NodeId
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from edge.sensors.protocol import SensorConfigError, SensorError, Telemetry
from edge.sensors.scaled import Scaled, WaveSource, scaled, wave_source
from edge.sensors.settings import Settings
from edge.sensors.waves import waveform
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MAX_METRICS, MIN_BLOCK_SAMPLES
from ingest.contract.plant import Machine, Plant
from ingest.contract.values import Scalar, Waveform

SECOND_NS: Final = 1_000_000_000
FAILURES: Final = (UaError, OSError, TimeoutError, concurrent.futures.TimeoutError)


@dataclass(frozen=True, slots=True)
class OpcUaSettings:
    """What the plant file says. numbers, waves: node id -> target; password_file: read on connecting."""

    url: str
    numbers: Mapping[str, Scaled]
    waves: Mapping[str, WaveSource]
    period_s: float = 1.0
    timeout_s: float = 4.0
    user: str = ""
    password_file: Path | None = None
    security: str = ""


@dataclass(frozen=True, slots=True)
class Good:
    """A good value, and the time that its source gives it."""

    value: Any
    stamp: object


@dataclass(slots=True)
class OpcUaSensor:
    """Nodes of one machine, read in one request once a period.

    A value that the server calls bad is left out. A waveform is passed on once: again only when its source
    time has moved.
    """

    SAMPLE: ClassVar[Mapping[str, Any]] = {
        "url": "opc.tcp://192.168.1.10:4840",
        "period_s": 1.0,
        "nodes": [{"node": "ns=2;s=Pump1.BearingTemperature", "channel": "Temperature/bearing"}],
        "waveforms": [
            {"node": "ns=2;s=Pump1.VibrationX", "axis": "x", "rate_hz": 25_600.0, "scale_g": 0.0015}
        ],
    }

    settings: OpcUaSettings
    _client: Client | None = None
    _nodes: list[SyncNode] = field(default_factory=list)
    _seen: dict[str, object] = field(default_factory=dict)

    @classmethod
    def from_config(
        cls,
        _plant: Plant,
        machine: Machine,
        config: Mapping[str, Any],
        folder: Path,
        /,
    ) -> OpcUaSensor:
        """The sensor of a machine. Raises SensorConfigError; connects to nothing."""
        settings = Settings(machine.id, config)
        numbers, waves = _entries(settings, "nodes"), _entries(settings, "waveforms")
        if not 1 <= len(numbers) + len(waves) <= MAX_METRICS:
            raise SensorConfigError(
                f"Machine {machine.id}: its sensor reads {len(numbers) + len(waves)} nodes; name 1 to "
                f"{MAX_METRICS} under [[machine.sensor.nodes]] or [[machine.sensor.waveforms]]."
            )
        made = OpcUaSettings(
            url=settings.text("url"),
            numbers={node: scaled(one) for node, one in numbers.items()},
            waves={node: wave_source(one) for node, one in waves.items()},
            period_s=settings.number("period_s", 1.0, low=0.05, high=86_400),
            timeout_s=settings.number("timeout_s", 4.0, low=0.1, high=60),
            user=settings.text("user") if settings.has("user") else "",
            password_file=folder / settings.text("password_file") if settings.has("password_file") else None,
            security=settings.text("security") if settings.has("security") else "",
        )
        for one in (*numbers.values(), *waves.values(), settings):
            one.done()
        if not made.url.startswith("opc.tcp://"):
            raise settings.wrong("url", "must begin with opc.tcp://", made.url)
        return cls(made)

    @property
    def period_ns(self) -> int:
        """Nanoseconds between two reads."""
        return round(self.settings.period_s * SECOND_NS)

    @property
    def exhausted(self) -> bool:
        """A server never ends."""
        return False

    def open(self) -> None:
        """Connect and resolve the nodes. Raises SensorError."""
        settings = self.settings
        try:
            client = Client(
                settings.url, timeout=settings.timeout_s, sync_wrapper_timeout=3 * settings.timeout_s
            )
            self._client = client
            if settings.security:
                client.set_security_string(settings.security)
            if settings.user:
                client.set_user(settings.user)
            if settings.password_file is not None:
                client.set_password(settings.password_file.read_text("utf-8").strip())
            client.connect()
            self._nodes = [client.get_node(node) for node in (*settings.numbers, *settings.waves)]
        except FAILURES as error:
            raise SensorError(
                f"The OPC UA server {settings.url} cannot be used ({error or type(error).__name__}). "
                "Check its address, its security settings and that it runs."
            ) from error

    def read(self, now_ns: int) -> Telemetry:
        """All nodes of the machine. Raises SensorError, also when none of them has a good value."""
        if self._client is None:
            raise SensorError("The OPC UA connection is closed.")
        try:
            values: Sequence[DataValue] = self._client.read_attributes(self._nodes, AttributeIds.Value)
        except FAILURES as error:
            raise SensorError(
                f"{self.settings.url} does not answer ({error or type(error).__name__}). Check the server."
            ) from error
        nodes = (*self.settings.numbers, *self.settings.waves)
        good = {node: one for node, value in zip(nodes, values, strict=True) if (one := _good(value))}
        if not good:
            status = values[0].StatusCode
            raise SensorError(
                f"{self.settings.url} has no good value at {nodes[0]} ({status}). Check the node."
            )
        return (*self._waveforms(good, now_ns), *self._scalars(good, now_ns))

    def acquire(self, _n_samples: int, _period_ns: int, /) -> bool:
        """The server decides what it measures."""
        return False

    def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            try:
                client.disconnect()
            except FAILURES:
                return

    def _scalars(self, good: Mapping[str, Good], now_ns: int) -> list[Scalar]:
        return [
            target.scalar(float(good[node].value), now_ns)
            for node, target in self.settings.numbers.items()
            if node in good and isinstance(good[node].value, int | float)
        ]

    def _waveforms(self, good: Mapping[str, Good], now_ns: int) -> list[Waveform]:
        found = []
        for node, source in self.settings.waves.items():
            samples = good[node].value if node in good else None
            if not isinstance(samples, list) or not MIN_BLOCK_SAMPLES <= len(samples) <= MAX_BLOCK_SAMPLES:
                continue
            stamp = good[node].stamp
            if stamp is not None and self._seen.get(node) == stamp:
                continue
            self._seen[node] = stamp
            length_ns = round(len(samples) / source.rate_hz * SECOND_NS)
            found.append(waveform(source, samples, max(now_ns - length_ns, 0)))
        return [one for one in found if one is not None]


def _good(value: DataValue) -> Good | None:
    """The value when the server vouches for it."""
    if value.Value is None or (value.StatusCode is not None and not value.StatusCode.is_good()):
        return None
    return Good(value.Value.Value, value.SourceTimestamp)


def _entries(settings: Settings, key: str) -> dict[str, Settings]:
    """The tables under a key, by their node id. Raises SensorConfigError for an id that is none."""
    entries = {}
    for table in settings.tables(key):
        inner = settings.inner(key, table)
        node = inner.text("node")
        try:
            NodeId.from_string(node)
        except UaError as error:
            raise inner.wrong("node", 'must be a node id as "ns=2;s=Pump1.Temperature"', node) from error
        entries[node] = inner
    return entries
