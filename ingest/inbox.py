"""Between the network's thread and the stream's loop: a bounded queue, and batches out of it."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ingest.contract.actions import Action, ActionKind
from ingest.contract.batch import Batch
from ingest.contract.rejected import Rejected
from ingest.contract.topics import DEVICE_KINDS, parse_topic, state_topic
from ingest.contract.values import Gap
from ingest.credit import Credit
from ingest.desk import Desk
from ingest.gate import Gate
from ingest.host import Counted, Event, Host, NodeChanged, Refused, Send, Telemetry
from ingest.journal.entry import Intake, NodeState
from ingest.journal.journal import Journal
from ingest.watermark import Announcement, Watermarks

NS_PER_MS = 1_000_000
IDLE_S = 0.05
RELEASE_CHUNK = 128


@dataclass(frozen=True, slots=True)
class InboxPolicy:
    """What may wait in memory. Edges with an outbox never come near it: their windows are the back-pressure.

    window_bytes: what all edges together may have on the way; less than a broker holds back for one reader.
    """

    max_waiting: int = 20_000
    max_waiting_bytes: int = 256 * 1024 * 1024
    window_bytes: int = 48 * 1024 * 1024
    desk_every_ms: int = 100

    def __post_init__(self) -> None:
        if min(self.max_waiting, self.max_waiting_bytes, self.window_bytes, self.desk_every_ms) < 1:
            raise ValueError("the inbox needs room for at least one message")


@dataclass(slots=True)
class _Loss:
    n_messages: int
    from_ns: int
    to_ns: int


@dataclass(slots=True)
class _Release:
    node: str
    as_received: bool
    after: int = 0


class Inbox:
    """`offer` is called by the network's thread, everything else by the stream's loop.

    publish: answers False when it was dropped; say_state: tells the edges whether telemetry is taken
    (`is_accepting`).
    """

    def __init__(
        self,
        host: Host,
        gate: Gate,
        journal: Journal,
        *,
        publish: Callable[[Send], bool | None],
        say_state: Callable[[], None] = lambda: None,
        desk: Desk | None = None,
        policy: InboxPolicy | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.host, self.gate, self.journal = host, gate, journal
        self.policy = policy or InboxPolicy()
        self.publish = publish
        self._say_state = say_state
        self._desk = desk
        self._clock_ns = clock_ns
        self._state_topic = state_topic(host.host_id)
        self._credit = Credit(self.policy.window_bytes)
        self._watermarks = Watermarks(host.site, journal.stored_runs, self._credit.window)
        self._ready = threading.Condition()
        self._queue: deque[tuple[str, bytes | None, int]] = deque()
        """Topic, payload and time of reception; a node and None where messages of it were lost here."""
        self._torn: set[str] = set()
        self._queue_bytes = 0
        self._stopped = False
        self._in_flight = 0
        self._closed_for = ""
        self._lost: dict[tuple[str, str], _Loss] = {}
        self._unread: Counter[str] = Counter()
        self._nodes: dict[str, NodeState] = {}
        self._releases: deque[_Release] = deque()
        self._released: list[int] = []
        cursor = journal.meta("desk_cursor")
        self._desk_cursor = cursor if isinstance(cursor, int) else 0
        self._desk_ns = 0

    # -- the network's side --------------------------------------------------------------------------

    def offer(self, topic: str, raw: bytes) -> bool:
        """Queue a message as it came. False when it was dropped: the queue is full, or the disk is."""
        return self.offer_many(((topic, raw),)) == 1

    def offer_many(self, messages: Sequence[tuple[str, bytes]]) -> int:
        """Queue messages in their order; how many were taken."""
        now_ns = self._clock_ns()
        n_taken = 0
        with self._ready:
            was_empty = not self._queue
            shut = self._closed_for or ("stopped" if self._stopped else "")
            for topic, raw in messages:
                full = (
                    len(self._queue) >= self.policy.max_waiting
                    or self._queue_bytes + len(raw) > self.policy.max_waiting_bytes
                )
                if full or shut:
                    self._lose(topic, shut or "overload", now_ns)
                    continue
                if self._torn:
                    self._mend(topic, now_ns)
                self._queue.append((topic, raw, now_ns))
                self._queue_bytes += len(raw)
                n_taken += 1
            if was_empty and n_taken:
                self._ready.notify()
        return n_taken

    def _lose(self, text: str, reason: str, now_ns: int) -> None:
        self._unread[f"refused_{reason}"] += 1
        topic = parse_topic(text)
        if isinstance(topic, Rejected):
            return
        if len(self._torn) < self.policy.max_waiting:
            self._torn.add(topic.node)
        machine = topic.device if topic.kind in DEVICE_KINDS else topic.node
        loss = self._lost.get((topic.node, machine))
        if loss is not None:
            loss.n_messages += 1
            loss.to_ns = now_ns
        elif len(self._lost) < self.policy.max_waiting:
            self._lost[topic.node, machine] = _Loss(1, now_ns, now_ns)

    def _mend(self, text: str, now_ns: int) -> None:
        """Mark where a node's sequence was torn by us, so that it is not asked to account for it."""
        topic = parse_topic(text)
        if not isinstance(topic, Rejected) and topic.node in self._torn:
            self._torn.discard(topic.node)
            self._queue.append((topic.node, None, now_ns))

    @property
    def waiting(self) -> int:
        """Messages in the queue."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """True when nothing waits and nothing is on its way out of quarantine."""
        return not self._queue and not self._releases

    @property
    def is_accepting(self) -> bool:
        """False from `close_for` until `reopen`."""
        return not self._closed_for

    def close_for(self, reason: str) -> None:
        """Refuse everything until `reopen`: the journal takes no writes. Outboxes keep and send again."""
        with self._ready:
            self._closed_for = reason
        self._say_state()

    def reopen(self) -> None:
        """Accept again."""
        with self._ready:
            self._closed_for = ""
        self._say_state()

    def stop(self) -> None:
        """Let `batches` end after what was read so far."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()

    def wait_stopped(self, timeout_s: float) -> bool:
        """Wait for `stop`; False after the time-out."""
        with self._ready:
            return self._ready.wait_for(lambda: self._stopped, timeout_s)

    # -- the stream's side ---------------------------------------------------------------------------

    def batches(self, max_blocks: int = 64, max_wait_ms: float = 5.0) -> Iterator[Intake]:
        """Micro-batches: whatever waits, up to max_blocks or max_wait_ms; four times as many in a backlog.

        Nothing is yielded while there is nothing to store. Ends after `stop`.
        """
        while True:
            taken = self._wait(max_blocks, max_wait_ms / 1000.0)
            if taken is None:
                return
            for topic, raw, receive_ns in taken:
                if raw is None:
                    self.host.forgive(topic)
                else:
                    self._handle(self.host.receive(topic, raw, receive_ns))
            now_ns = self._clock_ns()
            self._handle(self.host.tick(now_ns))
            self._release()
            self._credit.share(now_ns)
            intake = self._intake(now_ns)
            if not intake.empty:
                with self._ready:
                    self._in_flight += 1
                yield intake
            self._tell(self._watermarks.announcements(now_ns))

    def _wait(self, max_blocks: int, max_wait_s: float) -> list[tuple[str, bytes | None, int]] | None:
        with self._ready:
            if not self._queue and not self._stopped:
                self._ready.wait(IDLE_S)
            if self._stopped and not self._queue:
                return None
            deadline = time.monotonic() + max_wait_s
            while 0 < len(self._queue) < max_blocks and not self._stopped:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._ready.wait(min(left, 0.001))
            n = len(self._queue)
            n = min(n, 4 * max_blocks if n > 2 * max_blocks else max_blocks)
            taken = [self._queue.popleft() for _ in range(n)]
            self._queue_bytes -= sum(len(raw) for _, raw, _ in taken if raw is not None)
            lost, self._lost = self._lost, {}
            unread, self._unread = self._unread, Counter()
        for name, more in unread.items():
            self.gate.count(name, more)
        for (node, machine), loss in lost.items():
            self.gate.declare(
                Gap(node, machine, loss.from_ns, loss.to_ns, loss.n_messages, "host_overloaded")
            )
        return taken

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Telemetry):
                self._credit.heard(event.content.node, event.n_bytes, event.receive_ns)
                self.gate.admit(event)
            elif isinstance(event, Refused):
                self.gate.refuse(event)
            elif isinstance(event, Send):
                if event.topic == self._state_topic:
                    self._say_state()  # the host thinks that we are there; the inbox knows whether we are
                else:
                    self.publish(event)
            elif isinstance(event, Counted):
                self.gate.count(event.name, event.n_messages)
            elif isinstance(event, NodeChanged):
                self._nodes[event.state.node] = event.state
            else:
                self.gate.declare(
                    Gap(event.node, event.node, event.from_ns, event.to_ns, event.n_messages, "sequence")
                )

    def _intake(self, now_ns: int) -> Intake:
        cursor, actions = self._said(now_ns)
        passed = self.gate.take()
        for node in passed.settled:
            self._releases.append(_Release(node, as_received=False))
        nodes, self._nodes = tuple(self._nodes.values()), {}
        released, self._released = tuple(self._released), []
        return Intake(
            Batch(now_ns, passed.messages, passed.gaps, actions),
            passed.receive_ns,
            passed.dead_letters,
            passed.quarantined,
            released,
            passed.touched,
            passed.digests,
            passed.runs,
            passed.clocks,
            nodes,
            passed.counts,
            cursor,
        )

    def _said(self, now_ns: int) -> tuple[int | None, tuple[Action, ...]]:
        """What people said since the last look, and the desk's cursor when it moved."""
        if self._desk is None or now_ns - self._desk_ns < self.policy.desk_every_ms * NS_PER_MS:
            return None, ()
        self._desk_ns = now_ns
        cursor, actions = self._desk.since(self._desk_cursor)
        if cursor == self._desk_cursor:
            return None, ()
        self._desk_cursor = cursor
        for action in actions:
            if action.kind is ActionKind.CLOCK_RELEASE:
                node = str(action.values.get("node") or self.gate.node_of(action.machine) or action.machine)
                self.gate.release(node, now_ns)
                trusted = action.values.get("time") == "device"
                self._releases.append(_Release(node, as_received=not trusted))
        return cursor, actions

    def _release(self) -> None:
        """Bring a chunk of messages back from quarantine."""
        if not self._releases or self._in_flight:
            return  # what is on its way to the quarantine, or out of it, must be there first
        release = self._releases[0]
        held = self.journal.quarantined(release.node, release.after, RELEASE_CHUNK)
        if not held:
            self._releases.popleft()
            return
        release.after = held[-1][0]
        self._released += [
            number for number, one in held if self.gate.readmit(one, as_received=release.as_received)
        ]

    def committed(self, intake: Intake) -> None:
        """The batch is on disk: only now may the edges forget it."""
        self._watermarks.stored(intake)
        with self._ready:
            self._in_flight -= 1
        self._tell(self._watermarks.announcements(self._clock_ns()))

    def _tell(self, announcements: list[Announcement]) -> None:
        for one in announcements:
            if self.publish(one.send) is False:
                self._watermarks.unsaid(one)
