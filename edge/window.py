"""Which stored messages are on the way to the host, which go next, and which have to go again.

Pure: row numbers and monotonic nanoseconds in, decisions out. Two readers walk the outbox: `live` follows
what is being stored now, `backlog` catches up with what was stored before; the backlog may use half of the
window at most, so that old data never makes new data late. Nothing is resent while the host commits
steadily; when it stays silent, pauses double and vary, so that a host that comes back is not flooded.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from ingest.contract.limits import FIRST_WINDOW_MESSAGES, MAX_WINDOW_MESSAGES

FIRST_TIMEOUT_NS = 10_000_000_000
LONGEST_TIMEOUT_NS = 160_000_000_000
MAX_WINDOW_BYTES = 64 * 1024 * 1024
MAX_RESENT_AT_ONCE = 32
_LAG_MESSAGES = 4 * MAX_WINDOW_MESSAGES
"""Live messages waiting for the window; beyond it the newest go first and the rest becomes backlog."""


@dataclass(frozen=True, slots=True)
class Want:
    """Rows to read from the outbox: first <= n < end, at most `limit` of them."""

    first: int
    end: int
    limit: int
    live: bool


@dataclass(slots=True)
class _Flight:
    machine: str
    n_bytes: int
    backlog: bool
    due_ns: int


class Window:
    """Messages on the way: as many as the host allows, MAX_WINDOW_BYTES at most, but always one."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # jitter, not a secret
        self._flights: dict[int, _Flight] = {}
        self._n_bytes = self._n_backlog = 0
        self._timeout_ns, self._doubled_ns = FIRST_TIMEOUT_NS, 0
        self._backlog, self._live = (0, 0), (0, 0)
        self.allowed = FIRST_WINDOW_MESSAGES
        self.resent = 0

    def restart(self, first_n: int, next_n: int) -> None:
        """A birth: whatever is stored counts as not sent, and what comes from now on is live."""
        self._flights.clear()
        self._n_bytes = self._n_backlog = 0
        self._timeout_ns = FIRST_TIMEOUT_NS
        self._backlog, self._live = (first_n, next_n), (next_n, next_n)

    def allow(self, n_messages: int) -> None:
        """The host's word on how many may be on the way; it outlasts a birth."""
        self.allowed = min(max(n_messages, 1), MAX_WINDOW_MESSAGES)

    def stored(self, next_n: int) -> None:
        """The outbox has grown up to, not including, next_n."""
        first, _ = self._live
        if next_n - first > _LAG_MESSAGES:
            self._backlog = (self._backlog[0] if self.has_backlog else first, next_n)
            first = next_n
        self._live = (first, next_n)

    @property
    def on_the_way(self) -> int:
        """Messages sent and not committed."""
        return len(self._flights)

    @property
    def has_backlog(self) -> bool:
        """True while messages stored before the birth wait for their turn."""
        return self._backlog[0] < self._backlog[1]

    @property
    def is_idle(self) -> bool:
        """True when everything stored is on the way."""
        return not self.has_backlog and self._live[0] >= self._live[1]

    def carries(self, machine: str) -> bool:
        """True while a message of this machine is on the way."""
        return any(flight.machine == machine for flight in self._flights.values())

    def live_room(self, next_n: int) -> int:
        """How many messages stored from next_n on may be sent the moment they are durable."""
        if self._live[0] != next_n or self._n_bytes >= MAX_WINDOW_BYTES:
            return 0
        return max(0, self.allowed - len(self._flights))

    def wants(self) -> tuple[Want, ...]:
        """Rows to read and send now."""
        free = self.allowed - len(self._flights)
        if free <= 0 or (self._flights and self._n_bytes >= MAX_WINDOW_BYTES):
            return ()
        wants = []
        first, end = self._live
        if first < end:
            wants.append(Want(first, end, min(free, end - first), live=True))
            free -= wants[0].limit
        first, end = self._backlog
        limit = min(free, (self.allowed + 1) // 2 - self._n_backlog)
        if first < end and limit > 0:
            wants.append(Want(first, end, limit, live=False))
        return tuple(wants)

    def took(self, want: Want, last_n: int | None) -> None:
        """What a want was answered with: the last row read, None for no row at all."""
        past = want.end if last_n is None else last_n + 1
        if want.live:
            self._live = (max(self._live[0], past), self._live[1])
        else:
            self._backlog = (max(self._backlog[0], past), self._backlog[1])

    def is_on_the_way(self, n: int) -> bool:
        """True when row n was sent and is not committed."""
        return n in self._flights

    def sent(self, n: int, machine: str, n_bytes: int, *, backlog: bool, mono_ns: int) -> None:
        """Row n was published, for the first time or again."""
        self._drop(n)
        self._flights[n] = _Flight(machine, n_bytes, backlog, mono_ns + self._jittered())
        self._n_bytes += n_bytes
        self._n_backlog += backlog

    def forget(self, numbers: Iterable[int]) -> None:
        """The host has these. Progress: pauses start short again."""
        before = len(self._flights)
        for n in numbers:
            self._drop(n)
        if len(self._flights) < before:
            self._timeout_ns = FIRST_TIMEOUT_NS

    def overdue(self, mono_ns: int) -> tuple[int, ...]:
        """Rows to send again now, oldest first, a few at a time; the next pause is longer."""
        due = sorted(n for n, flight in self._flights.items() if flight.due_ns <= mono_ns)[
            :MAX_RESENT_AT_ONCE
        ]
        if due:
            if mono_ns - self._doubled_ns >= self._timeout_ns:
                self._timeout_ns = min(2 * self._timeout_ns, LONGEST_TIMEOUT_NS)
                self._doubled_ns = mono_ns
            self.resent += len(due)
        return tuple(due)

    def gone(self, n: int) -> None:
        """Row n is not in the outbox any more: there is nothing to send again."""
        self._drop(n)

    def _jittered(self) -> int:
        return int(self._timeout_ns * self._random.uniform(0.75, 1.25))

    def _drop(self, n: int) -> None:
        flight = self._flights.pop(n, None)
        if flight is not None:
            self._n_bytes -= flight.n_bytes
            self._n_backlog -= flight.backlog
