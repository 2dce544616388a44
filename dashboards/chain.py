"""Whether what people said still stands as they said it: the desk's chain, and what was seen of it before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.desk import Chain, Desk

AGAIN_NS = 30_000_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """broken_at: number of the first entry that does not hold; at_ns: when it was checked."""

    n: int
    broken_at: int | None
    at_ns: int


@dataclass(slots=True)
class ChainWatch:
    """Walks the chain every half minute and when something new was said; remembers what it has seen hold.

    So a chain that was cut short, or written anew behind these screens' back, is a break too.
    """

    desk: Desk
    now_ns: Callable[[], int]
    _seen: Chain = field(default_factory=lambda: Chain(0))
    _last: Verdict | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def verdict(self) -> Verdict:
        """The newest verdict; a break is never taken back while these screens run."""
        with self._lock:
            now_ns, last = self.now_ns(), self._last
            newest = self.desk.newest(limit=1)
            grown = bool(newest) and newest[0][0] != self._seen.last[0]
            due = last is None or grown or now_ns - last.at_ns >= AGAIN_NS
            if last is None or (last.broken_at is None and due):
                self._last = last = self._checked(now_ns)
            return last

    def _checked(self, now_ns: int) -> Verdict:
        found = self.desk.check()
        broken_at = found.broken_at
        if broken_at is None and self.desk.digest(self._seen.last[0]) != self._seen.last[1]:
            broken_at = self._seen.last[0]
        if broken_at is None:
            self._seen = found
        return Verdict(found.n, broken_at, now_ns)
