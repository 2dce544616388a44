"""Health assessment (ISO 13374): statistics and physics become health per component, a condition and a risk.

`ratio` is statistical evidence over its threshold; `physics` is 1 at an alarm by physics: zone D, a rise of
`severe_db`, the temperature limit. Statistics alone never call a machine failed and never advise a stop.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from models.online.jit import compiled
from models.online.memory import DOWN_NS, DOWN_ROWS, RISK_NS, RISK_ROWS, UP_NS, UP_ROWS

if TYPE_CHECKING:
    from models.online.layout import Floats, Ints
    from models.online.memory import Dial, Given, Memory

UNKNOWN, LEARNING, STOPPED, NORMAL, WARNING, ALARM = range(6)
"""Order of `ingest.contract.rows.Condition`."""

HEALTH_SMOOTHING = 0.3
WARN_BELOW, CALM_ABOVE = 70.0, 80.0
RETURN_RATIO = 0.7
TEMPERATURE_WARNING_K = 10.0
NEPER_12_DB = 1.3816
ROTOR, THERMAL = 1, 5
"""Indices in `columns.COMPONENTS`."""


@compiled
def health_of_ratio(ratio: float) -> float:
    """Health that statistics alone leave: 100 while calm, 55 at the threshold, never below 35.

    >>> [health_of_ratio(r) for r in (0.0, 0.5, 1.0, 9.0)]
    [100.0, 95.0, 55.0, 35.0]
    """
    if ratio <= 0.5:
        return 100.0 - 10.0 * ratio
    if ratio <= 1.0:
        return 95.0 - 80.0 * (ratio - 0.5)
    return max(55.0 - 25.0 * (ratio - 1.0), 35.0)


@compiled
def health_of_physics(physics: float) -> float:
    """Health that physics leaves: 90 at 0.4, 30 at an alarm by physics, 0 at one and a half times its limit.

    >>> [round(health_of_physics(p)) for p in (0.0, 0.4, 0.65, 1.0, 1.25, 2.0)]
    [100, 90, 65, 30, 15, 0]
    """
    if physics <= 0.4:
        return 100.0 - 25.0 * physics
    if physics <= 1.0:
        return 90.0 - 100.0 * (physics - 0.4)
    return max(30.0 - 60.0 * (physics - 1.0), 0.0)


@compiled
def physics_of_velocity(velocity_mm_s: float, limits_mm_s: Floats) -> tuple[float, int]:
    """Zone 1 to 4 (A to D), 0 when it cannot be judged, and its share of an alarm.

    0.65 to 1 in C, 1 at C/D.
    """
    if math.isnan(velocity_mm_s) or math.isnan(limits_mm_s[0]):
        return 0.0, 0
    low, middle, high = limits_mm_s[0], limits_mm_s[1], limits_mm_s[2]
    if velocity_mm_s <= low:
        return 0.2 * velocity_mm_s / low, 1
    if velocity_mm_s <= middle:
        return 0.2 + 0.25 * (velocity_mm_s - low) / (middle - low), 2
    if velocity_mm_s <= high:
        return 0.65 + 0.35 * (velocity_mm_s - middle) / (high - middle), 3
    return velocity_mm_s / high, 4


@compiled
def physics_of_level(rise: float, limit: float) -> float:
    """A rise in nepers over its limit: 1 at the limit, a quarter more for each further 12 dB."""
    return rise / limit if rise <= limit else 1.0 + 0.25 * (rise - limit) / NEPER_12_DB


@compiled
def physics_of_temperature(hottest_c: float, limit_c: float) -> float:
    """0.65 from ten kelvin below the declared limit, 1 at the limit, one tenth more for each further 2 K."""
    if math.isnan(hottest_c) or math.isnan(limit_c):
        return 0.0
    over_k = hottest_c - limit_c
    if over_k >= 0:
        return 1.0 + 0.05 * over_k
    return (
        max(0.0, 0.65 + 0.35 * (1.0 + over_k / TEMPERATURE_WARNING_K))
        if over_k >= -TEMPERATURE_WARNING_K
        else 0.0
    )


@compiled
def assess(
    mem: Memory,
    m: int,
    threshold: float,
    per_component: Floats,
    physics: Floats,
    judged: bool,
    settling: bool,
) -> tuple[float, float]:
    """Fold evidence into health by component. physics: (C,). Returns (ratio, strongest physics)."""
    top_ratio, top_physics, worst = 0.0, 0.0, 100.0
    for c in range(per_component.shape[0]):
        ratio = per_component[c] / threshold if judged else 0.0
        if settling:
            ratio = min(ratio, 0.95)
        target = min(health_of_ratio(ratio), health_of_physics(physics[c]))
        if mem.condition[m] == ALARM and not judged:
            # A regime that is not known yet says nothing: it must not make a sick machine look well.
            target = min(target, mem.health_by[m, c])
        mem.health_by[m, c] += HEALTH_SMOOTHING * (target - mem.health_by[m, c])
        worst = min(worst, mem.health_by[m, c])
        top_ratio = max(top_ratio, ratio)
        top_physics = max(top_physics, physics[c])
    mem.health[m] = worst
    mem.ratio[m], mem.physics[m] = top_ratio, top_physics
    return top_ratio, top_physics


@compiled
def _stands(
    counts: Ints, rows_at: int, since_at: int, holds: bool, t_ns: int, rows: float, wait_s: float
) -> bool:
    """Whether something holds since enough rows and seconds; a single miss takes one row back, not all."""
    if holds:
        if counts[rows_at] == 0:
            counts[since_at] = t_ns
        counts[rows_at] += 1
    elif counts[rows_at] > 0:
        counts[rows_at] -= 1
    return bool(counts[rows_at] >= rows and (t_ns - counts[since_at]) * 1e-9 >= wait_s and holds)


@compiled
def next_condition(mem: Memory, dia: Dial, m: int, t_ns: int, learning: bool, settling: bool) -> int:
    """State detection with persistence and hysteresis.

    The alarm stays until it has been calm for long enough. While a machine settles, statistics alone neither
    raise an alarm nor hold one.
    """
    counts = mem.counts[m]
    severity = max(mem.ratio[m], mem.physics[m])
    up = _stands(counts, UP_ROWS, UP_NS, severity >= 1.0, t_ns, dia.persist_rows, dia.persist_s)
    # A long alarm must not need as many calm rows as it had loud ones.
    counts[UP_ROWS] = min(counts[UP_ROWS], int(2 * dia.persist_rows))
    now = mem.condition[m]
    if now == ALARM:
        calm = (mem.physics[m] if settling else severity) < RETURN_RATIO and not learning
        if not _stands(counts, DOWN_ROWS, DOWN_NS, calm, t_ns, dia.clear_rows, dia.clear_s):
            return ALARM
        counts[DOWN_ROWS] = 0
        now = WARNING
    if up:
        counts[DOWN_ROWS] = 0
        return ALARM
    if mem.health[m] < WARN_BELOW or (now == WARNING and mem.health[m] < CALM_ABOVE):
        return WARNING
    return LEARNING if learning else NORMAL


@compiled
def is_risky(mem: Memory, giv: Given, dia: Dial, m: int, t_ns: int) -> bool:
    """Whether a person should decide about a stop.

    In alarm, and in zone D or below `stop_health`, for long enough.
    """
    high = mem.condition[m] == ALARM and (
        mem.velocity_mm_s[m] > giv.zone_mm_s[m, 2] or mem.health[m] < dia.stop_health
    )
    counts = mem.counts[m]
    risky = _stands(counts, RISK_ROWS, RISK_NS, high, t_ns, dia.stop_rows, dia.stop_s)
    counts[RISK_ROWS] = min(counts[RISK_ROWS], int(2 * dia.stop_rows))
    return risky
