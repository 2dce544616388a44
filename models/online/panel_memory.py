"""What the panel remembers of every machine: a covariance, half-space masses, and each statistic's own tail.

M machines, P places (watched quantities of a machine, at most MAX_PLACES), K statistics (`STATISTICS`). About
5 KB a machine.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from models.online.half_space_trees import Cuts, Masses, n_slots_of, random_cuts
from models.online.layout import MAX_PLACES, Floats, Ints

STATISTICS: Final = ("t2", "q", "half_space_trees", "river")
"""What is calibrated, each by a tail of its own, in the order of the kernel's columns."""
T2, Q, TREES, RIVER = range(len(STATISTICS))
N_TREES, HEIGHT, WINDOW, SEED = 10, 5, 250, 20
NEVER_STRANGE: Final = 1 << 40
"""Rows since a row was strange, of a machine that never had one."""
POT_START: Final = (1.65, 0.0, 0.0, 0.0, 0.0)
"""The 95 % quantile of a standard normal, before anything is known."""
# Columns of Panel.champion.
CHAMPION_RATIO, CHAMPION_S, CHAMPION_ROWS = range(3)


class Panel(NamedTuple):
    """State of the panel, mutated in place.

    slots: (M, P) which slot of the layout stands in each place, -1 for none, and n_places of them: (M,);
    weight: (M,) rows learned, weighed by trust; learned: (M,) rows since the start; mean: (M, P); cov:
    (M, P, P), lower triangle; centre, spread: (M, P) when it was last renewed, and axes: (M, P, P) and
    variance: (M, P) the directions of the correlations, n_axes of which count as usual: (M,), 0 before;
    usual: (M, 2) T2 and Q of late; mass, mass_rows, mass_filled: half-space trees; scale: (M, K, 3) mean,
    variance and rows of
    each statistic; tail: (M, K, 5) of its healthy values; value: (M, K) each over its threshold, now;
    up_rows, up_ns: (M,) how long the panel has held, calm_rows: (M,) rows since it last did; stands: (M,)
    whether it does; cap: (M,) health that it leaves; part: (M,) component of which it speaks; champion:
    (M, 3) last word of the batch champion: over its alarm level, when in s, words in a row over it; given:
    (M, 2) raw score of a detector outside the kernel, and whether there is one.
    """

    slots: Ints
    n_places: Ints
    weight: Floats
    learned: Ints
    mean: Floats
    cov: Floats
    centre: Floats
    spread: Floats
    axes: Floats
    variance: Floats
    n_axes: Ints
    usual: Floats
    mass: Masses
    mass_rows: np.ndarray[tuple[int, ...], np.dtype[np.int32]]
    mass_filled: Masses
    scale: Floats
    tail: Floats
    value: Floats
    up_rows: Ints
    up_ns: Ints
    calm_rows: Ints
    stands: Ints
    cap: Floats
    part: Ints
    champion: Floats
    given: Floats


def panel_cuts() -> Cuts:
    """The random cuts that all machines of every plant share."""
    return random_cuts(N_TREES, HEIGHT, MAX_PLACES, SEED)


def new_panel(n_machines: int) -> Panel:
    """A panel that has seen nothing."""
    m, p, k = n_machines, MAX_PLACES, len(STATISTICS)
    return Panel(
        slots=np.full((m, p), -1, np.int64),
        n_places=np.zeros(m, np.int64),
        weight=np.zeros(m),
        learned=np.zeros(m, np.int64),
        mean=np.zeros((m, p)),
        cov=np.zeros((m, p, p)),
        centre=np.zeros((m, p)),
        spread=np.ones((m, p)),
        axes=np.zeros((m, p, p)),
        variance=np.ones((m, p)),
        n_axes=np.zeros(m, np.int64),
        usual=np.ones((m, 2)),
        mass=np.zeros((m, N_TREES, n_slots_of(HEIGHT), 2), np.uint8),
        mass_rows=np.zeros(m, np.int32),
        mass_filled=np.zeros(m, np.uint8),
        scale=np.zeros((m, k, 3)),
        tail=np.tile(np.array(POT_START), (m, k, 1)),
        value=np.zeros((m, k)),
        up_rows=np.zeros(m, np.int64),
        up_ns=np.zeros(m, np.int64),
        calm_rows=np.full(m, NEVER_STRANGE, np.int64),
        stands=np.zeros(m, np.int64),
        cap=np.full(m, 100.0),
        part=np.full(m, -1, np.int64),
        champion=np.zeros((m, 3)),
        given=np.zeros((m, 2)),
    )
