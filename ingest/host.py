"""The Sparkplug B 3.0 host application, without any I/O: messages in, events out, time passed in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import msgspec

from ingest.contract import channels as ch
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.payload import (
    NS_PER_MS,
    Birth,
    Unresolved,
    read_birth,
    read_message,
    read_payload,
)
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.topics import NAMESPACE, Kind, Topic, node_topic, parse_topic, state_topic
from ingest.contract.values import Gap, Message, MessageKey
from ingest.journal.entry import DeadLetter, NodeState
from ingest.quick import Plan, Quick
from ingest.sessions import Arrived, Session

HEAD_BYTES = 64
KINDS_HEARD = (Kind.NBIRTH, Kind.NDEATH, Kind.DBIRTH, Kind.DDEATH, Kind.NDATA, Kind.DDATA)
TELEMETRY = frozenset({Kind.DDATA, Kind.NDATA})


_topic = lru_cache(maxsize=32_768)(parse_topic)


class Telemetry(msgspec.Struct, frozen=True, gc=False):
    """A message or gap record that was read; it goes to the gate."""

    content: Message | Gap
    topic: str
    receive_ns: int
    n_bytes: int


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Something that cannot be stored. key: of an outbox message, which is then told to be committed.

    again: the sender will send it once more, so it is counted but no dead letter.
    """

    letter: DeadLetter
    node: str = ""
    key: MessageKey | None = None
    again: bool = False


class Send(msgspec.Struct, frozen=True, gc=False):
    """Something to publish."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class NodeChanged(msgspec.Struct, frozen=True, gc=False):
    """A node was born, died, or its devices changed."""

    state: NodeState


class Missing(msgspec.Struct, frozen=True, gc=False):
    """Numbers of a node's sequence never came."""

    node: str
    n_messages: int
    from_ns: int
    to_ns: int


class Counted(msgspec.Struct, frozen=True, gc=False):
    """Messages that were understood and have nothing to store, or that a birth or death made void."""

    name: str
    n_messages: int = 1


Event: TypeAlias = Telemetry | Refused | Send | NodeChanged | Missing | Counted


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """reorder_ms: how long a missing sequence number is waited for; the rest bounds memory."""

    reorder_ms: int = 2_000
    max_nodes: int = 5_000
    max_devices: int = 1_000
    max_held: int = 64
    max_held_bytes: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        if (
            min(self.reorder_ms, self.max_held, self.max_held_bytes) < 0
            or min(self.max_nodes, self.max_devices) < 1
        ):
            raise ValueError("limits of the host must not be negative")


