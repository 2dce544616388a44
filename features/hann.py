"""The Hann window, made once a length."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@lru_cache(maxsize=32)
def hann(n: int) -> NDArray[np.float64]:
    """Hann window of n points, (n,), shared and therefore read-only.

    >>> hann(5).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    window = np.hanning(n)
    window.flags.writeable = False
    return window
