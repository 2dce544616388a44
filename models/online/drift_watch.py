"""Which levels of a machine have changed for good: an hourly look at score, health and each watched quantity.

A drift is a question to a person on the page of models, never an alarm: the baselines follow slow change, and
somebody should know that they did.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from models.online.cusum import Cusum
from models.online.layout import MAX_PLACES

if TYPE_CHECKING:
    from models.rows import Judged

EVERY_NS: Final = 3600 * 10**9
MAX_FOUND: Final = 200
SCORE, HEALTH, N_LEVELS = 0, 1, 2 + MAX_PLACES
SLACK, LIMIT = 0.75, 30.0


@dataclass(slots=True)
class DriftWatch:
    """due_ns: (M,) time of a machine's next look; found: what drifted, newest last: time_ns, machine,
    feature, its mean until then, its value now (quantities in transformed units over their baseline).
    """

    due_ns: list[int]
    test: Cusum
    found: deque[tuple[int, str, str, float, float]] = field(default_factory=lambda: deque(maxlen=MAX_FOUND))


def new_watch(n_machines: int) -> DriftWatch:
    """A watch that has seen nothing."""
    return DriftWatch([0] * n_machines, Cusum(n_machines * N_LEVELS, SLACK, LIMIT))


def watch(drift: DriftWatch, judged: Judged, machine: str, time_ns: int) -> None:
    """Take one look at a machine that runs in a known regime."""
    m, i = judged.m, judged.i
    drift.due_ns[m] = time_ns + EVERY_NS
    level = judged.verdicts.level[i]
    places = [s for s in judged.layout.tables.places.tolist() if s >= 0]
    # The baselines may have moved on to the end of the batch: only what was said at the row is looked at.
    names = ["score", "health", *(judged.layout.slots[s].name for s in places)]
    values = [judged.lists.ratio[i], judged.lists.health[i], *(float(level[s]) for s in places)]
    known = [k for k, value in enumerate(values) if math.isfinite(value)]
    at = np.array([m * N_LEVELS + k for k in known], np.int64)
    before = drift.test.state[at, 0]
    said = drift.test.update(at, np.array([values[k] for k in known]))
    for j in np.flatnonzero(said).tolist():
        drift.found.append((time_ns, machine, names[known[j]], float(before[j]), values[known[j]]))
