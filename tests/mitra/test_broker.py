"""The embedded broker, started for real: accounts may do what their table says and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from mitra.accounts import accounts, passwords
from mitra.broker import BrokerFiles, prepare, subject
from mitra.supervisor import Program, Supervisor, free_port, listens
from tests.waiting import WAIT_S

SITE, GATEWAY, OTHER = "plant-1", "gw-1", "gw-2"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("broker")
    listed = accounts(SITE, (GATEWAY, OTHER))
    secret = passwords(folder / "accounts.json", [account.user for account in listed])
    port = free_port()
    supervisor = Supervisor(folder / "logs")
    command = prepare(BrokerFiles(folder, port), listed, secret)
    try:
        supervisor.start(Program("broker", tuple(command), ready=listens("127.0.0.1", port)))
        yield port, secret
    finally:
        supervisor.stop()


class Ear:
    """A client that remembers what it heard."""

    def __init__(self, port: int, user: str, password: str, *filters: str) -> None:
        self.heard: list[str] = []
        self.subscribed = threading.Event()
        self.news = threading.Condition()
        self.granted: list[bool] = []
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self.client.username_pw_set(user, password)
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        if filters:
            self.client.subscribe([(one, 1) for one in filters])
            assert self.subscribed.wait(WAIT_S)

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self.news:
            self.heard.append(message.topic)
            self.news.notify_all()

    def _on_subscribe(self, _c: mqtt.Client, _d: object, _mid: int, codes: list[object], _p: object) -> None:
        self.granted = [not getattr(code, "is_failure", False) for code in codes]
        self.subscribed.set()

    def hears(self, topic: str) -> bool:
        with self.news:
            return self.news.wait_for(lambda: topic in self.heard, WAIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_a_node_is_heard_by_the_host_and_cannot_speak_for_another(
    broker: tuple[int, dict[str, str]],
) -> None:
    port, secret = broker
    host = Ear(port, "ingest", secret["ingest"], f"spBv1.0/{SITE}/#")
    node = Ear(port, f"edge-{GATEWAY}", secret[f"edge-{GATEWAY}"])
    try:
        node.client.publish(f"spBv1.0/{SITE}/DDATA/{OTHER}/pump-1", b"forged", qos=0)
        node.client.publish(f"spBv1.0/{SITE}/DDATA/{GATEWAY}/pump-1", b"own", qos=0)
        assert host.hears(f"spBv1.0/{SITE}/DDATA/{GATEWAY}/pump-1")
        assert f"spBv1.0/{SITE}/DDATA/{OTHER}/pump-1" not in host.heard
    finally:
        node.close()
        host.close()


def test_analytics_may_request_but_neither_command_nor_overhear_control(
    broker: tuple[int, dict[str, str]],
) -> None:
    port, secret = broker
    actuator = Ear(
        port,
        f"actuator-{GATEWAY}",
        secret[f"actuator-{GATEWAY}"],
        f"mitra/{SITE}/control/{GATEWAY}/envelope",
    )
    control = Ear(port, "control", secret["control"], f"mitra/{SITE}/requests")
    analytics = Ear(
        port, "ingest", secret["ingest"], f"spBv1.0/{SITE}/#", f"mitra/{SITE}/control/{GATEWAY}/receipt"
    )
    try:
        assert analytics.granted == [True, False]
        analytics.client.publish(f"mitra/{SITE}/control/{GATEWAY}/envelope", b"stop it", qos=0)
        analytics.client.publish(f"mitra/{SITE}/requests", b"please", qos=0)
        assert control.hears(f"mitra/{SITE}/requests")
        control.client.publish(f"mitra/{SITE}/control/{GATEWAY}/envelope", b"approved", qos=0)
        assert actuator.hears(f"mitra/{SITE}/control/{GATEWAY}/envelope")
        assert len(actuator.heard) == 1
    finally:
        for ear in (analytics, control, actuator):
            ear.close()


def test_passwords_are_private_and_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    first = passwords(path, ["ingest"])
    second = passwords(path, ["ingest", "control"])
    assert second["ingest"] == first["ingest"]
    assert len(set(second.values())) == 2
    assert path.stat().st_mode & 0o077 == 0


def test_a_dot_in_a_topic_is_no_level_of_its_own() -> None:
    assert subject("a.b/+/c") == ("a//b.*.c",)
