"""One row of one machine: regime -> score -> learn -> health -> condition.

Rows are taken strictly in their order.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.health.assess import (
    ALARM,
    LEARNING,
    ROTOR,
    STOPPED,
    THERMAL,
    UNKNOWN,
    WARNING,
    assess,
    is_risky,
    next_condition,
    physics_of_level,
    physics_of_temperature,
    physics_of_velocity,
)
from models.life.history import note_level
from models.online.baseline import (
    is_still,
    learn_point,
    learn_slots,
    loudest_level,
    operating_step,
    score_slots,
    weight_outside,
)
from models.online.columns import COMPONENTS, MAX_SLOTS
from models.online.jit import compiled
from models.online.layout import (
    CHAMPION,
    CLIPPED,
    HOTTEST,
    MAX_PLACES,
    N_FACTS,
    POWER,
    RUN_STATE,
    SPEED,
    VELOCITY,
    Floats,
    Ints,
    Tables,
)
from models.online.memory import LATE_ROWS, LIFE_POINTS, ROWS_SEEN, UP_ROWS
from models.online.panel import bound_health, hear_champion, panel_row
from models.online.threshold import learn_tail, pot_threshold
from models.regime import IDLE_STATE, TRANSIENT, find_regime, is_stopped, remember_context

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.online.half_space_trees import Cuts
    from models.online.memory import Dial, Given, Memory
    from models.online.panel_memory import Panel

MIN_THRESHOLD, MAX_THRESHOLD = 5.0, 14.0
SATURATED_SHARE = 0.005
INTERVAL_SMOOTHING = 0.05
VELOCITY_SMOOTHING = 0.4
LONG_GAP_S = 3600.0
FULL_TRUST, NO_TRUST = 0.4, 0.75
"""Evidence over threshold up to which a row teaches fully, and from which it teaches nothing."""
NORMAL_TRUST = 0.5
C = len(COMPONENTS)

# Bits of Verdicts.flags.
LATE, PASSING, SETTLING, WARMING, DEAD, SATURATED, RISKY, STANDS, SILENT, NOTED = (1 << i for i in range(10))
CHAMPION_SAYS, TAUGHT, BROKE = 1 << 10, 1 << 11, 1 << 12


class Verdicts(NamedTuple):
    """What the kernel says of n rows.

    condition, previous, regime, zone, flags, top_slot, loud_slot: (n,); ratio, threshold, health, physics,
    velocity_mm_s, multiplier, running_s, regime_rows, loud: (n,); health_by: (n, C); evidence, level: (n, S);
    life_n, life_h, life_level: the history of the level, only where a suspicious machine got a new point;
    panel: (n,) the panel over its threshold; pair: (n, 2) slots whose relation it finds broken, -1 for none;
    residual: (n, P) what the panel was given.
    They hold what was true at each row: the memory has moved on to the end of the batch.
    """

    condition: Ints
    previous: Ints
    regime: Ints
    zone: Ints
    flags: Ints
    top_slot: Ints
    loud_slot: Ints
    ratio: Floats
    threshold: Floats
    health: Floats
    physics: Floats
    velocity_mm_s: Floats
    multiplier: Floats
    running_s: Floats
    regime_rows: Floats
    loud: Floats
    health_by: Floats
    evidence: Floats
    level: Floats
    life_n: Ints
    life_h: Floats
    life_level: Floats
    panel: Floats
    pair: Ints
    residual: Floats


def room_for(n: int) -> Verdicts:
    """Empty verdicts of n rows."""

    def whole() -> Ints:
        return np.zeros(n, np.int64)

    def number() -> Floats:
        return np.zeros(n)

    return Verdicts(
        condition=whole(),
        previous=whole(),
        regime=whole(),
        zone=whole(),
        flags=whole(),
        top_slot=whole(),
        loud_slot=whole(),
        ratio=number(),
        threshold=number(),
        health=number(),
        physics=number(),
        velocity_mm_s=number(),
        multiplier=number(),
        running_s=number(),
        regime_rows=number(),
        loud=number(),
        health_by=np.zeros((n, C)),
        evidence=np.full((n, MAX_SLOTS), np.nan),
        level=np.zeros((n, MAX_SLOTS)),
        life_n=whole(),
        life_h=np.zeros((n, LIFE_POINTS)),
        life_level=np.zeros((n, LIFE_POINTS)),
        panel=number(),
        pair=np.full((n, 2), -1, np.int64),
        residual=np.zeros((n, MAX_PLACES)),
    )


@compiled
def gather(
    values: NDArray[np.float32], sources: Ints, facts: Ints, log: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Rows of one schema as slots and facts. values: (n, columns).

    Returns x (n, S) and (n, N_FACTS), NaN = missing.
    """
    n = values.shape[0]
    x = np.full((n, sources.shape[0]), np.nan)
    f = np.full((n, N_FACTS), np.nan)
    for i in range(n):
        for s in range(sources.shape[0]):
            if sources[s, 0] < 0:
                continue
            value = float(values[i, sources[s, 0]])
            if sources[s, 1] >= 0:
                square = value * value
                for k in range(1, sources.shape[1]):
                    if sources[s, k] >= 0:
                        square += float(values[i, sources[s, k]]) ** 2
                value = math.sqrt(square)
            if not math.isfinite(value):
                continue
            x[i, s] = math.log(max(value, 1e-12)) if log[s] else value
        for j in range(N_FACTS):
            for k in range(facts.shape[1]):
                if facts[j, k] >= 0:
                    value = float(values[i, facts[j, k]])
                    if math.isfinite(value) and (math.isnan(f[i, j]) or value > f[i, j]):
                        f[i, j] = value
    return x, f


