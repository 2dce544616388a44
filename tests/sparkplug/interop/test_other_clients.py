"""Other people's Sparkplug clients against ours, in both directions, over the embedded broker.

mqtt-spb-wrapper gets an environment of its own, because it wants an old paho; sparkplug-client comes by npm.
Neither waits for a primary host nor knows our watermark: they are what a plant already has.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from mitra.supervisor import free_port
from tests.waiting import until

pytestmark = pytest.mark.full

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
BIN = Path(sys.executable).parent
SITE = "plant-1"


class Program:
    """A process whose stdout is read line by line, and which ends when its stdin does."""

    def __init__(self, command: list[str], **more: Any) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.heard: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def line(self, wanted: str, seconds: float = 40.0) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                said = self.lines.get(timeout=max(0.05, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {wanted!r}: {self.errors()}") from None
            if said == wanted:
                return

    def messages(self) -> list[dict[str, Any]]:
        while not self.lines.empty():
            line = self.lines.get()
            if line.startswith("{"):
                self.heard.append(json.loads(line))
        return self.heard

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def errors(self) -> str:
        self.process.kill()
        assert self.process.stderr is not None
        return self.process.stderr.read()[-2000:]

    def end(self) -> None:
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    made: list[Program] = []

    def run(command: list[str], **more: Any) -> Program:
        made.append(Program(command, **more))
        return made[-1]

    yield run
    for one in made:
        one.end()


@pytest.fixture(scope="session")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has mqtt-spb-wrapper."""
    folder = tmp_path_factory.mktemp("wrapper") / "env"
    uv = str(BIN / "uv")
    python = folder / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        [uv, "pip", "install", "-q", "--python", str(python), "-r", str(HERE / "requirements.txt")],
        check=True,
    )
    return str(python)


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sparkplug-client and our two scripts."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("client")
    for name in ("package.json", "package-lock.json", "client_node.js", "client_host.js"):
        shutil.copy(HERE / name, folder / name)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    config = tmp_path / "broker.conf"
    config.write_text(
        f'server_name: t\nlisten: "127.0.0.1:-1"\nmax_payload: 8388608\n'
        f'jetstream {{ store_dir: "{tmp_path}/js" }}\nmqtt {{ listen: "127.0.0.1:{port}" }}\n'
    )
    with (tmp_path / "broker.log").open("wb") as log:
        process = subprocess.Popen([str(BIN / "nats-server"), "-c", str(config)], stdout=log, stderr=log)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers, what="broker")
    yield port
    process.kill()
    process.wait()


def plant_file(folder: Path, gateway: str, machine: str) -> Path:
    path = folder / "plant.toml"
    path.write_text(
        f'[plant]\nid = "{SITE}"\nname = "Plant"\n[[gateway]]\nid = "{gateway}"\n'
        f'[[machine]]\nid = "{machine}"\nname = "M"\ngateway = "{gateway}"\nkind = "motor"\n'
        f"rated_power_kw = 30\nrated_rpm = 1480\n"
        f'[machine.sensor]\nkind = "simulated"\nperiod_s = 0.1\nn_samples = 256\n'
    )
    return path


