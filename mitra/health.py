"""How a plant is doing, from the files that its processes leave: nothing is asked, so nothing can hang."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.status import Status, read_status
from ingest.contract.values import Gap
from ingest.journal.entry import ClockState, ClockVerdict, NodeState
from ingest.metrics import Health, IngestState, quantile_ms, read_health
from ingest.reader import Reader
from ingest.views import AlarmView
from mitra.layout import Layout
from mitra.serving import Serving, read_serving
from mitra.stored import reader_of

STALE_S = 15.0
NS_PER_S = 1_000_000_000
DAY_NS = 86_400 * NS_PER_S
LOW_DISK_SHARE, LOW_DISK_BYTES = 0.05, 2 << 30
MAX_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk under the data folder."""

    free_bytes: int
    total_bytes: int

    @property
    def low(self) -> bool:
        """True when little is left."""
        return self.free_bytes < min(LOW_DISK_BYTES, LOW_DISK_SHARE * self.total_bytes)


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of a plant. gaps: of the last day; latency_ms: reception to stored, 50 and 99 of a hundred.

    serving, ingest: None when they never ran here; edges: gateways whose folder is on this machine.
    """

    at_ns: int
    serving: Serving | None
    ingest: Health | None
    edges: dict[str, Status | None]
    nodes: dict[str, NodeState]
    clocks: dict[str, ClockVerdict]
    counters: dict[str, int]
    open_alarms: tuple[AlarmView, ...]
    gaps: tuple[Gap, ...]
    disk: Disk

    @property
    def latency_ms(self) -> tuple[float, float]:
        """Of messages since ingest started."""
        stored = self.ingest.stored if self.ingest is not None else {}
        return quantile_ms(stored, 0.5), quantile_ms(stored, 0.99)

    @property
    def problems(self) -> tuple[str, ...]:
        """What needs a person now, one sentence each; empty when nothing does."""
        return (
            *_of_serving(self),
            *_of_ingest(self),
            *_of_edges(self),
            *_of_nodes(self),
            *_of_disk(self),
        )


def look(data: Path, now_ns: int) -> Picture:
    """Read everything. Raises PersonError when no plant's data is there."""
    layout = Layout(data)
    reader = reader_of(data)
    try:
        return _picture(layout, reader, now_ns)
    finally:
        reader.close()


def _picture(layout: Layout, reader: Reader, now_ns: int) -> Picture:
    usage = shutil.disk_usage(layout.root)
    folders = sorted((layout.root / "edge").glob("*"))
    return Picture(
        at_ns=now_ns,
        serving=read_serving(layout),
        ingest=read_health(layout.server / "ingest.metrics"),
        edges={path.name: read_status(path) for path in folders if path.is_dir()},
        nodes=reader.nodes(),
        clocks=reader.clocks(),
        counters=reader.counters(),
        open_alarms=reader.alarms(limit=MAX_LISTED),
        gaps=reader.gaps(from_ns=now_ns - DAY_NS, limit=MAX_LISTED),
        disk=Disk(usage.free, usage.total),
    )


def runs(pid: int) -> bool:
    """Whether a process with this id is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _of_serving(seen: Picture) -> Iterator[str]:
    serving = seen.serving
    if serving is None or not runs(serving.pid):
        return
    for name, alive in serving.alive.items():
        if not alive:
            said = serving.why_down.get(name, f"see logs/{name}.log.")
            yield f"{name} is down and is being started again; {said}"


def _of_ingest(seen: Picture) -> Iterator[str]:
    ingest = seen.ingest
    if ingest is None or ingest.state is IngestState.STOPPED:
        yield (
            "The stream does not run, so nothing is received or stored; gateways keep what they measure. "
            "Start `mitra serve`."
        )
    elif ingest.state is IngestState.STORAGE_FULL:
        yield f"The disk takes no more, so nothing is stored: free some space. {ingest.detail}".rstrip()
    elif seen.at_ns - ingest.updated_ns > STALE_S * NS_PER_S:
        age_s = (seen.at_ns - ingest.updated_ns) / NS_PER_S
        yield f"The stream has said nothing for {age_s:.0f} s; see logs/analytics.log."


def _of_edges(seen: Picture) -> Iterator[str]:
    for gateway, status in seen.edges.items():
        if status is None:
            yield f"Gateway {gateway} never said how it is; see logs/edge-{gateway}.log."
        elif status.state == "stopped" or seen.at_ns - status.time_ns > STALE_S * NS_PER_S:
            waiting = f" {status.in_outbox} messages wait in its outbox." if status.in_outbox else ""
            yield f"Gateway {gateway} does not run: its machines are not measured.{waiting}"
        else:
            yield from _of_running_edge(gateway, status)


def _of_running_edge(gateway: str, status: Status) -> Iterator[str]:
    if status.storing:
        yield f"Gateway {gateway} accepts no telemetry: {status.storing}"
    if not status.connected:
        yield f"Gateway {gateway} has no broker; {status.in_outbox} messages wait in its outbox."
    elif not status.host_online:
        yield f"Gateway {gateway} waits for the server; {status.in_outbox} messages wait in its outbox."
    for machine, why in status.sensors_silent.items():
        yield f"Machine {machine} on {gateway} is silent: {why}"


def _of_nodes(seen: Picture) -> Iterator[str]:
    for name, node in seen.nodes.items():
        if not node.online and name not in seen.edges:
            yield f"Gateway {name} is offline: {len(node.machines)} machines are not heard."
    for name, clock in seen.clocks.items():
        if clock.state is ClockState.QUARANTINED:
            yield (
                f"The clock of {name} jumps: its data is kept aside. Set its clock, then release it on the "
                "audit screen."
            )


def _of_disk(seen: Picture) -> Iterator[str]:
    if seen.disk.low:
        yield f"Only {seen.disk.free_bytes / 1e9:.1f} GB are left on the disk of the data folder."