class Host:
    """A host application of one site. `receive` and `tick` return what happened and what to publish."""

    def __init__(self, site: str, host_id: str, policy: HostPolicy | None = None) -> None:
        self.site = site
        self.host_id = host_id
        self.policy = policy or HostPolicy()
        self.sessions: dict[str, Session] = {}
        self._waiting: set[str] = set()
        self._online_ms = 0
        self._plans: dict[tuple[str, str], Plan] = {}
        self._quick = Quick()
        self._own_topic = state_topic(host_id)

    # -- the host's own state ------------------------------------------------------------------------

    def subscriptions(self) -> tuple[tuple[str, int], ...]:
        """Topic filters with their QoS; subscribed before the host says that it is online."""
        two_levels = {Kind.NBIRTH, Kind.NDEATH, Kind.NDATA}
        heard = tuple(
            (f"{NAMESPACE}/{self.site}/{kind}/{'+' if kind in two_levels else '+/+'}", 1)
            for kind in KINDS_HEARD
        )
        return (*heard, (self._own_topic, 1))

    def state(self, *, online: bool, timestamp_ms: int) -> Send:
        """The STATE message: the will (offline, with the birth's timestamp) and the birth (online)."""
        if online:
            self._online_ms = timestamp_ms
        body = json.dumps({"online": online, "timestamp": timestamp_ms}, separators=(",", ":"))
        return Send(self._own_topic, body.encode(), 1, True)

    # -- messages ------------------------------------------------------------------------------------

    def receive(self, topic_text: str, raw: bytes, receive_ns: int) -> list[Event]:
        """Take one MQTT message in. Never raises for what others sent."""
        if topic_text == self._own_topic:
            return self._own_state(raw, receive_ns)
        topic = _topic(topic_text)
        if isinstance(topic, Rejected):
            return [_refused(topic_text, raw, receive_ns, topic)]
        if topic.site != self.site:
            return [_refused(topic_text, raw, receive_ns, Rejected("foreign_site", topic.site))]
        if topic.kind not in KINDS_HEARD:
            return [Counted("ignored_commands")]
        session = self.sessions.get(topic.node)
        if session is None:
            if len(self.sessions) >= self.policy.max_nodes:
                return [_refused(topic_text, raw, receive_ns, Rejected("too_many_nodes"))]
            session = self.sessions[topic.node] = Session(topic.node)
        if topic.kind is Kind.NBIRTH:
            return self._node_born(session, topic_text, raw, receive_ns)
        if topic.kind is Kind.NDEATH:
            return self._node_died(session, topic_text, raw, receive_ns)
        quick = (
            self._quickly(session, topic, topic_text, raw, receive_ns) if topic.kind in TELEMETRY else None
        )
        return quick if quick is not None else self._slowly(session, topic, raw, receive_ns)

    def _slowly(self, session: Session, topic: Topic, raw: bytes, receive_ns: int) -> list[Event]:
        """Whatever the quick path leaves: the codec reads it, and the sequence decides when."""
        birth: Birth | None = None
        payload: Payload | Rejected
        if topic.kind is Kind.DBIRTH:
            read = read_birth(raw)
            if isinstance(read, Rejected):
                return [_refused(str(topic), raw, receive_ns, read)]
            payload, birth = read
        else:
            payload = read_payload(raw)
            if isinstance(payload, Rejected):
                return [_refused(str(topic), raw, receive_ns, payload)]
        arrived = Arrived(topic, payload, birth, len(raw), bytes(raw[:HEAD_BYTES]), receive_ns)
        return list(self._ordered(session, arrived))

    def _quickly(
        self, session: Session, topic: Topic, topic_text: str, raw: bytes, receive_ns: int
    ) -> list[Event] | None:
        """The common case: a message in order, of a born machine, in the shape that our edges send."""
        birth = session.devices.get(topic.device) if topic.device else session.birth
        if birth is None or not session.online or session.held:
            return None
        plan = self._plans.get((topic.node, topic.device))
        if plan is None or plan.birth is not birth:
            plan = self._plans[topic.node, topic.device] = Plan(birth)
        read = self._quick.read(raw, topic.node, topic.device or topic.node, plan)
        if read is None or not session.takes(read[1]):
            return None
        return [Telemetry(read[0], topic_text, receive_ns, len(raw))]

    def _own_state(self, raw: bytes, now_ns: int) -> list[Event]:
        """An old will of ours may arrive after our birth: say again that we are online."""
        try:
            said = json.loads(raw)
        except (ValueError, UnicodeDecodeError, RecursionError):
            said = {}
        counted = Counted("states")
        if isinstance(said, dict) and said.get("online") is True:
            return [counted]
        return [counted, self.state(online=True, timestamp_ms=self._online_ms or now_ns // NS_PER_MS)]

    def _node_born(self, session: Session, topic: str, raw: bytes, now_ns: int) -> list[Event]:
        read = read_birth(raw)
        if isinstance(read, Rejected):
            return [_refused(topic, raw, now_ns, read)]
        payload, birth = read
        n_void = session.born(birth, payload.seq % 256 if payload.HasField("seq") else None, now_ns)
        session.rebirth_came()
        self._waiting.discard(session.node)
        return [Counted("births"), *_void(n_void), _changed(session)]

    def _node_died(self, session: Session, topic: str, raw: bytes, now_ns: int) -> list[Event]:
        payload = read_payload(raw)
        if isinstance(payload, Rejected):
            return [_refused(topic, raw, now_ns, payload)]
        said = next(
            (metric.long_value or metric.int_value for metric in payload.metrics if metric.name == ch.BDSEQ),
            None,
        )
        if not session.online or (session.bdseq is not None and said != session.bdseq):
            return [Counted("ignored_deaths")]  # the will of an earlier connection
        n_void = session.died(now_ns)
        self._waiting.discard(session.node)
        return [Counted("deaths"), *_void(n_void), _changed(session)]

    def _ordered(self, session: Session, arrived: Arrived) -> Iterator[Event]:
        if not session.online:
            yield self._unborn(arrived, "unborn_node")
            yield from self.ask_rebirth(session, arrived.receive_ns)
            return
        if not session.in_order(arrived):
            self._waiting.add(session.node)
            if (
                self.policy.reorder_ms == 0
                or len(session.held) > self.policy.max_held
                or session.held_bytes > self.policy.max_held_bytes
            ):
                yield from self._give_up(session, arrived.receive_ns)
            return
        yield from self._read(session, arrived)
        yield from self._drain(session)

    def _drain(self, session: Session) -> Iterator[Event]:
        while (held := session.next_held()) is not None:
            yield from self._read(session, held)
        if not session.held:
            self._waiting.discard(session.node)

    def _give_up(self, session: Session, now_ns: int) -> Iterator[Event]:
        from_ns = session.held_since_ns
        missing = session.skip_missing()
        if missing:
            yield Missing(session.node, missing, min(from_ns, now_ns), now_ns)
        yield from self._drain(session)
        if session.held:
            session.held_since_ns = now_ns
        yield from self.ask_rebirth(session, now_ns)

    def _read(self, session: Session, arrived: Arrived) -> Iterator[Event]:
        topic, now_ns = arrived.topic, arrived.receive_ns
        if topic.kind is Kind.DBIRTH and arrived.birth is not None:
            if len(session.devices) >= self.policy.max_devices and topic.device not in session.devices:
                yield _refused(str(topic), arrived.head, now_ns, Rejected("too_many_devices"))
                return
            session.devices[topic.device] = arrived.birth
            yield Counted("births")
            yield _changed(session)
        elif topic.kind is Kind.DDEATH:
            if session.devices.pop(topic.device, None) is None:
                yield Counted("ignored_deaths")
            else:
                yield Counted("deaths")
                yield _changed(session)
        else:
            yield from self._telemetry(session, arrived)

    def _telemetry(self, session: Session, arrived: Arrived) -> Iterator[Event]:
        topic = arrived.topic
        birth = session.devices.get(topic.device) if topic.device else session.birth
        if birth is None:
            yield self._unborn(arrived, "unborn_device")
            yield from self.ask_rebirth(session, arrived.receive_ns)
            return
        read = read_message(arrived.payload, topic.node, topic.device or topic.node, birth)
        if isinstance(read, Unresolved):
            yield self._unborn(arrived, "unknown_alias")
            yield from self.ask_rebirth(session, arrived.receive_ns)
        elif isinstance(read, Rejected):
            key = key_in(arrived.payload, topic.node, birth)
            letter = _letter(str(topic), arrived.head, arrived.receive_ns, read, arrived.n_bytes)
            yield Refused(letter, topic.node, key)
        else:
            yield Telemetry(read, str(topic), arrived.receive_ns, arrived.n_bytes)

    def _unborn(self, arrived: Arrived, reason: str) -> Refused:
        letter = _letter(
            str(arrived.topic), arrived.head, arrived.receive_ns, Rejected(reason), arrived.n_bytes
        )
        return Refused(letter, arrived.topic.node, again=True)

    def ask_rebirth(self, session: Session, now_ns: int) -> Iterator[Event]:
        """An NCMD that asks for births again; rare by construction, so that no storm can come of it."""
        if not session.may_ask_rebirth(now_ns):
            return
        payload = Payload(timestamp=now_ns // NS_PER_MS)
        add_metric(payload, ch.REBIRTH, DataType.BOOLEAN, True, timestamp_ms=now_ns // NS_PER_MS)
        yield Send(node_topic(self.site, Kind.NCMD, session.node), payload.SerializeToString())

    def forgive(self, node: str) -> None:
        """We lost messages of this node ourselves: its sequence is taken as it comes."""
        session = self.sessions.get(node)
        if session is not None:
            session.next_seq = None

    def tick(self, now_ns: int) -> list[Event]:
        """Give up on what was waited for too long. Call it several times a second."""
        limit_ns = self.policy.reorder_ms * NS_PER_MS
        late = [node for node in self._waiting if now_ns - self.sessions[node].held_since_ns >= limit_ns]
        events: list[Event] = []
        for node in late:
            events.extend(self._give_up(self.sessions[node], now_ns))
        return events


def key_in(payload: Payload, node: str, birth: Birth | None) -> MessageKey | None:
    """The outbox key in a payload that could not be read otherwise: poison must not be sent for ever."""
    found: dict[str, int] = {}
    for metric in payload.metrics:
        channel = birth.by_alias.get(metric.alias) if birth and not metric.name else None
        name = channel.name if channel else metric.name
        if name in (ch.BOOT, ch.SEQ):
            found[name] = metric.long_value
    if ch.BOOT not in found or ch.SEQ not in found:
        return None
    return MessageKey(node, found[ch.BOOT], found[ch.SEQ])


def _letter(topic: str, raw: bytes, receive_ns: int, why: Rejected, n_bytes: int) -> DeadLetter:
    return DeadLetter(receive_ns, topic[:256], why.reason, why.detail[:256], n_bytes, bytes(raw[:HEAD_BYTES]))


def _refused(topic: str, raw: bytes, receive_ns: int, why: Rejected) -> Refused:
    return Refused(_letter(topic, raw, receive_ns, why, len(raw)))


def _void(n_messages: int) -> list[Event]:
    return [Counted("refused_void", n_messages)] if n_messages else []


def _changed(session: Session) -> NodeChanged:
    return NodeChanged(
        NodeState(
            session.node,
            session.online,
            session.since_ns,
            session.rebirths,
            session.seq_gaps,
            tuple(sorted(session.devices)),
        )
    )
