"""Laws of every online detector, and half-space trees that agree with river's."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from river import anomaly

from models.online.covariance import EwCovariance
from models.online.cusum import Cusum
from models.online.half_space_trees import Cuts, HalfSpaceTrees, random_cuts
from models.online.river_detectors import RIVER, RiverDetector
from models.online.threshold import learn_tail, pot_threshold

N_MACHINES, N_FEATURES = 3, 6
DETECTORS = {
    "half_space_trees": lambda: HalfSpaceTrees(N_MACHINES, N_FEATURES, window=100),
    "ew_covariance": lambda: EwCovariance(N_MACHINES, N_FEATURES, n_axes=2, refresh=64),
    **{f"river {name}": (lambda name=name: RiverDetector(name, N_FEATURES)) for name in RIVER},
}
NOBODY = np.zeros(1, np.int64)


def calm(n, seed=0):
    return np.clip(np.random.default_rng(seed).normal(0.5, 0.05, (n, N_FEATURES)), 0, 1)


@pytest.fixture(params=DETECTORS, ids=str)
def detector(request):
    return DETECTORS[request.param]()


def test_scoring_changes_nothing(detector):
    machine, rows = np.zeros(300, np.int64), calm(300)
    detector.learn(machine, rows)
    first = detector.score(machine, rows)
    np.testing.assert_array_equal(first, detector.score(machine, rows))
    untouched = copy.deepcopy(detector)
    untouched.learn(machine, rows)
    detector.score(machine, rows)
    detector.learn(machine, rows)
    np.testing.assert_array_equal(untouched.score(machine, rows), detector.score(machine, rows))


def test_a_row_far_off_scores_above_calm_rows(detector):
    machine = np.zeros(400, np.int64)
    detector.learn(machine, calm(400))
    far = np.full((1, N_FEATURES), 0.98)
    assert detector.score(NOBODY, far)[0] > np.quantile(detector.score(machine[:50], calm(50, seed=2)), 0.95)


def test_machines_do_not_teach_each_other(detector):
    detector.learn(np.zeros(300, np.int64), calm(300))
    before = detector.score(NOBODY, calm(1, seed=5))
    detector.learn(np.ones(300, np.int64), np.clip(calm(300) + 0.3, 0, 1))
    np.testing.assert_array_equal(before, detector.score(NOBODY, calm(1, seed=5)))


def test_how_rows_are_batched_changes_nothing(detector):
    other = copy.deepcopy(detector)
    rng = np.random.default_rng(1)
    machine, rows = rng.integers(0, N_MACHINES, 600), calm(600)
    detector.learn(machine, rows)
    for start in range(0, 600, 7):
        other.learn(machine[start : start + 7], rows[start : start + 7])
    np.testing.assert_array_equal(detector.score(machine, rows), other.score(machine, rows))


def cuts_of(model):
    n_nodes = 2**model.height - 1
    feature, threshold = (
        np.zeros((model.n_trees, n_nodes), np.int32),
        np.zeros((model.n_trees, n_nodes), np.float32),
    )

    def copy_node(node, at, tree):
        if at < n_nodes:
            feature[tree, at], threshold[tree, at] = node.feature, node.threshold
            for right, child in enumerate(node.children):
                copy_node(child, 2 * at + 1 + right, tree)

    for tree, root in enumerate(model.trees):
        copy_node(root, 0, tree)
    return Cuts(feature, threshold)


@pytest.mark.parametrize(("height", "window"), [(1, 20), (3, 50), (4, 50), (5, 50), (8, 100), (9, 100)])
def test_scores_equal_rivers_on_the_same_cuts(height, window):
    rng = np.random.default_rng(height)
    rows = np.clip(rng.normal(0.5, 0.12, (4 * window, N_FEATURES)), 0, 1).astype(np.float32)
    rows[::37] = rng.random((len(rows[::37]), N_FEATURES))
    model = anomaly.HalfSpaceTrees(n_trees=5, height=height, window_size=window, seed=2)
    model.learn_one(dict(enumerate(rows[0].tolist())))
    ours = HalfSpaceTrees(1, N_FEATURES, window=window, cuts=cuts_of(model))
    ours.learn(NOBODY, rows[:1])
    for i in range(1, len(rows)):
        row = dict(enumerate(rows[i].tolist()))
        assert ours.score_then_learn(NOBODY, rows[i : i + 1])[0] == pytest.approx(
            model.score_one(row), abs=1e-12
        )
        model.learn_one(row)


def test_random_cuts_stay_inside_their_nodes():
    cuts = random_cuts(4, 8, 3, seed=1)
    assert cuts.height == 8
    assert (cuts.threshold > 0).all()
    assert (cuts.threshold < 1).all()
    left, root = cuts.threshold[:, 1], cuts.threshold[:, 0]
    same = cuts.feature[:, 1] == cuts.feature[:, 0]
    assert (left[same] < root[same]).all()


@pytest.mark.parametrize("make", [lambda: HalfSpaceTrees(1, 2, window=256), lambda: random_cuts(1, 10, 2, 1)])
def test_what_has_no_room_is_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_t2_follows_its_expected_size_on_healthy_rows():
    rng = np.random.default_rng(3)
    detector = EwCovariance(1, N_FEATURES, n_axes=3, memory=5_000, refresh=128)
    rows = rng.standard_normal((6_000, N_FEATURES)) * np.linspace(0.2, 2, N_FEATURES)
    detector.learn(np.zeros(6_000, np.int64), rows)
    fresh = rng.standard_normal((2_000, N_FEATURES)) * np.linspace(0.2, 2, N_FEATURES)
    t2, q = detector.t2_and_q(np.zeros(2_000, np.int64), fresh)
    assert t2.mean() == pytest.approx(1.0, rel=0.1)
    assert q.mean() == pytest.approx(1.0, rel=0.15)


def test_a_drift_is_said_soon_after_it_happens_and_not_before():
    test, rng = Cusum(2), np.random.default_rng(4)
    values = np.concatenate([rng.standard_normal(600), 3.0 + rng.standard_normal(300)])
    said = np.flatnonzero(test.update(np.zeros(900, np.int64), values))
    assert len(said) >= 1
    assert 600 <= said[0] < 800


def test_a_threshold_keeps_the_rate_that_was_asked_for():
    rng = np.random.default_rng(5)
    tail = np.array([2.5, 0, 0, 0, 0])
    for value in np.abs(rng.standard_normal(40_000)):
        learn_tail(tail, value)
    for probability in (1e-2, 1e-3):
        threshold = pot_threshold(tail, probability)
        exceeded = float(np.mean(np.abs(rng.standard_normal(400_000)) > threshold))
        assert probability / 2.5 < exceeded < probability * 2.5


def test_fewer_false_alarms_asked_for_means_a_higher_threshold():
    tail = np.array([2.0, 500.0, 25.0, 12.0, 12.0])
    levels = [pot_threshold(tail, 10.0**-k) for k in range(2, 9)]
    assert levels == sorted(levels)
    assert all(math.isfinite(level) for level in levels)
