"""A real plant on one machine: broker (ours or yours), stream, screens; gateways and control if wanted."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from edge.status import read_status
from ingest.contract.plant import Plant
from mitra.broker import NoBrokerError
from mitra.exits import PersonError
from mitra.external import check_broker, check_url
from mitra.house import House, Ports, secrets_of, write_config
from mitra.influx_file import read_influx
from mitra.layout import Layout, make_folder, read_plant, writing
from mitra.mailbox import Clerk
from mitra.passing import PLANT_LOCK
from mitra.serving import Serving, write_serving
from mitra.supervisor import (
    StartError,
    Supervisor,
    WrongSettingError,
    is_own_address,
    listens,
    port_is_free,
)
from mitra.work_orders import PATH as ORDERS_PATH
from mitra.work_orders import columns_of, faults_of

log = logging.getLogger("mitra.serve")

LOCAL = "127.0.0.1"
WILDCARD = ("0.0.0.0", "::")  # noqa: S104 (named to be recognised, not bound)


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """What to serve.

    broker: URL, empty for the embedded one, which listens on this machine only; ca: PEM file that vouches for
    it; host: where the screens listen; public_url: how browsers name them, if not by host and port;
    workers: threads that make features, 0 for half of the cores; orders_port: where closed work orders are
    taken, 0 for nowhere; order_faults, order_fields: how the maintenance system calls things.
    """

    plant: Path
    data: Path
    broker: str = ""
    ca: Path | None = None
    host: str = LOCAL
    broker_port: int = 1883
    screens_port: int = 8080
    control_port: int = 8443
    page_port: int = 8444
    public_url: str = ""
    with_gateways: bool = False
    with_control: bool = False
    profile: Literal["plant", "demo"] = "plant"
    influx: Path | None = None
    workers: int = 0
    orders_port: int = 0
    order_faults: tuple[str, ...] = ()
    order_fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Serve:
    """A plant being served; `stop` ends every process in order."""

    request: ServeRequest
    house: House
    supervisor: Supervisor
    clerk: Clerk
    _lock: int
    _accounts_ns: int = 0

    @property
    def urls(self) -> dict[str, str]:
        """Addresses for a browser."""
        host = socket.gethostname() if self.request.host in WILDCARD else self.request.host
        found = {"screens": self.request.public_url or f"http://{host}:{self.request.screens_port}"}
        if self.request.with_control:
            found |= {"approvals": self.house.page_origin}
        if self.request.orders_port:
            found |= {"orders": f"http://{LOCAL}:{self.request.orders_port}{ORDERS_PATH}"}
        return found

    @property
    def broker(self) -> str:
        """Where gateways connect, without a password."""
        return shown(self.request.broker) or f"mqtt://{LOCAL}:{self.request.broker_port}"

    def start(self, told: Callable[[str], None]) -> None:
        """Start everything, in order. told: hears what is being started. Raises StartError, PersonError."""
        house, start = self.house, self.supervisor.start
        if not self.request.broker:
            told("broker")
            try:
                start(house.broker())
            except NoBrokerError as error:
                raise PersonError("missing", str(error)) from error
        told("analytics")
        start(house.analytics())
        if self.request.with_control:
            told("control")
            start(house.control())
            start(house.page())
        told("screens")
        self._start_screens()
        if self.request.orders_port:
            told("work orders")
            asked = self.request
            start(house.work_orders(asked.orders_port, asked.order_faults, asked.order_fields))
        if self.request.with_gateways:
            self._start_gateways(told)
        self.note()

    def _start_gateways(self, told: Callable[[str], None]) -> None:
        """All at once. One that refuses its settings is said now; one that fails otherwise is tried again."""
        programs = []
        for gateway in self.house.plant.gateway:
            told(f"gateway {gateway.id}")
            ready = speaks(self.house.layout.edge(gateway.id))
            programs.append(replace(self.house.edge(gateway.id), ready=ready))
            self.supervisor.begin(programs[-1])
        for program in programs:
            try:
                self.supervisor.wait_ready(program)
            except WrongSettingError:
                raise
            except StartError as error:
                log.warning("%s; the plant runs on, and it is tried again", error)

    def _start_screens(self) -> None:
        at = LOCAL if self.request.host in WILDCARD else self.request.host
        self._accounts_ns = _written_ns(self.house.layout.users)
        self.supervisor.start(replace(self.house.screens(), ready=listens(at, self.request.screens_port)))

    def accounts_changed(self) -> bool:
        """Whether `mitra user` wrote since the screens were started."""
        return _written_ns(self.house.layout.users) != self._accounts_ns

    def restart_screens(self) -> None:
        """Let the screens read the accounts again; who is signed in stays so. Raises StartError."""
        self.supervisor.stop_one("screens")
        self._start_screens()

    def tend(self) -> None:
        """What is due every few seconds. Raises PersonError when the disk does not take the note."""
        self.note()
        self.clerk.look()

    def note(self) -> None:
        """Write down what runs, for `mitra status`. Raises PersonError when the disk does not take it."""
        serving = Serving(
            pid=os.getpid(),
            time_ns=time.time_ns(),
            broker=self.broker,
            urls=self.urls,
            gateways=tuple(one.id for one in self.house.plant.gateway),
            alive=(alive := self.supervisor.alive()),
            pids={name: self.supervisor.pid(name) for name in alive},
            restarts=self.supervisor.restarts(),
            why_down=self.supervisor.why_down(),
        )
        write_serving(self.house.layout, serving)

    def stop(self) -> None:
        """End every process, the last started first: gateways before what they send to."""
        self.clerk.close()
        self.supervisor.stop()
        self.house.layout.serving.unlink(missing_ok=True)
        os.close(self._lock)


def prepare(request: ServeRequest) -> Serve:
    """Check everything that can be checked before the first process. Raises PersonError."""
    plant = read_plant(request.plant, "Name one that is there")
    if request.ca is not None and not request.ca.is_file():
        raise PersonError(
            "setting", f"There is no file {request.ca}: --ca names the broker's authority, PEM."
        )
    _check_orders(request)
    layout = Layout(make_folder(request.data).resolve())
    lock = hold(layout)
    try:
        return _prepared(request, plant, layout, lock)
    except PersonError:
        os.close(lock)
        raise


def _check_orders(request: ServeRequest) -> None:
    """How the maintenance system calls things. Raises PersonError."""
    faults_of(request.order_faults, "--order-fault")
    columns_of(request.order_fields, "--order-field")
    if (request.order_faults or request.order_fields) and not request.orders_port:
        raise PersonError(
            "setting",
            "--order-fault and --order-field are for work orders, which are taken with --work-orders PORT "
            "only. Add it, or leave them out.",
        )


def _prepared(request: ServeRequest, plant: Plant, layout: Layout, lock: int) -> Serve:
    if request.broker:
        check_url(request.broker)  # before a login is put into it
    secrets = secrets_of(layout, plant)
    ports = Ports(request.broker_port, request.screens_port, request.control_port, request.page_port, LOCAL)
    house = House(
        layout,
        plant,
        request.plant.resolve(),
        ports,
        secrets,
        stream={"profile": request.profile, "workers": request.workers} | read_influx(request.influx),
        external=request.broker,
        ca=str(request.ca.resolve()) if request.ca is not None else "",
        screen_settings=screen_settings(request, layout),
    )
    if request.broker:
        check_broker(house.broker_url("ingest"), shown(request.broker), request.ca)
    else:
        _free(LOCAL, request.broker_port, "the broker", "--broker-port")
    _free(request.host, request.screens_port, "the screens", "--screens-port")
    if request.orders_port:
        _free(LOCAL, request.orders_port, "the listener for work orders", "--work-orders")
    if request.with_control:
        _free(LOCAL, request.control_port, "control", "--control-port")
        _free(LOCAL, request.page_port, "the approver's page", "--page-port")
        can_be_stopped(house)
    supervisor = Supervisor(make_folder(layout.logs), (lock,))
    return Serve(request, house, supervisor, Clerk(supervisor, layout, house.plant_path), lock)


def screen_settings(request: ServeRequest, layout: Layout) -> Mapping[str, Any]:
    """What the screens of a real plant are told beyond a demo's: people have accounts, or only look."""
    if not layout.users.exists():
        write_config(layout.users, {})
    settings = {"host": request.host, "public_url": request.public_url, "users": str(layout.users)}
    return settings if request.with_control else {**settings, "control_url": ""}