@compiled
def _advance_time(mem: Memory, m: int, t_ns: int) -> float:
    """Move the machine's clock; returns seconds since its last row, 0 for the first."""
    gap_s = 0.0
    if mem.last_ns[m] >= 0:
        gap_s = (t_ns - mem.last_ns[m]) * 1e-9
        if mem.interval_s[m] == 0.0:
            mem.interval_s[m] = gap_s
        else:
            mem.interval_s[m] += INTERVAL_SMOOTHING * (min(gap_s, 4 * mem.interval_s[m]) - mem.interval_s[m])
    mem.last_ns[m] = t_ns
    mem.counts[m, ROWS_SEEN] += 1
    return gap_s


@compiled
def _update_threshold(mem: Memory, dia: Dial, m: int) -> float:
    """The level that healthy evidence passes as rarely as was asked for, times what verdicts taught."""
    rows_apart = 2.0 * dia.smoothing_rows
    probability = dia.alarms_per_s * max(mem.interval_s[m], 1e-3) * rows_apart
    level = pot_threshold(mem.pot[m], probability)
    mem.threshold[m] = min(max(level, MIN_THRESHOLD), MAX_THRESHOLD)
    return float(mem.threshold[m] * mem.multiplier[m])


@compiled
def _says_anything(x: Floats, fact: Floats) -> bool:
    if not math.isnan(fact[VELOCITY]):
        return True
    for s in range(x.shape[0]):
        if not math.isnan(x[s]):
            return True
    return False


@compiled
def _stop(mem: Memory, m: int) -> None:
    """A machine that stands still is judged again from its next start; its health and alarms stay."""
    mem.start_ns[m] = -1
    mem.fast[m, :] = 0.0
    mem.level[m, :] = 0.0
    mem.velocity_mm_s[m] = math.nan
    mem.ratio[m], mem.physics[m] = 0.0, 0.0
    mem.counts[m, UP_ROWS] = 0


@compiled
def _smooth_velocity(mem: Memory, m: int, velocity_mm_s: float) -> None:
    if not math.isnan(velocity_mm_s):
        old = mem.velocity_mm_s[m]
        more = VELOCITY_SMOOTHING * (velocity_mm_s - old)
        mem.velocity_mm_s[m] = velocity_mm_s if math.isnan(old) else old + more


