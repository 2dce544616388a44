"""The host application on real brokers: state, births, telemetry, watermark, and a broker that dies."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from sparkplug_wire import SITE, dbirth, ddata, message, nbirth

from ingest.contract.payload import Committed, read_committed, read_payload
from ingest.contract.rows import Outputs
from ingest.gate import Gate
from ingest.host import Host
from ingest.inbox import Inbox
from ingest.journal.journal import Journal
from ingest.mqtt import Broker, BrokerError, Link, broker_of
from ingest.stream import Stream
from mitra.accounts import accounts, passwords
from mitra.broker import BrokerFiles, prepare
from mitra.supervisor import free_port
from tests.waiting import WAIT_S, until

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A broker process that can be killed and started again."""

    def __init__(self, command: list[str], port: int, secret: dict[str, str], version: str = "3.1.1") -> None:
        self.command, self.port, self.secret, self.version = command, port, secret, version
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: listening(self.port))
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def nats(folder: Path) -> Server:
    listed = accounts(SITE, ("gw-1",))
    secret = passwords(folder / "accounts.json", [account.user for account in listed])
    port = free_port()
    return Server(prepare(BrokerFiles(folder, port), listed, secret), port, secret)


def mosquitto(folder: Path, version: str) -> Server:
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_packet_size 8388608\npersistence false\n"
    )
    return Server([MOSQUITTO, "-c", str(config)], port, {}, version)


@pytest.fixture(
    params=[
        "nats",
        pytest.param("mosquitto 3.1.1", marks=pytest.mark.full),
        pytest.param("mosquitto 5", marks=pytest.mark.full),
    ]
)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    kind, _, version = request.param.partition(" ")
    if kind == "mosquitto" and not Path(MOSQUITTO).exists():
        pytest.skip("mosquitto is not installed")
    started = (nats(tmp_path) if kind == "nats" else mosquitto(tmp_path, version)).start()
    yield started
    started.kill()


