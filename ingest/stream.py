"""The loop: inbox -> update -> journal -> watermark. `update` is given; ingest knows no model."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ingest.acquire import Acquire
from ingest.committer import Committer
from ingest.contract.batch import Batch
from ingest.contract.rows import Outputs, StopAdvice
from ingest.inbox import Inbox
from ingest.journal.entry import Intake
from ingest.journal.journal import Journal, JournalFull
from ingest.metrics import Health, IngestState, Latency, MetricsFile
from ingest.snapshots import Snapshots

State = TypeVar("State")
LOG = logging.getLogger(__name__)
NS_PER_S = 1_000_000_000
CHECKPOINT_EVERY_BATCHES = 16
REPUBLISH_NS = 600 * NS_PER_S
FULL_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """max_blocks and max_wait_ms: the micro-batch; snapshot_every_s: how much a restart may have to fold;
    snapshot_share: the part of the loop's time that making snapshots may take.
    """

    max_blocks: int = 64
    max_wait_ms: float = 5.0
    snapshot_every_s: float = 30.0
    snapshot_share: float = 0.02
    metrics_every_s: float = 1.0

    def __post_init__(self) -> None:
        if self.max_blocks < 1 or self.max_wait_ms < 0 or not 0 < self.snapshot_share <= 1:
            raise ValueError("the stream needs max_blocks >= 1, max_wait_ms >= 0, 0 < snapshot_share <= 1")


def _spare_the_collector() -> None:
    """Keep Python's collector from walking over models and catalogues again and again.

    They live as long as the process; messages and rows are freed by counting. It saves a tenth of the loop.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@dataclass(slots=True)
class Stream(Generic[State]):
    """The running stream of one journal.

    update: (state, batch) -> (state, outputs); snapshots: None keeps no state; on_advice: called after stop
    requests are stored, again after a crash, and until it returns true (handed on); metrics: where to tell;
    acquire: asks edges for more of suspicious machines.
    """

    inbox: Inbox
    journal: Journal
    update: Callable[[State, Batch], tuple[State, Outputs]]
    state: State
    snapshots: Snapshots[State] | None = None
    on_advice: Callable[[tuple[StopAdvice, ...]], bool] | None = None
    metrics: MetricsFile | None = None
    policy: StreamPolicy = field(default_factory=StreamPolicy)
    acquire: Acquire | None = None
    latency: Latency = field(default_factory=Latency)
    age: Latency = field(default_factory=Latency)
    counters: dict[str, float] = field(default_factory=dict)
    _status: IngestState = IngestState.STARTING
    _since_ns: int = 0
    _detail: str = ""
    _advice_waits: bool = False
    _told_s: float = 0.0
    _snapshot_due_s: float = 0.0
    _snapshot_batch: int = -1

    def run(self) -> State:
        """Work until the inbox stops; returns the last state, which is also snapshot."""
        if self.snapshots is not None:
            self.state = self.snapshots.recover(self.journal, self.state)
        _spare_the_collector()
        self._become(IngestState.RUNNING)
        self._snapshot_due_s = time.monotonic() + self.policy.snapshot_every_s
        self._publish_advice()
        committer = Committer(self._commit, self._regularly)
        try:
            for intake in self.inbox.batches(self.policy.max_blocks, self.policy.max_wait_ms):
                self.state, outputs = self.update(self.state, intake.batch)
                committer.put(intake, outputs)
                if self.snapshots is not None and time.monotonic() >= self._snapshot_due_s:
                    committer.drain()
                    self._snapshot(self.snapshots)
            whole = committer.drain()
        finally:
            committer.stop()
        self._become(IngestState.STOPPED)
        if whole and self.snapshots is not None and self._snapshot_batch != self.journal.batch_id:
            self.snapshots.save(self.state, self.journal, wait=True)
        return self.state

    def _commit(self, intake: Intake, outputs: Outputs) -> bool:
        """The committer's work: store, tell the edges, and see to the rest."""
        if not self._store(intake, outputs):
            return False
        self.inbox.committed(intake)
        self._after(intake, outputs)
        return True

    def _store(self, intake: Intake, outputs: Outputs) -> bool:
        """Commit; while the disk is full, refuse what comes and try again. False when stopped meanwhile."""
        while True:
            try:
                self.journal.commit(intake, outputs)
            except JournalFull as error:
                if self._status is not IngestState.STORAGE_FULL:
                    LOG.error("storage_full error=%s", error)  # noqa: TRY400 (a state, not a fault)
                    self.inbox.close_for("storage_full")
                    self._become(IngestState.STORAGE_FULL, str(error))
                self._tell()
                if self.inbox.wait_stopped(FULL_WAIT_S):
                    return False
                continue
            if self._status is IngestState.STORAGE_FULL:
                LOG.warning("storage_resumed")
                self._become(IngestState.RUNNING)
                self.inbox.reopen()
            return True

    def _after(self, intake: Intake, outputs: Outputs) -> None:
        now_ns = time.time_ns()
        messages = intake.batch.messages
        self.latency.add([now_ns - receive_ns for receive_ns in intake.receive_ns])
        self.age.add([now_ns - message.time_ns for message in messages if not message.historical])
        self._count("messages", len(messages))
        self._count("rows", len(outputs.rows))
        self._count("batches", 1)
        for name, more in intake.counts.items():
            self._count(name, more)
        if outputs.advice:
            self._publish_advice()
        if self.acquire is not None:
            for send in self.acquire.consider(outputs.judgements, now_ns):
                self.inbox.publish(send)
                self._count("acquisitions_asked", 1)
        if self.journal.batch_id % CHECKPOINT_EVERY_BATCHES == 0:
            self.journal.tend()
        self._regularly()

    def _regularly(self) -> None:
        """What time alone asks for, on the committer's thread, also while nothing comes."""
        if time.monotonic() - self._told_s < self.policy.metrics_every_s:
            return
        if self._advice_waits:
            self._publish_advice()
        self._tell()

    def _snapshot(self, snapshots: Snapshots[State]) -> None:
        """Called when every batch that the state knows is on disk."""
        now_s = time.monotonic()
        if snapshots.save(self.state, self.journal):
            self._snapshot_batch = self.journal.batch_id
            took_s = time.monotonic() - now_s
            self.counters["snapshot_s"] = took_s
            wait_s = max(self.policy.snapshot_every_s, took_s / self.policy.snapshot_share)
            self._snapshot_due_s = now_s + wait_s

    def _publish_advice(self) -> None:
        """Hand on stop requests that are stored but were not handed on yet."""
        told = self.journal.meta("advice_told")
        waiting = self.journal.advice_after(told if isinstance(told, int) else 0)
        if not waiting:
            return
        if self.on_advice is not None:
            oldest_ns = time.time_ns() - REPUBLISH_NS
            fresh = tuple(advice for _, receive_ns, advice in waiting if receive_ns >= oldest_ns)
            self._advice_waits = bool(fresh) and not self.on_advice(fresh)
            if self._advice_waits:
                return
        self.journal.remember("advice_told", waiting[-1][0])

    def _count(self, name: str, more: int) -> None:
        if more:
            self.counters[name] = self.counters.get(name, 0) + more

    def _become(self, status: IngestState, detail: str = "") -> None:
        self._status, self._detail, self._since_ns = status, detail, time.time_ns()
        self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        if self.metrics is None:
            return
        self.counters["queue"] = self.inbox.waiting
        self.metrics.write(
            Health(
                self._status,
                self._since_ns,
                time.time_ns(),
                dict(self.counters),
                self.latency.by_bound(),
                self.age.by_bound(),
                self._detail,
            )
        )
