"""The panel: detectors that look at all watched quantities of a machine together.

Each row, the residuals that the baselines leave (a machine against its own past in the same regime, at the
same speed and load) are one point. T2 says that it lies far out, Q that a usual relation broke, half-space
trees that few rows were ever there. Every statistic is standardised by its own healthy past and has a tail of
its own, so that each speaks as rarely as the operator asked. A broken relation may stand alone; a point far
out needs two witnesses. The panel warns and gives reasons; it never raises an alarm by itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from models.health.assess import ALARM
from models.online.covariance import learn_covariance, t2_q_of
from models.online.directions import directions
from models.online.half_space_trees import walk
from models.online.jit import compiled
from models.online.panel_memory import (
    CHAMPION_RATIO,
    CHAMPION_ROWS,
    CHAMPION_S,
    NEVER_STRANGE,
    POT_START,
    RIVER,
    T2,
    TREES,
    WINDOW,
    Q,
)
from models.online.threshold import learn_tail, pot_threshold

if TYPE_CHECKING:
    from models.online.half_space_trees import Cuts
    from models.online.layout import Floats, Ints, Tables
    from models.online.memory import Dial, Memory
    from models.online.panel_memory import Panel

ROWS_A_PLACE = 3.0
"""Independent rows for each watched quantity before a covariance means anything."""
REFRESH_ROWS = 128
MAX_RESIDUAL = 8.0
WINSOR = 3.0
SHRINK_ROWS = 3.0
VARIANCE_FLOOR = 0.03
"""Smallest variance of a direction: a perfect relation must not make an event of noise."""
USUAL_VARIANCE = 1.0
"""A direction that varies at least as much as one quantity alone is usual variation (Kaiser 1960)."""
SQUASH = 0.1
PATIENCE, MAX_STRANGE = 0.5, 40.0
"""T2 and Q are averaged over twice as many rows as the evidence, and no row counts for more than this."""
MIN_THRESHOLD = 8.0
MAX_MEMORY_ROWS = 20_000.0
SCALE_WINSOR, SCALE_ROWS = 4.0, 5_000.0
MIN_SPREAD = 0.02
LEAST_RESIDUAL = 0.1
"""Smaller swings of a quantity, in units of its own spread, mean nothing together."""
SHARE_OF_RATE = 0.5
"""Two ways lead to a warning: a broken relation, and two witnesses of a point far out."""
FULL_TRUST, NO_TRUST = 0.25, 0.5
"""Strangeness over threshold up to which a row teaches fully, and from which it teaches nothing."""
TEACHES = 0.5
LEAVES = 65.0
"""Health that the panel leaves: enough for a warning, never for an alarm."""
EASING = 0.3
CHAMPION_WORDS = 3.0
CHAMPION_VALID_S = 600.0
PROCESS = 7
"""Index in `columns.COMPONENTS`."""


@compiled
def reset_panel(pan: Panel, m: int) -> None:
    """Forget one machine: as after maintenance, or when it says something new."""
    pan.slots[m, :] = -1
    pan.n_places[m], pan.learned[m], pan.n_axes[m] = 0, 0, 0
    pan.weight[m] = 0.0
    pan.mean[m, :], pan.variance[m, :] = 0.0, 1.0
    pan.centre[m, :], pan.spread[m, :] = 0.0, 1.0
    pan.usual[m, :] = 1.0
    pan.cov[m, :, :], pan.axes[m, :, :] = 0.0, 0.0
    pan.mass[m, :, :, :] = 0
    pan.mass_rows[m], pan.mass_filled[m] = 0, 0
    pan.scale[m, :, :] = 0.0
    for k in range(pan.tail.shape[1]):
        for j in range(len(POT_START)):
            pan.tail[m, k, j] = POT_START[j]
    pan.value[m, :], pan.given[m, :], pan.champion[m, :] = 0.0, 0.0, 0.0
    pan.up_rows[m], pan.up_ns[m], pan.stands[m] = 0, 0, 0
    pan.calm_rows[m] = NEVER_STRANGE
    pan.cap[m], pan.part[m] = 100.0, -1


@compiled
def rows_needed(dia: Dial, n_places: int) -> float:
    """Rows of learning before a covariance is used, and again as many before its scale is."""
    return max(dia.warmup_rows, ROWS_A_PLACE * n_places * dia.smoothing_rows)


@compiled
def progress(pan: Panel, dia: Dial, m: int) -> float:
    """How far the panel's warm-up is, 0 to 1; 1 once it may speak. -1: there are no two things to relate.

    A window of the half-space trees is no longer than the two halves of this warm-up.
    """
    if pan.n_places[m] < 2:
        return -1.0
    need = rows_needed(dia, pan.n_places[m])
    calibrated = pan.scale[m, Q, 2] if dia.t2_q > 0 else pan.scale[m, TREES, 2]
    return float(min(pan.learned[m] / need, 1.0) * 0.5 + min(calibrated / need, 1.0) * 0.5)


@compiled
def progress_of_all(pan: Panel, dia: Dial) -> Floats:
    """`progress` of every machine, (M,): entering a kernel costs more than what it does for one."""
    found = np.empty(pan.n_places.shape[0])
    for m in range(found.shape[0]):
        found[m] = progress(pan, dia, m)
    return found


@compiled
def _seat(pan: Panel, tab: Tables, m: int) -> None:
    """Give the watched quantities their places; a machine that says something new starts again."""
    same = True
    for p in range(tab.places.shape[0]):
        if pan.slots[m, p] != tab.places[p]:
            same = False
    if same:
        return
    reset_panel(pan, m)
    for p in range(tab.places.shape[0]):
        pan.slots[m, p] = tab.places[p]
        if tab.places[p] >= 0:
            pan.n_places[m] += 1


@compiled
def residuals(mem: Memory, pan: Panel, m: int, x: Floats) -> None:
    """Smoothed residuals of a machine's places, (P,); in units of their own spread once that is known."""
    x[:] = 0.0
    for p in range(pan.n_places[m]):
        z = mem.fast[m, pan.slots[m, p]]
        if pan.n_axes[m] > 0:
            z = (z - pan.centre[m, p]) / pan.spread[m, p]
        x[p] = min(max(z, -MAX_RESIDUAL), MAX_RESIDUAL)


