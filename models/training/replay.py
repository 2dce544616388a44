"""How a model would have done: its alarms over labelled history, counted by machine group for the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ingest.contract.actions import Verdict
from models.registry.gate import Evaluation, GoldenCase, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from models.labels.label import Label
    from models.training.frame import Frame

STRETCH_NS = 24 * 3600 * 10**9
PERSIST_ROWS = 3  # an alarm is as many strange rows in a row: one odd row calls nobody


@dataclass(frozen=True, slots=True)
class GoldenStretch:
    """A golden case with its place in history."""

    case: GoldenCase
    machine: str
    from_ns: int
    to_ns: int


def persistent(strange: NDArray[np.bool_], rows: int = PERSIST_ROWS) -> NDArray[np.bool_]:
    """True where the newest rows were all strange. strange: (n,) of one machine.

    >>> persistent(np.array([True, True, False, True, True, True, True]))
    array([False, False, False, False, False,  True,  True])
    """
    total = np.concatenate([[0], np.cumsum(strange)])
    first = np.maximum(np.arange(len(strange)) + 1 - rows, 0)
    return np.asarray(total[1:] - total[first] == rows, np.bool_)


def alarms_of(frame: Frame, strange: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Persistent alarms of every machine. strange: (n,); returns (n,)."""
    alarm = np.zeros(len(strange), bool)
    for machine in frame.machines:
        rows = frame.of(machine)
        alarm[rows] = persistent(strange[rows])
    return alarm


def tallies(
    frame: Frame, alarm: NDArray[np.bool_], labels: Sequence[Label], horizon_ns: int
) -> dict[str, Tally]:
    """Faults caught or missed and quiet days disturbed, by machine group.

    A fault is caught by an alarm within the horizon before it or while it lasted. A healthy stretch is a day
    with rows that no confirmed or unsure label touches, horizon included.
    """
    counts = {group: [0, 0, 0, 0] for group in sorted(set(frame.groups))}
    for machine, group in zip(frame.machines, frame.groups, strict=True):
        rows = frame.of(machine)
        times, alarms = frame.time_ns[rows], alarm[rows]
        quiet = np.ones(len(times), bool)
        for label in labels:
            if label.machine != machine or label.verdict is Verdict.FALSE_ALARM:
                continue
            near = (times >= label.from_ns - horizon_ns) & (times <= label.to_ns)
            quiet &= ~near
            if label.verdict is Verdict.CONFIRMED and near.any():
                counts[group][0 if alarms[near].any() else 1] += 1
        days = times[quiet] // STRETCH_NS
        counts[group][2] += len(np.unique(days[alarms[quiet]]))
        counts[group][3] += len(np.unique(days))
    return {group: Tally(*count) for group, count in counts.items()}


def evaluation(
    label: str,
    frame: Frame,
    strange: NDArray[np.bool_],
    labels: Sequence[Label],
    *,
    golden: Sequence[GoldenStretch],
    horizon_ns: int,
    label_noise: float | None = None,
) -> Evaluation:
    """What the gate needs to know of one model. strange: (n,) rows at or over the model's level.

    Raises ValueError when a golden case has no rows in the frame.
    """
    alarm = alarms_of(frame, strange)
    answers = {}
    for stretch in golden:
        rows = frame.of(stretch.machine) if stretch.machine in frame.machines else slice(0, 0)
        times = frame.time_ns[rows]
        within = (times >= stretch.from_ns) & (times <= stretch.to_ns)
        if not within.any():
            raise ValueError(f"golden case {stretch.case.case_id} has no rows in this history")
        answers[stretch.case.case_id] = bool(alarm[rows][within].any())
    return Evaluation(label, tallies(frame, alarm, labels, horizon_ns), answers, label_noise)


def golden_answers(labels: Sequence[Label], golden: Sequence[GoldenStretch]) -> dict[str, tuple[int, int]]:
    """How often each person was asked about a case with known truth, and how often right.

    A verdict answers the golden stretches of its machine that it overlaps; "not sure" answers nothing.
    """
    found: dict[str, tuple[int, int]] = {}
    for label in labels:
        if label.verdict is Verdict.NOT_SURE:
            continue
        for stretch in golden:
            if (
                stretch.machine == label.machine
                and stretch.from_ns <= label.to_ns
                and label.from_ns <= stretch.to_ns
            ):
                asked, right = found.get(label.by, (0, 0))
                agrees = stretch.case.faulty == (label.verdict is Verdict.CONFIRMED)
                found[label.by] = (asked + 1, right + agrees)
    return found
