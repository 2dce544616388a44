"""A broker, a host that stores what it says it stores, and an agent as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from ingest.contract import channels as ch
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.payload import Birth, Committed, read_birth, read_message, read_payload, write_committed
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.topics import Kind, parse_topic, state_topic
from ingest.contract.values import Gap, Message
from mitra.supervisor import free_port
from tests.waiting import until

ROOT = Path(__file__).parents[2]
NATS = Path(sys.executable).with_name("nats-server")


class Broker:
    """nats-server, or Mosquitto where MQTT 5 is asked for."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind, self.port = folder, kind, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        config = folder / f"{kind}.conf"
        if kind == "nats":
            config.write_text(
                f'server_name: t\nlisten: "127.0.0.1:-1"\nmax_payload: 8388608\n'
                f'jetstream {{ store_dir: "{folder}/js" }}\nmqtt {{ listen: "127.0.0.1:{self.port}" }}\n'
            )
            self.command = [str(NATS), "-c", str(config)]
        else:
            config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
            self.command = ["mosquitto", "-c", str(config)]

    def start(self) -> None:
        with (self.folder / f"{self.kind}.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        until(self.answers, what="broker")

    free_port = staticmethod(free_port)

    def answers(self) -> bool:
        return self.answers_at(self.port)

    @staticmethod
    def answers_at(port: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 0.2):
                return True
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Host:
    """A host application in small: it commits what it can read and keeps each key once."""

    def __init__(self, port: int, site: str = "plant-1", host_id: str = "mitra", version: str = "3.1.1"):
        self.site, self.host_id = site, host_id
        self.lock = threading.Lock()
        self.stored: dict[tuple[int, int], Message | Gap] = {}
        self.duplicates = 0
        self.commits = True
        self.frames: list[tuple[str, bytes]] = []
        self.births: dict[str, Birth] = {}
        self.counts: Counter[str] = Counter()
        self.rejected: list[Rejected] = []
        protocol = MQTTProtocolVersion.MQTTv5 if version == "5" else MQTTProtocolVersion.MQTTv311
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"host-{host_id}", protocol=protocol)
        self.since_ms = time.time_ns() // 1_000_000
        self.client.will_set(state_topic(host_id), self.state(online=False), qos=1, retain=True)
        self.client.on_connect = self._connected
        self.client.on_message = self._message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def state(self, *, online: bool) -> bytes:
        return json.dumps({"online": online, "timestamp": self.since_ms}).encode()

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe([(f"spBv1.0/{self.site}/#", 1), (state_topic(self.host_id), 1)])
        client.publish(state_topic(self.host_id), self.state(online=True), qos=1, retain=True)

    def offline(self) -> None:
        """A clean goodbye."""
        self.client.publish(
            state_topic(self.host_id), self.state(online=False), 1, retain=True
        ).wait_for_publish(5)
        self.close()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def kinds(self) -> list[str]:
        with self.lock:
            return [topic.split("/")[2] for topic, _ in self.frames]

    def _message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        topic = parse_topic(message.topic)
        if isinstance(topic, Rejected) or topic.kind in {Kind.NCMD, Kind.DCMD}:
            return
        with self.lock:
            self.frames.append((message.topic, bytes(message.payload)))
            self.counts[topic.kind] += 1
            machine = topic.device or topic.node
            if topic.kind in {Kind.NBIRTH, Kind.DBIRTH}:
                birth = read_birth(bytes(message.payload))
                assert not isinstance(birth, Rejected), birth
                self.births[machine] = birth[1]
            elif topic.kind in {Kind.NDATA, Kind.DDATA}:
                payload = read_payload(bytes(message.payload))
                assert not isinstance(payload, Rejected)
                found = read_message(payload, topic.node, machine, self.births.get(machine))
                if isinstance(found, Message | Gap) and found.key is not None:
                    self._store(topic.node, found)
                elif isinstance(found, Rejected):
                    self.rejected.append(found)

    def _store(self, node: str, found: Message | Gap) -> None:
        assert found.key is not None
        key = (found.key.boot_id, found.key.seq64)
        self.duplicates += key in self.stored
        self.stored.setdefault(key, found)
        if self.commits:
            self.commit(node, found.key.boot_id)

    def commit(self, node: str, boot_id: int) -> None:
        have = sorted(seq for boot, seq in self.stored if boot == boot_id)
        ranges: list[list[int]] = []
        for seq in have:
            if ranges and seq == ranges[-1][1] + 1:
                ranges[-1][1] = seq
            else:
                ranges.append([seq, seq])
        through = ranges.pop(0)[1] if ranges and ranges[0][0] == 0 else -1
        runs = tuple((first, last) for first, last in ranges)
        self.command(node, write_committed(Committed(boot_id, through, runs), time.time_ns()))

    def command(self, node: str, payload: bytes) -> None:
        self.client.publish(f"spBv1.0/{self.site}/NCMD/{node}", payload, qos=0)

    def rebirth(self, node: str) -> None:
        payload = Payload(timestamp=time.time_ns() // 1_000_000)
        add_metric(payload, ch.REBIRTH, DataType.BOOLEAN, value=True)
        self.command(node, payload.SerializeToString())

    def made(self) -> list[Message]:
        with self.lock:
            return [one for one in self.stored.values() if isinstance(one, Message)]


class AgentProcess:
    """`python -m edge` with a plant file of simulated machines."""

    def __init__(
        self, folder: Path, port: int, machines: int = 2, period_s: float = 0.05, **more: object
    ) -> None:
        self.folder = folder
        self.data = folder / "edge"
        plant = [
            '[plant]\nid = "plant-1"\nname = "Plant"\n[[gateway]]\nid = "gw-1"\n',
            *(
                f'[[machine]]\nid = "m-{i}"\nname = "M{i}"\ngateway = "gw-1"\nkind = "motor"\n'
                f"rated_power_kw = 30\nrated_rpm = 1480\n"
                f'[machine.sensor]\nkind = "simulated"\nperiod_s = {period_s}\nn_samples = 256\n'
                for i in range(machines)
            ),
        ]
        (folder / "plant.toml").write_text("".join(plant))
        settings = {
            "plant": "plant.toml",
            "gateway": "gw-1",
            "broker": f"mqtt://127.0.0.1:{port}",
            "data_dir": "edge",
            "outbox_min_free_mb": 0,
            **more,
        }
        self.config = folder / "edge.toml"
        self.config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        self.process: subprocess.Popen[bytes] | None = None
        self.cwd = ROOT
        self.command = [sys.executable, "-m", "edge", "--config", str(self.config)]

    def start(self) -> None:
        with (self.folder / "edge.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )

    def log(self) -> str:
        return (self.folder / "edge.log").read_text()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, seconds: float = 60.0) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        return code


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = Broker(tmp_path, "nats")
    one.start()
    yield one
    one.kill()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    if shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    one = Broker(tmp_path, "mosquitto")
    one.start()
    yield one
    one.kill()


@pytest.fixture
def make_host(broker: Broker) -> Iterator[Callable[..., Host]]:
    made: list[Host] = []

    def make(port: int | None = None, **more: str) -> Host:
        made.append(Host(port or broker.port, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def make_agent(tmp_path: Path, broker: Broker) -> Iterator[Callable[..., AgentProcess]]:
    made: list[AgentProcess] = []

    def make(port: int | None = None, **more: object) -> AgentProcess:
        made.append(AgentProcess(tmp_path, port or broker.port, **more))
        return made[-1]

    yield make
    for one in made:
        one.kill()
