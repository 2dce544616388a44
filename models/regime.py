"""Operating regimes: a machine is compared with itself at the same speed and load.

Regimes are found, not configured: a centre of speed and power covers a neighbourhood. A point outside every
neighbourhood makes a new centre when it holds still for `steady_s`, so that a ramp makes none; a machine that
never holds still gets one after RESTLESS times as long. At most MAX_REGIMES a machine: the least used one
that never finished its warm-up makes room, otherwise the nearest serves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from models.online.jit import compiled
from models.online.memory import OUTSIDE_ROWS, OUTSIDE_SINCE, SINCE

if TYPE_CHECKING:
    from models.online.layout import Floats
    from models.online.memory import Dial, Given, Memory

SPEED_TOLERANCE = 0.12
"""Natural logarithm of the speed ratio that still is the same regime."""
LOAD_TOLERANCE = 0.2
"""Share of rated power that still is the same regime."""
STOPPED_SPEED = 0.05
STOPPED_POWER = 0.02
CANDIDATE_ROWS = 3
STEADY = 0.25
"""Share of a neighbourhood within which a point holds still."""
RESTLESS = 10
CONTEXT_VALID_S = 600.0
TRANSIENT = -2
STOPPED_STATE, IDLE_STATE = 0.0, 1.0

NAMES: Final = ("unknown", "r1", "r2", "r3", "r4", "r5", "r6")


@compiled
def remember_context(
    mem: Memory, m: int, now_s: float, speed_rpm: float, power_kw: float
) -> tuple[float, float]:
    """Speed and power now; a message without them uses what was last said, for ten minutes."""
    context = mem.context[m]
    if not math.isnan(speed_rpm):
        context[0], context[1] = speed_rpm, now_s
    elif not math.isnan(context[0]) and abs(now_s - context[1]) <= CONTEXT_VALID_S:
        speed_rpm = context[0]
    if not math.isnan(power_kw):
        context[2], context[3] = power_kw, now_s
    elif not math.isnan(context[2]) and abs(now_s - context[3]) <= CONTEXT_VALID_S:
        power_kw = context[2]
    return speed_rpm, power_kw


@compiled
def is_stopped(giv: Given, m: int, state: float, speed_rpm: float, power_kw: float) -> int:
    """1 when something says that the machine stands still, 0 that it runs, -1 when nothing says."""
    if not math.isnan(state):
        return 1 if state == STOPPED_STATE else 0
    if not math.isnan(speed_rpm):
        rated = giv.rated_rpm[m]
        limit = STOPPED_SPEED * rated if not math.isnan(rated) else 5.0
        return 1 if abs(speed_rpm) < limit else 0
    if not math.isnan(power_kw) and not math.isnan(giv.rated_kw[m]):
        return 1 if power_kw < STOPPED_POWER * giv.rated_kw[m] else 0
    return -1


@compiled
def distance(centre: Floats, speed_rpm: float, power_kw: float, idle: float, rated_kw: float) -> float:
    """How far an operating point lies from a centre, 1 at the edge of its neighbourhood."""
    far = 0.0
    if centre[2] != idle:
        far = 1e9
    if not math.isnan(speed_rpm) and not math.isnan(centre[0]):
        ratio = math.log(max(abs(speed_rpm), 1.0) / max(abs(centre[0]), 1.0))
        far = max(far, abs(ratio) / SPEED_TOLERANCE)
    if not math.isnan(power_kw) and not math.isnan(centre[1]):
        full = rated_kw if not math.isnan(rated_kw) else max(abs(power_kw), abs(centre[1]), 1e-6)
        far = max(far, abs(power_kw - centre[1]) / (LOAD_TOLERANCE * full))
    return far


@compiled
def nearest_regime(
    mem: Memory, m: int, speed_rpm: float, power_kw: float, idle: float, rated_kw: float
) -> tuple[int, float]:
    """Index of the nearest centre and its distance; (-1, inf) when there is none."""
    best, best_far = -1, math.inf
    for r in range(mem.n_regimes[m]):
        far = distance(mem.regime[m, r], speed_rpm, power_kw, idle, rated_kw)
        if far < best_far:
            best, best_far = r, far
    return best, best_far


@compiled
def _holds_still(
    mem: Memory,
    m: int,
    now_s: float,
    speed_rpm: float,
    power_kw: float,
    idle: float,
    rated_kw: float,
    steady_s: float,
) -> bool:
    """Whether a point outside every neighbourhood has stood for long enough to become one."""
    candidate = mem.candidate[m]
    if mem.candidate_rows[m] == 0:
        candidate[OUTSIDE_ROWS], candidate[OUTSIDE_SINCE] = 0.0, now_s
    candidate[OUTSIDE_ROWS] += 1.0
    far = distance(candidate, speed_rpm, power_kw, idle, rated_kw)
    if mem.candidate_rows[m] > 0 and far <= STEADY:
        mem.candidate_rows[m] += 1
    else:
        mem.candidate_rows[m] = 1
        candidate[0], candidate[1], candidate[2], candidate[SINCE] = speed_rpm, power_kw, idle, now_s
    if mem.candidate_rows[m] >= CANDIDATE_ROWS and now_s - candidate[SINCE] >= steady_s:
        return True
    restless = candidate[OUTSIDE_ROWS] >= RESTLESS * CANDIDATE_ROWS
    return bool(restless and now_s - candidate[OUTSIDE_SINCE] >= RESTLESS * steady_s)


@compiled
def find_regime(
    mem: Memory,
    giv: Given,
    dia: Dial,
    m: int,
    now_s: float,
    speed_rpm: float,
    power_kw: float,
    idle: float,
) -> int:
    """The regime of this operating point, made when it is new and stays; TRANSIENT while it passes."""
    rated_kw = giv.rated_kw[m]
    best, far = nearest_regime(mem, m, speed_rpm, power_kw, idle, rated_kw)
    if far <= 1.0:
        centre = mem.regime[m, best]
        if math.isnan(centre[0]):
            centre[0] = speed_rpm
        if math.isnan(centre[1]):
            centre[1] = power_kw
        mem.candidate_rows[m] = 0
        return best
    still = _holds_still(mem, m, now_s, speed_rpm, power_kw, idle, rated_kw, dia.steady_s)
    if best >= 0 and not still:
        return TRANSIENT
    slot = mem.n_regimes[m]
    if slot < mem.regime.shape[1]:
        mem.n_regimes[m] += 1
    else:
        slot = 0
        for r in range(mem.regime.shape[1]):
            if mem.regime_rows[m, r] < mem.regime_rows[m, slot]:
                slot = r
        if mem.regime_rows[m, slot] >= dia.warmup_rows:
            return best
    mem.regime[m, slot, 0], mem.regime[m, slot, 1], mem.regime[m, slot, 2] = speed_rpm, power_kw, idle
    mem.regime_rows[m, slot], mem.regime_s[m, slot] = 0, 0.0
    mem.mean[m, slot, :], mem.var[m, slot, :], mem.rows[m, slot, :] = 0.0, 0.0, 0.0
    mem.anchor[m, slot, :], mem.point[m, slot, :], mem.seen_s[m, slot] = 0.0, 0.0, -math.inf
    mem.candidate_rows[m] = 0
    return int(slot)
