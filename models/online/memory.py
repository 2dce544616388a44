"""What the models remember of every machine: arrays across machines, never objects.

M machines, R regimes, S slots (`layout`), C components (`columns`). Everything the kernel learns is here;
what the plant file says is in `Given`, and what an operator set is in `Dial`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.severity import limits_of
from ingest.contract.plant import Machine
from models.online.columns import COMPONENTS, MAX_SLOTS
from models.settings import Settings

MAX_REGIMES = 6
N_COMPONENTS = len(COMPONENTS)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Columns of Memory.counts.
UP_ROWS, UP_NS, DOWN_ROWS, DOWN_NS, RISK_ROWS, RISK_NS, ROWS_SEEN, LATE_ROWS = range(8)
N_COUNTS = 8
# Columns of Memory.pot.
POT_LEVEL, POT_N, POT_EXCESSES, POT_SUM, POT_SQUARES = range(5)


# Columns of Memory.candidate after speed, power and idle.
SINCE, OUTSIDE_SINCE, OUTSIDE_ROWS = 3, 4, 5
N_CANDIDATE = 6
# Columns of Memory.point.
POINT_SPEED, POINT_LOAD, POINT_ROWS, POINT_SPEED_DEV, POINT_LOAD_DEV = range(5)
N_POINT = 5

LIFE_POINTS = 64
FIRST_GAP_S = 1.0
SLOPE_PRIOR = 4.0
"""Variance of a slope before anything is known, in units of the slot's own variance."""


class Memory(NamedTuple):
    """State of the fold, mutated in place.

    last_ns, start_ns: (M,) last row and start of the present run, -1 for none; interval_s: (M,) smoothed;
    context: (M, 4) last known speed_rpm and power_kw, each with its time in s; n_regimes: (M,); regime:
    (M, R, 3) centres: speed, power, idle; regime_rows, regime_s: (M, R); seen_s: (M, R) when it last ran so;
    candidate: (M, 6) a point outside all regimes, since when, and candidate_rows: (M,);
    mean, var, rows: (M, R, S) baselines in transformed units; anchor: (M, R, S) the
    mean at the end of warm-up; point: (M, R, 5) mean operating point of a regime, its count and mean
    absolute deviations;
    slope: (M, S, 2) change with speed and load, slope_p: (M, 3) its covariance p00, p01, p11; fast, fast_var,
    fast_n, level: (M, S) smoothed evidence; pot: (M, 5) tail of healthy evidence; threshold, multiplier,
    allowance: (M,) the level of evidence, and what verdicts made of it and of the limits of physics;
    velocity_mm_s: (M,) smoothed; health_by: (M, C); health, ratio, physics: (M,); condition, regime_now:
    (M,); counts: (M, 8); life_h, life_level: (M, LIFE_POINTS) when and how loud, life_n of them, life_gap_s
    apart.
    """

    last_ns: Ints
    start_ns: Ints
    interval_s: Floats
    context: Floats
    n_regimes: Ints
    regime: Floats
    regime_rows: Ints
    regime_s: Floats
    seen_s: Floats
    candidate: Floats
    candidate_rows: Ints
    mean: Floats
    var: Floats
    rows: Floats
    anchor: Floats
    point: Floats
    slope: Floats
    slope_p: Floats
    fast: Floats
    fast_var: Floats
    fast_n: Floats
    level: Floats
    pot: Floats
    threshold: Floats
    multiplier: Floats
    allowance: Floats
    velocity_mm_s: Floats
    health_by: Floats
    health: Floats
    ratio: Floats
    physics: Floats
    condition: Ints
    regime_now: Ints
    counts: Ints
    life_h: Floats
    life_level: Floats
    life_n: Ints
    life_gap_s: Floats


class Given(NamedTuple):
    """What the plant file says, (M,) each, NaN when undeclared; zone_mm_s.

    (M, 3) the A/B, B/C, C/D limits.
    """

    rated_rpm: Floats
    rated_kw: Floats
    zone_mm_s: Floats
    temperature_limit_c: Floats


class Dial(NamedTuple):
    """Settings as the kernel reads them."""

    warmup_rows: float
    warmup_s: float
    settle_s: float
    steady_s: float
    memory_rows: float
    memory_s: float
    smoothing: float
    persist_rows: float
    persist_s: float
    clear_rows: float
    clear_s: float
    stop_rows: float
    stop_s: float
    alarms_per_s: float
    smoothing_rows: float
    severe: float
    settling: float
    stop_health: float
    t2_q: float
    trees: float
    river: float


