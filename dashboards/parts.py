"""Parts of pages that all readers share: made by the first who asks, handed to the others for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from markupsafe import Markup

from dashboards.live import Moment

MAX_PARTS = 64


@dataclass(frozen=True, slots=True)
class Part:
    """The main part of a page, and the moment that it shows."""

    moment: Moment
    main: Markup


@dataclass(slots=True)
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    part: Part | None = None
    made_s: float = 0.0


@dataclass(slots=True)
class Parts:
    """At most MAX_PARTS, the longest unused forgotten first. Usable from several threads."""

    clock: Callable[[], float] = time.monotonic
    _kept: dict[Hashable, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Hashable, max_age_s: float, make: Callable[[], Part]) -> Part:
        """The kept part, or a new one; who comes while it is made waits for it instead of making theirs."""
        with self._lock:
            kept = self._kept.pop(key, None) or _Kept()
            self._kept[key] = kept
            while len(self._kept) > MAX_PARTS:
                self._kept.pop(next(iter(self._kept)))
        with kept.lock:
            if kept.part is None or self.clock() - kept.made_s >= max_age_s:
                kept.part = make()
                kept.made_s = self.clock()
            return kept.part