@compiled
def _renew(pan: Panel, dia: Dial, m: int) -> None:
    """Directions of the correlations, drawn toward independence while rows are few."""
    n = pan.n_places[m]
    share = SHRINK_ROWS / (SHRINK_ROWS + pan.weight[m] / dia.smoothing_rows)
    for p in range(n):
        pan.centre[m, p] = pan.mean[m, p]
        pan.spread[m, p] = max(math.sqrt(max(pan.cov[m, p, p], 0.0)), LEAST_RESIDUAL)
    related = np.eye(n)
    for j in range(n):
        for k in range(j):
            related[j, k] = (1.0 - share) * pan.cov[m, j, k] / (pan.spread[m, j] * pan.spread[m, k])
    axes, variance = np.zeros((n, n)), np.zeros(n)
    directions(related, axes, variance)
    usual = 0
    for a in range(n):
        pan.axes[m, a, :n] = axes[a]
        pan.variance[m, a] = max(variance[a], VARIANCE_FLOOR)
        if variance[a] >= USUAL_VARIANCE:
            usual += 1
    pan.n_axes[m] = min(max(usual, 1), n - 1)


@compiled
def _raw(pan: Panel, cuts: Cuts, dia: Dial, m: int, x: Floats, teaches: bool, raw: Floats) -> None:
    """What each statistic says of a row, NaN for one that cannot yet. raw: (K,).

    Cube roots of sums of squares are nearly normal (Wilson and Hilferty 1931).
    """
    raw[:] = math.nan
    n = pan.n_places[m]
    if pan.n_axes[m] == 0:
        return
    if dia.t2_q > 0:
        t2, q = t2_q_of(x, np.zeros(n), pan.axes[m], pan.variance[m], pan.n_axes[m], n)
        usual = pan.usual[m]
        usual[T2] += PATIENCE * dia.smoothing * (min(t2, MAX_STRANGE) - usual[T2])
        usual[Q] += PATIENCE * dia.smoothing * (min(q, MAX_STRANGE) - usual[Q])
        raw[T2], raw[Q] = usual[T2] ** (1.0 / 3.0), usual[Q] ** (1.0 / 3.0)
    if dia.trees > 0:
        row = np.full((1, x.shape[0]), np.float32(0.5))
        for p in range(n):
            row[0, p] = min(max(0.5 + SQUASH * x[p], 0.0), 1.0)
        at, said = np.full(1, m, np.int64), np.zeros(1)
        filled = pan.mass_filled[m] > 0
        walk(
            cuts.feature,
            cuts.threshold,
            pan.mass,
            pan.mass_filled,
            pan.mass_rows,
            WINDOW,
            at,
            row,
            teaches,
            said,
        )
        if filled:
            raw[TREES] = said[0]
    if pan.given[m, 1] > 0:
        raw[RIVER] = pan.given[m, 0]


