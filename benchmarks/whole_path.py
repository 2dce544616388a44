"""Broker, server and gateways of one run of `benchmarks.pipeline`, and what else the machine did."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from ingest.metrics import Health, IngestState, quantile_ms, read_health
from ingest.reader import Reader
from mitra.accounts import accounts, passwords
from mitra.broker import BrokerFiles, prepare

SITE, PER_GATEWAY = "bench", 100
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
WARM_PER_S = 500.0
BUSY, LOOP_BUSY = 0.92, 0.85
"""Shares of the cores, and of one core by the server's loop, from which they count as what limits."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is run. broker: "mosquitto" or "embedded"; window: uncommitted messages of one gateway."""

    machines: int
    broker: str
    samples: int = 8_192
    window: int = 256
    workers: int = 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(condition: Any, what: str, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def plant_file(folder: Path, machines: int) -> dict[str, list[str]]:
    """Write the plant; machines by gateway."""
    names = [f"m-{i:05d}" for i in range(machines)]
    gateways = {
        f"gw-{i:03d}": names[i * PER_GATEWAY : (i + 1) * PER_GATEWAY]
        for i in range(-(-machines // PER_GATEWAY))
    }
    plant = {
        "plant": {"id": SITE, "name": "Benchmark"},
        "gateway": [{"id": node} for node in gateways],
        "machine": [
            {
                "id": name,
                "name": name,
                "gateway": node,
                "kind": "pump",
                "rated_power_kw": 30.0,
                "rated_rpm": 1_482.0,
                "iso_group": 2,
                "support": "rigid",
                "bearing": "6205",
            }
            for node, own in gateways.items()
            for name in own
        ],
    }
    (folder / "plant.toml").write_bytes(tomli_w.dumps(plant).encode())
    return gateways


def broker_command(
    folder: Path, kind: str, port: int, gateways: list[str]
) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """How to start the broker, and logins by account."""
    if kind == "embedded":
        listed = accounts(SITE, gateways)
        secret = passwords(folder / "accounts.json", [account.user for account in listed])
        logins = {user.removeprefix("edge-"): (user, word) for user, word in secret.items()}
        return prepare(BrokerFiles(folder / "broker", port), listed, secret), logins
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_packet_size 8388608\npersistence false\n"
        "max_queued_messages 4000\nset_tcp_nodelay true\n"
    )
    return [MOSQUITTO, "-c", str(config)], {}


def cpu_s(pid: int, thread: int | None = None) -> float:
    """User and system time of a process, or of one of its threads."""
    path = Path(f"/proc/{pid}/stat" if thread is None else f"/proc/{pid}/task/{thread}/stat")
    fields = path.read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_busy_s() -> float:
    """Time that all cores together were not idle; what a hypervisor took away counts."""
    fields = [int(one) for one in Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:9]]
    idle, waits_for_disk = fields[3], fields[4]
    return (sum(fields) - idle - waits_for_disk) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int, what: str = "VmRSS") -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0.0


