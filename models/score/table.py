"""One call from a table to scores: which of the two judges is asked, and what is done about holes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ingest.contract.rows import Reason
from models.score import baseline, novelty

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALARM_SCORE = 0.5
PROBATION_ROWS_MAX = 750
COLUMNS_MAX = 256
REASONS = 3


class Judge(StrEnum):
    """BASELINE: the first rows are healthy, departures from them last.

    NOVELTY: nothing is known, events count.
    """

    BASELINE = "baseline"
    NOVELTY = "novelty"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Judgement of every row of a table.

    score: (n,) in [0, 1], 0 while learning; alarm: (n,) true where score >= 0.5; statistic: (n, d) what each
    channel contributes (signed sigmas for BASELINE, novelty for NOVELTY); values, expected: (n, d), expected
    is NaN where a judge has none; learning_rows: rows at the start that were not judged; missing: cells
    without a number.
    """

    score: NDArray[np.float64]
    alarm: NDArray[np.bool_]
    statistic: NDArray[np.float64]
    values: NDArray[np.float64]
    expected: NDArray[np.float64]
    channels: tuple[str, ...]
    judge: Judge
    learning_rows: int
    missing: int

    def reasons(self, row: int) -> tuple[Reason, ...]:
        """Up to three channels that carry the score of one row, the strongest first, with their weights."""
        size = np.abs(self.statistic[row])
        total = float(size.sum())
        if row < self.learning_rows or total == 0.0:
            return ()
        order = np.argsort(-size, kind="stable")[:REASONS]
        return tuple(self._reason(row, int(c), float(size[c]) / total) for c in order if size[c] > 0.0)

    def _reason(self, row: int, channel: int, weight: float) -> Reason:
        said: dict[str, float | str] = {
            "channel": self.channels[channel],
            "value": float(self.values[row, channel]),
            "times": abs(float(self.statistic[row, channel])),
        }
        if self.judge is Judge.NOVELTY:
            return Reason("score_new_shape", said, weight)
        said["expected"] = float(self.expected[row, channel])
        low = self.statistic[row, channel] < 0
        return Reason("score_level_low" if low else "score_level_high", said, weight)


def probation_rows(n_rows: int, share: float) -> int:
    """Rows that only teach. Raises ValueError unless 0 < share < 1.

    >>> probation_rows(4032, 0.15), probation_rows(100_000, 0.15)
    (604, 750)
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"probation is a share of the rows between 0 and 1, got {share}")
    return min(math.floor(share * n_rows), PROBATION_ROWS_MAX)


def filled(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Carry the last number over holes, forwards only; the first number stands for holes before it.

    values: (n, d); infinities are holes. Returns the filled copy and the number of holes. A column without
    any number becomes 0.

    >>> filled(np.array([[np.nan], [2.0], [np.nan], [4.0]]))[0].ravel()
    array([2., 2., 2., 4.])
    """
    hole = ~np.isfinite(values)
    rows = np.where(hole, 0, np.arange(len(values))[:, None])
    last = np.maximum.accumulate(rows, axis=0)
    first = np.argmax(~hole, axis=0)  # 0 where the whole column is a hole
    out = np.take_along_axis(values, np.maximum(last, first[None, :]), axis=0)
    return np.nan_to_num(out, nan=0.0, posinf=0.0, neginf=0.0), int(hole.sum())


def score_table(
    values: NDArray[np.float64],
    *,
    channels: tuple[str, ...] | None = None,
    fit_rows: int | None = None,
    probation: float = 0.15,
) -> Scores:
    """Score a table in row order, one pass, each row by itself and earlier rows only.

    values: (n, d), NaN = missing; a vector is one channel. With fit_rows the first rows are taken as healthy
    and a lasting departure stays alarmed; without, the first share `probation` of the rows (at most 750) only
    teaches, everything after goes on teaching, and an alarm marks an event that has no precedent.

    Raises ValueError for no rows, too many columns, or a baseline under 40 rows.

    >>> rng = np.random.default_rng(7)
    >>> flow = rng.normal(32.0, 0.4, 600)
    >>> flow[450:] -= 3.0
    >>> judged = score_table(flow, channels=("flow",), fit_rows=200)
    >>> bool(judged.alarm[:450].any()), bool(judged.alarm[460:].all()), judged.reasons(500)[0].code
    (False, True, 'score_level_low')
    """
    table = np.asarray(values, np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or 0 in table.shape or table.shape[1] > COLUMNS_MAX:
        raise ValueError(
            f"a table has 1 or more rows and 1 to {COLUMNS_MAX} columns, got shape {table.shape}"
        )
    names = channels or tuple(f"column {c + 1}" for c in range(table.shape[1]))
    if len(names) != table.shape[1]:
        raise ValueError(f"{len(names)} channel names for {table.shape[1]} columns")
    whole, missing = filled(table)
    if fit_rows is None:
        start = probation_rows(len(whole), probation)
        statistic = novelty.novelty(whole)
        expected = np.full_like(whole, np.nan)
        score = novelty.paced_score(statistic.max(axis=1), start, novelty.AlarmPace())
    else:
        start = min(fit_rows, len(whole))
        statistic, expected = baseline.distances(whole, start)
        score = baseline.latched_score(np.abs(statistic).max(axis=1), start)
    judge = Judge.NOVELTY if fit_rows is None else Judge.BASELINE
    return Scores(score, score >= ALARM_SCORE, statistic, whole, expected, names, judge, start, missing)