@compiled
def _judge_running(
    mem: Memory,
    pan: Panel,
    cuts: Cuts,
    tab: Tables,
    giv: Given,
    dia: Dial,
    m: int,
    r: int,
    t_ns: int,
    gap_s: float,
    x: Floats,
    fact: Floats,
    out: Verdicts,
    i: int,
    physics: Floats,
    per_component: Floats,
) -> tuple[int, int, int, int, int]:
    """Score, learn and assess one row of a running machine in a known regime.

    Returns (condition, zone, flags, top slot, loud slot).
    """
    speed, power, rated_kw = mem.context[m, 0], mem.context[m, 2], giv.rated_kw[m]
    step = np.zeros(2)
    wider, outside = operating_step(mem, m, r, speed, power, rated_kw, step)
    judged = mem.regime_rows[m, r] >= dia.warmup_rows and mem.regime_s[m, r] >= dia.warmup_s
    settling = (t_ns - mem.start_ns[m]) * 1e-9 < dia.settle_s
    strongest, top_slot, loud, loud_slot = 0.0, -1, 0.0, -1
    if judged:
        strongest, top_slot = score_slots(
            mem, tab, dia, m, r, x, step, wider, outside, out.evidence[i], per_component
        )
        loud, loud_slot = loudest_level(mem, tab, m, r)
    threshold = _update_threshold(mem, dia, m)
    trust = 1.0
    if judged:
        trust = min(max((NO_TRUST - strongest / threshold) / (NO_TRUST - FULL_TRUST), 0.0), 1.0)
        trust *= weight_outside(outside)
    if mem.condition[m] == ALARM:
        trust = 0.0  # A sick machine must not teach us health.
    memory = max(dia.memory_rows, dia.memory_s / max(mem.interval_s[m], 1e-3))
    taught = broke = False
    if judged:
        out.panel[i], taught, broke = panel_row(
            mem, pan, cuts, tab, dia, m, t_ns, trust, memory, settling, out.residual[i], out.pair[i]
        )
    if trust > 0.0:
        learn_slots(mem, tab, dia, m, r, x, step, memory, trust, judged)
        learn_point(mem, m, r, speed, power, rated_kw, memory, trust)
    if judged and trust >= NORMAL_TRUST:
        learn_tail(mem.pot[m], strongest)
    if not judged:
        mem.regime_rows[m, r] += 1
        mem.regime_s[m, r] += min(gap_s, LONG_GAP_S)
    _smooth_velocity(mem, m, fact[VELOCITY])
    physics[:] = 0.0
    physics[ROTOR], zone = physics_of_velocity(mem.velocity_mm_s[m], giv.zone_mm_s[m])
    physics[THERMAL] = physics_of_temperature(fact[HOTTEST], giv.temperature_limit_c[m])
    if loud_slot >= 0:
        c = tab.component[loud_slot]
        physics[c] = max(physics[c], physics_of_level(loud, dia.settling if settling else dia.severe))
    for c in range(C):
        physics[c] /= mem.allowance[m]
    assess(mem, m, threshold, per_component, physics, judged, settling)
    champion = hear_champion(pan, m, t_ns * 1e-9, fact[CHAMPION])
    bound_health(mem, pan, m, champion)
    condition = next_condition(mem, dia, m, t_ns, not judged, settling)
    noted = judged and note_level(mem, m, t_ns, loud)
    flags = (SETTLING if settling else 0) | (0 if judged else WARMING) | (NOTED if noted else 0)
    flags |= (CHAMPION_SAYS if champion else 0) | (TAUGHT if taught else 0) | (BROKE if broke else 0)
    return condition, zone, flags, top_slot, loud_slot


