"""A plant with one machine, free ports, and a real broker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.contract.plant import Plant, parse_plant
from mitra.supervisor import free_port as a_free_port

PLANT = """
[plant]
id = "p"
name = "P"
[[gateway]]
id = "gw-1"
[[machine]]
id = "pump-1"
name = "Pump 1"
gateway = "gw-1"
kind = "pump"
rated_power_kw = 45.0
rated_rpm = 1480.0
bearing = "6205"
"""


@pytest.fixture
def plant_with() -> Callable[..., Plant]:
    """A plant whose only machine has the given sensor table."""

    def make(**sensor: Any) -> Plant:
        plant = parse_plant(PLANT)
        machine = plant.machine[0]
        fields = {name: getattr(machine, name) for name in machine.__struct_fields__}
        fields["sensor"] = sensor
        whole = {name: getattr(plant, name) for name in plant.__struct_fields__}
        whole["machine"] = (type(machine)(**fields),)
        return type(plant)(**whole)

    return make


@pytest.fixture
def free_port() -> int:
    """A TCP port that nobody uses now."""
    return a_free_port()


class Broker:
    """A real broker with an MQTT listener; it listens when `start` returns."""

    def __init__(self, folder: Path, port: int, **more: object) -> None:
        """more: of the broker's configuration."""
        beside = Path(sys.executable).with_name("nats-server")
        program = str(beside) if beside.exists() else shutil.which("nats-server")
        if program is None:
            pytest.skip("nats-server is not installed")
        self.port = port
        config = folder / "broker.conf"
        config.write_text(
            json.dumps(
                {
                    "server_name": "test",
                    "listen": "127.0.0.1:-1",
                    "jetstream": {"store_dir": str(folder / "store")},
                    "mqtt": {"listen": f"127.0.0.1:{port}"},
                    **more,
                }
            )
        )
        self._command = [program, "-c", str(config), "-l", str(folder / "broker.log")]
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[mqtt.Client] = []

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        self.client()

    def client(self) -> mqtt.Client:
        """A connected client; waits for the broker with a deadline."""
        until = time.monotonic() + 15.0
        while True:
            client = mqtt.Client(CallbackAPIVersion.VERSION2)
            try:
                client.connect("127.0.0.1", self.port)
            except OSError:
                assert time.monotonic() < until, "the broker does not listen"
                time.sleep(0.05)
                continue
            client.loop_start()
            self._clients.append(client)
            return client

    def stop(self) -> None:
        for client in self._clients:
            client.disconnect()
            client.loop_stop()
        self._clients.clear()
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def broker(free_port: int, tmp_path: Path) -> Iterator[Broker]:
    """A broker of its own for one test."""
    running = Broker(tmp_path, free_port)
    running.start()
    yield running
    running.stop()
