"""A log of wireless sensors through the host's whole path in its own time: dirt, duplicates, wrong clocks.

Each sensor speaks as a Sparkplug node of its own (clocks are judged by node), with its own clock's time; the
host's clock is the log's time of arrival. Months pass in a minute, and nothing is mended.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.contract import channels as ch
from ingest.contract.metrics import Channel, DataType
from ingest.contract.payload import Birth, birth_of, write_birth, write_message
from ingest.contract.plant import Gateway, Machine, Plant, Site
from ingest.contract.rejected import Rejected
from ingest.contract.topics import Kind, device_topic, node_topic
from ingest.contract.values import Message, Scalar
from ingest.gate import Gate
from ingest.host import Host, HostPolicy, Send
from ingest.inbox import Inbox
from ingest.journal.entry import ClockState
from ingest.journal.journal import Journal
from ingest.reader import Reader
from ingest.stream import Stream
from mitra.exits import PersonError
from mitra.layout import Layout, make_folder
from models.stream import Settings, StreamState, new_state, update
from simulators.replay import FACTORY_LOG, Arrival, sensor_log

SITE = "replay"
SEQUENCE = "Sequence"
HOUR_NS = 3_600_000_000_000
MAX_WAITING = 512
SETTLED_S = 0.5
SEQ_RANGE = 256
NODE_CHANNELS = (Channel(ch.BDSEQ, DataType.INT64), Channel(ch.REBIRTH, DataType.BOOLEAN))


@dataclass(slots=True)
class _Sensor:
    birth: Birth
    seq: int = 0

    def next_seq(self) -> int:
        self.seq = (self.seq + 1) % SEQ_RANGE
        return self.seq


@dataclass(slots=True)
class LogReplay:
    """One run over one log. told: hears how many rows were read."""

    path: Path
    data: Path
    told: Callable[[int], None]
    rejected: Counter[str] = field(default_factory=Counter)
    arrivals: int = 0
    _now_ns: int = 0
    _sensors: dict[str, _Sensor] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Feed the log in the order of arrival and count. Raises PersonError."""
        layout = Layout(make_folder(self.data).resolve())
        make_folder(layout.server)
        machines = self._machines()
        journal = Journal(layout.journal)
        gate = Gate(journal, {machine: node_of(machine) for machine in machines})
        inbox = Inbox(
            Host(SITE, "mitra", HostPolicy()),
            gate,
            journal,
            publish=_nobody,
            clock_ns=lambda: self._now_ns,
        )
        stream: Stream[StreamState] = Stream(inbox, journal, update, new_state(_plant(machines), Settings()))
        failed: list[BaseException] = []
        thread = threading.Thread(target=_run, args=(stream, failed), name="stream", daemon=True)
        thread.start()
        started_s = time.monotonic()
        self._feed(inbox, thread)
        self._settle(inbox, stream, thread)
        inbox.stop()
        thread.join()
        if failed:
            raise failed[0]
        journal.close()
        return self._report(layout.journal, time.monotonic() - started_s)

    def _machines(self) -> tuple[str, ...]:
        try:
            return tuple(sorted({_id(one.machine) for one in self._arrivals() if isinstance(one, Arrival)}))
        except (OSError, ValueError) as error:
            raise PersonError("setting", f"{self.path} cannot be read as a sensor log: {error}") from error

    def _arrivals(self) -> Iterator[Arrival | Rejected]:
        return sensor_log(self.path, FACTORY_LOG)

    def _feed(self, inbox: Inbox, thread: threading.Thread) -> None:
        for number, arrival in enumerate(self._arrivals()):
            if isinstance(arrival, Rejected):
                self.rejected[arrival.reason] += 1
                continue
            self.arrivals += 1
            while inbox.waiting > MAX_WAITING and thread.is_alive():
                time.sleep(0.001)
            self._now_ns = max(self._now_ns, arrival.received_ns)
            for topic, raw in self._wire(arrival):
                inbox.offer(topic, raw)
            if number % 1_000 == 0:
                self.told(number)

    def _settle(self, inbox: Inbox, stream: Stream[StreamState], thread: threading.Thread) -> None:
        """Wait until the last batch is stored and what left quarantine with it as well."""
        still_s, seen = time.monotonic(), -1.0
        while thread.is_alive() and time.monotonic() - still_s < SETTLED_S:
            now = stream.counters.get("batches", 0.0)
            if not inbox.idle or now != seen:
                still_s, seen = time.monotonic(), now
            time.sleep(0.01)

    def _wire(self, arrival: Arrival) -> Iterator[tuple[str, bytes]]:
        machine = _id(arrival.machine)
        node, time_ns = node_of(machine), arrival.device_ns
        sensor = self._sensors.get(machine)
        if sensor is None:
            declared = [
                Channel(name, DataType.DOUBLE, i) for i, name in enumerate([*arrival.scalars, SEQUENCE], 1)
            ]
            sensor = self._sensors[machine] = _Sensor(birth_of(declared))
            node_declared = ((NODE_CHANNELS[0], 0), (NODE_CHANNELS[1], False))
            yield node_topic(SITE, Kind.NBIRTH, node), write_birth(node_declared, 0, self._now_ns)
            yield (
                device_topic(SITE, Kind.DBIRTH, node, machine),
                write_birth(((channel, None) for channel in declared), sensor.next_seq(), self._now_ns),
            )
        said = {**arrival.scalars, SEQUENCE: float(arrival.sequence)}
        scalars = tuple(
            Scalar(channel, value, time_ns)
            for channel, value in said.items()
            if channel in sensor.birth.channels
        )
        message = Message(node, machine, time_ns, (), scalars)
        yield (
            device_topic(SITE, Kind.DDATA, node, machine),
            write_message(message, sensor.birth, sensor.next_seq()),
        )

    def _stored_keys(self, reader: Reader) -> Iterator[tuple[str, float, int]]:
        """(sensor, sequence, corrected device time) of every stored message: what makes it one of a kind."""
        for machine in self._sensors:
            rows = reader.rows(machine, columns=(SEQUENCE,))
            for sequence, time_ns in zip(rows.values[:, 0], rows.time_ns, strict=True):
                yield machine, float(sequence), int(time_ns)

    def _report(self, path: Path, took_s: float) -> dict[str, Any]:
        reader = Reader(path)
        counters, clocks = reader.counters(), reader.clocks()
        stored = Counter(self._stored_keys(reader))
        gaps = [gap for gap in reader.gaps(limit=10_000) if gap.to_ns - gap.from_ns > HOUR_NS]
        return {
            "recording": self.path.name,
            "arrivals": self.arrivals,
            "rows_rejected": dict(self.rejected),
            "sensors": len(self._sensors),
            "stored": counters.get("stored_messages", 0),
            "duplicates_resent": counters.get("duplicates_resent", 0),
            "duplicates_stored": sum(count - 1 for count in stored.values()),
            "quarantined": counters.get("quarantined", 0),
            "released": counters.get("released", 0),
            "clocks": {
                node: {"state": str(one.state), "offset_s": round(one.offset_ns / 1e9), "jumps": one.jumps}
                for node, one in clocks.items()
            },
            "clocks_corrected": sum(one.state is ClockState.CORRECTED for one in clocks.values()),
            "clocks_quarantined": sum(one.state is ClockState.QUARANTINED for one in clocks.values()),
            "gaps_over_an_hour": len(gaps),
            "refused": {
                k.removeprefix("refused_"): v for k, v in counters.items() if k.startswith("refused_")
            },
            "alarms": len(reader.alarms(limit=10_000)),
            "seconds": round(took_s, 1),
        }


def is_sensor_log(path: Path) -> bool:
    """True when the file's first row names the columns of a sensor log."""
    if ".csv" not in path.name.lower() or not path.exists():
        return False
    try:
        next(sensor_log(path, FACTORY_LOG), None)
    except ValueError:
        return False
    return True


def node_of(machine: str) -> str:
    """The edge node that a sensor speaks as."""
    return f"gw-{machine}"[:64]


def _id(text: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", text.lower())[:60] or "unnamed"


def _plant(machines: tuple[str, ...]) -> Plant:
    return Plant(
        plant=Site(id=SITE, name="Replay", language="en"),
        gateway=tuple(Gateway(id=node_of(machine)) for machine in machines),
        machine=tuple(Machine(id=one, name=one, gateway=node_of(one)) for one in machines),
    )


def _run(stream: Stream[StreamState], failed: list[BaseException]) -> None:
    try:
        stream.run()
    except BaseException as error:
        failed.append(error)
        raise


def _nobody(_send: Send) -> None:
    """The sensors of a log cannot be told anything."""
