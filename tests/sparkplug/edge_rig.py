"""An edge node without a broker: what the agent does between outbox and protocol core, in one thread."""

from __future__ import annotations

import json
from pathlib import Path

from edge.node import (
    Command,
    EdgeNode,
    Forget,
    Now,
    Publish,
)
from edge.outbox import Outbox, OutboxLimits
from edge.outbox_rows import Stored
from edge.window import Want
from ingest.contract.limits import MAX_WINDOW_MESSAGES
from ingest.contract.payload import (
    Birth,
    Committed,
    read_birth,
    read_payload,
    write_committed,
)
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.values import Message, Scalar, Waveform

S = 1_000_000_000
WALL_NS = 1_795_000_000 * S
NCMD = "spBv1.0/plant-1/NCMD/gw-1"
STATE = "spBv1.0/STATE/mitra"
USUAL = {"Temperature/bearing": 61.5, "Power/Active": 22.0}


def state(online: bool, timestamp: int = 1000) -> bytes:
    return json.dumps({"online": online, "timestamp": timestamp}).encode()


class Plant:
    """An outbox, a node and a pretended connection: what the agent does, without its threads."""

    def __init__(self, folder: Path, host_id: str = "mitra") -> None:
        self.outbox = Outbox(folder / "outbox.db", "gw-1", OutboxLimits(min_free_bytes=0), 1)
        self.node = EdgeNode(
            "plant-1", "gw-1", host_id, boot_id=self.outbox.boot_id, channels=self.outbox.channels, seed=1
        )
        self.mono_ns = S
        self.sent: list[Publish] = []
        self.commands: list[Command] = []
        self.wills: list[Publish] = []
        self.bdseq = -1

    @property
    def now(self) -> Now:
        return Now(WALL_NS + self.mono_ns, self.mono_ns)

    def do(self, commands: tuple[Command, ...]) -> tuple[Command, ...]:
        self.commands += commands
        self.sent += [one for one in commands if isinstance(one, Publish)]
        return commands

    def connect(self, host_online: bool = True) -> None:
        self.bdseq += 1
        self.node.extent(self.outbox.first_n, self.outbox.next_n)
        self.wills.append(self.node.connecting(self.bdseq))
        self.do(self.node.connected())
        self.do(self.node.subscribed(self.now))
        if host_online and self.node.host_id:
            self.hear(STATE, state(online=True))

    def hear(self, topic: str, payload: bytes) -> tuple[Command, ...]:
        return self.do(self.node.received(topic, payload, self.now))

    def make(self, *messages: Message) -> list[Stored]:
        room = self.node.live_room()
        done = self.outbox.commit(self.mono_ns, messages, hand=room)
        rows = [one for one in done.stored if isinstance(one, Stored)]
        for one in messages:
            self.node.saw(one)
        self.node.extent(self.outbox.first_n, self.outbox.next_n)
        self.do(self.node.reborn(done.reborn, self.now))
        if rows[:room]:
            last = rows[:room][-1].n
            self.do(self.node.offer(Want(rows[0].n, last + 1, room, live=True), rows[:room], self.now))
        return rows

    def pump(self) -> None:
        for want in self.node.wants():
            rows = self.outbox.read(want.first, want.end, want.limit)
            self.do(self.node.offer(want, rows, self.now))

    def pass_time(self, seconds: float) -> None:
        self.mono_ns += int(seconds * S)
        self.do(self.node.tick(self.now))
        for n in self.node.overdue(self.now):
            rows = self.outbox.read(n, n + 1, 1)
            self.do(self.node.again(n, rows[0] if rows else None, self.now))

    def commit(self, through: int, window: int = MAX_WINDOW_MESSAGES) -> None:
        said = Committed(self.outbox.boot_id, through, window=window)
        for command in self.hear(NCMD, write_committed(said, WALL_NS)):
            assert isinstance(command, Forget)
            done = self.outbox.commit(self.mono_ns, committed=[command.committed])
            self.node.window.forget(done.forgotten)
            self.node.extent(self.outbox.first_n, self.outbox.next_n)

    def kinds(self) -> list[str]:
        return [one.topic.split("/")[2] for one in self.sent]

    def of(self, kind: str) -> list[Publish]:
        return [one for one in self.sent if one.topic.split("/")[2] == kind]


def message(machine: str = "m-1", i: int = 0, samples: int = 0, values: dict[str, float] = USUAL) -> Message:
    at = WALL_NS + i * S
    scalars = tuple(Scalar(channel, value, at) for channel, value in values.items())
    waveforms = (Waveform("x", bytes(2 * samples), "int16", 25_600.0, 0.001, at),) if samples else ()
    return Message("gw-1", machine, at, waveforms, scalars)


def payload_of(sent: Publish) -> Payload:
    payload = read_payload(sent.payload, 1024)
    assert not isinstance(payload, Rejected), payload
    return payload


def birth_of(sent: Publish) -> Birth:
    read = read_birth(sent.payload)
    assert not isinstance(read, Rejected), read
    return read[1]


def seqs(sent: list[Publish]) -> list[int]:
    return [payload_of(one).seq for one in sent if "NDEATH" not in one.topic]
