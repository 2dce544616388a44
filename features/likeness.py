"""How alike two patterns of evidence are: the angle between them, whatever their size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def likeness(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Cosine of two patterns, from -1 (opposite) over 0 (nothing in common) to 1 (the same shape).

    one, other: strength of each quantity by its name; what a pattern does not name is 0 there. A pattern
    without strength is like nothing. Source: Salton and McGill 1983.

    >>> likeness({"x.rms_g": 3.0, "y.rms_g": 4.0}, {"x.rms_g": 0.6, "y.rms_g": 0.8})
    1.0
    >>> likeness({"x.rms_g": 3.0}, {"Temperature/bearing": 2.0}), likeness({}, {"x.rms_g": 1.0})
    (0.0, 0.0)
    """
    sizes = math.hypot(*one.values()) * math.hypot(*other.values())
    if not sizes > 0.0 or not math.isfinite(sizes):
        return 0.0
    shared = sum(strength * other.get(name, 0.0) for name, strength in one.items())
    return min(1.0, max(-1.0, round(shared / sizes, 12)))
