"""Robust baselines: each slot of a machine against its own past in the same regime.

A row is winsorised before it teaches, so that an outlier cannot move a baseline far. Evidence is the smoothed
deviation in units of its own spread, so that a machine that wanders by nature is not called sick for
wandering.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from models.online.jit import compiled

if TYPE_CHECKING:
    from models.online.layout import Floats, Tables
    from models.online.memory import Dial, Memory

MAX_DEVIATION = 8.0
WINSOR = 3.0
MIN_ROWS = 8.0
MAX_LEVEL = 6.0
EVIDENCE_ROWS = 300.0
EVIDENCE_PRIOR_ROWS = 50.0
RELATIVE_FLOOR = 0.01
FEW_ROWS = 1.1
STILL = -2.3
"""Natural logarithm of the vibration ratio below which a machine stands still, or its sensor is dead."""


@compiled
def _spread(mem: Memory, tab: Tables, m: int, r: int, s: int) -> float:
    floor = tab.floor[s] if tab.floor[s] > 0 else RELATIVE_FLOOR * abs(mem.mean[m, r, s]) + 1e-9
    return math.sqrt(mem.var[m, r, s] + floor * floor)


@compiled
def score_slots(
    mem: Memory, tab: Tables, dia: Dial, m: int, r: int, x: Floats, evidence: Floats, per_component: Floats
) -> tuple[float, int]:
    """Smoothed evidence of every ready slot, and the strongest: (value, slot), (0, -1) when none is ready.

    x: (S,) transformed values, NaN for missing; evidence (S,) and per_component (C,) are filled. The
    smoothing state moves; the baseline does not.
    """
    strongest, which = 0.0, -1
    evidence[:] = math.nan
    per_component[:] = 0.0
    need = max(MIN_ROWS, 0.5 * dia.warmup_rows)
    for s in range(x.shape[0]):
        if tab.component[s] < 0:
            break
        count = mem.rows[m, r, s]
        if count < need:
            continue
        if not math.isnan(x[s]):
            deviation = x[s] - mem.mean[m, r, s]
            # A spread from few rows may be too small by chance, and there are many slots to be unlucky in.
            spread = _spread(mem, tab, m, r, s) * (1.0 + FEW_ROWS / math.sqrt(count))
            z = min(max(deviation / spread, -MAX_DEVIATION), MAX_DEVIATION)
            mem.fast[m, s] += dia.smoothing * (z - mem.fast[m, s])
            mem.level[m, s] += dia.smoothing * (min(max(deviation, -MAX_LEVEL), MAX_LEVEL) - mem.level[m, s])
        e = mem.fast[m, s] / math.sqrt(mem.fast_var[m, s] + 1.0 / count) * tab.weight[s]
        if not tab.rises[s]:
            e = abs(e)
        evidence[s] = e
        c = tab.component[s]
        per_component[c] = max(per_component[c], e)
        if e > strongest:
            strongest, which = e, s
    return strongest, which


@compiled
def loudest_level(mem: Memory, tab: Tables, m: int) -> tuple[float, int]:
    """The highest smoothed rise of an amplitude, in nepers, and its slot; (0, -1) when none is known."""
    best, which = 0.0, -1
    for s in range(mem.level.shape[1]):
        if tab.component[s] < 0:
            break
        if tab.level[s] and mem.level[m, s] > best:
            best, which = mem.level[m, s], s
    return best, which


@compiled
def is_still(mem: Memory, tab: Tables, m: int, r: int, x: Floats) -> bool:
    """Whether every amplitude lies a tenth or more below its baseline.

    The machine stands, or the sensor is dead.
    """
    known = 0
    for s in range(x.shape[0]):
        if tab.component[s] < 0:
            break
        if tab.level[s] and not math.isnan(x[s]) and mem.rows[m, r, s] >= MIN_ROWS:
            known += 1
            if x[s] - mem.mean[m, r, s] > STILL:
                return False
    return known > 0


@compiled
def learn_slots(
    mem: Memory, tab: Tables, dia: Dial, m: int, r: int, x: Floats, trust: float, judged: bool
) -> None:
    """Move the baseline toward this row. trust: 0 (a sick machine must not teach us health) to 1."""
    interval_s = max(mem.interval_s[m], 1e-3)
    memory = max(dia.memory_rows, dia.memory_s / interval_s)
    floor_var = 0.5 * dia.smoothing / (2.0 - dia.smoothing)
    for s in range(x.shape[0]):
        if tab.component[s] < 0:
            break
        if math.isnan(x[s]):
            continue
        count = mem.rows[m, r, s]
        rate = trust / (min(count, memory) + 1.0)
        d = x[s] - mem.mean[m, r, s]
        if count >= MIN_ROWS:
            limit = WINSOR * _spread(mem, tab, m, r, s)
            d = min(max(d, -limit), limit)
        mem.mean[m, r, s] += rate * d
        mem.var[m, r, s] = (1.0 - rate) * (mem.var[m, r, s] + rate * d * d)
        mem.rows[m, r, s] = count + trust
        if judged:
            # Bounded too: a slow fault must not teach that wandering is normal.
            square = min(mem.fast[m, s] ** 2, WINSOR * mem.fast_var[m, s])
            pace = trust / min(mem.fast_n[m, s] + EVIDENCE_PRIOR_ROWS, EVIDENCE_ROWS)
            mem.fast_var[m, s] = max(mem.fast_var[m, s] + pace * (square - mem.fast_var[m, s]), floor_var)
            mem.fast_n[m, s] += trust
