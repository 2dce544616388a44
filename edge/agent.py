"""The agent of one gateway: sensors -> outbox -> MQTT, in one loop that owns the file and the socket.

Sensors read on threads of their own and leave messages in the intake. The loop stores what waits in one
transaction, gives the node what is durable, sends what the node says, and listens. A broker that is away
changes nothing but that messages stay in the outbox.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import select
import socket
import time
from collections import Counter, deque
from pathlib import Path

from edge.acquisition import AcquireRequest, Acquisitions
from edge.config import AgentConfig, Broker
from edge.intake import Intake
from edge.link import Arrived, Closed, Event, Opened, Session, Subscribed
from edge.log import broke, say
from edge.node import Acquire, Close, Command, Damaged, EdgeNode, Forget, Link, Note, Now, Publish, Subscribe
from edge.outbox import Commit
from edge.outbox_file import Connect, connect_sqlite
from edge.outbox_rows import Counts, Stored
from edge.place import Source
from edge.readers import Change, Readers
from edge.status import OUTBOX_NAME, Status, read_status, write_status
from edge.store import Store
from edge.window import Want
from ingest.contract.rejected import Rejected

_WAIT_S = 0.1
_GATHER_S = 0.004
_STATUS_NS = 1_000_000_000
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_SUBSCRIBE_NS = 10_000_000_000
_STOP_S = 3.0


def now() -> Now:
    """Both clocks."""
    return Now(time.time_ns(), time.monotonic_ns())


def _last_known(folder: Path) -> Counts | None:
    last = read_status(folder)
    if last is None:
        return None
    return Counts(
        made=last.made,
        committed=last.committed,
        in_outbox=last.in_outbox,
        gap_declared=last.gap_declared,
        oldest_time_ns=last.oldest_time_ns,
    )


class Agent:
    """See the module. `run` returns when `stop` was called, or when all is drained if that was asked for."""

    def __init__(
        self, config: AgentConfig, site: str, sources: dict[str, Source], connect: Connect = connect_sqlite
    ) -> None:
        self._config = config
        self._broker: Broker = config.broker_address()
        self._folder = Path(config.data_dir)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._store = Store(
            self._folder / OUTBOX_NAME,
            config.gateway,
            config.limits,
            now(),
            last_known=_last_known(self._folder),
            connect=connect,
        )
        self._random = random.Random(self._store.outbox.boot_id)  # noqa: S311  # jitter, not a secret
        self._node = EdgeNode(
            site,
            config.gateway,
            config.host_id,
            boot_id=self._store.outbox.boot_id,
            channels=self._store.outbox.channels,
            seed=self._store.outbox.boot_id,
        )
        self._generation = self._store.generation
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._intake = Intake(self.wake)
        self._changes: deque[Change] = deque()
        self._readers = Readers(config.gateway, sources, self._intake, self._change)
        self._n_machines = len(sources)
        self._acquisitions = Acquisitions()
        self._refused: Counter[str] = Counter()
        self._session: Session | None = None
        self._is_connected = False
        self._next_try_ns, self._pause_s, self._told = 0, _FIRST_PAUSE_S, False
        self._subscribe_by_ns = 0
        self._status_due_ns = 0
        self._is_readable = self._is_stopping = False

    # ---- from any thread

    def wake(self) -> None:
        """Make the loop look: something waits."""
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"\0")

    def stop(self) -> None:
        """Ask the loop to end cleanly. Safe in a signal handler."""
        self._is_stopping = True
        self.wake()

    def _change(self, change: Change) -> None:
        self._changes.append(change)
        self.wake()

    # ---- the loop

    def run(self) -> None:
        """Read, store, send until told to stop. Raises what broke a reading thread, once all is stored."""
        say(
            "started", boot_id=self._store.outbox.boot_id, machines=self._n_machines, broker=str(self._broker)
        )
        self._extent()
        self._readers.start()
        try:
            while not self._is_stopping and not self._is_drained and self._readers.failure is None:
                self._wait()
                self._turn(now())
        finally:
            self._end()
        if self._readers.failure is not None:
            broke("readers_broken", self._readers.failure, meaning="the agent ends, to be started anew")
            raise self._readers.failure

    def _turn(self, at: Now) -> None:
        self._converse(at)
        self._store_waiting(at)
        self._send_stored(at)
        while self._changes:
            change = self._changes.popleft()
            (self._node.found if change.trouble is None else self._node.lost)(change.machine)
            say(
                "sensor",
                logging.WARNING,
                machine=change.machine,
                trouble=change.trouble or "none: it answers",
            )
        self._do(self._node.tick(at), at)
        for machine in self._acquisitions.ended(at.mono_ns):
            self._readers.acquire(machine, 0, 0)
            say("acquire_ended", machine=machine)
        if at.mono_ns >= self._status_due_ns:
            self._status_due_ns = at.mono_ns + _STATUS_NS
            self._readers.look_after(at.mono_ns)
            self._show(at)

    @property
    def _is_drained(self) -> bool:
        return (
            self._config.until_drained
            and self._readers.all_exhausted
            and not len(self._intake)
            and self._store.outbox.first_n >= self._store.outbox.next_n
        )

    def _wait(self) -> None:
        """Until there is something to do; a little longer when it has just begun, so that commits group."""
        sock = self._session.socket if self._session else None
        reading: list[socket.socket] = [self._woken] + ([sock] if sock else [])
        writing = [sock] if sock and self._session and self._session.wants_write else []
        busy = len(self._intake) > 0 and not self._store.trouble
        ready, _, _ = select.select(reading, writing, [], 0.0 if busy else _WAIT_S)
        self._is_readable = sock in ready
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            if len(self._intake) < 64:
                time.sleep(_GATHER_S)

    # ---- the broker

    def _converse(self, at: Now) -> None:
        if self._session is None:
            if at.mono_ns >= self._next_try_ns:
                self._connect(at)
            return
        for event in self._session.step(readable=self._is_readable):
            self._handle(event, at)
        if self._subscribe_by_ns and at.mono_ns > self._subscribe_by_ns:
            self._drop("the broker did not answer within 10 s", at)

    def _connect(self, at: Now) -> None:
        will = self._node.connecting(self._store.next_bdseq(at))
        name = f"edge-{self._node.site}-{self._node.node}"
        self._session = Session(self._broker, name, self._config.mqtt_version, will, self.wake)
        self._subscribe_by_ns = at.mono_ns + _SUBSCRIBE_NS

    def _handle(self, event: Event, at: Now) -> None:
        match event:
            case Opened():
                self._is_connected = True
                self._do(self._node.connected(), at)
            case Subscribed(refused=True):
                self._drop("the broker's access list refuses the subscriptions of this gateway", at)
            case Subscribed():
                self._subscribe_by_ns, self._pause_s, self._told = 0, _FIRST_PAUSE_S, False
                say("connected", broker=str(self._broker))
                self._do(self._node.subscribed(at), at)
            case Arrived(topic, payload):
                self._do(self._node.received(topic, payload, at), at)
            case Closed(reason):
                self._drop(reason, at)

    def _drop(self, reason: str, at: Now, *, meant: bool = False) -> None:
        """The session is over: try again after a pause that grows, for ever; at once when it was meant."""
        if self._session is None:
            return
        self._session.close()
        self._session, self._is_connected, self._subscribe_by_ns = None, False, 0
        self._node.disconnected()
        if meant:
            self._next_try_ns = at.mono_ns
            return
        pause_s = self._pause_s * self._random.uniform(0.75, 1.25)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._next_try_ns = at.mono_ns + int(pause_s * 1e9)
        if not self._told and not self._is_stopping:
            self._told = True
            say(
                "broker_away",
                logging.WARNING,
                broker=str(self._broker),
                why=reason,
                meaning="telemetry is kept in the outbox and sent when the broker is back",
                do="check that the broker runs and that address, password and network are right",
            )

    def _do(self, commands: tuple[Command, ...], at: Now) -> None:
        for command in commands:
            match command:
                case Publish():
                    if self._session is not None:
                        self._session.publish(command)
                case Forget(committed):
                    self._store.forget(committed)
                case Subscribe():
                    if self._session is not None:
                        self._session.subscribe(command)
                case Acquire(request):
                    self._acquire(request, at)
                case Damaged(row):
                    gap = self._store.replace_damaged(row, at)
                    if gap is not None:
                        self._do(self._node.again(gap.n, gap, at), at)
                case Note(event, detail):
                    say(event, detail=detail)
                case Close(reason):
                    say("session_closed", why=reason)
                    self._drop(reason, at, meant=True)

    def _acquire(self, request: AcquireRequest, at: Now) -> None:
        until_ns = self._acquisitions.admit(request, at.wall_ns, at.mono_ns)
        if isinstance(until_ns, Rejected):
            self._refused[until_ns.reason] += 1
            say(until_ns.reason, machine=request.machine)
            return
        taken = self._readers.acquire(request.machine, request.n_samples or 0, request.period_ns or 0)
        say(
            "acquire" if taken else "acquire_unknown_machine",
            machine=request.machine,
            n_samples=request.n_samples,
            period_ns=request.period_ns,
            seconds=(until_ns - at.mono_ns) / 1e9,
        )

    # ---- the outbox

    def _store_waiting(self, at: Now) -> None:
        while True:
            room = self._node.live_room()
            messages, done = self._store.commit(self._intake, room, at)
            self._follow_store()
            if done.forgotten:
                self._node.window.forget(done.forgotten)
            if done.stored or done.gaps:
                for message in messages:
                    self._node.saw(message)
                self._stored(done, room, at)
            if not messages or len(self._intake) == 0:
                return
            self._converse_quickly(at)
            at = now()

    def _converse_quickly(self, at: Now) -> None:
        """Between two transactions: let the host's word in and packets out."""
        self._is_readable = True
        if self._session is not None and self._session.socket is not None:
            for event in self._session.step(readable=True):
                self._handle(event, at)

    def _stored(self, done: Commit, room: int, at: Now) -> None:
        rows = []
        for one in done.stored:
            if isinstance(one, Rejected):
                self._refused[one.reason] += 1
                say(one.reason, logging.WARNING, detail=one.detail)
            else:
                rows.append(one)
        self._extent()
        self._do(self._node.reborn(done.reborn, at), at)
        sent = rows[:room]
        if sent:
            # Durable, and still at hand: no need to read them back.
            want = Want(sent[0].n, sent[-1].n + 1, len(sent), live=True)
            self._do(self._node.offer(want, sent, at), at)

    def _extent(self) -> None:
        self._node.extent(self._store.outbox.first_n, self._store.outbox.next_n)

    def _follow_store(self) -> None:
        if self._store.generation != self._generation:
            self._generation = self._store.generation
            self._node.follow(self._store.outbox.boot_id, self._store.outbox.channels)
            self._drop("the outbox was opened anew", now(), meant=True)

    def _send_stored(self, at: Now) -> None:
        for want in self._node.wants():
            rows = self._store.read(want.first, want.end, want.limit, at)
            if rows is None:
                break
            self._do(self._node.offer(want, rows, at), at)
        for n in self._node.overdue(at):
            again = self._store.read(n, n + 1, 1, at)
            if again is None:
                break
            found: Stored | None = again[0] if again else None
            self._do(self._node.again(n, found, at), at)

    # ---- the end, and what others see

    def _end(self) -> None:
        self._readers.stop(_STOP_S)
        self._intake.close()
        at = now()
        self._store_waiting(at)
        self._is_stopping = True
        if self._session is not None:
            self._do(self._node.stopping(), at)
        self._show(at, "stopped")
        say("stopped", left_in_outbox=self._store.counts().in_outbox)
        self._store.outbox.close()

    def _show(self, at: Now, state: str = "") -> None:
        counts, node = self._store.counts(), self._node
        states = {Link.DOWN: "connecting", Link.WAITING: "waiting", Link.BORN: "born"}
        status = Status(
            gateway=self._config.gateway,
            pid=os.getpid(),
            time_ns=at.wall_ns,
            state=state or states[node.link],
            boot_id=self._store.outbox.boot_id,
            made=counts.made,
            committed=counts.committed,
            in_outbox=counts.in_outbox,
            gap_declared=counts.gap_declared,
            thinned=counts.thinned,
            oldest_s=counts.oldest_s,
            oldest_time_ns=counts.oldest_time_ns,
            outbox_bytes=counts.n_bytes,
            on_the_way=node.window.on_the_way,
            resent=node.window.resent,
            births=node.births,
            connected=self._is_connected,
            host_online=node.host_online and self._is_connected,
            storing=self._store.trouble,
            machines=self._n_machines,
            exhausted=self._readers.exhausted,
            sensors_silent=dict(sorted(self._readers.silent().items())[:100]),
            refused=dict(self._refused + node.refused),
        )
        try:
            write_status(self._folder, status)
        except OSError as error:
            # A full disk must not stop what still can be sent.
            if not self._store.trouble:
                say("status_not_written", logging.WARNING, why=str(error))
