"""Temperature features: rise over ambient and over what load explains, slope, and time above a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ingest.contract.channels import AMBIENT, TEMPERATURE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

Series: TypeAlias = "NDArray[np.float64]"

RISE, OVER_LIMIT = ".rise_c", ".over_limit_c"
NS_PER_HOUR = 3.6e12


def _points(channels: Iterable[str]) -> list[str]:
    return [name for name in channels if name.startswith(TEMPERATURE) and name != AMBIENT]


def temperature_columns(channels: tuple[str, ...]) -> list[str]:
    """Names of the columns that `derive_temperature` fills, for the channels of a message.

    >>> temperature_columns(("Temperature/bearing", "Temperature/ambient"))
    ['Temperature/bearing.rise_c', 'Temperature/bearing.over_limit_c']
    """
    rises = [f"{point}{RISE}" for point in _points(channels)] if AMBIENT in channels else []
    return rises + [f"{point}{OVER_LIMIT}" for point in _points(channels)]


def derive_temperature(scalars: Mapping[str, Series], limit_c: Series) -> list[Series]:
    """Rise over ambient (K; cooling, lubrication, overload) and distance over the limit, a value a message.

    scalars: channel -> (n,) degC; limit_c: (n,), NaN = undeclared.
    """
    points = _points(scalars)
    rises = [scalars[point] - scalars[AMBIENT] for point in points] if AMBIENT in scalars else []
    return rises + [scalars[point] - limit_c for point in points]


def slope_c_per_h(times_ns: NDArray[np.int64], temperature_c: Series) -> float:
    """Robust slope in K/h: the median of pairwise slopes half a record apart (after Theil 1950).

    A bearing that heats up at constant load is failing or dry. NaN with fewer than four known values.

    >>> slope_c_per_h(np.arange(10) * 360_000_000_000, 20 + 0.1 * np.arange(10))
    1.0
    """
    known = np.isfinite(temperature_c)
    hours, values = (times_ns[known] - times_ns[0]) / NS_PER_HOUR, temperature_c[known]
    half = len(values) // 2
    if half < 2:
        return float("nan")
    span = hours[-half:] - hours[:half]
    if not (span > 0).any():
        return float("nan")
    slopes = (values[-half:] - values[:half])[span > 0] / span[span > 0]
    return round(float(np.median(slopes)), 9)


@dataclass(frozen=True, slots=True)
class LoadModel:
    """What load explains of the rise: rise_c = offset_c + per_load * load. residual_c: its robust scatter."""

    offset_c: float
    per_load: float
    residual_c: float

    def excess_c(self, rise_c: Series, load: Series) -> Series:
        """Rise that load does not explain, K."""
        return rise_c - self.offset_c - self.per_load * load


def fit_load(rise_c: Series, load: Series) -> LoadModel | None:
    """Fit by Theil-Sen on healthy history, loads in any unit; None with fewer than eight known pairs.

    >>> model = fit_load(10 + 2.0 * np.arange(20), np.arange(20.0))
    >>> model.offset_c, model.per_load
    (10.0, 2.0)
    """
    known = np.isfinite(rise_c) & np.isfinite(load)
    if known.sum() < 8:
        return None
    order = np.argsort(load[known], kind="stable")
    x, y = load[known][order], rise_c[known][order]
    half = len(x) // 2
    apart = x[-half:] > x[:half]
    if not apart.any():
        return LoadModel(float(np.median(y)), 0.0, _scatter(y - np.median(y)))
    per_load = float(np.median((y[-half:] - y[:half])[apart] / (x[-half:] - x[:half])[apart]))
    offset = float(np.median(y - per_load * x))
    return LoadModel(offset, per_load, _scatter(y - offset - per_load * x))


def _scatter(residual: Series) -> float:
    """Median absolute deviation, as the standard deviation of a Gaussian."""
    return float(1.4826 * np.median(np.abs(residual - np.median(residual))))


def time_above_s(
    times_ns: NDArray[np.int64], temperature_c: Series, limit_c: float, max_gap_s: float
) -> float:
    """Seconds above the limit; a reading holds until the next, at most `max_gap_s`.

    Heat ages insulation and grease.

    >>> time_above_s(np.array([0, 10, 20]) * 10**9, np.array([90.0, 90.0, 60.0]), 80.0, 60.0)
    20.0
    """
    if len(times_ns) < 2:
        return 0.0
    held_s = np.minimum(np.diff(times_ns) / 1e9, max_gap_s)
    return float(held_s[temperature_c[:-1] > limit_c].sum())
