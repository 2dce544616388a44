"""A recording sent through the whole wire: outbox, broker, gate, stream, journal; as fast as they go."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from edge.sensors import SensorConfigError, SensorError, sensor_class
from edge.sensors.readers import READERS, ending
from ingest.contract.plant import Plant, parse_plant
from ingest.reader import Reader
from mitra.exits import PersonError
from mitra.house import House, Ports, secrets_of
from mitra.layout import Layout, make_folder
from mitra.supervisor import Supervisor, free_port
from mitra.tally import tally

SITE, GATEWAY, MACHINE = "replay", "gw-replay", "recording"
HOST = "127.0.0.1"
NS_PER_S = 1_000_000_000
WATCH_S = 0.05
KILL_WATCH_S = 0.005
STALLED_S = 120.0
PROCESSES = {"ingest": "analytics", "broker": "broker", "edge": f"edge-{GATEWAY}"}


KILLS = f"a kill names one of {', '.join(PROCESSES)} and a count, as ingest@300"


@dataclass(frozen=True, slots=True)
class Kill:
    """kill -9 of a process once so many snapshots are stored."""

    process: str
    at_stored: int

    def __post_init__(self) -> None:
        if self.process not in PROCESSES or self.at_stored < 0:
            raise ValueError(KILLS)


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to send. None is left to the recording. baseline: first snapshots, taken as healthy.

    is_passing: the data folder was made for this run alone.
    """

    path: Path
    data: Path
    rate_hz: float | None = None
    scale_g: float | None = None
    period_s: float | None = None
    dataset: str = ""
    axes: tuple[str, ...] = ()
    rpm: float | None = None
    bearing: str = ""
    baseline: int = 100
    kills: tuple[Kill, ...] = ()
    is_passing: bool = False


def plant_text(request: ReplayRequest) -> str:
    """A plant of one machine, which is the recording."""
    sensor: dict[str, Any] = {
        "kind": "recording",
        "path": str(request.path.resolve()),
        "as_fast_as_possible": True,
    }
    given = {
        "rate_hz": request.rate_hz,
        "scale_g": request.scale_g,
        "period_s": request.period_s,
        "dataset": request.dataset or None,
        "axes": list(request.axes) or None,
    }
    sensor |= {key: value for key, value in given.items() if value is not None}
    machine: dict[str, Any] = {"id": MACHINE, "name": request.path.name, "gateway": GATEWAY, "sensor": sensor}
    if request.rpm is not None:
        machine["rated_rpm"] = request.rpm
    if request.bearing:
        machine["bearing"] = request.bearing
    return tomli_w.dumps(
        {
            "plant": {"id": SITE, "name": f"Replay of {request.path.name}", "language": "en"},
            "gateway": [{"id": GATEWAY}],
            "machine": [machine],
        }
    )


