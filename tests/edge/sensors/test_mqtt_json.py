"""The MQTT JSON sensor against a real broker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.sensors import SensorConfigError, build
from edge.sensors.mqtt_json import MqttJsonSensor
from edge.sensors.subscription import MAX_WAITING
from ingest.contract.plant import Plant
from ingest.contract.values import Scalar, Waveform
from tests.edge.sensors.conftest import Broker
from tests.edge.sensors.hearing import read_until_said

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
MakePlant = Callable[..., Plant]
DEADLINE_S = 60.0


def table(port: int) -> dict[str, object]:
    return {
        "kind": "mqtt-json",
        "broker": f"mqtt://127.0.0.1:{port}",
        "topic": "site/pump-1/#",
        "time": "ts",
        "time_unit": "ms",
        "fields": [
            {"path": "sensors.0.t", "channel": "Temperature/bearing", "scale": 0.1},
            {"path": "kw", "channel": "Power/Active", "topic": "site/pump-1/meter"},
        ],
        "waveforms": [{"path": "wave.x", "axis": "x", "rate_hz": 1000.0, "scale_g": 0.001}],
    }


def test_json_of_a_real_broker_becomes_channels_with_their_own_time(
    broker: Any, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**table(broker.port))
    sensor = build(plant, plant.machine[0], tmp_path)
    assert sensor.read(T0) == ()
    assert sensor.trouble is None
    publisher = broker.client()
    for topic, payload in (
        ("site/pump-1/state", b"{not json"),
        ("site/pump-1/state", b"[" * 100_000),
        ("site/other/meter", b'{"kw": 9}'),
        (
            "site/pump-1/state",
            json.dumps({"ts": 1_700_000_000_500, "sensors": [{"t": 615}], "kw": 5}).encode(),
        ),
        ("site/pump-1/meter", b'{"kw": 42.5, "ts": "soon"}'),
        ("site/pump-1/wave", json.dumps({"wave": {"x": [1, -2] * 128}}).encode()),
    ):
        publisher.publish(topic, payload, qos=1).wait_for_publish(10)
    stamp = 1_700_000_000_500_000_000
    assert read_until_said(sensor, T0) == (Scalar("Temperature/bearing", 61.5, stamp),)
    assert read_until_said(sensor, T0) == (Scalar("Power/Active", 42.5, T0),)
    (wave,) = read_until_said(sensor, T0)
    assert isinstance(wave, Waveform)
    assert (wave.n_samples, wave.sample_type) == (256, "int16")
    assert isinstance(sensor.sensor, MqttJsonSensor)
    assert sensor.sensor.rejected == 2
    sensor.close()


def test_a_flood_is_bounded_and_what_is_lost_is_counted(
    broker: Any, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**table(broker.port))
    sensor = build(plant, plant.machine[0], tmp_path)
    sensor.read(T0)
    publisher = broker.client()
    last = [
        publisher.publish("site/pump-1/meter", json.dumps({"kw": n}), qos=1) for n in range(MAX_WAITING + 200)
    ]
    last[-1].wait_for_publish(20)
    inner = sensor.sensor
    assert isinstance(inner, MqttJsonSensor)
    until = time.monotonic() + DEADLINE_S
    while inner.dropped < 200 and time.monotonic() < until:
        time.sleep(0.02)
    assert inner.dropped == 200
    assert sensor.period_ns == 0
    assert read_until_said(sensor, T0) == (Scalar("Power/Active", 200.0, T0),)
    sensor.close()


def test_a_topic_that_the_broker_does_not_let_us_read_is_trouble_and_not_silence(
    plant_with: MakePlant, tmp_path: Path, free_port: int
) -> None:
    may_not = {"user": "edge", "password": "word", "permissions": {"subscribe": {"deny": "site.>"}}}
    broker = Broker(
        tmp_path, free_port, no_auth_user="all", authorization={"users": [{"user": "all"}, may_not]}
    )
    (tmp_path / "word").write_text("word")
    plant = plant_with(**table(broker.port), user="edge", password_file="word")
    sensor = build(plant, plant.machine[0], tmp_path)
    broker.start()
    try:
        assert sensor.read(T0) == ()
        assert sensor.trouble is not None
        assert "may not read site/pump-1/#" in sensor.trouble
    finally:
        sensor.close()
        broker.stop()


def test_a_lost_broker_is_trouble_and_its_return_ends_it(
    broker: Any, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**table(broker.port))
    sensor = build(plant, plant.machine[0], tmp_path)
    sensor.read(T0)
    assert sensor.trouble is None
    broker.stop()
    until = time.monotonic() + DEADLINE_S
    while sensor.trouble is None and time.monotonic() < until:
        sensor.read(T0)
        time.sleep(0.02)
    assert sensor.trouble
    broker.start()
    sensor.read(T0 + 10 * SECOND)
    assert sensor.trouble is None
    sensor.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"broker": "http://x"}, "mqtt://"),
        ({"fields": [], "waveforms": []}, "0 values"),
        ({"time_unit": "weeks"}, "time_unit"),
        ({"qos": 3}, "qos"),
        ({"fields": [{"channel": "C"}]}, "path"),
    ],
)
def test_impossible_tables_are_refused(
    change: dict[str, object], words: str, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**{**table(1), **change})
    with pytest.raises(SensorConfigError, match=words):
        build(plant, plant.machine[0], tmp_path)
