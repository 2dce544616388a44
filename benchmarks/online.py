"""How many rows a second the online detectors score and learn, on one core, with river measured beside them.

`python -m benchmarks.online --json`. Rows have 30 features, as a machine's evidence squashed to [0, 1]; every
machine takes its turn. Rates are of processor time, the best of a few rounds, since the machine may be busy
with other work.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import anomaly

from models.online.covariance import EwCovariance
from models.online.half_space_trees import Cuts, HalfSpaceTrees

N_FEATURES = 30
ROUND_S = 0.4
ROUNDS = 7
GOAL_ROWS_S = 1_000_000
Rows = NDArray[np.float64]


def best_rate(step: Callable[[], int]) -> float:
    """Rows a second of processor time in the best round."""
    step()
    best = 0.0
    for _ in range(ROUNDS):
        n, start = 0, time.process_time()
        while (spent := time.process_time() - start) < ROUND_S:
            n += step()
        best = max(best, n / spent)
    return best


def rows_of(n: int, seed: int) -> Rows:
    """Rows of healthy machines: each feature near the middle of its range, one row in a thousand far off."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0.5, 0.1, (n, N_FEATURES))
    far = rng.random(n) < 0.001
    rows[far] = rng.random((int(far.sum()), N_FEATURES))
    return np.asarray(np.clip(rows, 0.0, 1.0).astype(np.float32), np.float64)


def trees(n_machines: int) -> float:
    """Score and learn of half-space trees, 10 of height 8."""
    forest = HalfSpaceTrees(n_machines, N_FEATURES)
    n = max(4096, n_machines)
    machine = np.arange(n, dtype=np.int64) % n_machines
    rows = rows_of(n, 1).astype(np.float32)

    def step() -> int:
        forest.score_then_learn(machine, rows)
        return n

    return best_rate(step)


def covariance(n_machines: int) -> float:
    """Score and learn of the exponentially weighted mean and covariance."""
    detector = EwCovariance(n_machines, N_FEATURES)
    machine = np.arange(n_machines, dtype=np.int64)
    rows = rows_of(n_machines, 2)

    def step() -> int:
        detector.score(machine, rows)
        detector.learn(machine, rows)
        return n_machines

    return best_rate(step)


def river_trees() -> float:
    """The same of river, one machine, rows already as dictionaries."""
    model: Any = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=1)
    rows = [dict(enumerate(row.tolist())) for row in rows_of(512, 3)]

    def step() -> int:
        for row in rows:
            model.score_one(row)
            model.learn_one(row)
        return len(rows)

    return best_rate(step)


def cuts_of(model: Any) -> Cuts:
    """The cuts of a river model that has seen a row, in heap order."""
    n_nodes = 2**model.height - 1
    feature = np.zeros((model.n_trees, n_nodes), np.int32)
    threshold = np.zeros((model.n_trees, n_nodes), np.float32)

    def copy(node: Any, at: int, tree: int) -> None:
        if at < n_nodes:
            feature[tree, at], threshold[tree, at] = int(node.feature), node.threshold
            copy(node.children[0], 2 * at + 1, tree)
            copy(node.children[1], 2 * at + 2, tree)

    for tree, root in enumerate(model.trees):
        copy(root, 0, tree)
    return Cuts(feature, threshold)


def largest_difference(n_rows: int = 1_500) -> float:
    """Largest difference between our scores and river's on river's own cuts."""
    model: Any = anomaly.HalfSpaceTrees(n_trees=10, height=8, window_size=250, seed=7)
    rows, worst = rows_of(n_rows, 4), 0.0
    ours, nobody = None, np.zeros(1, np.int64)
    for i in range(n_rows):
        row = dict(enumerate(rows[i].tolist()))
        if ours is not None:
            worst = max(worst, abs(float(ours.score(nobody, rows[i : i + 1])[0]) - model.score_one(row)))
        model.learn_one(row)
        if ours is None:
            ours = HalfSpaceTrees(1, N_FEATURES, cuts=cuts_of(model))
        ours.learn(nobody, rows[i : i + 1])
    return worst


def measure() -> dict[str, Any]:
    """All figures. Rates are rows a second a core, scored and learned."""
    ours = {n: trees(n) for n in (1, 64, 1_024)}
    river = river_trees()
    return {
        "n_features": N_FEATURES,
        "half_space_trees_rows_s": {str(n): round(rate) for n, rate in ours.items()},
        "river_half_space_trees_rows_s": round(river),
        "times_river_at_1024_machines": round(ours[1_024] / river, 1),
        "largest_score_difference_to_river": largest_difference(),
        "ew_covariance_rows_s": {str(n): round(covariance(n)) for n in (64, 1_024)},
        "goal_rows_s": GOAL_ROWS_S,
        "goal_met": ours[1_024] >= GOAL_ROWS_S,
    }


def main() -> int:
    """Print the figures; --json as one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args()
    figures = measure()
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:36} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