@compiled
def _judge(pan: Panel, dia: Dial, m: int, raw: Floats, probability: float, multiplier: float) -> None:
    """Each statistic over the level that its healthy past passes as rarely as was asked for."""
    need = rows_needed(dia, pan.n_places[m])
    for k in range(raw.shape[0]):
        scale = pan.scale[m, k]
        pan.value[m, k] = 0.0
        if math.isnan(raw[k]) or scale[2] < need:
            continue
        u = (raw[k] - scale[0]) / max(math.sqrt(scale[1]), MIN_SPREAD)
        level = max(pot_threshold(pan.tail[m, k], probability), MIN_THRESHOLD) * multiplier
        pan.value[m, k] = max(u / level, 0.0)


@compiled
def _learn(mem: Memory, pan: Panel, dia: Dial, m: int, raw: Floats, memory: float, trust: float) -> None:
    """Take a healthy row: relations, and how each statistic is when all is well."""
    n = pan.n_places[m]
    for k in range(raw.shape[0]):
        if math.isnan(raw[k]) or trust < TEACHES:
            continue
        scale = pan.scale[m, k]
        rate = 1.0 / (min(scale[2], SCALE_ROWS) + 1.0)
        d = raw[k] - scale[0]
        if scale[2] > dia.warmup_rows:
            spread = max(math.sqrt(scale[1]), MIN_SPREAD)
            learn_tail(pan.tail[m, k], d / spread)
            d = min(max(d, -SCALE_WINSOR * spread), SCALE_WINSOR * spread)
        scale[0] += rate * d
        scale[1] = (1.0 - rate) * (scale[1] + rate * d * d)
        scale[2] += 1.0
    taught = np.zeros(n)
    for p in range(n):
        z = mem.fast[m, pan.slots[m, p]]
        if pan.n_axes[m] > 0:
            most = WINSOR * pan.spread[m, p]
            z = min(max(z, pan.centre[m, p] - most), pan.centre[m, p] + most)
        taught[p] = z
    rate = trust / (min(pan.weight[m], memory, MAX_MEMORY_ROWS) + 1.0)
    learn_covariance(taught, rate, pan.mean[m], pan.cov[m])
    pan.weight[m] += trust
    pan.learned[m] += 1
    need = int(rows_needed(dia, n))
    if pan.learned[m] == need or (pan.learned[m] > need and pan.learned[m] % REFRESH_ROWS == 0):
        _renew(pan, dia, m)


@compiled
def _name(pan: Panel, tab: Tables, m: int, x: Floats, pair: Ints) -> None:
    """The quantity least explained by the others and the one it usually goes with, as slots. pair: (2,).

    A residual given all others is that of a regression; the inverse covariance holds them all (Hawkins 1991).
    """
    n = pan.n_places[m]
    inverse = np.zeros((n, n))
    for a in range(n):
        for j in range(n):
            for k in range(n):
                inverse[j, k] += pan.axes[m, a, j] * pan.axes[m, a, k] / pan.variance[m, a]
    odd, most = 0, -1.0
    for j in range(n):
        off = 0.0
        for k in range(n):
            off += inverse[j, k] * x[k]
        off = abs(off) / math.sqrt(inverse[j, j])
        if off > most:
            odd, most = j, off
    other, closest = -1, -1.0
    for k in range(n):
        close = abs(inverse[odd, k]) / math.sqrt(inverse[odd, odd] * inverse[k, k])
        if k != odd and close > closest:
            other, closest = k, close
    pair[0], pair[1] = pan.slots[m, odd], pan.slots[m, other]
    a, b = tab.component[pair[0]], tab.component[pair[1]]
    pan.part[m] = a if a == b else PROCESS


