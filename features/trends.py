"""What the last hour of a machine says: robust levels and trends, heat that load does not explain, cycles.

Once a round (`rounds.ROUND_NS`) a sample of the machine's row joins a window of one hour in event time; the
statistics compare only samples near the present operating point, so that a change of load is no trend.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from features.power import cycles, energy_kwh, idle_share, starts
from features.table import SlowFeature
from features.temperature import OVER_LIMIT, RISE, fit_load, slope_c_per_h, time_above_s
from features.windows import statistics
from ingest.contract.channels import AMBIENT, POWER_KW, TEMPERATURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.windows import Window

Values: TypeAlias = "NDArray[np.float64]"

SAMPLED = ("rms_g", "velocity_rms_mm_s", "envelope_rms_g", "rise_c", "hottest_c", "power_kw", "speed_hz")
"""What a round keeps of a row. rise_c: of the hottest point over ambient, or over nothing if none is told."""
_N_LEVELS, _RISE, _HOTTEST, _POWER, _SPEED = 3, 3, 4, 5, 6
MAX_GAP_S = 180.0
"""A reading of power or temperature holds until the next, at most three rounds."""
SAME_SPEED, SAME_LOAD = 0.12, 0.2
"""Natural logarithm of the ratio of speeds, and share of the load, within which samples are comparable."""
OFF_SHARE, IDLE_SHARE = 0.02, 0.2
"""Shares of the rated power (undeclared: of the hour's peak) up to which a machine is off, or idles."""


def _levels() -> tuple[SlowFeature, ...]:
    fault = {
        "rms_g": "Overall severity",
        "velocity_rms_mm_s": "Imbalance, misalignment, looseness",
        "envelope_rms_g": "Bearings, gears, lubrication",
    }
    made = []
    for name, unit in (("rms_g", "g"), ("velocity_rms_mm_s", "mm/s"), ("envelope_rms_g", "g")):
        made += [
            SlowFeature(f"hour.median_{name}", unit, fault[name], "median at this speed and load"),
            SlowFeature(f"hour.sigma_{name}", unit, f"{fault[name]}: unrest", "1.4826 x median deviation"),
            SlowFeature(f"hour.slope_{name}_per_h", f"{unit}/h", f"{fault[name]}: growth", "Theil 1950"),
        ]
    return tuple(made)


HOUR_FEATURES: tuple[SlowFeature, ...] = (
    *_levels(),
    SlowFeature(
        "hour.slope_c_per_h", "K/h", "Dry or failing bearing, lost cooling", "hottest point, Theil 1950"
    ),
    SlowFeature(
        "hour.over_load_c",
        "K",
        "Heat that load does not explain: cooling, lubrication",
        "rise over a robust line through rise and power of the hour",
    ),
    SlowFeature("hour.over_limit_s", "s", "Ageing insulation and grease", "time above temperature_limit_c"),
    SlowFeature("hour.energy_kwh", "kWh", "Waste", "trapezoids, gaps above three minutes left out"),
    SlowFeature("hour.load_factor", "1", "Uneven work, short peaks", "mean power / peak power"),
    SlowFeature("hour.idle_share", "1", "Running without work", "share of readings at 2 to 20 % of rated"),
    SlowFeature(
        "hour.starts", "1", "Wear of contactors and windings", "rises above idle, as rounds see them"
    ),
    SlowFeature("hour.cycle_s", "s", "A cycle that grows: wear, blunt tools", "median run above idle"),
)
HOUR_NAMES: tuple[str, ...] = tuple(feature.name for feature in HOUR_FEATURES)


def sample(names: tuple[str, ...], values: Sequence[float] | NDArray[np.float32]) -> NDArray[np.float32]:
    """What a round keeps of a row: (len(SAMPLED),) float32, NaN where the row does not say.

    >>> sample(("rms_g", "Power/Active", "Temperature/a"), [0.5, 7.0, 61.0]).tolist()
    [0.5, nan, nan, 61.0, 61.0, 7.0, nan]
    """
    direct, points, ambient = _places(names)
    kept = np.full(len(SAMPLED), np.nan, np.float32)
    for at, column in direct:
        kept[at] = values[column]
    hottest = max((v for i in points if np.isfinite(v := float(values[i]))), default=np.nan)
    kept[_HOTTEST] = hottest
    kept[_RISE] = hottest - (float(values[ambient]) if ambient >= 0 else 0.0)
    return kept


@lru_cache(maxsize=4_096)
def _places(names: tuple[str, ...]) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...], int]:
    """(place in the sample, column) of what is copied, columns of temperatures, column of the ambient."""
    at = {name: i for i, name in enumerate(names)}
    columns = {"power_kw": POWER_KW}
    direct = tuple(
        (place, at[column])
        for place, name in enumerate(SAMPLED)
        if (column := columns.get(name, name)) in at and place not in {_RISE, _HOTTEST}
    )
    points = tuple(
        i
        for name, i in at.items()
        if name.startswith(TEMPERATURE) and name != AMBIENT and not name.endswith((RISE, OVER_LIMIT))
    )
    return direct, points, at.get(AMBIENT, -1)


