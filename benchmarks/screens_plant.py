"""A plant that speaks and its screens as a process, for the benchmarks of the screens."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.written_plant import WrittenPlant, commit_step, write_plant
from ingest.journal.journal import Journal

ROOT = Path(__file__).parents[1]
START_S = 60.0


@dataclass
class Served:
    """url: where the screens answer; process: theirs; pace: seconds in which every machine speaks once."""

    url: str
    process: subprocess.Popen[bytes]
    plant: WrittenPlant
    pace: Any

    def speak_every(self, period_s: float) -> None:
        """Change how often every machine says something."""
        self.pace.value = period_s


def _feed(plant: WrittenPlant, pace: Any, stopping: Any) -> None:
    """A process of its own: every machine says something in ten commits spread over the pace."""
    journal, rng = Journal(plant.journal), np.random.default_rng(2)
    ids = [machine.id for machine in plant.plant.machine]
    groups = [tuple(ids[i::10]) for i in range(10)]
    step, due = 200, time.monotonic()
    while not stopping.is_set():
        commit_step(journal, plant, rng, time.time_ns(), step=step, ill=True, only=groups[step % 10])
        step += 1
        if step % 50 == 0:
            journal.checkpoint()
        due = max(due + pace.value / 10, time.monotonic() - pace.value)
        stopping.wait(max(0.0, due - time.monotonic()))
    journal.close()


@contextmanager
def served(folder: Path, n_machines: int, *, minutes: int = 65, period_s: float = 1.0) -> Iterator[Served]:
    """Write a plant, let it speak, serve its screens; everything ends with the `with`."""
    plant = write_plant(folder, time.time_ns(), n_machines=n_machines, minutes=minutes)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "screens.toml").write_text(
        f'plant = "plant.toml"\njournal = "journal.db"\ndesk = "desk.db"\nport = {port}\nopen_roles = true\n'
    )
    command = (sys.executable, "-m", "dashboards", "--config", str(folder / "screens.toml"))
    process = subprocess.Popen(command, cwd=ROOT)
    spawn = multiprocessing.get_context("spawn")
    pace, stopping = spawn.Value("d", period_s), spawn.Event()
    feeder = spawn.Process(target=_feed, args=(plant, pace, stopping))
    feeder.start()
    one = Served(f"http://127.0.0.1:{port}", process, plant, pace)
    try:
        _wait(one.url)
        yield one
    finally:
        stopping.set()
        feeder.join(10)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{url}/healthz", timeout=2)
            return
        time.sleep(0.1)
    raise RuntimeError(f"the screens did not answer at {url} within {START_S:.0f} s")
