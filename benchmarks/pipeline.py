"""The whole path on one machine: gateways -> broker -> gate -> features -> models -> journal -> watermark.

    python -m benchmarks.pipeline --machines 5000 --seconds 30 --json
    python -m benchmarks.pipeline --find --json                     the highest rate that is held

Every machine sends one 3 x 8,192 int16 block a second with a key; the server is `mitra.analytics` with its
models, journal and keeper. Ages are from the sensor's time, which is the moment of publishing, to the end of
the transaction that stored the message.
"""

from __future__ import annotations

import argparse
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
from pathlib import Path
from typing import Any

import tomli_w

from ingest.metrics import Health, IngestState, quantile_ms, read_health
from ingest.reader import Reader
from mitra.accounts import accounts, passwords
from mitra.broker import BrokerFiles, prepare

SITE, PER_GATEWAY = "bench", 100
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
RATES = (1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 5_000, 6_000)
WARM_S = 5.0


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


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int, what: str = "VmRSS") -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0.0


class Bench:
    """Broker, server and senders of one run."""

    def __init__(self, stack: ExitStack, options: argparse.Namespace) -> None:
        self.stack, self.options = stack, options
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mitra-bench-")))
        self.gateways = plant_file(self.folder, options.machines)
        self.port = _free_port()
        command, self.logins = broker_command(self.folder, options.broker, self.port, list(self.gateways))
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
        }
        (self.folder / "analytics.toml").write_bytes(tomli_w.dumps(config).encode())
        self.server = self._start(
            [sys.executable, "-m", "mitra.analytics", "--config", str(self.folder / "analytics.toml")]
        )
        _wait((self.folder / "ready").exists, "the server is not ready", 300.0)
        self.senders = self._senders()

    def _start(self, command: list[str], **more: Any) -> subprocess.Popen[str]:
        log = self.stack.enter_context((self.folder / f"{len(command)}.log").open("a"))
        more = {"stdout": log, "stderr": log, **more}
        process = subprocess.Popen(command, text=True, **more)
        self.stack.callback(_stop, process)
        return process

    def _senders(self) -> subprocess.Popen[str]:
        return self._start(
            [sys.executable, "-m", "benchmarks.senders"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
        )

    def run(self, phases: list[dict[str, float]]) -> list[dict[str, Any]]:
        """Send and measure, phase by phase."""
        job = {
            "port": self.port,
            "site": SITE,
            "gateways": self.gateways,
            "logins": self.logins,
            "samples": self.options.samples,
            "window": self.options.window,
            "settle_s": 2.0,
            "phases": [
                {"per_s": min(500.0, phases[0]["per_s"]), "seconds": WARM_S, "drain_s": 30.0},
                *phases,
            ],
        }
        self._go(json.dumps(job))
        self._line()
        self._go("warm")
        self._line()
        return [self._measure() for _ in phases]

    def _go(self, text: str) -> None:
        assert self.senders.stdin is not None
        self.senders.stdin.write(text + "\n")
        self.senders.stdin.flush()

    def _line(self) -> dict[str, Any]:
        assert self.senders.stdout is not None
        line = self.senders.stdout.readline()
        if not line:
            raise RuntimeError("the senders ended early")
        found: dict[str, Any] = json.loads(line)
        return found

    def _health(self) -> Health:
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

    def _measure(self) -> dict[str, Any]:
        time.sleep(1.1)
        before, stored, began = self._health(), self._stored(), time.monotonic()
        spent = {name: cpu_s(process.pid) for name, process in self._processes().items()}
        self._go("next")
        sent = self._line()
        spent = {name: cpu_s(process.pid) - spent[name] for name, process in self._processes().items()}
        took_s = time.monotonic() - began
        time.sleep(1.1)
        n_stored = self._stored() - stored
        after = self._health()
        aged = {name: count - before.aged.get(name, 0) for name, count in after.aged.items()}
        per_block = {
            f"{name}_cpu_us_per_block": 1e6 * used / max(1, n_stored) for name, used in spent.items()
        }
        return {
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
            "cpu_us_per_block": round(per_block.pop("server_cpu_us_per_block"), 1),
            **{name: round(value, 1) for name, value in per_block.items()},
            "cores_busy": round(sum(spent.values()) / took_s, 2),
            "refused": {
                name: count - before.counters.get(name, 0)
                for name, count in after.counters.items()
                if name.startswith(("refused", "duplicates", "quarantined", "sequence"))
            },
        }

    def _processes(self) -> dict[str, subprocess.Popen[str]]:
        return {"server": self.server, "broker": self.broker, "edge": self.senders}


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--machines", type=int, default=5_000)
    parser.add_argument(
        "--per-second", type=float, help="blocks a second of all machines; one each by default"
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--samples", type=int, default=8_192)
    parser.add_argument("--window", type=int, default=256, help="uncommitted messages of one gateway")
    parser.add_argument("--broker", choices=("mosquitto", "embedded"), default="mosquitto")
    parser.add_argument("--find", action="store_true", help="raise the rate until it is not held")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates = RATES if options.find else (options.per_second or float(options.machines),)
    phases = [{"per_s": float(rate), "seconds": options.seconds, "drain_s": 60.0} for rate in rates]
    with ExitStack() as stack:
        measured = Bench(stack, options).run(phases)
    result: dict[str, Any] = {
        "machines": options.machines,
        "broker": options.broker,
        "samples": 3 * options.samples,
    }
    if options.find:
        held = [
            one
            for one in measured
            if one["lost"] == 0 and one["drained_s"] < 2.0 and one["window_waited_s"] < 1.0
        ]
        result |= {"held_per_s": max((one["offered_per_s"] for one in held), default=0.0), "phases": measured}
    else:
        result |= measured[0]
    print(json.dumps(result, indent=None if options.json else 2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
