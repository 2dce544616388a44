"""One machine and its source, as a reading thread meets them: what breaks or hangs there stays there.

A source that cannot answer says so itself (`edge.sensors.Patient`). Anything else that it raises is broken
code. That is logged with its trace and shown as the machine's trouble, the reads that it cost are declared
in a gap record, and it is tried again after a pause that grows: one odd telegram must not end the
measuring of a whole gateway.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from edge.channels import MAX_TELEMETRY_METRICS
from edge.intake import Intake
from edge.log import broke
from edge.outbox_rows import Loss
from edge.sensors import Telemetry
from ingest.contract.values import Message, Scalar, Waveform

HUNG_NS = 60_000_000_000
"""A read that has not come back after so long hangs: every source has time-outs far below it."""
FIRST_PAUSE_NS, LONGEST_PAUSE_NS = 1_000_000_000, 60_000_000_000
BROKEN, HUNG = "source_broken", "source_hung"


class Source(Protocol):
    """What a reader needs of a sensor; `edge.sensors.Patient` is one."""

    trouble: str | None

    @property
    def period_ns(self) -> int: ...
    @property
    def exhausted(self) -> bool: ...
    def open(self) -> None: ...
    def read(self, now_ns: int) -> Telemetry: ...
    def acquire(self, n_samples: int, period_ns: int, /) -> bool: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What one read gave. period_ns: until the next one; 0: as fast as it goes."""

    messages: tuple[Message, ...] = ()
    period_ns: int = FIRST_PAUSE_NS
    is_last: bool = False


@dataclass(slots=True)
class Place:
    """A machine's place in a thread. wanted: what the host asked of the source, done before the next read.

    asking_ns: monotonic time at which the read under way began, 0 between reads; trouble: why the machine
    is silent, None while it answers; done: nothing will ever follow. The agent's thread looks in meanwhile:
    what both touch is behind a lock, which no read ever holds.
    """

    node: str
    machine: str
    source: Source
    wanted: tuple[int, int] | None = None
    asking_ns: int = 0
    trouble: str | None = None
    done: bool = False
    is_hung: bool = False
    period_ns: int = 0
    _pause_ns: int = FIRST_PAUSE_NS
    _broke_ns: int = 0
    _n_broken: int = 0
    _must_close: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def want(self, n_samples: int, period_ns: int) -> None:
        """What the source is to be asked before its next read; the newest wish counts."""
        with self._lock:
            self.wanted = (n_samples, period_ns)

    def hangs(self, before_ns: int, tell: Callable[[], None]) -> bool:
        """True once for a read under way that began before before_ns; it cannot end before that is told."""
        with self._lock:
            if self.is_hung or not 0 < self.asking_ns < before_ns:
                return False
            self.is_hung = True
            tell()
            return True

    def ask(self, intake: Intake) -> Answer:
        """One read. What it cost when it breaks or hangs is declared to the intake."""
        wall_ns = time.time_ns()
        with self._lock:
            self.is_hung, self.asking_ns = False, time.monotonic_ns()
        try:
            answer, trouble = self._answer(wall_ns)
        except Exception as error:  # noqa: BLE001 (whatever a source may raise is told, and ends only itself)
            answer, trouble = self._break(error), f"broken: {type(error).__name__}: {error}"[:300]
            intake.lose(Loss(self.machine, wall_ns, wall_ns, 1, BROKEN))
        else:
            with self._lock:
                self._declare_broken(intake, self.asking_ns)
        with self._lock:
            if self.is_hung:
                self._declare(intake, HUNG, self.asking_ns, time.monotonic_ns(), 1)
            self.asking_ns, self.is_hung = 0, False
        self.trouble = trouble
        return answer

    def leave(self, intake: Intake) -> None:
        """The agent stops: declare what the silence that still lasts has cost."""
        now_ns = time.monotonic_ns()
        with self._lock:
            if self.is_hung and self.asking_ns:
                self._declare(intake, HUNG, self.asking_ns, now_ns, 0)
                self.is_hung = False  # declared: should the read come back after all, it is not again
            else:
                self._declare_broken(intake, now_ns)

    def _answer(self, now_ns: int) -> tuple[Answer, str | None]:
        source = self.source
        if self._must_close:
            self._must_close = False
            source.close()
        with self._lock:
            wanted, self.wanted = self.wanted, None
        if wanted is not None:
            source.acquire(*wanted)
        telemetry = source.read(now_ns)
        self.period_ns = max(source.period_ns, 0)
        # At once again is for what has more to give.
        recorded = self.period_ns == 0
        parts = (
            telemetry[start : start + MAX_TELEMETRY_METRICS]
            for start in range(0, len(telemetry), MAX_TELEMETRY_METRICS)
        )
        messages = tuple(self._message(part, now_ns, recorded=recorded) for part in parts)
        return Answer(messages, self.period_ns, source.exhausted), source.trouble

    def _message(self, telemetry: Telemetry, now_ns: int, *, recorded: bool) -> Message:
        """recorded: the past played fast; its time says nothing of this gateway's clock."""
        waveforms = tuple(one for one in telemetry if isinstance(one, Waveform))
        scalars = tuple(one for one in telemetry if isinstance(one, Scalar))
        time_ns = waveforms[0].start_ns if waveforms else scalars[0].time_ns if scalars else now_ns
        return Message(self.node, self.machine, time_ns, waveforms, scalars, historical=recorded)

    def _break(self, error: Exception) -> Answer:
        broke("source_broken", error, machine=self.machine, again_s=self._pause_ns / 1e9)
        self._must_close = True
        self._broke_ns = self._broke_ns or self.asking_ns
        self._n_broken += 1
        pause_ns, self._pause_ns = self._pause_ns, min(2 * self._pause_ns, LONGEST_PAUSE_NS)
        return Answer(period_ns=pause_ns)

    def _declare_broken(self, intake: Intake, until_ns: int) -> None:
        """The reads that fell into the pauses after broken ones were never made."""
        if self._n_broken:
            self._declare(intake, BROKEN, self._broke_ns, until_ns, self._n_broken)
            self._broke_ns, self._n_broken, self._pause_ns = 0, 0, FIRST_PAUSE_NS

    def _declare(self, intake: Intake, reason: str, from_ns: int, until_ns: int, n_known: int) -> None:
        """A gap as long as the silence, monotonic ns. A recording waits; a machine's moments do not."""
        n_missed = (until_ns - from_ns) // self.period_ns - n_known if self.period_ns else 0
        if n_missed > 0:
            wall_ns = time.time_ns()
            intake.lose(Loss(self.machine, wall_ns - (until_ns - from_ns), wall_ns, n_missed, reason))
