"""The level of each machine over its whole life in a few points.

When they are full, every second one goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.online.jit import compiled

if TYPE_CHECKING:
    from models.online.memory import Memory


@compiled
def note_level(mem: Memory, m: int, t_ns: int, level: float) -> bool:
    """Keep this level if it is time for a point. True when it was kept.

    The gap between points doubles whenever they are full, so that an hour and a year both fit.
    """
    n = mem.life_n[m]
    now_h = t_ns * 1e-9 / 3600.0
    if n > 0 and (now_h - mem.life_h[m, n - 1]) * 3600.0 < mem.life_gap_s[m]:
        return False
    if n == mem.life_h.shape[1]:
        n //= 2
        for i in range(n):
            mem.life_h[m, i], mem.life_level[m, i] = mem.life_h[m, 2 * i + 1], mem.life_level[m, 2 * i + 1]
        mem.life_gap_s[m] *= 2.0
    mem.life_h[m, n], mem.life_level[m, n] = now_h, level
    mem.life_n[m] = n + 1
    return True
