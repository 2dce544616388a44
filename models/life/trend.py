"""Remaining life from a trend: the level of a fault, in nepers, as a Wiener process with drift, measured with
noise.
A crack or spall feeds itself: its vibration grows exponentially, so that its logarithm drifts in a line
(Gebraeel et al. 2005; Si et al. 2011). A Kalman filter gives level and drift for several shares of wandering
and noise, weighed by their likelihood; the first passage of the failure level is inverse-Gaussian. Without a
clear drift, or far beyond what was seen, it is too early to say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from ingest.contract.rows import RemainingLife
from models.online.jit import compiled
from models.online.layout import Floats

MIN_POINTS: Final = 12
WINDOW_POINTS: Final = 48
MIN_RISE: Final = 0.25
MIN_DRIFT_Z: Final = 2.0
MAX_AHEAD: Final = 10.0
"""Times the observed span beyond which a line says nothing."""
SHARES: Final = 10.0 ** np.arange(-4.0, 4.1, 1.0)
"""Wandering over noise, as variances of one step, that are considered."""
CAUTION: Final = 0.15
"""Power of the likelihood: short records say less about wandering than they seem to; measured by coverage."""
N_DRIFTS: Final = 9
INTERVAL: Final = (0.05, 0.5, 0.95)
TOO_EARLY: Final = RemainingLife(None, None, None, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """Level and drift for each considered share of wandering, with weights that sum to 1; (n_shares,) each.

    level in nepers, drift in nepers an hour, both with standard deviations; diffusion in nepers per square
    root of an hour; span_h: hours that were looked at.
    """

    weight: Floats
    level: Floats
    level_sd: Floats
    drift: Floats
    drift_sd: Floats
    diffusion: Floats
    span_h: float


@compiled
def _filter(t: Floats, y: Floats, share: float, step: float, out: Floats) -> None:
    """Local level with drift. out: log likelihood, level, drift, their variances, noise variance."""
    level, drift = y[0], 0.0
    p00, p01, p11 = 1.0, 0.0, 1e6 / step**2
    n = t.shape[0]
    squares, log_det, used = 0.0, 0.0, 0
    for i in range(1, n):
        dt = t[i] - t[i - 1]
        level += drift * dt
        p00 += dt * (2.0 * p01 + dt * p11) + share * dt / step
        p01 += dt * p11
        s = p00 + 1.0
        innovation = y[i] - level
        if i > 1:
            # The first step only finds the drift.
            squares += innovation * innovation / s
            log_det += math.log(s)
            used += 1
        k0, k1 = p00 / s, p01 / s
        level += k0 * innovation
        drift += k1 * innovation
        p00, p01, p11 = p00 - k0 * p00, p01 - k0 * p01, p11 - k1 * p01
    scale = max(squares / used, 1e-12)
    out[0] = -0.5 * (log_det + used * math.log(scale))
    out[1], out[2] = level, drift
    out[3], out[4], out[5] = scale * p00, scale * p11, scale


def fit(times_h: Floats, level: Floats) -> Trend | None:
    """Fit the last WINDOW_POINTS points, (n,) each, in order. None with too few, or without a span of time.

    >>> hours = np.arange(20.0)
    >>> trend = fit(hours, 0.1 * hours)
    >>> round(float(trend.weight @ trend.drift), 4), round(float(trend.weight @ trend.level), 3)
    (0.1, 1.9)
    """
    t = np.ascontiguousarray(times_h[-WINDOW_POINTS:], np.float64)
    y = np.ascontiguousarray(level[-WINDOW_POINTS:], np.float64)
    if len(t) < MIN_POINTS or (np.diff(t) <= 0).any():
        return None
    step = float(t[-1] - t[0]) / (len(t) - 1)
    found = np.zeros((len(SHARES), 6))
    for share, out in zip(SHARES, found, strict=True):
        _filter(t, y, float(share), step, out)
    weight = np.exp(CAUTION * (found[:, 0] - found[:, 0].max()))
    return Trend(
        weight=weight / weight.sum(),
        level=found[:, 1],
        level_sd=np.sqrt(found[:, 3]),
        drift=found[:, 2],
        drift_sd=np.sqrt(found[:, 4]),
        diffusion=np.sqrt(SHARES * found[:, 5] / step),
        span_h=float(t[-1] - t[0]),
    )


def _passed(hours: Floats, failure_level: float, trend: Trend) -> Floats:
    """Probability that the failure level was passed, (n_hours,), over all shares and drifts."""
    quantiles = ndtri((np.arange(N_DRIFTS) + 0.5) / N_DRIFTS)
    h = hours[:, np.newaxis, np.newaxis]
    drift = np.maximum(trend.drift[:, np.newaxis] + trend.drift_sd[:, np.newaxis] * quantiles, 1e-9)
    distance = np.maximum(failure_level - trend.level, 1e-9)[:, np.newaxis]
    diffusion = np.maximum(trend.diffusion, 1e-6)[:, np.newaxis]
    spread = np.sqrt(diffusion**2 * h + trend.level_sd[:, np.newaxis] ** 2)
    first = ndtr((drift * h - distance) / spread)
    ahead = 2.0 * drift * distance / diffusion**2
    again = np.exp(np.minimum(ahead + log_ndtr(-(distance + drift * h) / (diffusion * np.sqrt(h))), 0.0))
    chance: Floats = np.minimum(first + again, 1.0).mean(axis=2) @ trend.weight
    return np.maximum.accumulate(chance)


def remaining_life(trend: Trend | None, failure_level: float) -> RemainingLife:
    """Hours until the failure level with a 90 % interval, or "too early to say".

    >>> hours = np.arange(30.0)
    >>> life = remaining_life(fit(hours, 0.05 * hours), failure_level=2.0)
    >>> bool(9 < life.hours < 13), life.lower_hours <= life.hours <= life.upper_hours
    (True, True)
    >>> remaining_life(fit(hours, 0.0 * hours), 2.0).hours is None
    True
    """
    if trend is None:
        return TOO_EARLY
    level, drift = float(trend.weight @ trend.level), float(trend.weight @ trend.drift)
    drift_sd = math.sqrt(float(trend.weight @ (trend.drift_sd**2 + (trend.drift - drift) ** 2)))
    if level >= failure_level:
        return RemainingLife(0.0, 0.0, 0.0, 0.9)
    if level < MIN_RISE or drift < MIN_DRIFT_Z * drift_sd or drift <= 0:
        return TOO_EARLY
    centre = (failure_level - level) / drift
    if centre > MAX_AHEAD * trend.span_h:
        return TOO_EARLY
    hours = np.geomspace(centre / 50.0, centre * 50.0, 90)
    lower, middle, upper = np.interp(INTERVAL, _passed(hours, failure_level, trend), hours)
    confidence = 1.0 / (1.0 + math.log(max(upper / max(lower, 1e-9), 1.0)))
    return RemainingLife(float(middle), float(lower), float(upper), round(confidence, 3))