def hour(window: Window, until_ns: int, limit_c: float, rated_kw: float) -> Values:
    """Values of `HOUR_FEATURES`, (len(HOUR_FEATURES),), from the samples up to `until_ns`.

    window: of `SAMPLED`; limit_c, rated_kw: NaN = undeclared. NaN where too little is known.
    """
    last = int(np.searchsorted(window.times_ns, until_ns, "right"))
    times, rows = window.times_ns[:last], window.values[:last].astype(np.float64)
    if not last:
        return np.full(len(HOUR_FEATURES), np.nan)
    near = _near(rows)
    found = statistics(replace(window, times_ns=times[near], values=window.values[:last][near]))
    levels = np.stack([found.median, found.sigma, found.slope_per_h], axis=1)[:_N_LEVELS]
    heat = _heat(times, rows, limit_c)
    return np.concatenate([levels.ravel(), heat, _power(times, rows[:, _POWER], rated_kw)])


def _near(rows: Values) -> NDArray[np.bool_]:
    """Which samples lie near the operating point of the last; what is unknown does not part them."""
    near = np.ones(len(rows), np.bool_)
    speed, power = rows[-1, _SPEED], rows[-1, _POWER]
    with np.errstate(divide="ignore", invalid="ignore"):
        near &= ~(np.abs(np.log(rows[:, _SPEED] / speed)) > SAME_SPEED)
        near &= ~(np.abs(rows[:, _POWER] - power) > SAME_LOAD * max(abs(power), 1e-9))
    return near


def _heat(times: NDArray[np.int64], rows: Values, limit_c: float) -> Values:
    hottest = rows[:, _HOTTEST]
    known = np.isfinite(hottest)
    if not known.any():
        return np.full(3, np.nan)
    model = fit_load(rows[:, _RISE], rows[:, _POWER])
    excess = np.nan if model is None else model.excess_c(rows[-1:, _RISE], rows[-1:, _POWER])[0]
    above = np.nan
    if np.isfinite(limit_c):
        above = time_above_s(times[known], hottest[known], limit_c, MAX_GAP_S)
    return np.array([slope_c_per_h(times, hottest), excess, above])


def _power(times: NDArray[np.int64], power_kw: Values, rated_kw: float) -> Values:
    known = np.isfinite(power_kw)
    if not known.any():
        return np.full(5, np.nan)
    times, power_kw = times[known], power_kw[known]
    peak = float(power_kw.max())
    full = rated_kw if rated_kw > 0 else max(peak, 0.0)
    idle, off = IDLE_SHARE * full, OFF_SHARE * full
    runs = cycles(times, power_kw, idle, 0.0, MAX_GAP_S)
    # A run at either end of the hour is not whole.
    whole = [run for run in runs if times[0] < run.start_ns and run.end_ns < times[-1]]
    lengths = [(run.end_ns - run.start_ns) / 1e9 for run in whole]
    return np.array(
        [
            energy_kwh(times, power_kw, MAX_GAP_S),
            float(power_kw.mean()) / peak if peak > 0 else np.nan,
            idle_share(power_kw, idle, off),
            starts(power_kw, idle),
            float(np.median(lengths)) if lengths else np.nan,
        ]
    )
