"""Robust baselines: each slot of a machine against its own past in the same regime.

A row is winsorised before it teaches, so that an outlier cannot move a baseline far. Evidence is the smoothed
deviation in units of its own spread, so that a machine that wanders by nature is not called sick for
wandering.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from models.online.columns import COMPONENTS
from models.online.jit import compiled
from models.online.memory import POINT_LOAD, POINT_LOAD_DEV, POINT_ROWS, POINT_SPEED, POINT_SPEED_DEV

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
SPEED_UNIT, LOAD_UNIT = 0.1, 0.2
"""A step of the operating point: a tenth in speed (natural logarithm), a fifth of rated power."""
SPEED_PLAY, LOAD_PLAY = 0.05, 0.1
"""Steps beyond what was seen that mean nothing: half a per cent of speed, two per cent of rated power."""
SEEN_DEVIATIONS = 3.75
"""Mean absolute deviations: three standard deviations of a normal spread, less moved by a few ramps."""
PASSING_OUTSIDE = 0.2
OUTSIDE_NEPERS, OUTSIDE_SPREADS = 2.0, 4.0
"""What an amplitude may do one step outside of what was seen, by the root of the distance, since a line that
comes out of the noise rises steeply at first; other channels in their own spreads, in proportion."""
SAME_ERROR = 2.0
"""A wrong expectation stays wrong from row to row: smoothing takes nothing off it, as it does off noise."""
THERMAL = COMPONENTS.index("thermal")
THERMAL_S = 7200.0
"""Seconds for which a machine may be as warm as the regime that it comes from."""
FEW_ROWS = 1.1
STILL = -2.3
"""Natural logarithm of the vibration ratio below which a machine stands still, or its sensor is dead."""


@compiled
def _spread(mem: Memory, tab: Tables, m: int, r: int, s: int) -> float:
    floor = tab.floor[s] if tab.floor[s] > 0 else RELATIVE_FLOOR * abs(mem.mean[m, r, s]) + 1e-9
    return math.sqrt(mem.var[m, r, s] + floor * floor)


@compiled
def _spread_outside(spread: float, outside: float, is_log: bool) -> float:
    """The spread of a prediction for a row that lies outside of what its regime has seen."""
    if is_log:
        return math.sqrt(spread * spread + (SAME_ERROR * OUTSIDE_NEPERS) ** 2 * outside)
    return spread * math.sqrt(1.0 + (OUTSIDE_SPREADS * outside) ** 2)


@compiled
def _still_warm(mem: Memory, m: int, s: int) -> float:
    """The highest normal temperature of the regimes that this machine may still be warm from."""
    warmest = -math.inf
    now_s = mem.last_ns[m] * 1e-9
    for r in range(mem.n_regimes[m]):
        if mem.rows[m, r, s] >= MIN_ROWS and now_s - mem.seen_s[m, r] <= THERMAL_S:
            warmest = max(warmest, mem.mean[m, r, s])
    return warmest


@compiled
def operating_step(
    mem: Memory, m: int, r: int, speed_rpm: float, power_kw: float, rated_kw: float, step: Floats
) -> tuple[float, float]:
    """How far this row lies from the regime's mean operating point: step (2,) is filled.

    Returns how much wider a prediction is there, as a factor of the variance, and how far the row lies
    outside of what this regime has seen, in steps: where a machine never ran, or while it changes over,
    nobody knows what is normal.
    """
    point = mem.point[m, r]
    step[0] = step[1] = 0.0
    if point[POINT_ROWS] > 0:
        if not math.isnan(speed_rpm):
            step[0] = math.log(max(abs(speed_rpm), 1.0)) / SPEED_UNIT - point[POINT_SPEED]
        if not math.isnan(power_kw):
            step[1] = power_kw / _full_kw(mem, m, r, rated_kw) / LOAD_UNIT - point[POINT_LOAD]
    p = mem.slope_p[m]
    wider = 1.0 + p[0] * step[0] * step[0] + 2.0 * p[1] * step[0] * step[1] + p[2] * step[1] * step[1]
    speed_out = _outside(step[0], point[POINT_SPEED_DEV], SPEED_PLAY)
    load_out = _outside(step[1], point[POINT_LOAD_DEV], LOAD_PLAY)
    return float(wider), math.sqrt(speed_out * speed_out + load_out * load_out)


@compiled
def _full_kw(mem: Memory, m: int, r: int, rated_kw: float) -> float:
    """What a share of load is a share of: rated power, or where that is not declared the regime's own."""
    if not math.isnan(rated_kw):
        return float(rated_kw)
    return float(max(abs(mem.regime[m, r, 1]), 1e-6))


