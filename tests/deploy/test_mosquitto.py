"""The shipped broker configuration on the real broker: TLS, passwords, nothing beyond one's own topics."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import paho.mqtt.client as paho
import pytest

from ingest.host import Host
from ingest.mqtt import Link, broker_of
from mitra.accounts import Account, accounts
from mitra.supervisor import free_port
from tests.waiting import WAIT_S

SITE = "plant-1"
DEPLOY = Path(__file__).parents[2] / "deploy"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def make_acl() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_acl", DEPLOY / "mosquitto" / "make_acl.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed() -> tuple[Account, ...]:
    return accounts(SITE, ("gw-1", "gw-2"))


def test_the_access_list_is_literal_and_complete() -> None:
    text = make_acl().access_list(listed())
    assert "pattern" not in text
    assert "%" not in text
    assert text.count("user ") == len(listed())
    block = text.split("user edge-gw-1\n")[1].split("\n\n")[0]
    assert "gw-2" not in block
    assert f"topic write spBv1.0/{SITE}/DDATA/gw-1/+" in block
    assert "control" not in text.split("user ingest\n")[1].split("\n\n")[0]


@dataclass(frozen=True)
class Server:
    port: int
    ca: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not Path(MOSQUITTO).exists() or shutil.which("openssl") is None:
        pytest.skip("mosquitto or openssl is not installed")
    folder = tmp_path_factory.mktemp("mosquitto")
    _certificates(folder)
    (folder / "acl").write_text(make_acl().access_list(listed()))
    for account in listed():
        make = [] if (folder / "passwords").exists() else ["-c"]
        subprocess.run(
            [
                "mosquitto_passwd",
                *make,
                "-b",
                str(folder / "passwords"),
                account.user,
                f"word-{account.user}",
            ],
            check=True,
        )
    port = free_port()
    text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
    text = text.replace("/etc/mosquitto/mitra", str(folder)).replace(
        "listener 8883", f"listener {port} 127.0.0.1"
    )
    text = text.replace("/var/lib/mosquitto/", f"{folder}/").replace("log_dest syslog", "log_dest stderr")
    (folder / "mosquitto.conf").write_text(text + "\nuser root\n")
    process = subprocess.Popen(
        [MOSQUITTO, "-c", str(folder / "mosquitto.conf")], stderr=(folder / "log").open("w")
    )
    deadline = time.monotonic() + WAIT_S
    while not _listens(port):
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield Server(port, folder / "ca.crt")
    process.terminate()
    process.wait(WAIT_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _certificates(folder: Path) -> None:
    """As deploy/mosquitto/README.md says."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
        ["req", "-x509", *key, "-days", "2", "-subj", "/CN=Plant CA", "-keyout", "ca.key", "-out", "ca.crt"],
        ["req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    sign = ["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
    sign += ["-days", "2", "-extfile", "san", "-out", "server.crt"]
    subprocess.run(["openssl", *sign], cwd=folder, check=True, capture_output=True)


class Client:
    """A client over TLS that remembers what it heard."""

    def __init__(self, server: Server, user: str, word: str, *filters: str) -> None:
        self.heard: list[bytes] = []
        self.refused: list[bool] = []
        self.connected, self.ready = threading.Event(), threading.Event()
        self.accepted = False
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.username_pw_set(user, word)
        self.client.tls_set(str(server.ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda _c, _u, message: self.heard.append(message.payload)
        self.client.on_subscribe = self._on_subscribe
        self.client.connect("127.0.0.1", server.port)
        self.client.loop_start()
        assert self.connected.wait(WAIT_S)
        if filters and self.accepted:
            self.client.subscribe([(one, 1) for one in filters])
            assert self.ready.wait(WAIT_S)

    def _on_connect(self, _c: object, _u: object, _f: object, reason: object, _p: object) -> None:
        self.accepted = not reason.is_failure
        self.connected.set()

    def _on_subscribe(self, _c: object, _u: object, _m: object, reasons: list[object], _p: object) -> None:
        self.refused = [reason.is_failure for reason in reasons]
        self.ready.set()

    def say(self, topic: str, body: bytes) -> None:
        self.client.publish(topic, body, qos=1).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def login(server: Server, account: str, *filters: str) -> Client:
    return Client(server, account, f"word-{account}", *filters)


def wait(heard: list[bytes], wanted: bytes) -> None:
    deadline = time.monotonic() + WAIT_S
    while wanted not in heard:
        assert time.monotonic() < deadline, heard
        time.sleep(0.02)


@pytest.mark.full
def test_no_one_enters_without_a_password(server: Server) -> None:
    stranger = Client(server, "edge-gw-1", "guess")
    assert not stranger.accepted
    stranger.close()


@pytest.mark.full
def test_a_gateway_speaks_for_itself_only(server: Server) -> None:
    ingest = login(server, "ingest", f"spBv1.0/{SITE}/#")
    edge = login(server, "edge-gw-1")
    edge.say(f"spBv1.0/{SITE}/DDATA/gw-2/pump-1", b"forged")
    edge.say(f"spBv1.0/{SITE}/NCMD/gw-1", b"command")
    edge.say("spBv1.0/STATE/mitra", b"state")
    edge.say(f"mitra/{SITE}/requests", b"request")
    edge.say(f"spBv1.0/{SITE}/DDATA/gw-1/pump-1", b"own")
    wait(ingest.heard, b"own")
    assert ingest.heard == [b"own"]
    edge.close()
    ingest.close()


@pytest.mark.full
def test_analytics_asks_control_but_never_reaches_an_actuator(server: Server) -> None:
    actuator = login(
        server, "actuator-gw-1", f"mitra/{SITE}/control/gw-1/envelope", f"mitra/{SITE}/control/gw-2/envelope"
    )
    control = login(server, "control", f"mitra/{SITE}/requests")
    ingest = login(server, "ingest")
    ingest.say(f"mitra/{SITE}/control/gw-1/envelope", b"forged")
    ingest.say(f"spBv1.0/{SITE}/DCMD/gw-1/pump-1", b"forged")
    ingest.say(f"mitra/{SITE}/requests", b"request")
    wait(control.heard, b"request")
    control.say(f"mitra/{SITE}/control/gw-2/envelope", b"other")
    control.say(f"mitra/{SITE}/control/gw-1/envelope", b"mine")
    wait(actuator.heard, b"mine")
    assert actuator.heard == [b"mine"]
    for client in (actuator, control, ingest):
        client.close()


@pytest.mark.full
def test_the_host_application_runs_on_it(server: Server) -> None:
    broker = broker_of(f"mqtts://ingest:word-ingest@localhost:{server.port}", ca_file=server.ca)
    link = Link(broker, Host(SITE, "mitra"), "host")
    link.start(lambda _messages: None)
    edge = login(server, "edge-gw-1", "spBv1.0/STATE/mitra")
    assert link.wait_open(WAIT_S)
    deadline = time.monotonic() + WAIT_S
    while not any(b"true" in one for one in edge.heard):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    link.stop()
    edge.close()
