"""A Sparkplug B 3.0 edge node without a socket, a clock or a file: events in, commands out.

The caller connects with the will that `connecting` gives, tells what happened, and carries out what comes
back, in order. Telemetry comes from the outbox: `wants` says which rows, `offer` turns them into publishes.

What the host may ask by NCMD: a rebirth, a committed watermark, more acquisition. A DCMD is refused and
counted whatever it says: nothing on this wire moves a machine.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from edge import certificates, wire
from edge.acquisition import AcquireRequest, read_acquire
from edge.channels import UNALIASED, Channels
from edge.outbox_rows import RowKind, Stored
from edge.window import Want, Window
from ingest.contract import channels as ch
from ingest.contract.payload import Committed, read_committed, read_payload
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.topics import Kind, device_topic, node_topic, parse_topic, state_topic
from ingest.contract.values import Message

REBIRTH_PAUSE_NS = 1_000_000_000
_MAX_STATE_BYTES = 1024


class Link(Enum):
    """Where the node is."""

    DOWN = auto()
    """No session."""
    WAITING = auto()
    """Connected; the subscriptions or the primary host are not there yet. Messages are stored."""
    BORN = auto()
    """Birth certificates are out; messages flow."""


@dataclass(frozen=True, slots=True)
class Now:
    """Both clocks: wall for what is written, monotonic for what is waited for. ns."""

    wall_ns: int
    mono_ns: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Send this."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Ask for these topics: (topic, QoS)."""

    topics: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Close:
    """End the session; unless the agent is stopping, connect again with a new will."""

    reason: str


@dataclass(frozen=True, slots=True)
class Forget:
    """The host has stored these: delete them."""

    committed: Committed


@dataclass(frozen=True, slots=True)
class Acquire:
    """The host asks for more of a machine."""

    request: AcquireRequest


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the log."""

    event: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A stored body cannot be read: replace it by a gap record, and give that to `again`."""

    row: Stored


Command = Publish | Subscribe | Close | Forget | Acquire | Note | Damaged