@compiled
def _outside(step: float, deviation: float, play: float) -> float:
    return max(0.0, abs(step) - SEEN_DEVIATIONS * deviation - play)


@compiled
def weight_outside(outside: float) -> float:
    """How much a row counts for what it teaches, by how far it lies outside: a change-over teaches little."""
    return 1.0 / (1.0 + (outside / PASSING_OUTSIDE) ** 2)


@compiled
def learn_point(
    mem: Memory,
    m: int,
    r: int,
    speed_rpm: float,
    power_kw: float,
    rated_kw: float,
    memory: float,
    trust: float,
) -> None:
    """Move the regime's mean operating point and how far it is known to spread."""
    point = mem.point[m, r]
    rate = trust / (min(point[POINT_ROWS], memory) + 1.0)
    if not math.isnan(speed_rpm):
        speed = math.log(max(abs(speed_rpm), 1.0)) / SPEED_UNIT
        _learn_axis(point, POINT_SPEED, POINT_SPEED_DEV, speed, rate)
    if not math.isnan(power_kw):
        load = power_kw / _full_kw(mem, m, r, rated_kw) / LOAD_UNIT
        _learn_axis(point, POINT_LOAD, POINT_LOAD_DEV, load, rate)
    point[POINT_ROWS] += trust


@compiled
def _learn_axis(point: Floats, mean_at: int, deviation_at: int, value: float, rate: float) -> None:
    d = value - point[mean_at]
    point[mean_at] += rate * d
    if point[POINT_ROWS] > 0.0:  # The first row is the mean, not a deviation.
        point[deviation_at] += rate * (abs(d) - point[deviation_at])


@compiled
def _gain(mem: Memory, m: int, step: Floats, trust: float) -> tuple[float, float]:
    """Kalman gain of the slopes, shared by all slots, and the smaller covariance after this row."""
    p = mem.slope_p[m]
    a, b = p[0] * step[0] + p[1] * step[1], p[1] * step[0] + p[2] * step[1]
    denominator = 1.0 / max(trust, 1e-6) + a * step[0] + b * step[1]
    g0, g1 = a / denominator, b / denominator
    p[0], p[1], p[2] = p[0] - g0 * a, p[1] - g0 * b, p[2] - g1 * b
    return g0, g1


