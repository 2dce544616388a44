"""Energy as ISO 50006 wants it: use and idling by machine and tariff, EnPI, baseline, CUSUM. Pure.

Money and energy are rounded row by row, and totals are sums of the rounded rows: the page, the CSV and
the PDF agree to the last digit. Without a valid baseline there is no savings claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from numpy.typing import NDArray

from dashboards.hours import Hour
from dashboards.language import N_
from ingest.contract.plant import Tariff

MIN_R2, MAX_CV_RMSE, MIN_BASELINE_HOURS = 0.75, 0.25, 48
CENT, WATT_HOUR = Decimal("0.01"), Decimal("0.001")


def money(value: float) -> Decimal:
    """Rounded to cents.

    >>> money(0.005), money(1.23456)
    (Decimal('0.01'), Decimal('1.23'))
    """
    return Decimal(repr(value)).quantize(CENT, ROUND_HALF_UP)


def energy(value_kwh: float) -> Decimal:
    """Rounded to watt-hours."""
    return Decimal(repr(value_kwh)).quantize(WATT_HOUR, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Row:
    """One machine over the period, or the total of all. missing: share of the time without a meter."""

    machine: str
    peak_kwh: Decimal
    off_peak_kwh: Decimal
    idle_kwh: Decimal
    cost: Decimal
    idle_cost: Decimal
    missing: float
    made: float | None
    running_h: float

    @property
    def kwh(self) -> Decimal:
        """All energy."""
        return self.peak_kwh + self.off_peak_kwh


@dataclass(frozen=True, slots=True)
class EnergyReport:
    """rows: by idle cost, the dearest first; total: exact sum of the rows."""

    from_ns: int
    to_ns: int
    rows: tuple[Row, ...]
    total: Row


def report(
    hours: Mapping[str, Sequence[Hour]],
    tariff: Tariff,
    span_ns: tuple[int, int],
    now_ns: int,
    since_ns: Mapping[str, int],
) -> EnergyReport:
    """Use of every machine in span_ns. since_ns: when each first spoke; what came before is not missing."""
    from_ns, to_ns = span_ns
    until_ns = min(now_ns, to_ns)
    rows = [
        _row(machine, ones, tariff, max(1.0, (until_ns - max(from_ns, since_ns.get(machine, 0))) / 1e9))
        for machine, ones in hours.items()
    ]
    rows.sort(key=lambda row: (-row.idle_cost, -row.cost, row.machine))
    return EnergyReport(from_ns, to_ns, tuple(rows), _total(rows))


def _row(machine: str, hours: Sequence[Hour], tariff: Tariff, elapsed_s: float) -> Row:
    peak, off_peak = sum(one.peak_kwh for one in hours), sum(one.off_peak_kwh for one in hours)
    idle_peak = sum(one.idle_peak_kwh for one in hours)
    idle_off = sum(one.idle_off_peak_kwh for one in hours)
    metered_s = sum(one.metered_s for one in hours)
    made = [one.made for one in hours if one.made is not None]
    return Row(
        machine,
        energy(peak),
        energy(off_peak),
        energy(idle_peak + idle_off),
        money(peak * tariff.peak_per_kwh + off_peak * tariff.off_peak_per_kwh),
        money(idle_peak * tariff.peak_per_kwh + idle_off * tariff.off_peak_per_kwh),
        max(0.0, 1.0 - metered_s / elapsed_s),
        float(sum(made)) if made else None,
        sum(one.running_s for one in hours) / 3600.0,
    )


def _total(rows: Sequence[Row]) -> Row:
    made = [row.made for row in rows if row.made is not None]
    return Row(
        "",
        sum((row.peak_kwh for row in rows), Decimal(0)),
        sum((row.off_peak_kwh for row in rows), Decimal(0)),
        sum((row.idle_kwh for row in rows), Decimal(0)),
        sum((row.cost for row in rows), Decimal(0)),
        sum((row.idle_cost for row in rows), Decimal(0)),
        float(np.mean([row.missing for row in rows])) if rows else 1.0,
        float(sum(made)) if made else None,
        sum(row.running_h for row in rows),
    )


def enpi(total: Row) -> tuple[float, str] | None:
    """Energy performance: kWh a piece where pieces are counted, else kWh a running hour."""
    if total.made:
        return float(total.kwh) / total.made, N_("kWh/piece")
    if total.running_h > 0:
        return float(total.kwh) / total.running_h, N_("kWh/running hour")
    return None


@dataclass(frozen=True, slots=True, eq=False)
class HourSeries:
    """The plant by hour: start_ns (n,), kwh (n,), running_h (n,), made (n,); only hours fully metered."""

    start_ns: NDArray[np.int64]
    kwh: NDArray[np.float64]
    running_h: NDArray[np.float64]
    made: NDArray[np.float64]


def by_hour(hours: Iterable[Hour], min_metered: float = 0.9) -> HourSeries:
    """Sums over machines; hours in which meters were missing would look like a saving and are left out."""
    sums: dict[int, list[float]] = {}
    for one in hours:
        line = sums.setdefault(one.start_ns, [0.0, 0.0, 0.0, 0.0, 0.0])
        line[0] += one.kwh
        line[1] += one.running_s / 3600.0
        line[2] += one.made or 0.0
        line[3] += one.metered_s
        line[4] += 1.0
    starts = [start for start, line in sorted(sums.items()) if line[3] >= min_metered * 3600.0 * line[4]]
    table = np.array([sums[start][:3] for start in starts], np.float64).reshape(len(starts), 3)
    return HourSeries(np.array(starts, np.int64), table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """kWh of an hour = weights . (1, running hours, pieces). valid: why_not is empty."""

    weights: NDArray[np.float64]
    r2: float
    cv_rmse: float
    rmse_kwh: float
    n_hours: int
    why_not: str = ""

    @property
    def valid(self) -> bool:
        """Whether savings may be claimed against it."""
        return not self.why_not


NO_PERIOD = N_("no baseline period is declared")
TOO_SHORT = N_("the baseline period has too few fully metered hours")
TOO_LOOSE = N_("the baseline explains too little of the energy use")


def fit_baseline(series: HourSeries | None) -> Baseline:
    """Ordinary least squares on running hours and pieces (IPMVP option C over the metered machines)."""
    if series is None:
        return Baseline(np.zeros(3), 0.0, 1.0, 0.0, 0, NO_PERIOD)
    n = len(series.kwh)
    if n < MIN_BASELINE_HOURS:
        return Baseline(np.zeros(3), 0.0, 1.0, 0.0, n, TOO_SHORT)
    design = _design(series)
    weights: NDArray[np.float64] = np.linalg.lstsq(design, series.kwh, rcond=None)[0].astype(np.float64)
    residual = series.kwh - design @ weights
    spread = float(((series.kwh - series.kwh.mean()) ** 2).sum())
    rank = int(np.linalg.matrix_rank(design))
    rmse = float(np.sqrt((residual**2).sum() / max(1, n - rank)))
    r2 = 1.0 - float((residual**2).sum()) / spread if spread > 0 else 0.0
    mean = float(series.kwh.mean())
    cv = rmse / mean if mean > 0 else 1.0
    loose = r2 < MIN_R2 or cv >= MAX_CV_RMSE
    return Baseline(weights, r2, cv, rmse, n, TOO_LOOSE if loose else "")


def _design(series: HourSeries) -> NDArray[np.float64]:
    return np.column_stack([np.ones(len(series.kwh)), series.running_h, series.made])


def expected_kwh(baseline: Baseline, series: HourSeries) -> NDArray[np.float64]:
    """What the baseline would have used in these hours, (n,)."""
    return np.asarray(_design(series) @ baseline.weights)


def cusum_kwh(baseline: Baseline, series: HourSeries) -> NDArray[np.float64]:
    """Running sum of expected minus actual: rising means saving."""
    return np.asarray(np.cumsum(expected_kwh(baseline, series) - series.kwh))