@compiled
def step_rows(
    mem: Memory,
    pan: Panel,
    cuts: Cuts,
    tab: Tables,
    giv: Given,
    dia: Dial,
    machine: Ints,
    t_ns: Ints,
    x: Floats,
    fact: Floats,
    out: Verdicts,
) -> None:
    """Fold n rows of one layout, in order, into the memory. machine, t_ns: (n,); x: (n, S); fact.

    (n, N_FACTS).
    """
    physics = np.zeros(C)
    per_component = np.zeros(C)
    for i in range(machine.shape[0]):
        m = machine[i]
        out.previous[i] = mem.condition[m]
        if t_ns[i] <= mem.last_ns[m]:
            mem.counts[m, LATE_ROWS] += 1
            out.condition[i], out.regime[i], out.flags[i] = mem.condition[m], mem.regime_now[m], LATE
            out.top_slot[i], out.loud_slot[i] = -1, -1
            _say_numbers(mem, m, i, out)
            continue
        gap_s = _advance_time(mem, m, t_ns[i])
        condition, zone, flags, top_slot, loud_slot = _step_row(
            mem, pan, cuts, tab, giv, dia, m, t_ns[i], gap_s, x[i], fact[i], out, i, physics, per_component
        )
        mem.condition[m] = condition
        if is_risky(mem, giv, dia, m, t_ns[i]):
            flags |= RISKY
        out.condition[i] = STOPPED if flags & STANDS else condition
        out.regime[i], out.zone[i], out.flags[i] = mem.regime_now[m], zone, flags
        out.top_slot[i], out.loud_slot[i] = top_slot, loud_slot
        if loud_slot >= 0:
            out.loud[i] = loudest_level(mem, tab, m, mem.regime_now[m])[0]
        out.level[i] = mem.level[m]
        if flags & NOTED and condition >= WARNING:
            out.life_n[i] = mem.life_n[m]
            out.life_h[i], out.life_level[i] = mem.life_h[m], mem.life_level[m]
        _say_numbers(mem, m, i, out)


@compiled
def _say_numbers(mem: Memory, m: int, i: int, out: Verdicts) -> None:
    out.ratio[i], out.threshold[i] = mem.ratio[m], mem.threshold[m] * mem.multiplier[m]
    out.health[i], out.physics[i] = mem.health[m], mem.physics[m]
    out.velocity_mm_s[i], out.multiplier[i] = mem.velocity_mm_s[m], mem.multiplier[m]
    if mem.start_ns[m] >= 0:
        out.running_s[i] = (mem.last_ns[m] - mem.start_ns[m]) * 1e-9
    if mem.regime_now[m] >= 0:
        out.regime_rows[i] = mem.regime_rows[m, mem.regime_now[m]]
    out.health_by[i] = mem.health_by[m]


@compiled
def _step_row(
    mem: Memory,
    pan: Panel,
    cuts: Cuts,
    tab: Tables,
    giv: Given,
    dia: Dial,
    m: int,
    t_ns: int,
    gap_s: float,
    x: Floats,
    fact: Floats,
    out: Verdicts,
    i: int,
    physics: Floats,
    per_component: Floats,
) -> tuple[int, int, int, int, int]:
    """What one row in time says: whether the machine runs, in which regime, and how it is."""
    speed, power = remember_context(mem, m, t_ns * 1e-9, fact[SPEED], fact[POWER])
    stopped = is_stopped(giv, m, fact[RUN_STATE], speed, power)
    held = mem.condition[m]
    if stopped == 1:
        _stop(mem, m)
        return held if held == ALARM else STOPPED, 0, STANDS, -1, -1
    if not _says_anything(x, fact):
        return held, 0, SILENT, -1, -1
    if gap_s > LONG_GAP_S and gap_s > 10 * mem.interval_s[m]:
        mem.start_ns[m] = -1
    if mem.start_ns[m] < 0:
        mem.start_ns[m] = t_ns
    idle = 1.0 if fact[RUN_STATE] == IDLE_STATE else 0.0
    r = find_regime(mem, giv, dia, m, t_ns * 1e-9, speed, power, idle)
    if r == TRANSIENT:
        return LEARNING if held in (UNKNOWN, STOPPED) else held, 0, PASSING, -1, -1
    mem.regime_now[m], mem.seen_s[m, r] = r, t_ns * 1e-9
    if is_still(mem, tab, m, r, x):
        if stopped == -1:
            _stop(mem, m)
            return held if held == ALARM else STOPPED, 0, STANDS, -1, -1
        return held, 0, DEAD, -1, -1
    if fact[CLIPPED] > SATURATED_SHARE:
        return held, 0, SATURATED, -1, -1
    return _judge_running(
        mem, pan, cuts, tab, giv, dia, m, r, t_ns, gap_s, x, fact, out, i, physics, per_component
    )
