"""Broker, actuator, control and page as real processes on free ports of 127.0.0.1, for end-to-end tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import httpx
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from control.authenticator import SoftwareKey
from control.roster import init, publish
from control.technician import Technician, enrol_software
from ingest.contract.approval.messages import Request, evidence_sha256
from ingest.contract.approval.topics import request_topic
from mitra.supervisor import free_port
from tests.waiting import until

SITE, EDGE = "plant-1", "gw-1"
MACHINES = {"fan-1": "low", "mill-1": "high", "kiln-1": "critical"}
ROOT = Path(__file__).parents[1]


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code < 500
    except httpx.HTTPError:
        return False


class Stack:
    """Everything between analytics and the machine. Use as a context manager."""

    plant = "Plant One"
    labels: ClassVar[dict[str, str]] = {one: one.title() for one in MACHINES}

    def __init__(self, folder: Path, people: dict[str, str], *, demo_keys: bool = True) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in ("broker", "control", "page")}
        self.origin = f"http://localhost:{self.ports['page']}"
        self.control_url = f"http://localhost:{self.ports['control']}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.keys: dict[str, Path] = {}
        self.roster = folder / "roster"
        init(self.roster, SITE, datetime.now(UTC))
        for name, role in people.items():
            self.keys[name] = folder / "keys" / f"{name}.json"
            enrol_software(
                self.roster,
                self.keys[name],
                site=SITE,
                person_id=name,
                name=name.title(),
                role=role,
                origin=self.origin,
                rp_id="localhost",
            )
        publish(self.roster, datetime.now(UTC))
        self.demo_keys = demo_keys
        self._write_configs()

    def _write_configs(self) -> None:
        f = self.folder
        broker = f'[broker]\nhost = "127.0.0.1"\nport = {self.ports["broker"]}\n'
        roster = f'roster_dir = "{self.roster}/public"\nroster_root = "{self.roster}/public/1.root.json"\n'
        edge = f'[[edge]]\nid = "{EDGE}"\nsite = "{SITE}"\npublic_key_file = "{f}/actuator/edge.pub.json"\n'
        software = str(self.demo_keys).lower()
        (f / "broker.conf").write_text(
            f'listen: "127.0.0.1:-1"\nserver_name: "test"\njetstream {{ store_dir: "{f}/nats" }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.ports["broker"]}" }}\n'
        )
        (f / "actuator.toml").write_text(
            f'site = "{SITE}"\nedge = "{EDGE}"\nstate_dir = "{f}/actuator"\n{roster}panel_dir = "{f}/panel"\n'
            f'origin = "{self.origin}"\nrp_id = "localhost"\nallow_software_keys = {software}\n{broker}'
            + "".join(
                f'[[machine]]\nid = "{one}"\nlabel = "{self.labels[one]}"\noutput = "simulated"\n'
                f'criticality = "{level}"\nhold_off_s = 0.2\n'
                f'[machine.settings]\nswitch_dir = "{f}/switches"\n'
                for one, level in MACHINES.items()
            )
        )
        (f / "control.toml").write_text(
            f'host = "127.0.0.1"\nport = {self.ports["control"]}\nstate_dir = "{f}/control"\n'
            f'origin = "{self.origin}"\nrp_id = "localhost"\nallow_software_keys = {software}\n{broker}'
            "[fatigue]\ngap_s = 0\nper_hour = 1000\nquiet_after_veto_s = 0\n"
            f'[[site]]\nid = "{SITE}"\nname = "{self.plant}"\n{roster}{edge}'
            + "".join(
                f'[[machine]]\nid = "{one}"\nsite = "{SITE}"\nedge = "{EDGE}"\nlabel = "{self.labels[one]}"\n'
                f'line = "line-a"\ncriticality = "{level}"\n'
                for one, level in MACHINES.items()
            )
        )
        demo = f"demo_keys = {[str(k) for k in self.keys.values()]}\n" if self.demo_keys else ""
        (f / "page.toml").write_text(
            f'host = "127.0.0.1"\nport = {self.ports["page"]}\ncontrol_url = "{self.control_url}"\n'
            f'rp_id = "localhost"\n{demo}[[site]]\nid = "{SITE}"\nname = "{self.plant}"\n{edge}'
        )

    def spawn(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        log.close()

    def said(self, name: str) -> bytes:
        """The log of one, over all its lives."""
        path = self.folder / f"{name}.log"
        return path.read_bytes() if path.exists() else b""

    def start(self, name: str) -> None:
        """Start one of broker, actuator, control, page and wait until it answers."""
        if name == "broker":
            binary = shutil.which(
                "nats-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            )
            assert binary
            self.spawn("broker", binary, "-c", str(self.folder / "broker.conf"))
            until(lambda: _listens(self.ports["broker"]))
            return
        module = {"actuator": "edge.actuator", "control": "control", "page": "control.page"}[name]
        said = len(self.said(name))
        self.spawn(name, sys.executable, "-m", module, "--config", str(self.folder / f"{name}.toml"))
        if name != "actuator":
            until(lambda: answers(f"http://localhost:{self.ports[name]}/healthz"), f"an answer of {name}")
        if name != "page":
            # What is said before they listen is said to nobody.
            until(lambda: b'"event": "subscribed"' in self.said(name)[said:], f"{name} on the broker")

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def __enter__(self) -> Stack:
        for name in ("broker", "actuator", "control", "page"):
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.processes):
            process = self.processes.pop(name)
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def request(self, machine: str, key: str) -> None:
        """Analytics asks, over the broker."""
        evidence = {
            "facts": [{"name": "BPFO", "value": "9.4 mm/s"}],
            "trend": [1, 2, 4],
            "trend_unit": "mm/s",
        }
        made = Request(
            1,
            SITE,
            machine,
            "baseline",
            "b" * 64,
            {"start_ms": 0, "end_ms": 1},
            evidence_sha256(evidence),
            0.9,
            "outer race fault grows",
            key,
            evidence,
        )
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "analytics")
        client.connect("127.0.0.1", self.ports["broker"])
        client.loop_start()
        client.publish(request_topic(SITE), made.to_bytes(), qos=1).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()

    def technician(self, name: str | SoftwareKey) -> Technician:
        made = Technician(self.control_url, self.keys[name] if isinstance(name, str) else name)
        made.login()
        return made

    def stopped(self, machine: str) -> bool:
        path = self.folder / "switches" / f"{machine}.json"
        return path.exists() and b'"run": false' in path.read_bytes()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0