def started(folder: Path, module: str, table: dict[str, Any]) -> subprocess.Popen[bytes]:
    config = folder / f"{module}.toml"
    config.write_bytes(tomli_w.dumps(table).encode())
    with (folder / f"{module}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, "--config", str(config)],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )


@pytest.fixture
def our_host(tmp_path: Path, broker: int) -> Iterator[Path]:
    """Our host application with its models; the path of its journal."""
    ready = tmp_path / "ready"
    journal = tmp_path / "server" / "journal.db"
    process = started(
        tmp_path,
        "mitra.analytics",
        {
            "plant": str(plant_file(tmp_path, "foreign", "m-1")),
            "broker": f"mqtt://127.0.0.1:{broker}",
            "journal": str(journal),
            "desk": str(tmp_path / "desk.db"),
            "history": str(tmp_path / "history"),
            "registry": str(tmp_path / "registry"),
            "ready": str(ready),
        },
    )
    until(ready.exists, "our host", seconds=240)
    yield journal
    process.terminate()
    process.wait(30)


@pytest.fixture
def our_node(tmp_path: Path, broker: int, request: pytest.FixtureRequest) -> Iterator[None]:
    """Our edge agent, told to wait for no primary host, because these hosts have no valid STATE."""
    process = started(
        tmp_path,
        "edge",
        {
            "plant": str(plant_file(tmp_path, "gw-1", "m-1")),
            "gateway": "gw-1",
            "broker": f"mqtt://127.0.0.1:{broker}",
            "data_dir": str(tmp_path / "edge"),
            "host_id": "",
            "aliases": request.param,
            "outbox_min_free_mb": 0,
        },
    )
    yield None
    process.terminate()
    assert process.wait(30) == 0


def n_rows(journal: Path) -> int:
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM scalar_row").fetchone()[0])


def state_of(journal: Path, node: str) -> int | None:
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as db:
        found = db.execute(
            "SELECT online FROM node_state JOIN node ON node.id = node_id WHERE name = ?", (node,)
        ).fetchone()
    return None if found is None else int(found[0])


def test_mqtt_spb_wrapper_as_edge_node(
    wrapper: str, our_host: Path, broker: int, start: Callable[..., Program]
) -> None:
    node = start([wrapper, str(HERE / "wrapper_node.py"), "127.0.0.1", str(broker), SITE, "foreign", "m-1"])
    node.line("sent")
    until(lambda: n_rows(our_host) >= 30, what=f"{n_rows(our_host)} rows")
    assert n_rows(our_host) <= 31  # a birth may count as a reading, nothing is stored twice
    until(lambda: state_of(our_host, "foreign") == 1)
    # Its NDEATH carries another bdSeq than its NBIRTH, so that no host may take it for this session's end.
    node.end()


def test_sparkplug_client_as_edge_node(
    node_folder: Path, our_host: Path, broker: int, start: Callable[..., Program]
) -> None:
    url = f"mqtt://127.0.0.1:{broker}"
    node = start(["node", "client_node.js", url, SITE, "foreign", "m-1"], cwd=node_folder)
    node.line("sent")
    until(lambda: n_rows(our_host) >= 30, what=f"{n_rows(our_host)} rows")
    assert n_rows(our_host) <= 31
    until(lambda: state_of(our_host, "foreign") == 1)
    node.end()
    until(lambda: state_of(our_host, "foreign") == 0, what="death")


def understood(host: Program) -> None:
    """A foreign host heard our births and data, and its rebirth request is answered."""

    def of(kind: str) -> list[dict[str, Any]]:
        return [one for one in host.messages() if one["kind"] == kind]

    def sent() -> set[str]:
        metrics = [m for one in of("DBIRTH") for m in one["metrics"]]
        known = {int(m["alias"]): m["name"] for m in metrics if m["alias"] is not None}
        return {
            m.get("name") or known.get(int(m["alias"]), "") for one in of("DDATA") for m in one["metrics"]
        }

    # Whoever comes late asks for the births: they are not retained.
    until(lambda: of("DDATA"), what="any data")
    births = len(of("NBIRTH"))
    time.sleep(1.2)  # our node answers once a second
    host.say("rebirth")
    until(lambda: len(of("NBIRTH")) > births, what="NBIRTH")
    until(lambda: of("DBIRTH"), what="DBIRTH")
    until(lambda: "Vibration/x" in sent(), what="vibration")
    birth = of("NBIRTH")[-1]
    told = {m["name"]: m["value"] for m in birth["metrics"]}
    assert told["Node Control/Rebirth"] in {"False", "false"}
    assert "bdSeq" in told
    assert {"Vibration/x", "Temperature/bearing", "Power/Active", "Mitra/Boot", "Mitra/Seq"} <= sent()


# This host cannot read a metric without a name, whatever the specification says: `aliases = false` is for it.
@pytest.mark.parametrize("our_node", [False], indirect=True)
def test_mqtt_spb_wrapper_as_host(
    wrapper: str, our_node: None, broker: int, start: Callable[..., Program]
) -> None:
    understood(start([wrapper, str(HERE / "wrapper_host.py"), "127.0.0.1", str(broker), SITE, "gw-1"]))


@pytest.mark.parametrize("our_node", [True], indirect=True)
def test_sparkplug_client_as_host(
    node_folder: Path, our_node: None, broker: int, start: Callable[..., Program]
) -> None:
    understood(start(["node", "client_host.js", f"mqtt://127.0.0.1:{broker}", SITE, "gw-1"], cwd=node_folder))
