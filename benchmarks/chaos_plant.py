"""The processes of a chaos run: started, killed by pid, started again; and where their files lie."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from ingest.contract.plant import parse_plant
from mitra.house import House, Ports, secrets_of
from mitra.layout import Layout
from mitra.supervisor import Program, free_port, listens
from simulators.network import BadNetwork, Weather
from simulators.plant import PlantRequest, write_plant

HOST = "127.0.0.1"
STORM = Weather(delay_s=0.002, jitter_s=0.01, stall=0.03, stall_s=1.0, half_open=0.004, reset=0.01)
BROKER, HOST_SIDE = "broker", "ingest"


class NeverReadyError(RuntimeError):
    """A process of the run did not come up; the message names its log."""


@dataclass(frozen=True, slots=True)
class PlantShape:
    """machines send a block of n_samples every period_s, over two gateways."""

    machines: int
    period_s: float
    n_samples: int
    seed: int
    power_cut: bool = False
    proxy: bool = False


@dataclass(slots=True)
class ChaosPlant:
    """One plant in a folder. Names of processes: broker, ingest, and each gateway."""

    folder: Path
    shape: PlantShape
    network: BadNetwork | None = None
    programs: dict[str, Program] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.folder)

    @property
    def gateways(self) -> tuple[str, ...]:
        """The edge nodes."""
        return tuple(name for name in self.programs if name not in {BROKER, HOST_SIDE})

    @property
    def rate_hz(self) -> float:
        """Messages a second that the plant makes."""
        return self.shape.machines / self.shape.period_s

    def build(self) -> None:
        """Write every file and say how each process is started."""
        shape, layout = self.shape, self.layout
        layout.logs.mkdir(parents=True)
        text = write_plant(
            PlantRequest(
                n_machines=shape.machines,
                n_gateways=2,
                seed=shape.seed,
                period_s=shape.period_s,
                n_samples=shape.n_samples,
                origin_ns=time.time_ns(),
                fault=None,
                switches="",
            )
        ).text
        path = self.folder / "plant.toml"
        path.write_text(text, "utf-8")
        plant = parse_plant(text)
        ports = Ports(free_port(), free_port(), free_port(), free_port())
        house = House(layout, plant, path, ports, secrets_of(layout, plant))
        self.programs[BROKER] = house.broker()
        self.programs[HOST_SIDE] = house.analytics()
        if shape.proxy:
            self.network = self._stack.enter_context(BadNetwork((HOST, ports.broker), STORM, shape.seed))
            # Only the gateways are far away: the host stands beside its broker.
            house = replace(house, ports=replace(ports, broker=self.network.port))
        for gateway in plant.gateway:
            program = house.edge(gateway.id)
            if shape.power_cut:
                command = tuple("benchmarks.power_cut" if one == "edge" else one for one in program.command)
                program = replace(program, command=command)
            self.programs[gateway.id] = program

    def start(self, name: str) -> None:
        """Start a process; it need not be ready yet."""
        program = self.programs[name]
        with (self.layout.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            )

    def start_ready(self, name: str) -> None:
        """Start a process and wait until it serves. Raises NeverReadyError."""
        (self.layout.server / "ready").unlink(missing_ok=True) if name == HOST_SIDE else None
        self.start(name)
        ready = self.programs[name].ready
        if ready is not None:
            wait(ready, 240.0, f"{name} is not ready; see {self.layout.logs / name}.log")

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.running.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()
            self.kills[name] = self.kills.get(name, 0) + 1

    def fallen(self) -> list[str]:
        """Processes that ended by themselves, which none should."""
        return [name for name, process in self.running.items() if process.poll() is not None]

    def stop(self, name: str) -> None:
        """End a process cleanly."""
        process = self.running.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(30.0)
        except subprocess.TimeoutExpired:
            print(f"{name} did not end within 30 s and was killed", file=sys.stderr)
            process.kill()
            process.wait()

    def close(self) -> None:
        """End everything that still runs."""
        for name in list(self.running):
            self.stop(name)
        self._stack.close()


def wait(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Wait for a condition; how many seconds that took. Raises NeverReadyError."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise NeverReadyError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - begin


__all__ = ["BROKER", "HOST_SIDE", "ChaosPlant", "NeverReadyError", "PlantShape", "listens", "wait"]