@compiled
def score_slots(
    mem: Memory,
    tab: Tables,
    dia: Dial,
    m: int,
    r: int,
    x: Floats,
    step: Floats,
    wider: float,
    outside: float,
    evidence: Floats,
    per_component: Floats,
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
            expected = mem.mean[m, r, s] + mem.slope[m, s, 0] * step[0] + mem.slope[m, s, 1] * step[1]
            if tab.component[s] == THERMAL:
                expected = max(expected, _still_warm(mem, m, s))
            deviation = x[s] - expected
            # A spread from few rows may be too small by chance, and there are many slots to be unlucky in.
            spread = _spread(mem, tab, m, r, s) * (1.0 + FEW_ROWS / math.sqrt(count)) * math.sqrt(wider)
            spread = _spread_outside(spread, outside, tab.log[s])
            z = min(max(deviation / spread, -MAX_DEVIATION), MAX_DEVIATION)
            mem.fast[m, s] += dia.smoothing * (z - mem.fast[m, s])
            rise = min(max(deviation, -MAX_LEVEL), MAX_LEVEL)
            if tab.log[s]:
                rise = math.copysign(max(abs(rise) - OUTSIDE_NEPERS * math.sqrt(outside), 0.0), rise)
            mem.level[m, s] += dia.smoothing * (rise - mem.level[m, s])
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
def loudest_level(mem: Memory, tab: Tables, m: int, r: int) -> tuple[float, int]:
    """The highest rise of an amplitude since the end of warm-up, in nepers, and its slot; (0, -1) for none.

    A baseline follows slow change; the anchor does not, so that no fault is too slow to be seen.
    """
    best, which = 0.0, -1
    for s in range(mem.level.shape[1]):
        if tab.component[s] < 0:
            break
        rise = mem.level[m, s] + mem.mean[m, r, s] - mem.anchor[m, r, s]
        if tab.level[s] and mem.rows[m, r, s] >= MIN_ROWS and rise > best:
            best, which = rise, s
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
def _move_along(mem: Memory, m: int, r: int, s: int, step: Floats, moves: float) -> None:
    """Carry mean and anchor with the regime's mean operating point: another load is no rise since warm-up."""
    along = moves * (mem.slope[m, s, 0] * step[0] + mem.slope[m, s, 1] * step[1])
    mem.mean[m, r, s] += along
    mem.anchor[m, r, s] += along


@compiled
def learn_slots(
    mem: Memory,
    tab: Tables,
    dia: Dial,
    m: int,
    r: int,
    x: Floats,
    step: Floats,
    memory: float,
    trust: float,
    judged: bool,
) -> None:
    """Move the baseline toward this row. trust: 0 (a sick machine must not teach us health) to 1.

    A mean is what is expected at the regime's mean operating point. `learn_point` moves that point after this
    row; the mean moves with it along the slopes. Without this a slow ramp leaves the mean behind, and the
    slopes grow to make up for it: twice too steep after twenty minutes.
    """
    g0, g1 = _gain(mem, m, step, trust)
    moves = trust / (min(mem.point[m, r, POINT_ROWS], memory) + 1.0)
    floor_var = 0.5 * dia.smoothing / (2.0 - dia.smoothing)
    for s in range(x.shape[0]):
        if tab.component[s] < 0:
            break
        count = mem.rows[m, r, s]
        if math.isnan(x[s]):
            if count > 0.0:
                _move_along(mem, m, r, s, step, moves)
            continue
        rate = trust / (min(count, memory) + 1.0)
        d = x[s] - mem.mean[m, r, s] - mem.slope[m, s, 0] * step[0] - mem.slope[m, s, 1] * step[1]
        if count >= MIN_ROWS:
            limit = WINSOR * _spread(mem, tab, m, r, s)
            d = min(max(d, -limit), limit)
            mem.slope[m, s, 0] += g0 * d
            mem.slope[m, s, 1] += g1 * d
        mem.mean[m, r, s] += rate * d
        _move_along(mem, m, r, s, step, moves)
        mem.var[m, r, s] = (1.0 - rate) * (mem.var[m, r, s] + rate * d * d)
        mem.rows[m, r, s] = count + trust
        if count < dia.warmup_rows:
            mem.anchor[m, r, s] = mem.mean[m, r, s]
        if judged:
            # Bounded too: a slow fault must not teach that wandering is normal.
            square = min(mem.fast[m, s] ** 2, WINSOR * mem.fast_var[m, s])
            pace = trust / min(mem.fast_n[m, s] + EVIDENCE_PRIOR_ROWS, EVIDENCE_ROWS)
            mem.fast_var[m, s] = max(mem.fast_var[m, s] + pace * (square - mem.fast_var[m, s]), floor_var)
            mem.fast_n[m, s] += trust