class EdgeNode:
    """See the module. `host_id` names the primary host to wait for; empty waits for nobody."""

    def __init__(
        self, site: str, node: str, host_id: str, *, boot_id: int, channels: Channels, seed: int = 0
    ) -> None:
        self.site, self.node, self.host_id = site, node, host_id
        self.link = Link.DOWN
        self.refused: Counter[str] = Counter()
        self.births = 0
        self.window = Window(seed)
        self._boot_id, self._channels = boot_id, channels
        self._bdseq = self._seq = 0
        self._host_online, self._host_since_ms = not host_id, -1
        self._is_subscribed = False
        self._born_n = 0
        self._born_ns, self._rebirth_due_ns = 0, -1
        self._first_n = self._next_n = 0
        self._alive: set[str] = set()
        self._lost: set[str] = set()
        self._values: dict[str, certificates.Values] = {}
        self._topics: dict[str, str] = {}

    @property
    def host_online(self) -> bool:
        """What the primary host's STATE says; True when there is none to wait for."""
        return self._host_online

    def follow(self, boot_id: int, channels: Channels) -> None:
        """Use another boot and other aliases: the outbox was opened anew."""
        self._boot_id, self._channels = boot_id, channels

    # ---- the session

    def connecting(self, bdseq: int) -> Publish:
        """The will for a CONNECT that is about to be sent, under the session's number."""
        self.link, self._bdseq = Link.DOWN, bdseq
        return Publish(node_topic(self.site, Kind.NDEATH, self.node), certificates.node_death(bdseq), qos=1)

    def connected(self) -> tuple[Command, ...]:
        """The broker accepted the session."""
        self.link, self._is_subscribed = Link.WAITING, False
        # A host that went away while nobody listened is only known by its retained STATE.
        self._host_online, self._host_since_ms = not self.host_id, -1
        topics = [(node_topic(self.site, Kind.NCMD, self.node), 1)]
        topics.append((f"{node_topic(self.site, Kind.DCMD, self.node)}/+", 1))
        if self.host_id:
            topics.append((state_topic(self.host_id), 1))
        return (Subscribe(tuple(topics)),)

    def subscribed(self, now: Now) -> tuple[Command, ...]:
        """The broker confirmed the subscriptions: from here on no command can be missed."""
        self._is_subscribed = True
        return self._birth_if_ready(now)

    def disconnected(self) -> None:
        """The session is over, whoever ended it."""
        self.link = Link.DOWN
        self._alive.clear()

    def stopping(self) -> tuple[Command, ...]:
        """Say goodbye: on MQTT 3.1.1 the broker throws the will away after a clean DISCONNECT."""
        return self._goodbye("stopping") if self.link is not Link.DOWN else ()

    def _goodbye(self, reason: str) -> tuple[Command, ...]:
        topic = node_topic(self.site, Kind.NDEATH, self.node)
        self.disconnected()
        return (Publish(topic, certificates.node_death(self._bdseq), qos=1), Close(reason))

    # ---- births and deaths

    def _birth_if_ready(self, now: Now) -> tuple[Command, ...]:
        if self.link is Link.WAITING and self._is_subscribed and self._host_online:
            return self._birth(now)
        return ()

    def _birth(self, now: Now) -> tuple[Command, ...]:
        self.link, self.births = Link.BORN, self.births + 1
        self._born_ns, self._rebirth_due_ns = now.mono_ns, -1
        self._seq = 0
        self._alive.clear()
        self._born_n = self._next_n
        self.window.restart(self._first_n, self._next_n)
        own = self._channels.declared(self.node) or UNALIASED
        payload = certificates.node_birth(self._bdseq, self._boot_id, own, now.wall_ns)
        out: list[Command] = [Publish(node_topic(self.site, Kind.NBIRTH, self.node), payload)]
        machines = [one for one in self._channels.machines() if one not in self._lost and one != self.node]
        out += [self._machine_birth(machine, now) for machine in machines]
        return (*out, Note("born", f"bdseq={self._bdseq} machines={len(self._alive)}"))

    def _machine_birth(self, machine: str, now: Now) -> Publish:
        self._alive.add(machine)
        own, values = self._channels.declared(machine), self._values.get(machine, {})
        payload = certificates.machine_birth(own, values, self._next_seq(), now.wall_ns)
        return Publish(device_topic(self.site, Kind.DBIRTH, self.node, machine), payload)

    def _next_seq(self) -> int:
        self._seq = (self._seq + 1) % 256
        return self._seq

    def reborn(self, machines: Iterable[str], now: Now) -> tuple[Command, ...]:
        """Machines met new channels: their certificates are renewed before the data goes out."""
        if self.link is not Link.BORN:
            return ()
        return tuple(
            self._machine_birth(machine, now) for machine in sorted(machines) if machine != self.node
        )

    def lost(self, machine: str) -> None:
        """A machine's sensor stopped answering; its death follows once nothing of it is on the way."""
        self._lost.add(machine)

    def found(self, machine: str) -> None:
        """The sensor answers again; the birth goes out with the next message."""
        self._lost.discard(machine)

    # ---- what arrives

    def received(self, topic: str, payload: bytes, now: Now) -> tuple[Command, ...]:
        """A message from the broker. Hostile bytes are refused and counted, never an exception."""
        if self.host_id and topic == state_topic(self.host_id):
            return self._state(payload, now)
        parsed = parse_topic(topic)
        if isinstance(parsed, Rejected) or (parsed.site, parsed.node) != (self.site, self.node):
            return self._refuse("topic_foreign", topic[:200])
        if parsed.kind is Kind.DCMD:
            return self._refuse("dcmd_refused", parsed.device)
        if parsed.kind is not Kind.NCMD:
            return self._refuse("kind_unexpected", parsed.kind)
        command = read_payload(payload)
        if isinstance(command, Rejected):
            return self._refuse(f"ncmd_{command.reason}", command.detail)
        return self._command(command, now)

    def _refuse(self, reason: str, detail: str = "") -> tuple[Command, ...]:
        self.refused[reason] += 1
        return (Note(reason, detail),)

    def _state(self, payload: bytes, now: Now) -> tuple[Command, ...]:
        state = _read_state(payload)
        if isinstance(state, Rejected):
            return self._refuse(state.reason, state.detail)
        online, since_ms = state
        if since_ms < self._host_since_ms:
            return self._refuse("state_stale", f"{since_ms} < {self._host_since_ms}")
        self._host_since_ms = since_ms
        changed, self._host_online = online != self._host_online, online
        if online:
            return (*self._birth_if_ready(now), *((Note("host_online"),) if changed else ()))
        if self.link is Link.BORN:
            return (Note("host_offline"), *self._goodbye("host_offline"))
        return ()

    def _command(self, command: Payload, now: Now) -> tuple[Command, ...]:
        out: list[Command] = []
        committed = read_committed(command)
        if isinstance(committed, Rejected):
            return self._refuse(committed.reason, committed.detail)
        if committed is not None:
            self.window.allow(committed.window)
            out.append(Forget(committed))
        request = read_acquire(command)
        if isinstance(request, Rejected):
            return (*out, *self._refuse(request.reason, request.detail))
        if request is not None:
            out.append(Acquire(request))
        if any(metric.name == ch.REBIRTH and metric.boolean_value for metric in command.metrics):
            out += self._rebirth(now)
        elif not out:
            out += self._refuse("ncmd_unknown", ", ".join(m.name for m in command.metrics)[:200])
        return tuple(out)

    def _rebirth(self, now: Now) -> tuple[Command, ...]:
        if self.link is not Link.BORN:
            return ()
        if now.mono_ns - self._born_ns < REBIRTH_PAUSE_NS:
            # One birth answers every host that asks within the same second.
            self._rebirth_due_ns = self._born_ns + REBIRTH_PAUSE_NS
            return ()
        return self._birth(now)

    # ---- what is sent

    def extent(self, first_n: int, next_n: int) -> None:
        """What the outbox holds: needed before a birth, welcome at any time."""
        self._first_n, self._next_n = first_n, next_n
        self.window.stored(next_n)

    def saw(self, message: Message) -> None:
        """Remember the values that the next birth certificate shows."""
        if message.scalars:
            values = self._values.setdefault(message.machine, {})
            for scalar in message.scalars:
                values[scalar.channel] = scalar.value if scalar.value == scalar.value else None

    def live_room(self) -> int:
        """How many of the messages about to be stored may go out at once."""
        return self.window.live_room(self._next_n) if self.link is Link.BORN else 0

    def wants(self) -> tuple[Want, ...]:
        """Rows that the outbox should give now."""
        return self.window.wants() if self.link is Link.BORN else ()

    def offer(self, want: Want, rows: Sequence[Stored], now: Now) -> tuple[Command, ...]:
        """The rows that a want was answered with."""
        self.window.took(want, rows[-1].n if rows else None)
        out: list[Command] = []
        for row in rows:
            if not self.window.is_on_the_way(row.n):
                out += self._send(row, now, historical=not want.live or row.n < self._born_n)
        return tuple(out)

    def overdue(self, now: Now) -> tuple[int, ...]:
        """Rows to read once more and to give to `again`."""
        return self.window.overdue(now.mono_ns) if self.link is Link.BORN else ()

    def again(self, n: int, row: Stored | None, now: Now) -> tuple[Command, ...]:
        """An overdue row; None when the outbox does not hold it any more."""
        if row is None:
            self.window.gone(n)
            return ()
        return self._send(row, now, historical=True)

    def _send(self, row: Stored, now: Now, *, historical: bool) -> tuple[Command, ...]:
        body: bytes | None = row.body
        if historical and row.kind is not RowKind.GAP:
            body = wire.as_historical(row.body)
        if body is None:
            return (Damaged(row),)
        birth: tuple[Command, ...] = ()
        if row.machine == self.node:
            topic = node_topic(self.site, Kind.NDATA, self.node)
        else:
            if row.machine not in self._alive:
                birth = (self._machine_birth(row.machine, now),)
            topic = self._topics.get(row.machine, "")
            if not topic:
                topic = device_topic(self.site, Kind.DDATA, self.node, row.machine)
                self._topics[row.machine] = topic
        self.window.sent(row.n, row.machine, len(body), backlog=historical, mono_ns=now.mono_ns)
        return (*birth, Publish(topic, wire.sent(body, self._next_seq(), now.wall_ns)))

    def tick(self, now: Now) -> tuple[Command, ...]:
        """Time passes: a rebirth that had to wait, deaths of machines whose sensors are silent."""
        if self.link is not Link.BORN:
            return ()
        if 0 <= self._rebirth_due_ns <= now.mono_ns:
            return self._birth(now)
        out: list[Command] = []
        if self._lost and self.window.is_idle:
            for machine in sorted(self._lost & self._alive):
                if not self.window.carries(machine):
                    self._alive.discard(machine)
                    topic = device_topic(self.site, Kind.DDEATH, self.node, machine)
                    out.append(Publish(topic, certificates.machine_death(self._next_seq(), now.wall_ns)))
        return tuple(out)


def _read_state(payload: bytes) -> tuple[bool, int] | Rejected:
    """Online and timestamp (ms) of a STATE message.

    >>> _read_state(b'{"online": true, "timestamp": 5}')
    (True, 5)
    """
    if len(payload) > _MAX_STATE_BYTES:
        return Rejected("state_oversize", str(len(payload)))
    try:
        state = json.loads(payload)
    except (ValueError, RecursionError):
        return Rejected("state_not_json", repr(payload[:64]))
    if not isinstance(state, dict):
        return Rejected("state_form", repr(payload[:64]))
    online, since_ms = state.get("online"), state.get("timestamp")
    if not isinstance(online, bool) or isinstance(since_ms, bool) or not isinstance(since_ms, int):
        return Rejected("state_form", repr(payload[:64]))
    return online, since_ms
