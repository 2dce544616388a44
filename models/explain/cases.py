"""Similar past cases in a history: which labelled fault looked most like what a machine shows now.

The screens compare the evidence of alarms (`dashboards.cases`); this compares whole rows of features, for a
notebook or a report. Both measure likeness by `features.likeness`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.likeness import likeness
from ingest.contract.actions import Verdict
from models.training.detectors import Scaling
from models.training.frame import HEALTHY, targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.labels.label import Label
    from models.training.frame import Frame

WINDOW_NS = 24 * 3600 * 10**9
HEALTHY_ROWS_MIN = 20
QUIET_SIGMAS = 1.0  # a column within it of its healthy middle says nothing of a fault


@dataclass(frozen=True, slots=True)
class PastCase:
    """A labelled case: how alike it was (cosine), and from what was seen to when the label began, in hours.

    shared: columns that stood out in both, the strongest first.
    """

    label: Label
    likeness: float
    lead_hours: float
    shared: tuple[str, ...]


def departure(frame: Frame, labels: Sequence[Label], machine: str, at_ns: int) -> dict[str, float]:
    """What stood out on a machine in the day up to at_ns: columns and their mean departure in sigmas.

    Sigmas are of the machine's own healthy rows before that day. Empty with fewer than 20 of them or without
    rows that day. Raises ValueError for a machine that is not in the frame.
    """
    rows = frame.of(machine)
    times, values = frame.time_ns[rows], frame.values[rows]
    now = (times > at_ns - WINDOW_NS) & (times <= at_ns)
    healthy = (targets(frame, labels, WINDOW_NS).value[rows] == HEALTHY) & (times <= at_ns - WINDOW_NS)
    if not now.any() or healthy.sum() < HEALTHY_ROWS_MIN:
        return {}
    sigmas = Scaling.learn(values[healthy]).apply(values[now]).mean(axis=0)
    return {
        name: float(sigma)
        for name, sigma in zip(frame.columns, sigmas, strict=True)
        if np.abs(sigma) >= QUIET_SIGMAS
    }


def similar_cases(
    frame: Frame, labels: Sequence[Label], machine: str, at_ns: int, n: int = 5
) -> tuple[PastCase, ...]:
    """The labelled cases before at_ns whose last day looked most like this machine's, the most alike first.

    Cases are confirmed faults and false alarms, of this machine or any other; a false alarm that looked the
    same is worth knowing too. Nothing alike: empty. Raises ValueError for a machine that is not in the frame.

    >>> from models.labels import Label
    >>> from models.training import join
    >>> hour, rng = 3600 * 10**9, np.random.default_rng(1)
    >>> worn, wears = rng.normal(5.0, 0.1, (2, 720, 2))
    >>> worn[400:430, 0] += 3.0
    >>> wears[690:, 0] += 1.0
    >>> times = np.arange(720) * hour
    >>> frame = join({"a": (times, ("rms", "heat"), worn), "b": (times, ("rms", "heat"), wears)}, {})
    >>> case = Label("l", "a", Verdict.CONFIRMED, 424 * hour, 430 * hour, 500 * hour, "Siti", "seal")
    >>> [(one.label.fault, one.shared) for one in similar_cases(frame, [case], "b", 719 * hour)]
    [('seal', ('rms',))]
    """
    pattern = departure(frame, labels, machine, at_ns)
    found = []
    for label in labels:
        if label.verdict is Verdict.NOT_SURE or label.to_ns >= at_ns or label.machine not in frame.machines:
            continue
        then = departure(frame, labels, label.machine, label.from_ns)
        alike = likeness(pattern, then)
        if alike > 0.0:
            shared = sorted(pattern.keys() & then.keys(), key=lambda name: -abs(pattern[name] * then[name]))
            found.append(PastCase(label, alike, _lead_hours(frame, label), tuple(shared)))
    found.sort(key=lambda case: (-case.likeness, -case.label.from_ns))
    return tuple(found[:n])


def _lead_hours(frame: Frame, label: Label) -> float:
    """From the first row of the label's last day to its end: how long the machine had."""
    times = frame.time_ns[frame.of(label.machine)]
    seen = times[(times > label.from_ns - WINDOW_NS) & (times <= label.to_ns)]
    return float(label.to_ns - seen[0]) / 3.6e12 if len(seen) else 0.0