@dataclass(slots=True)
class Replay:
    """One run. `run` blocks until the recording has ended and everything is stored."""

    request: ReplayRequest
    told: Callable[[int], None]
    supervisor: Supervisor = field(init=False)
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        self.layout = Layout(make_folder(self.request.data).resolve())
        passing = self.layout.root if self.request.is_passing else None
        self.supervisor = Supervisor(self.layout.logs, passing=passing)

    def run(self) -> dict[str, Any]:
        """Send the recording and count. Raises StartError, PersonError."""
        if not self.request.path.exists():
            raise PersonError("setting", f"There is no recording {self.request.path}; check the path.")
        if self.request.path.is_dir() or ending(self.request.path) is None:
            raise PersonError(
                "setting",
                f"{self.request.path} is no recording, so nothing was sent. Name a file that ends in one of "
                f"{', '.join(READERS)}.",
            )
        plant_path = self.layout.root / "plant.toml"
        plant_path.write_text(plant_text(self.request), "utf-8")
        plant = parse_plant(plant_path.read_text("utf-8"))
        _check(plant, self.layout.root)
        ports = Ports(free_port(HOST), 0, 0, 0, HOST)
        stream = {"profile": "backtest", "baseline_rows": self.request.baseline}
        house = House(self.layout, plant, plant_path, ports, secrets_of(self.layout, plant), stream=stream)
        started_s = time.monotonic()
        try:
            self.supervisor.start(house.broker())
            self.supervisor.start(house.analytics())
            self.supervisor.start(house.edge(GATEWAY, until_drained=True))
            self._wait()
            restarts = self.supervisor.restarts()
        finally:
            self.supervisor.stop()
        return self.report(time.monotonic() - started_s, restarts)

    def _wait(self) -> None:
        kills = sorted(self.request.kills, key=lambda kill: kill.at_stored)
        stored, moved_s = 0, time.monotonic()
        while (code := self.supervisor.ended(f"edge-{GATEWAY}")) is None:
            now_stored = _rows(self.layout.journal)
            if now_stored != stored:
                stored, moved_s = now_stored, time.monotonic()
                self.told(stored)
            if kills and stored >= kills[0].at_stored and self._alive(kills[0].process):
                self.supervisor.kill(PROCESSES[kills.pop(0).process])
            if time.monotonic() - moved_s > STALLED_S:
                raise PersonError(
                    "check",
                    f"Nothing was stored for {STALLED_S:g} s; {stored} are. See {self.layout.logs}.",
                )
            time.sleep(KILL_WATCH_S if kills else WATCH_S)
        if code != 0:
            log = (self.layout.logs / f"edge-{GATEWAY}.log").read_text("utf-8", "replace").strip()
            raise PersonError("setting", f"The recording could not be played: {log.splitlines()[-1:]}")

    def _alive(self, process: str) -> bool:
        """What lies dead cannot be killed again: the next kill waits until it runs."""
        return self.supervisor.alive()[PROCESSES[process]]

    def report(self, took_s: float, restarts: dict[str, int]) -> dict[str, Any]:
        """Counts at both ends, and when the alarm came."""
        found = tally(self.layout.journal, [(GATEWAY, self.layout.edge(GATEWAY))])
        reader = Reader(self.layout.journal)
        times = sorted(int(one) for one in reader.rows(MACHINE).time_ns)
        opened = sorted(view.opened_ns for view in reader.alarms(limit=10_000))
        first = opened[0] if opened else None
        return {
            "recording": self.request.path.name,
            "snapshots": found.made,
            "stored": found.stored,
            "lost": found.lost,
            "duplicates_stored": found.duplicates_stored,
            "alarms": len(opened),
            "first_alarm_snapshot": None if first is None else sum(one < first for one in times),
            "alarms_in_first_100": sum(sum(one < at for one in times) < 100 for at in opened),
            "alarm_before_end_s": None if first is None else (times[-1] - first) / NS_PER_S,
            "seconds": round(took_s, 1),
            "restarts": {
                name: restarts[program] for name, program in PROCESSES.items() if program in restarts
            },
        }


def _check(plant: Plant, folder: Path) -> None:
    """Open the recording once, before anything runs, so that what it lacks is said at once."""
    machine = plant.machine[0]
    config = {key: value for key, value in machine.sensor.items() if key != "kind"}
    try:
        sensor = sensor_class("recording").from_config(plant, machine, config, folder)
        sensor.open()
        sensor.close()
    except (SensorConfigError, SensorError) as error:
        raise PersonError(
            "setting", f"{error} (the options of `mitra replay --help` say what the file does not)"
        ) from error


def _rows(journal: Path) -> int:
    if not journal.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            found: int = connection.execute("SELECT count(*) FROM feature_row").fetchone()[0]
    except sqlite3.OperationalError:
        return 0  # the tables are being made
    return found


def parse_kills(texts: Sequence[str]) -> tuple[Kill, ...]:
    """Kills from the command line. Raises PersonError.

    >>> parse_kills(["ingest@300"])
    (Kill(process='ingest', at_stored=300),)
    """
    found = []
    for text in texts:
        process, _, at = text.partition("@")
        try:
            found.append(Kill(process, int(at) if at.isdecimal() else -1))
        except ValueError as error:
            raise PersonError("setting", f"--kill {text}: {error}. Nothing was sent.") from error
    return tuple(found)