@compiled
def _persists(pan: Panel, dia: Dial, m: int, t_ns: int, ratio: float) -> None:
    """The panel stands once it has held as long as an alarm must, until it was calm as long as one must."""
    pan.calm_rows[m] = 0 if ratio >= 1.0 else pan.calm_rows[m] + 1
    if ratio >= 1.0:
        if pan.up_rows[m] == 0:
            pan.up_ns[m] = t_ns
        pan.up_rows[m] = min(pan.up_rows[m] + 1, int(2 * dia.persist_rows))
    elif pan.up_rows[m] > 0:
        pan.up_rows[m] -= 1
    if pan.calm_rows[m] >= dia.clear_rows:
        pan.stands[m] = 0
    elif pan.up_rows[m] >= dia.persist_rows and (t_ns - pan.up_ns[m]) * 1e-9 >= dia.persist_s:
        pan.stands[m] = 1


@compiled
def panel_row(
    mem: Memory,
    pan: Panel,
    cuts: Cuts,
    tab: Tables,
    dia: Dial,
    m: int,
    t_ns: int,
    trust: float,
    memory: float,
    settling: bool,
    x: Floats,
    pair: Ints,
) -> tuple[float, bool, bool]:
    """One row of a machine in a known regime: score, then learn.

    Returns (over threshold, whether it taught, whether it is a relation that broke).

    trust: how much the baselines trust the row, 0 to 1; x: (P,) is filled with the residuals, pair: (2,) with
    the slots that speak, when the panel does.
    """
    _seat(pan, tab, m)
    if pan.n_places[m] < 2:
        return 0.0, False, False
    residuals(mem, pan, m, x)
    raw = np.zeros(pan.value.shape[1])
    # What the panel found strange must not teach it, nor what comes soon after: a broken relation shows only
    # while the quantities move.
    calm = pan.calm_rows[m] >= dia.warmup_rows
    _raw(pan, cuts, dia, m, x, calm and trust >= TEACHES, raw)
    rows_apart = 2.0 * dia.smoothing_rows
    probability = SHARE_OF_RATE * dia.alarms_per_s * max(mem.interval_s[m], 1e-3) * rows_apart
    _judge(pan, dia, m, raw, probability, mem.multiplier[m])
    value = pan.value[m]
    witnessed = min(value[T2], max(value[TREES], value[RIVER]))
    ratio = max(value[Q], witnessed)
    if settling:
        ratio = min(ratio, 0.95)
    trust *= min(max((NO_TRUST - ratio) / (NO_TRUST - FULL_TRUST), 0.0), 1.0)
    teaches = trust > 0.0 and calm
    if teaches:
        _learn(mem, pan, dia, m, raw, memory, trust)
    _persists(pan, dia, m, t_ns, ratio)
    if ratio >= 1.0 or pan.stands[m] == 1:
        _name(pan, tab, m, x, pair)
    return ratio, teaches and trust >= TEACHES, value[Q] >= witnessed


@compiled
def hear_champion(pan: Panel, m: int, now_s: float, ratio: float) -> bool:
    """Take the batch champion's word on a machine, if there is a new one; whether it finds it strange now.

    ratio: its score over its alarm level, NaN for no word. As in its replays, three words must agree.
    """
    word = pan.champion[m]
    if not math.isnan(ratio):
        word[CHAMPION_ROWS] = min(word[CHAMPION_ROWS] + 1.0, CHAMPION_WORDS) if ratio >= 1.0 else 0.0
        word[CHAMPION_RATIO], word[CHAMPION_S] = ratio, now_s
    return bool(word[CHAMPION_ROWS] >= CHAMPION_WORDS and now_s - word[CHAMPION_S] <= CHAMPION_VALID_S)


@compiled
def bound_health(mem: Memory, pan: Panel, m: int, champion: bool) -> None:
    """Let the panel and the champion lower health as far as a warning, after the machine's own evidence."""
    speaks = pan.stands[m] == 1 or champion
    if speaks and pan.stands[m] == 0:
        pan.part[m] = PROCESS
    pan.cap[m] += EASING * ((LEAVES if speaks else 100.0) - pan.cap[m])
    if not speaks and pan.cap[m] > 99.0:
        pan.cap[m], pan.part[m] = 100.0, -1
    if pan.part[m] < 0 or mem.condition[m] == ALARM:
        return
    c = pan.part[m]
    mem.health_by[m, c] = min(mem.health_by[m, c], pan.cap[m])
    mem.health[m] = min(mem.health[m], pan.cap[m])
