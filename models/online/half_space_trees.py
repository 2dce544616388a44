"""Half-space trees across machines (Tan, Ting and Liu, IJCAI 2011): one forest, a mass profile for each
machine.
All machines share the random cuts; what differs is how many rows of a window fell into each node. A mass is
one byte and its latest and reference values lie side by side, in blocks of a few levels: a walk from the root
to a leaf touches two cache lines a tree. Scores equal river's `anomaly.HalfSpaceTrees` on the same cuts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.online.jit import compiled
from models.online.layout import Floats, Ints

MAX_HEIGHT: Final = 9
MAX_WINDOW: Final = 255
TOP_LEVELS: Final = 5
TOP_NODES: Final = 32
SIZE_SHARE: Final = 0.1
PADDING: Final = 0.15
Masses = NDArray[np.uint8]


class Cuts(NamedTuple):
    """Trees in heap order. feature, threshold: (n_trees, 2**height - 1)."""

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]

    @property
    def height(self) -> int:
        """Levels of cuts."""
        return int(self.feature.shape[1] + 1).bit_length() - 1


def random_cuts(n_trees: int, height: int, n_features: int, seed: int) -> Cuts:
    """Cuts of the unit cube, each inside its node's range with a padding, as river makes them.

    Raises ValueError for a height that has no room here.

    >>> random_cuts(10, 8, 30, seed=1).feature.shape
    (10, 255)
    """
    if not 1 <= height <= MAX_HEIGHT:
        raise ValueError(f"height must be 1 to {MAX_HEIGHT}, got {height}")
    rng = np.random.default_rng(seed)
    n_nodes = 2**height - 1
    feature = np.zeros((n_trees, n_nodes), np.int32)
    threshold = np.zeros((n_trees, n_nodes), np.float32)
    low, high = np.zeros((n_nodes, n_features)), np.ones((n_nodes, n_features))
    for tree in range(n_trees):
        low[0], high[0] = 0.0, 1.0
        for node in range(n_nodes):
            j = int(rng.integers(n_features))
            a, b = low[node, j], high[node, j]
            cut = a + (PADDING + (1.0 - 2.0 * PADDING) * rng.random()) * (b - a)
            feature[tree, node], threshold[tree, node] = j, cut
            for child in (2 * node + 1, 2 * node + 2):
                if child < n_nodes:
                    low[child], high[child] = low[node], high[node]
                    (high if child % 2 else low)[child, j] = cut
    return Cuts(feature, threshold)


def n_slots_of(height: int) -> int:
    """Room that a tree of this many levels of cuts takes in a machine's masses.

    >>> n_slots_of(8), n_slots_of(5)
    (544, 96)
    """
    levels = height + 1
    return int(2**levels if levels <= TOP_LEVELS else TOP_NODES + TOP_NODES * 2 ** (levels - TOP_LEVELS))


@compiled
def _paths(
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    height: int,
    row: NDArray[np.float32],
    slots: Ints,
) -> None:
    """Slots that a row visits in each tree, (n_trees, height + 1): they depend on the cuts alone."""
    stride = 1 << max(height + 1 - TOP_LEVELS, 0)
    for t in range(feature.shape[0]):
        heap, slot = 0, 0
        slots[t, 0] = 0
        for level in range(1, height + 1):
            right = 1 if row[feature[t, heap]] >= threshold[t, heap] else 0
            heap = 2 * heap + 1 + right
            if level < TOP_LEVELS:
                slot = heap
            elif level == TOP_LEVELS:
                base = TOP_NODES + (heap - (TOP_NODES - 1)) * stride
                slot = base
            else:
                slot = base + 2 * (slot - base) + 1 + right
            slots[t, level] = slot


@compiled
def walk(
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    mass: Masses,
    filled: Masses,
    counter: NDArray[np.int32],
    window: int,
    machine: Ints,
    x: NDArray[np.float32],
    learn: bool,
    out: Floats,
) -> None:
    """Score each row, then count it if `learn`. mass: (machines, trees, slots, 2) latest and reference."""
    n_trees, n_nodes = feature.shape
    height = 0
    while (1 << height) - 1 < n_nodes:
        height += 1
    limit = SIZE_SHARE * window
    most = float(n_trees) * window * ((1 << (height + 1)) - 1)
    slots = np.zeros((n_trees, height + 1), np.int64)
    one = np.uint8(1 if learn else 0)
    lines = np.zeros(1, np.int64)
    for i in range(machine.shape[0]):
        m = machine[i]
        _paths(feature, threshold, height, x[i], slots)
        # All cache lines of the walk are asked for at once, before any is needed.
        touched = 0
        for t in range(n_trees):
            touched += mass[m, t, slots[t, 0], 1]
            for level in range(TOP_LEVELS, height + 1, TOP_LEVELS):
                touched += mass[m, t, slots[t, level], 1]
        lines[0] = touched
        total = np.int64(0)
        for t in range(n_trees):
            alive = np.int64(1)
            for level in range(height + 1):
                slot = slots[t, level]
                reference = np.int64(mass[m, t, slot, 1])
                total += (reference << level) * alive
                alive = alive & np.int64(reference >= limit)
                mass[m, t, slot, 0] += one
        counter[m] += one
        out[i] = 1.0 - total / most if filled[m] else 0.0
        if learn and counter[m] == window:
            counter[m], filled[m] = 0, 1
            mass[m, :, :, 1] = mass[m, :, :, 0]
            mass[m, :, :, 0] = 0


class HalfSpaceTrees:
    """Half-space trees of many machines.

    Features are expected in [0, 1]. Until a machine's first window is full its score is 0. Raises ValueError
    for a window or height that has no room.

    >>> trees = HalfSpaceTrees(n_machines=2, n_features=1, window=50, seed=1)
    >>> calm = np.full((50, 1), 0.45) + np.linspace(0, 0.01, 50)[:, None]
    >>> trees.learn(np.zeros(50, np.int64), calm)
    >>> calm_score, strange_score = trees.score(np.zeros(2, np.int64), np.array([[0.45], [0.99]]))
    >>> bool(strange_score > calm_score)
    True
    """

    def __init__(
        self,
        n_machines: int,
        n_features: int,
        *,
        n_trees: int = 10,
        height: int = 8,
        window: int = 250,
        seed: int = 1,
        cuts: Cuts | None = None,
    ) -> None:
        if not 2 <= window <= MAX_WINDOW:
            raise ValueError(f"window must be 2 to {MAX_WINDOW} rows, got {window}")
        self.cuts = random_cuts(n_trees, height, n_features, seed) if cuts is None else cuts
        self.n_features, self.window = n_features, window
        n_slots = n_slots_of(self.cuts.height)
        self.mass: Masses = np.zeros((n_machines, len(self.cuts.feature), n_slots, 2), np.uint8)
        self.counter = np.zeros(n_machines, np.int32)
        self.filled: Masses = np.zeros(n_machines, np.uint8)

    def score(self, machine: Ints, x: Floats) -> Floats:
        """Anomaly in [0, 1], (n,)."""
        return self._run(machine, x, learn=False)

    def learn(self, machine: Ints, x: Floats) -> None:
        """Count these rows."""
        self._run(machine, x, learn=True)

    def score_then_learn(self, machine: Ints, x: Floats | NDArray[np.float32]) -> Floats:
        """Each row is scored before it is counted, in one walk."""
        return self._run(machine, x, learn=True)

    def _run(self, machine: Ints, x: Floats | NDArray[np.float32], *, learn: bool) -> Floats:
        out = np.empty(len(machine))
        rows = np.ascontiguousarray(x, np.float32)
        feature, threshold = self.cuts
        walk(feature, threshold, self.mass, self.filled, self.counter, self.window, machine, rows, learn, out)
        return out
