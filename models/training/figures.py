"""Figures and limits of a model card: of machines not trained on, with intervals, by group and machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.registry.gate import Tally, interval
from models.registry.manifest import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from models.training.frame import Frame

RESAMPLES = 200
BINS = 10
UNEVEN_SHARE, UNEVEN_DAYS = 0.5, 3  # one machine with half of the false-alarm days, and at least three
NAMED_MAX = 5


def rates(tally: Tally, group: str) -> list[Metric]:
    """Recall and the share of healthy days with a false alarm, each with its exact 90 % interval."""
    found = []
    for name, hits, of in (
        ("recall", tally.caught, tally.faults),
        ("false_alarm_days", tally.false_alarms, tally.healthy_stretches),
    ):
        if of:
            low, high = interval(hits, of)
            found.append(Metric(name, hits / of, low, high, of, group))
    return found


def trust(
    told: NDArray[np.float64], faulty: NDArray[np.bool_], usable: NDArray[np.bool_], frame: Frame, seed: int
) -> list[Metric]:
    """How far a probability can be believed: squared error (brier) and distance from what came true
    (calibration_error, over ten bins of the probability), with intervals from resampling machines.

    told: (n,) calibrated without the row's machine; faulty, usable: (n,).
    """
    n = len(frame.machines)
    share = np.where(usable, told, 0.0)
    bins = np.minimum((share * BINS).astype(np.int64), BINS - 1)
    cell = frame.machine * BINS + bins
    rows = np.bincount(cell, usable.astype(float), n * BINS).reshape(n, BINS)
    said = np.bincount(cell, share, n * BINS).reshape(n, BINS)
    came = np.bincount(cell, (faulty & usable).astype(float), n * BINS).reshape(n, BINS)
    squares = np.bincount(frame.machine, np.where(usable, (share - faulty) ** 2, 0.0), n)
    picks = np.vstack([np.arange(n), np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))])
    total = np.maximum(rows[picks].sum(axis=(1, 2)), 1.0)
    brier = squares[picks].sum(axis=1) / total
    gap = np.abs(said[picks].sum(axis=1) - came[picks].sum(axis=1)).sum(axis=1) / total
    count = int(usable.sum())
    return [_spread("brier", brier, count), _spread("calibration_error", gap, count)]


def _spread(name: str, drawn: NDArray[np.float64], count: int) -> Metric:
    """drawn: the figure itself, then of each resampling."""
    value, (low, high) = float(drawn[0]), np.quantile(drawn[1:], [0.05, 0.95])
    return Metric(name, value, min(float(low), value), max(float(high), value), count)


def limits(frame: Frame, counts: Mapping[str, Tally], each: Mapping[str, Tally]) -> tuple[str, ...]:
    """Where not to trust it, in words. counts: by machine group; each: by machine."""
    said = []
    unseen = [group for group, tally in counts.items() if tally.faults == 0]
    if unseen:
        said.append(
            f"Machine groups without a confirmed fault: {', '.join(unseen)}. Recall there is unknown."
        )
    recalls = {group: tally.caught / tally.faults for group, tally in counts.items() if tally.faults}
    if len(recalls) > 1 and max(recalls.values()) - min(recalls.values()) > 0.2:
        worst = min(recalls, key=lambda group: recalls[group])
        said.append(
            f"Recall is lowest for {worst} ({recalls[worst]:.0%}): watch those machines by other means."
        )
    missed = [machine for machine, tally in each.items() if tally.missed]
    if missed:
        rest = f" and {len(missed) - NAMED_MAX} more" if len(missed) > NAMED_MAX else ""
        said.append(f"Faults were missed on {', '.join(missed[:NAMED_MAX])}{rest}.")
    total = sum(tally.false_alarms for tally in each.values())
    loudest = max(each, key=lambda machine: each[machine].false_alarms)
    days = each[loudest].false_alarms
    if len(each) > 1 and days >= UNEVEN_DAYS and days >= UNEVEN_SHARE * total:
        said.append(f"False alarms are uneven: {loudest} had {days} of the {total} days with one.")
    said.append(
        f"Trained on {len(set(frame.groups))} machine groups only: {', '.join(sorted(set(frame.groups)))}."
    )
    return tuple(said)
