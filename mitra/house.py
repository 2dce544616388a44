"""The processes of a plant and their configuration files: the one place where they are put together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import tomli_w

from ingest.contract.plant import Plant
from mitra.accounts import Account, accounts, passwords
from mitra.broker import BrokerFiles, prepare
from mitra.exits import EXIT_CODES
from mitra.layout import Layout, make_folder, writing
from mitra.supervisor import Program, listens

HOST_ID = "mitra"
COMPILE_S = 240.0
"""Kernels that no setup compiled are compiled at the first start."""


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on `host`."""

    broker: int
    screens: int
    control: int
    page: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class House:
    """One plant on one machine. Each method writes what a process needs and says how to start it.

    external: URL of a broker that is not ours, empty for the embedded one; a login in it is used by every
    process, else each uses its own account; ca: PEM file that vouches for it, with `mqtts://`; stream,
    screen_settings: more keys of those processes' files.
    """

    layout: Layout
    plant: Plant
    plant_path: Path
    ports: Ports
    secrets: Mapping[str, str]
    demo: bool = False
    stream: Mapping[str, Any] = field(default_factory=dict)
    fatigue: Mapping[str, int] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    external: str = ""
    ca: str = ""
    screen_settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Broker accounts of this plant."""
        return accounts(self.plant.site, (gateway.id for gateway in self.plant.gateway), HOST_ID)

    @property
    def page_origin(self) -> str:
        """Origin of the approver page; `localhost`, because a passkey needs a name and not an address."""
        return f"http://localhost:{self.ports.page}"

    def broker_url(self, user: str) -> str:
        """URL with which a user of the table reaches the broker."""
        at = self._broker_table(user)
        scheme = urlsplit(self.external).scheme if self.external else "mqtt"
        login = f"{quote(at['username'], safe='')}:{quote(at['password'], safe='')}"
        host = f"[{at['host']}]" if ":" in at["host"] else at["host"]
        return f"{scheme}://{login}@{host}:{at['port']}"

    def broker(self) -> Program:
        """The embedded broker."""
        files = BrokerFiles(self.layout.broker, self.ports.broker, self.ports.host)
        command = prepare(files, self.accounts, self.secrets)
        return Program("broker", tuple(command), ready=listens(self.ports.host, self.ports.broker))

    def analytics(self) -> Program:
        """Host application, stream and models."""
        ready = self.layout.server / "ready"
        ready.unlink(missing_ok=True)
        table = {
            "plant": str(self.plant_path),
            "broker": self.broker_url("ingest"),
            "host_id": HOST_ID,
            "journal": str(self.layout.journal),
            "history": str(self.layout.history),
            "registry": str(self.layout.registry),
            "desk": str(self.layout.desk),
            "ready": str(ready),
            "ca": self.ca,
            **self.stream,
        }
        program = self._program("analytics", "mitra.analytics", table, ready=ready.exists)
        return replace(program, ready_s=COMPILE_S)

    def edge(self, gateway: str, *, until_drained: bool = False) -> Program:
        """The agent of one gateway. until_drained: it ends when its recordings have, and all is stored."""
        table = {
            "plant": str(self.plant_path),
            "gateway": gateway,
            "broker": self.broker_url(f"edge-{gateway}"),
            "host_id": HOST_ID,
            "data_dir": str(make_folder(self.layout.edge(gateway))),
            "until_drained": until_drained,
            "ca": self.ca,
        }
        program = self._program(f"edge-{gateway}", "edge", table)
        return replace(program, restart=not until_drained)

    def actuator(self, gateway: str) -> Program:
        """The actuator of one gateway: simulated switches in a demo."""
        folder = make_folder(self.layout.actuator(gateway))
        table: dict[str, Any] = {
            "site": self.plant.site,
            "edge": gateway,
            "state_dir": str(folder),
            "roster_dir": str(self.layout.roster / "public"),
            "roster_root": str(self.layout.roster / "public" / "1.root.json"),
            "panel_dir": str(make_folder(self.layout.panels)),
            "origin": self.page_origin,
            "rp_id": "localhost",
            "allow_software_keys": self.demo,
            "broker": self._broker_table(f"actuator-{gateway}"),
            "machine": [
                {
                    "id": machine.id,
                    "label": machine.name,
                    "output": "simulated",
                    "criticality": machine.criticality,
                    "settings": {"switch_dir": str(self.layout.switches)},
                }
                for machine in self.plant.on(gateway)
            ],
        }
        ready = self._public_key(gateway).exists
        return self._program(f"actuator-{gateway}", "edge.actuator", table, ready=ready)

    def control(self) -> Program:
        """The isolated approval service."""
        folder = make_folder(self.layout.control)
        table: dict[str, Any] = {
            "host": self.ports.host,
            "port": self.ports.control,
            "state_dir": str(folder),
            "origin": self.page_origin,
            "rp_id": "localhost",
            "allow_software_keys": self.demo,
            "broker": self._broker_table("control"),
            "site": [
                {
                    "id": self.plant.site,
                    "name": self.plant.plant.name,
                    "roster_dir": str(self.layout.roster / "public"),
                    "roster_root": str(self.layout.roster / "public" / "1.root.json"),
                }
            ],
            "edge": self._edges_with_keys(),
            "machine": [
                {
                    "id": machine.id,
                    "site": self.plant.site,
                    "edge": machine.gateway,
                    "label": machine.name,
                    "line": machine.line,
                    "criticality": machine.criticality,
                }
                for machine in self.plant.machine
                if self._public_key(machine.gateway).exists()
            ],
        }
        if self.fatigue:
            table["fatigue"] = dict(self.fatigue)
        ready = listens(self.ports.host, self.ports.control)
        return self._program("control", "control", table, ready=ready)

    def page(self) -> Program:
        """The approver's page: static, pinned by hash, served apart from control."""
        table: dict[str, Any] = {
            "host": self.ports.host,
            "port": self.ports.page,
            "control_url": f"http://localhost:{self.ports.control}",
            "rp_id": "localhost",
            "site": [{"id": self.plant.site, "name": self.plant.plant.name}],
            "edge": self._edges_with_keys(),
        }
        if self.demo:
            table["demo_keys"] = [str(path) for path in sorted(self.layout.keys.glob("*.json"))]
            table["demo_panel_dir"] = str(self.layout.panels)
        return self._program("page", "control.page", table, ready=listens(self.ports.host, self.ports.page))

    def screens(self) -> Program:
        """The dashboards."""
        make_folder(self.layout.desk.parent)
        table = {
            "plant": str(self.plant_path),
            "journal": str(self.layout.journal),
            "desk": str(self.layout.desk),
            "history_dir": str(self.layout.history),
            "registry_dir": str(self.layout.registry),
            "session_file": str(self.layout.desk.parent / "screens.session"),
            "ledger": str(self.layout.desk.parent / "ledger.db"),
            "host": self.ports.host,
            "port": self.ports.screens,
            "control_url": self.page_origin,
            "open_roles": self.demo,
            **self.screen_settings,
        }
        ready = listens(self.ports.host, self.ports.screens)
        return self._program("screens", "dashboards", table, ready=ready)

    def work_orders(self, port: int, faults: Iterable[str], fields: Iterable[str]) -> Program:
        """`mitra labels listen`: takes closed work orders. faults: theirs=ours; fields: ours=theirs."""
        command = (
            *(sys.executable, "-m", "mitra", "labels", "listen", "--plant", str(self.plant_path)),
            *("--data", str(self.layout.root), "--host", self.ports.host, "--port", str(port)),
            *(f"--fault={one}" for one in faults),
            *(f"--column={one}" for one in fields),
        )
        ready = listens(self.ports.host, port)
        wrong = frozenset({EXIT_CODES["setting"]})
        return Program("work-orders", command, ready, environment=self.environment, wrong_setting=wrong)

    def _public_key(self, gateway: str) -> Path:
        return self.layout.actuator(gateway) / "edge.pub.json"

    def _edges_with_keys(self) -> list[dict[str, str]]:
        """Gateways whose actuator has made its key: only there can anything be stopped."""
        return [
            {"id": one.id, "site": self.plant.site, "public_key_file": str(self._public_key(one.id))}
            for one in self.plant.gateway
            if self._public_key(one.id).exists()
        ]

    def _broker_table(self, user: str) -> dict[str, Any]:
        if not self.external:
            at: dict[str, Any] = {"host": self.ports.host, "port": self.ports.broker}
            return {**at, "username": user, "password": self.secrets[user]}
        parts = urlsplit(self.external)
        at = {"host": parts.hostname or "", "port": parts.port or (8883 if parts.scheme == "mqtts" else 1883)}
        if parts.username:
            login = {"username": unquote(parts.username), "password": unquote(parts.password or "")}
        else:
            login = {"username": user, "password": self.secrets[user]}
        return {**at, **login, **({"tls_ca": self.ca} if self.ca else {})}

    def _program(self, name: str, module: str, table: Mapping[str, Any], ready: Any = None) -> Program:
        path = write_config(self.layout.config / f"{name}.toml", table)
        command = (sys.executable, "-m", module, "--config", str(path))
        wrong = frozenset({EXIT_CODES["setting"]})
        return Program(name, command, ready=ready, environment=self.environment, wrong_setting=wrong)


def write_config(path: Path, table: Mapping[str, Any]) -> Path:
    """Write a configuration that only this user may read: it holds a password. Raises PersonError."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            tomli_w.dump(dict(table), file)
    return path


def secrets_of(layout: Layout, plant: Plant) -> dict[str, str]:
    """The broker's passwords, made at first start."""
    listed = accounts(plant.site, (gateway.id for gateway in plant.gateway), HOST_ID)
    with writing(layout.broker):
        return passwords(layout.broker / "accounts.json", [account.user for account in listed])
