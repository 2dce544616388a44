"""The challenger in the champion's shadow: both score the same rows, only the champion speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.training.replay import alarms_of

if TYPE_CHECKING:
    from models.training.frame import Frame
    from models.training.train import BatchModel

DAY_NS = 24 * 3600 * 10**9


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """Machine-days seen, and those on which both, only the champion, or only the challenger alarmed.

    differing: (machine, day number since 1970, who alarmed) of at most 200 days to look at.
    """

    days: int
    both: int
    only_champion: int
    only_challenger: int
    differing: tuple[tuple[str, int, str], ...]


def shadow(champion: BatchModel, challenger: BatchModel, frame: Frame) -> ShadowReport:
    """Score one stretch of history, or the newest rows, with both."""
    alarms = [alarms_of(frame, model.strange(frame)) for model in (champion, challenger)]
    key = frame.machine * 10**6 + frame.time_ns // DAY_NS
    days, member = np.unique(key, return_inverse=True)
    ours, theirs = (np.bincount(member, alarm, len(days)) > 0 for alarm in alarms)
    differing = tuple(
        (
            frame.machines[int(days[k] // 10**6)],
            int(days[k] % 10**6),
            "champion" if ours[k] else "challenger",
        )
        for k in np.flatnonzero(ours != theirs)[:200]
    )
    return ShadowReport(
        len(days),
        int(np.sum(ours & theirs)),
        int(np.sum(ours & ~theirs)),
        int(np.sum(theirs & ~ours)),
        differing,
    )
