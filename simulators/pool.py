"""Blocks made beforehand, for benchmarks that must not pay for physics while they measure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.kinds import KINDS
from simulators.machine import DEFAULT_ORIGIN_NS, DEFAULT_RATE_HZ, DEFAULT_SAMPLES, MachineModel

SECOND_NS: Final = 1_000_000_000
NOON_NS: Final = DEFAULT_ORIGIN_NS + 5 * 3600 * SECOND_NS


def block_pool(
    n_blocks: int, n_samples: int = DEFAULT_SAMPLES, rate_hz: float = DEFAULT_RATE_HZ, seed: int = 0
) -> NDArray[np.int16]:
    """Vibration of healthy machines of every kind: (n_blocks, 3, n_samples) int16 counts of `pickup.SCALE_G`.

    >>> block_pool(2, n_samples=256).shape
    (2, 3, 256)
    """
    kinds = sorted(KINDS)
    pool = np.empty((n_blocks, 3, n_samples), np.int16)
    models = [MachineModel(kind, 75.0, 1480.0, seed=seed + index) for index, kind in enumerate(kinds)]
    for index in range(n_blocks):
        model = models[index % len(models)]
        pool[index] = model.block(NOON_NS + index * SECOND_NS, n_samples, rate_hz).counts
    return pool
