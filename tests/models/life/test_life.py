"""Remaining life: intervals that hold, "too early to say", and a history that fits any life."""

from __future__ import annotations

import numpy as np
import pytest

from models.life.history import note_level
from models.life.trend import fit, remaining_life
from models.online.memory import LIFE_POINTS, new_memory


def a_life(rng, noise, diffusion, step_h=0.5, n=400, limit=2.0):
    """A level that drifts to its limit; returns (observed level, index of the end)."""
    while True:
        steps = rng.uniform(0.02, 0.06) * step_h + diffusion * np.sqrt(step_h) * rng.standard_normal(n)
        truth = np.cumsum(steps)
        if truth.max() >= limit:
            return truth + noise * rng.standard_normal(n), int(np.argmax(truth >= limit))


@pytest.mark.parametrize(("noise", "diffusion"), [(0.0, 0.02), (0.03, 0.02), (0.03, 0.05)])
def test_ninety_percent_intervals_hold_for_most_lives(noise, diffusion):
    rng = np.random.default_rng(7)
    covered, ratios = [], []
    for _ in range(120):
        observed, end = a_life(rng, noise, diffusion)
        now = int(end * rng.uniform(0.4, 0.9))
        life = remaining_life(fit(np.arange(now) * 0.5, observed[:now]), 2.0)
        if life.hours is None:
            continue
        true_h = (end - now + 1) * 0.5
        covered.append(life.lower_hours <= true_h <= life.upper_hours)
        ratios.append(life.hours / true_h)
    assert len(covered) > 40
    assert 0.8 <= np.mean(covered) <= 1.0
    assert 0.8 < np.median(ratios) < 1.2


def test_without_a_clear_drift_it_is_too_early_to_say():
    rng = np.random.default_rng(8)
    early = 0
    for _ in range(100):
        wandering = 0.5 + np.cumsum(0.02 * rng.standard_normal(60))
        early += remaining_life(fit(np.arange(60.0), wandering), 3.0).hours is None
    assert early >= 90
    few = np.arange(5.0)
    assert remaining_life(fit(few, few), 9.0).hours is None


def test_a_line_is_not_believed_far_beyond_what_was_seen():
    hours = np.arange(20.0)
    assert remaining_life(fit(hours, 0.3 + 0.01 * hours), 100.0).hours is None


def test_what_has_failed_has_no_life_left():
    hours = np.arange(20.0)
    life = remaining_life(fit(hours, 0.2 * hours), 3.0)
    assert (life.hours, life.lower_hours, life.upper_hours) == (0.0, 0.0, 0.0)


def test_a_history_keeps_a_minute_and_a_year_in_the_same_few_points():
    memory = new_memory(1, 0.2)
    for second in range(100_000):
        note_level(memory, 0, second * 10**9, float(second))
    n = memory.life_n[0]
    assert LIFE_POINTS // 2 <= n <= LIFE_POINTS
    kept = memory.life_level[0, :n]
    assert (np.diff(kept) > 0).all()
    assert kept[-1] > 95_000
    np.testing.assert_allclose(memory.life_h[0, :n] * 3600, kept, rtol=1e-9)