class Bench:
    """The processes of one run; `phase` sends at one rate and measures."""

    def __init__(self, stack: ExitStack, wanted: Wanted) -> None:
        self.stack, self.wanted = stack, wanted
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mitra-bench-")))
        self.gateways = plant_file(self.folder, wanted.machines)
        self.port = _free_port()
        command, self.logins = broker_command(self.folder, wanted.broker, self.port, list(self.gateways))
        self.broker = self._start(command)
        _wait(lambda: _listens(self.port), "the broker does not listen")
        user, word = self.logins.get("ingest", ("", ""))
        login = f"{user}:{word}@" if user else ""
        config = {
            "plant": str(self.folder / "plant.toml"),
            "broker": f"mqtt://{login}127.0.0.1:{self.port}",
            "journal": str(self.folder / "server" / "journal.db"),
            "desk": str(self.folder / "desk" / "desk.db"),
            "history": str(self.folder / "history"),
            "registry": str(self.folder / "registry"),
            "ready": str(self.folder / "ready"),
            "workers": wanted.workers,
        }
        (self.folder / "analytics.toml").write_bytes(tomli_w.dumps(config).encode())
        self.server = self._start(
            [sys.executable, "-m", "mitra.analytics", "--config", str(self.folder / "analytics.toml")]
        )
        _wait((self.folder / "ready").exists, "the server is not ready", 300.0)
        self.senders = self._start(
            [sys.executable, "-m", "benchmarks.senders"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
        )
        self._births()

    def _start(self, command: list[str], **more: Any) -> subprocess.Popen[str]:
        log = self.stack.enter_context((self.folder / f"{len(command)}.log").open("a"))
        more = {"stdout": log, "stderr": log, **more}
        process = subprocess.Popen(command, text=True, **more)
        self.stack.callback(_stop, process)
        return process

    def _births(self) -> None:
        """Let every gateway and machine be born and have spoken once."""
        self._tell(
            {
                "port": self.port,
                "site": SITE,
                "gateways": self.gateways,
                "logins": self.logins,
                "samples": self.wanted.samples,
                "window": self.wanted.window,
                "settle_s": 2.0,
            }
        )
        self._line()
        self._send(WARM_PER_S, 1.0 + self.wanted.machines / WARM_PER_S, 30.0)

    def _send(self, per_s: float, seconds: float, drain_s: float) -> dict[str, Any]:
        self._tell({"per_s": per_s, "seconds": seconds, "drain_s": drain_s})
        return self._line()

    def _tell(self, said: dict[str, Any]) -> None:
        assert self.senders.stdin is not None
        self.senders.stdin.write(json.dumps(said) + "\n")
        self.senders.stdin.flush()

    def _line(self) -> dict[str, Any]:
        assert self.senders.stdout is not None
        line = self.senders.stdout.readline()
        if not line:
            raise RuntimeError("the senders ended early")
        found: dict[str, Any] = json.loads(line)
        return found

    def _health(self) -> Health:
        """The server's own figures, once they count all that is stored: it tells them once a second."""
        stored = self._stored()

        def counted() -> bool:
            return self._told().counters.get("messages", 0) >= stored

        _wait(counted, "the server does not count what it stored")
        return self._told()

    def _told(self) -> Health:
        found = read_health(self.folder / "server" / "ingest.metrics")
        if found is None or found.state is not IngestState.RUNNING:
            raise RuntimeError(f"the server is not running: {found}")
        return found

    def _stored(self) -> int:
        reader = Reader(self.folder / "server" / "journal.db")
        try:
            return reader.counters().get("stored_messages", 0)
        finally:
            reader.close()

    def _spent(self) -> dict[str, float]:
        return {
            "server": cpu_s(self.server.pid),
            "broker": cpu_s(self.broker.pid),
            "edge": cpu_s(self.senders.pid),
            "loop": cpu_s(self.server.pid, self.server.pid),
            "machine": machine_busy_s(),
        }

    def phase(self, per_s: float, seconds: float, drain_s: float = 60.0) -> dict[str, Any]:
        """Offer per_s blocks a second; the figures of the issue, and what limits."""
        before, stored, began = self._health(), self._stored(), time.monotonic()
        spent = self._spent()
        sent = self._send(per_s, seconds, drain_s)
        spent = {name: used - spent[name] for name, used in self._spent().items()}
        took_s = time.monotonic() - began
        after = self._health()
        n_stored = self._stored() - stored
        aged = {name: count - before.aged.get(name, 0) for name, count in after.aged.items()}
        return {
            "asked_per_s": per_s,
            "offered_per_s": round(sent["sent"] / sent["seconds"], 1),
            "stored_per_s": round(n_stored / (sent["seconds"] + sent["drained_s"]), 1),
            "sent": sent["sent"],
            "stored": n_stored,
            "lost": sent["sent"] - n_stored,
            "drained_s": round(sent["drained_s"], 2),
            "window_waited_s": round(sent["waited_s"], 2),
            "p50_ms": quantile_ms(aged, 0.5),
            "p99_ms": quantile_ms(aged, 0.99),
            "rss_mb": round(rss_mb(self.server.pid), 1),
            "rss_peak_mb": round(rss_mb(self.server.pid, "VmHWM"), 1),
            "cpu_us_per_block": round(1e6 * spent["server"] / max(1, n_stored), 1),
            "broker_cpu_us_per_block": round(1e6 * spent["broker"] / max(1, n_stored), 1),
            "edge_cpu_us_per_block": round(1e6 * spent["edge"] / max(1, n_stored), 1),
            **cores(spent, took_s),
            "refused": {
                name: count - before.counters.get(name, 0)
                for name, count in after.counters.items()
                if name.startswith(("refused", "duplicates", "quarantined", "sequence"))
            },
        }


def cores(spent: dict[str, float], took_s: float) -> dict[str, Any]:
    """Cores kept busy by each process, by the server's loop and by strangers, and which is the limit."""
    used = {name: seconds / took_s for name, seconds in spent.items()}
    ours = used["server"] + used["broker"] + used["edge"]
    n = len(os.sched_getaffinity(0))
    if used["machine"] >= BUSY * n:
        limit = "cores"
    else:
        limit = "the server's loop" if used["loop"] >= LOOP_BUSY else "nothing measured here"
    return {
        "cores_busy": round(ours, 2),
        "cores_of_strangers": round(max(0.0, used["machine"] - ours), 2),
        "cores": n,
        "cores_by_process": {name: round(used[name], 2) for name in ("server", "broker", "edge")},
        "server_loop_cores": round(used["loop"], 2),
        "limit": limit,
        "load_average": round(os.getloadavg()[0], 2),
    }


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