def can_be_stopped(house: House) -> None:
    """Control needs a roster and at least one actuator with a key. Raises PersonError."""
    public = house.layout.roster / "public"
    if not public.is_dir():
        raise PersonError(
            "setting",
            f"Control has no roster ({public} is missing), so nobody could approve a stop. Make one: "
            f"`mitra roster init {house.layout.roster} --site {house.plant.site}`.",
        )
    if not any((house.layout.actuator(one.id) / "edge.pub.json").exists() for one in house.plant.gateway):
        raise PersonError(
            "setting",
            f"No actuator has a key under {house.layout.root / 'actuator'}, so no machine could be stopped. "
            "Write an actuator's file (docs/control.md) with its state_dir there, and run "
            "`mitra actuator --config FILE --init`.",
        )


def _written_ns(path: Path) -> int:
    """When a file was written last; 0 while it is away."""
    return path.stat().st_mtime_ns if path.exists() else 0


def speaks(folder: Path) -> Callable[[], bool]:
    """A readiness check: a gateway's agent has said how it is since now."""
    before = read_status(folder)

    def check() -> bool:
        return read_status(folder) not in (None, before)

    return check


def hold(layout: Layout) -> int:
    """Take the data folder for this process alone. Raises PersonError when another one serves it."""
    path = layout.root / PLANT_LOCK
    with writing(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise PersonError(
            "missing",
            f"Another `mitra serve` or `mitra demo` uses {layout.root} already: one plant, one writer. "
            "Stop that one, or name another folder with --data.",
        ) from error
    return lock


def shown(url: str) -> str:
    """A broker's URL without its login.

    >>> shown("mqtts://ingest:secret@broker.plant:8883")
    'mqtts://broker.plant:8883'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if url else ""


def _free(host: str, port: int, what: str, option: str) -> None:
    if not is_own_address(host):
        raise PersonError(
            "setting",
            f"{host!r} is no address of this machine, so {what} cannot be served there. Name one of its own "
            "with --host, or 0.0.0.0 for all of them.",
        )
    if not port_is_free(host, port):
        raise PersonError(
            "missing",
            f"Port {port} on {host} cannot be had, so {what} cannot be served there. End the program "
            f"that holds it, or choose another port with {option}.",
        )
