"""The MQTT JSON sensor against a real broker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.sensors import Patient, SensorConfigError, Telemetry, build
from edge.sensors.mqtt_json import MAX_WAITING, MqttJsonSensor
from ingest.contract.plant import Plant
from ingest.contract.values import Scalar, Waveform

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
MakePlant = Callable[..., Plant]
DEADLINE_S = 15.0


def start_broker(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A real broker that listens when this returns."""
    beside = Path(sys.executable).with_name("nats-server")
    program = str(beside) if beside.exists() else shutil.which("nats-server")
    if program is None:
        pytest.skip("nats-server is not installed")
    config = folder / "broker.conf"
    config.write_text(
        json.dumps(
            {
                "server_name": "test",
                "listen": "127.0.0.1:-1",
                "jetstream": {"store_dir": str(folder / "store")},
                "mqtt": {"listen": f"127.0.0.1:{port}"},
            }
        )
    )
    process = subprocess.Popen([program, "-c", str(config), "-l", str(folder / "broker.log")])
    publisher_of(port).disconnect()
    return process


def publisher_of(port: int) -> mqtt.Client:
    """A connected client; waits for the broker with a deadline."""
    until = time.monotonic() + DEADLINE_S
    while True:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        try:
            client.connect("127.0.0.1", port)
        except OSError:
            assert time.monotonic() < until, "the broker does not listen"
            time.sleep(0.05)
            continue
        client.loop_start()
        return client


@pytest.fixture
def broker(free_port: int, tmp_path: Path) -> Iterator[int]:
    process = start_broker(tmp_path, free_port)
    yield free_port
    process.kill()
    process.wait(10)


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


def read_until_said(sensor: Patient) -> Telemetry:
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        said = sensor.read(T0)
        assert sensor.trouble is None, sensor.trouble
        if said:
            return said
        time.sleep(0.01)
    raise AssertionError("nothing arrived")


def test_json_of_a_real_broker_becomes_channels_with_their_own_time(
    broker: int, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**table(broker))
    sensor = build(plant, plant.machine[0], tmp_path)
    assert sensor.read(T0) == ()
    assert sensor.trouble is None
    publisher = publisher_of(broker)
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
    assert read_until_said(sensor) == (Scalar("Temperature/bearing", 61.5, stamp),)
    assert read_until_said(sensor) == (Scalar("Power/Active", 42.5, T0),)
    (wave,) = read_until_said(sensor)
    assert isinstance(wave, Waveform)
    assert (wave.n_samples, wave.sample_type) == (256, "int16")
    assert isinstance(sensor.sensor, MqttJsonSensor)
    assert sensor.sensor.rejected == 2
    publisher.disconnect()
    publisher.loop_stop()
    sensor.close()


def test_a_flood_is_bounded_and_what_is_lost_is_counted(
    broker: int, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**table(broker))
    sensor = build(plant, plant.machine[0], tmp_path)
    sensor.read(T0)
    publisher = publisher_of(broker)
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
    assert read_until_said(sensor) == (Scalar("Power/Active", 200.0, T0),)
    publisher.disconnect()
    publisher.loop_stop()
    sensor.close()


def test_a_lost_broker_is_trouble_and_its_return_ends_it(
    plant_with: MakePlant, tmp_path: Path, free_port: int
) -> None:
    plant = plant_with(**table(free_port))
    sensor = build(plant, plant.machine[0], tmp_path)
    process = start_broker(tmp_path, free_port)
    sensor.read(T0)
    assert sensor.trouble is None
    process.kill()
    process.wait(10)
    until = time.monotonic() + DEADLINE_S
    while sensor.trouble is None and time.monotonic() < until:
        sensor.read(T0)
        time.sleep(0.02)
    assert sensor.trouble
    process = start_broker(tmp_path, free_port)
    sensor.read(T0 + 10 * SECOND)
    assert sensor.trouble is None
    sensor.close()
    process.kill()
    process.wait(10)


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
