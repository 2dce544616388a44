"""The fast form of a model says what the model says."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from models.training import KINDS, join
from models.training.quick import quick
from tests.models.training.test_training import learnt, plant


@pytest.mark.parametrize("kind", list(KINDS))
def test_scores_and_alarms_are_the_same(kind: str) -> None:
    frame, _ = plant()
    holed = frame.values.copy()
    holed[::7, 1] = np.nan
    for values in (frame.values, holed, frame.values * 1e6):
        rows = replace(frame, values=values)
        model = learnt(kind).model
        assert np.allclose(quick(model).score(rows), model.score(rows), rtol=0, atol=1e-7)
        assert np.array_equal(quick(model).strange(rows), model.strange(rows))


@pytest.mark.full
@pytest.mark.parametrize("kind", ["isolation-forest", "failure-horizon"])
def test_one_row_costs_a_fraction(kind: str) -> None:
    frame, _ = plant()
    row = join({"p": (frame.time_ns[:1], frame.columns, frame.values[:1])}, {})
    slow = learnt(kind).model
    fast = quick(slow)

    def seconds(model: object) -> float:
        best = np.inf
        for _ in range(9):
            started = time.perf_counter()
            model.score(row)
            best = min(best, time.perf_counter() - started)
        return best

    assert seconds(fast) < seconds(slow) / 10