class Edge:
    """A bare edge node."""

    def __init__(self, server: Server) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.ready = threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        if server.secret:
            self.client.username_pw_set("edge-gw-1", server.secret["edge-gw-1"])
        self.client.on_message = lambda _c, _u, m: self.heard.append((m.topic, m.payload))
        self.client.on_connect = lambda c, *_: c.subscribe(
            [(f"spBv1.0/{SITE}/NCMD/gw-1", 0), ("spBv1.0/STATE/mitra", 1)]
        )
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.connect("127.0.0.1", server.port)
        self.client.loop_start()
        assert self.ready.wait(WAIT_S)

    def say(self, topic: str, raw: bytes) -> None:
        self.client.publish(topic, raw)

    def states(self) -> list[bool]:
        return [online for online, _ in self.dated_states()]

    def dated_states(self) -> list[tuple[bool, int]]:
        said = [json.loads(raw) for topic, raw in self.heard if "/STATE/" in topic]
        return [(one["online"], one["timestamp"]) for one in said]

    def told(self) -> int:
        said = self._committed()
        return said[-1].through if said else -1

    def holds(self, key: int) -> bool:
        return any(committed.holds(key) for committed in self._committed())

    def _committed(self) -> list[Committed]:
        said = (read_committed(read_payload(raw)) for topic, raw in self.heard if "/NCMD/" in topic)
        return [one for one in said if isinstance(one, Committed)]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Analytics:
    """The host application with a stream that only stores."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.journal = Journal(folder / "journal.db")
        host = Host(SITE, "mitra")
        user = "ingest" if server.secret else ""
        broker = Broker(
            "127.0.0.1",
            server.port,
            user,
            server.secret.get("ingest", ""),
            version=server.version,
        )
        self.link = Link(broker, host, "mitra-host")
        self.inbox = Inbox(
            host,
            Gate(self.journal),
            self.journal,
            publish=self.link.publish,
            say_state=self.link.say_state,
        )
        self.stream = Stream(self.inbox, self.journal, lambda state, _batch: (state, Outputs()), None)
        self.thread = threading.Thread(target=self.stream.run, daemon=True)
        self.thread.start()
        self.link.start(self.inbox.offer_many, lambda: self.inbox.is_accepting)
        assert self.link.wait_open(WAIT_S)

    def stop(self) -> None:
        self.link.stop()
        self.inbox.stop()
        self.thread.join(WAIT_S)
        self.journal.close()


def test_telemetry_is_committed_and_the_host_says_when_it_is_there(server: Server, tmp_path: Path) -> None:
    analytics = Analytics(server, tmp_path)
    edge = Edge(server)
    until(lambda: edge.states() == [True])
    edge.say(*nbirth())
    edge.say(*dbirth(1))
    for key in range(100):
        edge.say(*ddata(message(time.time_ns(), key=key), (key + 2) % 256))
    until(lambda: edge.told() == 99)
    analytics.stop()
    until(lambda: edge.states()[-1] is False)
    edge.close()


def test_a_host_that_dies_is_declared_offline_and_a_broker_that_dies_is_found_again(
    server: Server, tmp_path: Path
) -> None:
    analytics = Analytics(server, tmp_path)
    server.kill()
    until(lambda: not analytics.link.is_open)
    server.start()
    assert analytics.link.wait_open(WAIT_S)
    edge = Edge(server)
    until(lambda: bool(edge.states()) and edge.states()[-1])
    analytics.link._stopping.set()
    analytics.link._close()  # no goodbye: the broker publishes the will
    until(lambda: edge.states()[-1] is False)
    edge.close()
    analytics.inbox.stop()
    analytics.thread.join(WAIT_S)


def test_what_was_stored_while_the_broker_was_away_is_told_when_it_is_back(
    server: Server, tmp_path: Path
) -> None:
    analytics = Analytics(server, tmp_path)
    server.kill()
    until(lambda: not analytics.link.is_open)
    for topic, raw in (nbirth(), dbirth(1), ddata(message(time.time_ns(), key=7), 2)):
        assert analytics.inbox.offer(topic, raw)
    until(lambda: analytics.journal.batch_id > 0 and analytics.inbox.idle)
    server.start()
    edge = Edge(server)
    until(lambda: edge.holds(7))
    edge.close()
    analytics.stop()


def test_a_host_that_takes_nothing_is_not_online_to_a_broker_that_came_back(
    server: Server, tmp_path: Path
) -> None:
    analytics = Analytics(server, tmp_path)
    analytics.inbox.close_for("storage_full")
    server.kill()
    until(lambda: not analytics.link.is_open)
    server.start()
    assert analytics.link.wait_open(WAIT_S)
    edge = Edge(server)
    until(edge.states)
    assert set(edge.states()) == {False}, "edges would send in vain"
    analytics.inbox.reopen()
    until(lambda: edge.states()[-1])
    analytics.link._stopping.set()
    analytics.link._close()  # no goodbye: the broker publishes the will
    until(lambda: edge.states()[-1] is False)
    times = [time_ms for _, time_ms in edge.dated_states()]
    assert times == sorted(times), "a will that is older than what was said last is stale, and not believed"
    edge.close()
    analytics.inbox.stop()
    analytics.thread.join(WAIT_S)


def test_an_old_will_of_ours_does_not_make_a_host_online_that_takes_nothing(
    server: Server, tmp_path: Path
) -> None:
    analytics = Analytics(server, tmp_path)
    edge = Edge(server)
    until(lambda: edge.states() == [True])
    analytics.inbox.offer("spBv1.0/STATE/mitra", b'{"online":false,"timestamp":1}')
    until(lambda: edge.states() == [True, True])
    analytics.inbox.close_for("storage_full")
    until(lambda: edge.states()[-1] is False)
    analytics.inbox._handle(analytics.inbox.host._own_state(b"{}", time.time_ns()))  # taken just before
    until(lambda: len(edge.states()) == 4)
    assert edge.states() == [True, True, False, False]
    edge.close()
    analytics.stop()


@pytest.mark.parametrize("url", ["broker", "http://a", "mqtt://", "mqtt://a:port", "mqtt://a:99999"])
def test_a_wrong_broker_address_says_how_to_write_one(url: str) -> None:
    with pytest.raises(BrokerError, match="mqtt://host:1883"):
        broker_of(url)


def test_missing_certificates_are_named(tmp_path: Path) -> None:
    broker = broker_of("mqtts://b", ca_file=tmp_path / "none.pem")
    with pytest.raises(BrokerError, match="certificates for b"):
        Link(broker, Host(SITE, "mitra"), "x")
