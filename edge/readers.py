"""The threads that read the sensors: each machine belongs to one thread, so that a slow one delays few."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.channels import MAX_TELEMETRY_METRICS
from edge.intake import Intake
from edge.sensors import Telemetry
from ingest.contract.values import Message, Scalar, Waveform

MAX_THREADS = 16
_IDLE_WAIT_S = 0.2
_LATE_PERIODS = 2


class Source(Protocol):
    """What a reader needs of a sensor; `edge.sensors.Patient` is one."""

    trouble: str | None

    @property
    def period_ns(self) -> int: ...
    @property
    def exhausted(self) -> bool: ...
    def open(self) -> None: ...
    def read(self, now_ns: int) -> Telemetry: ...
    def acquire(self, n_samples: int, period_ns: int) -> bool: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Place:
    machine: str
    source: Source
    wanted: tuple[int, int] | None = None
    done: bool = False


@dataclass(slots=True)
class Change:
    """A machine whose source fell silent (why) or answers again (None)."""

    machine: str
    trouble: str | None


class Readers:
    """Starts and stops the threads. `changed` tells of silent and recovered sources, from any thread."""

    def __init__(
        self, node: str, sources: dict[str, Source], intake: Intake, changed: Callable[[Change], None]
    ) -> None:
        self._node, self._intake, self._changed = node, intake, changed
        self._places = [_Place(machine, source) for machine, source in sources.items()]
        self._by_machine = {place.machine: place for place in self._places}
        self._stop = threading.Event()
        self._silent: dict[str, str] = {}
        n_threads = min(MAX_THREADS, len(self._places))
        self._threads = [
            threading.Thread(
                target=self._run, args=(self._places[i::n_threads],), name=f"sensors-{i}", daemon=True
            )
            for i in range(n_threads)
        ]

    def start(self) -> None:
        """Begin to read."""
        for thread in self._threads:
            thread.start()

    def stop(self, wait_s: float) -> None:
        """Stop reading; a sensor that hangs in a read is left alone after wait_s."""
        self._stop.set()
        until = time.monotonic() + wait_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

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
        place.wanted = (n_samples, period_ns)
        return True

    def _run(self, places: Sequence[_Place]) -> None:
        start_ns = time.monotonic_ns()
        # Machines of one period are spread over it: a plant does not speak in one voice.
        due = [(start_ns + place.source.period_ns * i // len(places), i) for i, place in enumerate(places)]
        heapq.heapify(due)
        while due and not self._stop.is_set():
            due_ns, i = due[0]
            wait_s = (due_ns - time.monotonic_ns()) / 1e9
            if wait_s > 0:
                self._stop.wait(min(wait_s, _IDLE_WAIT_S))
                continue
            place = places[i]
            if self._read(place):
                place.done = True
                heapq.heappop(due)
                continue
            period_ns = max(place.source.period_ns, 0)
            next_ns = due_ns + period_ns
            if time.monotonic_ns() - next_ns > _LATE_PERIODS * period_ns:
                next_ns = time.monotonic_ns()
            heapq.heapreplace(due, (next_ns, i))
        for place in places:
            place.source.close()

    def _read(self, place: _Place) -> bool:
        """One read; True when nothing will follow."""
        source = place.source
        if place.wanted is not None:
            wanted, place.wanted = place.wanted, None
            source.acquire(*wanted)
        now_ns = time.time_ns()
        telemetry = source.read(now_ns)
        if source.trouble != self._silent.get(place.machine):
            self._mark(place.machine, source.trouble)
        patient = source.period_ns == 0
        for start in range(0, len(telemetry), MAX_TELEMETRY_METRICS):
            part = telemetry[start : start + MAX_TELEMETRY_METRICS]
            self._intake.put(self._message(place.machine, part, now_ns, recorded=patient), patient=patient)
        if not telemetry and patient and not source.exhausted:
            self._stop.wait(_IDLE_WAIT_S)
        return source.exhausted

    def _mark(self, machine: str, trouble: str | None) -> None:
        was_silent = machine in self._silent
        if trouble is None:
            self._silent.pop(machine, None)
        else:
            self._silent[machine] = trouble
        if was_silent != (trouble is not None):
            self._changed(Change(machine, trouble))

    def _message(self, machine: str, telemetry: Telemetry, now_ns: int, *, recorded: bool) -> Message:
        """recorded: the past played fast; its time says nothing of this gateway's clock."""
        waveforms = tuple(one for one in telemetry if isinstance(one, Waveform))
        scalars = tuple(one for one in telemetry if isinstance(one, Scalar))
        time_ns = waveforms[0].start_ns if waveforms else scalars[0].time_ns if scalars else now_ns
        return Message(self._node, machine, time_ns, waveforms, scalars, historical=recorded)
