"""The threads that read the sensors: each machine belongs to one thread, so that a slow one delays few.

A source that breaks is met by `edge.place`. One whose read hangs keeps its thread, since no thread can be
ended from outside; the machines behind it move to a fresh one. A thread that breaks itself is a fault of
ours: `failure` tells, and the agent ends, so that its supervisor starts it anew.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.intake import Intake
from edge.place import HUNG_NS, Place, Source

MAX_THREADS = 16
MAX_HUNG = 64
"""Threads that may be held by sources that hang; behind further ones their neighbours wait."""
_IDLE_WAIT_S = 0.2
_LATE_PERIODS = 2


@dataclass(frozen=True, slots=True)
class Change:
    """A machine whose source fell silent (why) or answers again (None)."""

    machine: str
    trouble: str | None


class Readers:
    """Starts and stops the threads. `changed` tells of silent and recovered sources, from any thread."""

    def __init__(
        self,
        node: str,
        sources: dict[str, Source],
        intake: Intake,
        changed: Callable[[Change], None],
        hung_ns: int = HUNG_NS,
    ) -> None:
        self._intake, self._changed, self._hung_ns = intake, changed, hung_ns
        self._places = [Place(node, machine, source) for machine, source in sources.items()]
        self._by_machine = {place.machine: place for place in self._places}
        self._stop = threading.Event()
        self._silent: dict[str, str] = {}
        self._telling = threading.Lock()
        self.failure: Exception | None = None
        n_threads = min(MAX_THREADS, len(self._places))
        self._n_first = n_threads
        self._lanes = [_Lane(self, self._places[i::n_threads], i) for i in range(n_threads)]

    def start(self) -> None:
        """Begin to read."""
        for lane in self._lanes:
            lane.thread.start()

    def stop(self, wait_s: float) -> None:
        """Stop reading; what hangs in a read is left alone after wait_s, and what it cost is declared."""
        self._stop.set()
        until = time.monotonic() + wait_s
        for lane in self._lanes:
            lane.thread.join(max(0.0, until - time.monotonic()))
        for place in self._places:
            place.leave(self._intake)

    @property
    def exhausted(self) -> int:
        """Machines from which nothing will follow."""
        return sum(place.done for place in self._places)

    @property
    def all_exhausted(self) -> bool:
        """True when nothing will ever follow."""
        return all(place.done for place in self._places)

    def silent(self) -> dict[str, str]:
        """Why, by machine, for sources that do not answer now."""
        return dict(self._silent)

    def acquire(self, machine: str, n_samples: int, period_ns: int) -> bool:
        """Ask a machine's source for more (0, 0: back to normal); False for a machine that is not here.

        The thread of the machine does it before its next read.
        """
        place = self._by_machine.get(machine)
        if place is None:
            return False
        place.want(n_samples, period_ns)
        return True

    def look_after(self, mono_ns: int) -> None:
        """Find reads that hang, tell of them, and let the machines behind them go on elsewhere."""
        for lane in tuple(self._lanes):
            held = lane.held_since(mono_ns - self._hung_ns, self._mark_hung)
            if held is None:
                continue
            if len(self._lanes) < self._n_first + MAX_HUNG:
                others = lane.keep_only(held)
                if others:
                    self._lanes.append(fresh := _Lane(self, others, len(self._lanes)))
                    fresh.thread.start()

    def _mark_hung(self, machine: str) -> None:
        self.mark(machine, f"its read has not come back for {self._hung_ns / 1e9:g} s")

    def mark(self, machine: str, trouble: str | None) -> None:
        """Remember why a machine is silent, and tell when that begins or ends, one after the other."""
        with self._telling:
            was_silent = machine in self._silent
            if trouble is None:
                self._silent.pop(machine, None)
            else:
                self._silent[machine] = trouble
            if was_silent != (trouble is not None):
                self._changed(Change(machine, trouble))

    def run(self, lane: _Lane) -> None:
        """The body of a thread."""
        try:
            lane.read_on(self._stop, self._one)
        except Exception as error:  # noqa: BLE001 (raised again in the agent's own thread)
            self.failure = error

    def _one(self, place: Place) -> int | None:
        """One read of one machine: ns until the next, None when nothing will follow."""
        answer = place.ask(self._intake)
        if place.trouble != self._silent.get(place.machine):
            self.mark(place.machine, place.trouble)
        patient = answer.period_ns == 0
        for message in answer.messages:
            self._intake.put(message, patient=patient)
        if answer.is_last:
            place.done = True
            return None
        if not answer.messages and patient:
            self._stop.wait(_IDLE_WAIT_S)
        return answer.period_ns


class _Lane:
    """One thread and its machines, which `keep_only` may take away while a read hangs."""

    def __init__(self, readers: Readers, places: Sequence[Place], number: int) -> None:
        self._places = tuple(places)
        self._lock = threading.Lock()
        self._asking: Place | None = None
        self.thread = threading.Thread(
            target=readers.run, args=(self,), name=f"sensors-{number}", daemon=True
        )

    def held_since(self, mono_ns: int, tell: Callable[[str], None]) -> Place | None:
        """The machine whose read under way began before mono_ns, if that was not told yet; tells it."""
        with self._lock:
            place = self._asking
        if place is None or not place.hangs(mono_ns, lambda: tell(place.machine)):
            return None
        return place

    def keep_only(self, held: Place) -> tuple[Place, ...]:
        """Take the others away, unless the read came back meanwhile."""
        with self._lock:
            if self._asking is not held:
                return ()
            others = tuple(place for place in self._places if place is not held and not place.done)
            self._places = (held,)
            return others

    def read_on(self, stop: threading.Event, one: Callable[[Place], int | None]) -> None:
        """Read each machine when it is due, until all are exhausted or it is time to stop."""
        known, due = self._begin()
        while due and not stop.is_set():
            due_ns, i = due[0]
            wait_s = (due_ns - time.monotonic_ns()) / 1e9
            if wait_s > 0:
                stop.wait(min(wait_s, _IDLE_WAIT_S))
                continue
            place = known[i]
            with self._lock:
                self._asking = place
            period_ns = one(place)
            with self._lock:
                self._asking = None
                if self._places is not known:
                    known, i, due = self._places, 0, [(due_ns, 0)]
            if period_ns is None:
                heapq.heappop(due)
            else:
                heapq.heapreplace(due, (_next_ns(due_ns, period_ns), i))
        for place in known:
            place.source.close()

    def _begin(self) -> tuple[tuple[Place, ...], list[tuple[int, int]]]:
        places, start_ns = self._places, time.monotonic_ns()
        for place in places:
            place.period_ns = max(place.source.period_ns, 0)
        # Machines of one period are spread over it: a plant does not speak in one voice.
        due = [(start_ns + place.period_ns * i // len(places), i) for i, place in enumerate(places)]
        heapq.heapify(due)
        return places, due


def _next_ns(due_ns: int, period_ns: int) -> int:
    next_ns, now_ns = due_ns + period_ns, time.monotonic_ns()
    return now_ns if now_ns - next_ns > _LATE_PERIODS * period_ns else next_ns