def new_memory(n_machines: int, smoothing: float) -> Memory:
    """Memory of machines that nobody has heard yet. smoothing: weight of a new row in the evidence."""
    m, r, s, c = n_machines, MAX_REGIMES, MAX_SLOTS, N_COMPONENTS
    return Memory(
        last_ns=np.full(m, -1, np.int64),
        start_ns=np.full(m, -1, np.int64),
        interval_s=np.zeros(m),
        context=np.full((m, 4), np.nan),
        n_regimes=np.zeros(m, np.int64),
        regime=np.full((m, r, 3), np.nan),
        regime_rows=np.zeros((m, r), np.int64),
        regime_s=np.zeros((m, r)),
        seen_s=np.full((m, r), -math.inf),
        candidate=np.full((m, N_CANDIDATE), np.nan),
        candidate_rows=np.zeros(m, np.int64),
        mean=np.zeros((m, r, s)),
        var=np.zeros((m, r, s)),
        rows=np.zeros((m, r, s)),
        anchor=np.zeros((m, r, s)),
        point=np.zeros((m, r, N_POINT)),
        slope=np.zeros((m, s, 2)),
        slope_p=np.tile(np.array([SLOPE_PRIOR, 0.0, SLOPE_PRIOR]), (m, 1)),
        fast=np.zeros((m, s)),
        fast_var=np.full((m, s), smoothing / (2.0 - smoothing)),
        fast_n=np.zeros((m, s)),
        level=np.zeros((m, s)),
        pot=np.tile(np.array([2.5, 0.0, 0.0, 0.0, 0.0]), (m, 1)),
        threshold=np.full(m, 8.0),
        multiplier=np.ones(m),
        allowance=np.ones(m),
        velocity_mm_s=np.full(m, np.nan),
        health_by=np.full((m, c), 100.0),
        health=np.full(m, 100.0),
        ratio=np.zeros(m),
        physics=np.zeros(m),
        condition=np.zeros(m, np.int64),
        regime_now=np.full(m, -1, np.int64),
        counts=np.zeros((m, N_COUNTS), np.int64),
        life_h=np.zeros((m, LIFE_POINTS)),
        life_level=np.zeros((m, LIFE_POINTS)),
        life_n=np.zeros(m, np.int64),
        life_gap_s=np.full(m, FIRST_GAP_S),
    )


def forget(memory: Memory, at: int, smoothing: float) -> None:
    """Set one machine back to the state of a new one: its baselines, evidence and condition."""
    fresh = new_memory(1, smoothing)
    for old, new in zip(memory, fresh, strict=True):
        old[at] = new[0]


def given(machines: tuple[Machine, ...]) -> Given:
    """Facts of the plant file as arrays."""

    def column(values: list[float | None]) -> Floats:
        return np.array([math.nan if value is None else value for value in values], np.float64)

    limits = [
        (math.nan, math.nan, math.nan) if one is None else (one.ab_mm_s, one.bc_mm_s, one.cd_mm_s)
        for one in map(limits_of, machines)
    ]
    return Given(
        column([machine.rated_rpm for machine in machines]),
        column([machine.rated_power_kw for machine in machines]),
        np.array(limits, np.float64).reshape(len(machines), 3),
        column([machine.temperature_limit_c for machine in machines]),
    )


def dial(settings: Settings) -> Dial:
    """Settings as numbers for the kernel."""
    return Dial(
        warmup_rows=float(settings.warmup_rows),
        warmup_s=settings.warmup_s,
        settle_s=settings.settle_s,
        steady_s=settings.steady_s,
        memory_rows=float(settings.memory_rows),
        memory_s=settings.memory_s,
        smoothing=2.0 / (settings.smoothing_rows + 1.0),
        persist_rows=float(settings.persist_rows),
        persist_s=settings.persist_s,
        clear_rows=float(settings.clear_rows),
        clear_s=settings.clear_s,
        stop_rows=float(settings.stop_rows),
        stop_s=settings.stop_s,
        alarms_per_s=settings.false_alarms_per_machine_month / (30.0 * 86_400.0),
        smoothing_rows=settings.smoothing_rows,
        severe=settings.severe_db * math.log(10.0) / 20.0,
        settling=settings.settling_db * math.log(10.0) / 20.0,
        stop_health=settings.stop_health,
        t2_q=float("t2_q" in settings.detectors),
        trees=float("half_space_trees" in settings.detectors),
        river=float(any(name.startswith("river_") for name in settings.detectors)),
    )
