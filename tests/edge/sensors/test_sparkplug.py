"""The Sparkplug sensor hears a device of another system on a real broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.sensors import SensorConfigError, build
from edge.sensors.sparkplug import SparkplugSensor
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.plant import Plant
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.values import Scalar, Waveform
from tests.edge.sensors.hearing import read_until_said

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
DEADLINE_S = 60.0
MakePlant = Callable[..., Plant]
COUNTS = b"".join(n.to_bytes(2, "little", signed=True) for n in range(-128, 128))


def table(port: int, device: str = "Pump.7") -> dict[str, object]:
    return {
        "kind": "sparkplug",
        "broker": f"mqtt://127.0.0.1:{port}",
        "group": "Plant_Two",
        "node": "GW_3",
        **({"device": device} if device else {}),
        "metrics": [
            {"name": "Motor/Temp", "channel": "Temperature/winding", "scale": 0.1},
            {"name": "Speed", "channel": "Speed"},
        ],
        "waveforms": [{"name": "Accel/X", "axis": "x", "rate_hz": 6400.0, "scale_g": 0.001}],
    }


def birth() -> bytes:
    payload = Payload(timestamp=T0 // 1_000_000, seq=0)
    add_metric(payload, "Motor/Temp", DataType.INT32, 615, alias=1)
    add_metric(payload, "Speed", DataType.FLOAT, None, alias=2)
    add_metric(payload, "Accel/X", DataType.INT16_ARRAY, COUNTS, alias=3)
    add_metric(payload, "Serial", DataType.STRING, "A-1", alias=4)
    return payload.SerializeToString()


def data(seconds: int) -> bytes:
    payload = Payload(timestamp=T0 // 1_000_000 + 1000 * seconds, seq=1)
    add_metric(payload, "", DataType.INT32, -55, alias=1)
    add_metric(payload, "", DataType.FLOAT, 1480.0, alias=2, timestamp_ms=T0 // 1_000_000)
    return payload.SerializeToString()


def test_a_late_listener_asks_for_a_rebirth_and_then_follows_by_alias(
    broker: Any, plant_with: MakePlant, tmp_path: Path
) -> None:
    foreign = broker.client()
    commands: list[tuple[str, bytes]] = []

    def hear(client: Any, _data: object, message: Any) -> None:
        commands.append((message.topic, message.payload))
        client.publish("spBv1.0/Plant_Two/DBIRTH/GW_3/Pump.7", birth())
        client.publish("spBv1.0/Plant_Two/DDATA/GW_3/Pump.8", data(9))
        client.publish("spBv1.0/Plant_Two/DDATA/GW_3/Pump.7", b"\xff rubbish")
        client.publish("spBv1.0/Plant_Two/DDATA/GW_3/Pump.7", data(1))

    foreign.on_message = hear
    subscribed = []
    foreign.on_subscribe = lambda *_: subscribed.append(True)
    foreign.subscribe("spBv1.0/Plant_Two/NCMD/GW_3")
    until = time.monotonic() + DEADLINE_S
    while not subscribed and time.monotonic() < until:
        time.sleep(0.01)
    plant = plant_with(**table(broker.port))
    sensor = build(plant, plant.machine[0], tmp_path)
    temperature, speed, wave = read_until_said(sensor, T0)
    assert temperature == Scalar("Temperature/winding", 61.5, T0)
    assert isinstance(speed, Scalar)
    assert speed.value != speed.value
    assert isinstance(wave, Waveform)
    assert (wave.axis, wave.sample_type, bytes(wave.samples), wave.start_ns) == ("x", "int16", COUNTS, T0)
    assert read_until_said(sensor, T0) == (
        Scalar("Temperature/winding", -5.5, T0 + SECOND),
        Scalar("Speed", 1480.0, T0),
    )
    assert len(commands) == 1
    sent = Payload()
    sent.ParseFromString(commands[0][1])
    assert (sent.metrics[0].name, sent.metrics[0].boolean_value) == ("Node Control/Rebirth", True)
    assert isinstance(sensor.sensor, SparkplugSensor)
    assert sensor.sensor.rejected == 1
    sensor.close()


def test_metrics_of_the_node_itself_can_be_heard(broker: Any, plant_with: MakePlant, tmp_path: Path) -> None:
    plant = plant_with(**table(broker.port, device=""))
    sensor = build(plant, plant.machine[0], tmp_path)
    sensor.read(T0)
    named = Payload(timestamp=T0 // 1_000_000)
    add_metric(named, "Speed", DataType.DOUBLE, 990.0)
    broker.client().publish("spBv1.0/Plant_Two/NDATA/GW_3", named.SerializeToString())
    assert read_until_said(sensor, T0) == (Scalar("Speed", 990.0, T0),)
    sensor.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"group": "a/b"}, "group"),
        ({"node": "#"}, "node"),
        ({"metrics": [], "waveforms": []}, "0 metrics"),
        ({"metrics": [{"name": "a"}]}, "channel"),
        ({"waveforms": [{"name": "a", "axis": "x"}]}, "rate_hz"),
    ],
)
def test_impossible_tables_are_refused(
    change: dict[str, object], words: str, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**{**table(1), **change})
    with pytest.raises(SensorConfigError, match=words):
        build(plant, plant.machine[0], tmp_path)
