"""Energy: where money is wasted, and whether it stopped; page, CSV and PDF from the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse

from dashboards.energy import (
    MIN_BASELINE_HOURS,
    Baseline,
    EnergyReport,
    HourSeries,
    by_hour,
    cusum_kwh,
    enpi,
    expected_kwh,
    fit_baseline,
    report,
)
from dashboards.hours import Hour
from dashboards.language import N_
from dashboards.period import MAX_DAYS, PERIODS, WRONG_DAYS, Period, midnight_ns, period
from dashboards.problems import Problem
from dashboards.reports import energy_csv, energy_pdf
from dashboards.visit import Visit, shared_page, visit

router = APIRouter()
Found = Annotated[Visit, Depends(visit)]
Key = Annotated[str, Query(alias="period", max_length=12)]
Day = Annotated[date | None, Query()]
SHARED_S = 5.0
"""The ledger moves every half minute."""


@dataclass(frozen=True, slots=True)
class Books:
    """The numbers of one period."""

    period: Period
    report: EnergyReport
    series: HourSeries
    baseline: Baseline


def open_books(found: Visit, key: str, first: date | None, last: date | None) -> Books:
    """Read the ledger and reckon. Raises Problem(422) for impossible days."""
    house = found.house
    try:
        asked = period(key, found.language.local(found.now_ns), house.zone, first, last)
    except ValueError as error:
        raise Problem(422, found.language.say(WRONG_DAYS).format(days=MAX_DAYS)) from error
    hours = house.ledger.hours(asked.from_ns, asked.to_ns)
    span_ns = (asked.from_ns, asked.to_ns)
    until_ns = min(found.now_ns, house.ledger.until_ns or found.now_ns)
    made = report(hours, house.plant.tariff, span_ns, until_ns, house.ledger.since())
    return Books(asked, made, _series(hours), _baseline(found))


def _series(hours: Mapping[str, list[Hour]]) -> HourSeries:
    return by_hour(hour for ones in hours.values() for hour in ones)


def _baseline(found: Visit) -> Baseline:
    config = found.house.config
    if config.baseline_from is None or config.baseline_to is None:
        return fit_baseline(None)
    zone = found.house.zone
    from_ns = midnight_ns(config.baseline_from, zone)
    to_ns = midnight_ns(config.baseline_to + timedelta(days=1), zone)
    return fit_baseline(_series(found.house.ledger.hours(from_ns, to_ns)))


@router.get("/energy", include_in_schema=False)
def energy_page(found: Found, key: Key = "today", first: Day = None, last: Day = None) -> Response:
    """Use, waste and savings of a period."""
    return shared_page(
        found, "energy", (key, first, last), SHARED_S, lambda visit: _shown(visit, key, first, last)
    )


def _shown(found: Visit, key: str, first: date | None, last: date | None) -> dict[str, Any]:
    books = open_books(found, key, first, last)
    shown = books.period
    return {
        "books": books,
        "report": books.report,
        "periods": PERIODS,
        "names": _names(found),
        "min_baseline_hours": MIN_BASELINE_HOURS,
        "enpi": enpi(books.report.total),
        "claim": claim(found, books),
        "query": f"period={shown.key}" if shown.key else f"period=&first={shown.first}&last={shown.last}",
    }


@router.get("/energy.csv", include_in_schema=False)
def energy_as_csv(found: Found, key: Key = "today", first: Day = None, last: Day = None) -> Response:
    """The table for spreadsheets."""
    books = open_books(found, key, first, last)
    return Response(
        energy_csv(books.report, _names(found)),
        media_type="text/csv; charset=utf-8",
        headers=_named(books, "csv", "attachment"),
    )


@router.get("/energy.pdf", include_in_schema=False)
def energy_as_pdf(found: Found, key: Key = "today", first: Day = None, last: Day = None) -> Response:
    """The printed report."""
    books = open_books(found, key, first, last)
    made = energy_pdf(
        books.report,
        _names(found),
        found.house.plant.plant.name,
        period=books.period,
        language=found.language,
        claim=claim(found, books),
    )
    return Response(
        made,
        media_type="application/pdf",
        headers=_named(books, "pdf", "inline"),
    )


@router.get("/api/energy", tags=["energy"], summary="Energy of a period")
def energy_json(found: Found, key: Key = "today", first: Day = None, last: Day = None) -> Response:
    """Rows and totals as the page shows them; `claim` says whether savings may be claimed."""
    books = open_books(found, key, first, last)
    rows = (*books.report.rows, books.report.total)
    return JSONResponse(
        {
            "from_ns": books.report.from_ns,
            "to_ns": books.report.to_ns,
            "currency": found.house.plant.tariff.currency,
            "rows": [
                {
                    "machine": row.machine,
                    "peak_kwh": float(row.peak_kwh),
                    "off_peak_kwh": float(row.off_peak_kwh),
                    "kwh": float(row.kwh),
                    "idle_kwh": float(row.idle_kwh),
                    "cost": float(row.cost),
                    "idle_cost": float(row.idle_cost),
                    "missing": row.missing,
                }
                for row in rows
            ],
            "baseline_valid": books.baseline.valid,
            "claim": claim(found, books),
        }
    )


@router.get("/api/energy/hours", tags=["energy"], summary="Energy by hour against the baseline")
def energy_hours(found: Found, key: Key = "today", first: Day = None, last: Day = None) -> Response:
    """kWh of each fully metered hour; baseline and its band only when the baseline is valid."""
    return JSONResponse(hours_chart(found, open_books(found, key, first, last)))


@router.get("/api/energy/cusum", tags=["energy"], summary="Cumulative saving against the baseline")
def energy_cusum(found: Found, key: Key = "today", first: Day = None, last: Day = None) -> Response:
    """Running sum of expected minus actual; empty without a valid baseline."""
    books = open_books(found, key, first, last)
    valid = books.baseline.valid and len(books.series.kwh)
    sums = cusum_kwh(books.baseline, books.series).tolist() if valid else []
    body = _chart(found, found.language.say(N_("Saved, running total")), books.series if valid else None)
    return JSONResponse({**body, "y": [round(value, 3) for value in sums]})


def hours_chart(found: Visit, books: Books) -> dict[str, Any]:
    """Actual use by hour, with the baseline's line and band when it is valid."""
    body = _chart(found, found.language.say(N_("Energy per hour")), books.series)
    body["y"] = [round(value, 3) for value in books.series.kwh.tolist()]
    if books.baseline.valid and len(books.series.kwh):
        expected = expected_kwh(books.baseline, books.series)
        band = 1.96 * books.baseline.rmse_kwh
        body["base"] = [round(value, 3) for value in expected.tolist()]
        body["low"] = [round(value - band, 3) for value in expected.tolist()]
        body["high"] = [round(value + band, 3) for value in expected.tolist()]
    return body


def _chart(found: Visit, label: str, series: HourSeries | None) -> dict[str, Any]:
    return {
        "kind": "energy",
        "x_label": found.language.say(N_("Time")),
        "label": label,
        "unit": "kWh",
        "digits": 1,
        "x": [start / 1e9 for start in series.start_ns.tolist()] if series is not None else [],
        "y": [],
        "base": [],
        "low": [],
        "high": [],
        "bands": [],
    }


def claim(found: Visit, books: Books) -> str:
    """The sentence on savings: an amount with its uncertainty, or why none may be claimed."""
    language, baseline = found.language, books.baseline
    if not baseline.valid:
        return language.say(N_("No savings claim: {reason}.")).format(reason=language.say(baseline.why_not))
    if not len(books.series.kwh):
        return language.say(N_("No savings claim: no hour of this period is fully metered."))
    saved = float(cusum_kwh(baseline, books.series)[-1])
    band = 1.96 * baseline.rmse_kwh * float(len(books.series.kwh)) ** 0.5
    if abs(saved) <= band:
        return language.say(
            N_("No change can be proven: {saved} against the baseline lies within ± {band}.")
        ).format(saved=language.unit(saved, "kWh", 1), band=language.unit(band, "kWh", 1))
    total = books.report.total
    price = float(total.cost / total.kwh) if total.kwh else 0.0
    words = (
        N_("Saved {saved} ± {band} against the baseline, worth {money}.")
        if saved > 0
        else N_("Used {saved} ± {band} more than the baseline, worth {money}.")
    )
    return language.say(words).format(
        saved=language.unit(abs(saved), "kWh", 1),
        band=language.unit(band, "kWh", 1),
        money=language.money(abs(saved) * price),
    )


def _named(books: Books, kind: str, how: str) -> dict[str, str]:
    return {
        "Content-Disposition": f'{how}; filename="energy-{books.period.first}-{books.period.last}.{kind}"'
    }


def _names(found: Visit) -> dict[str, str]:
    return {machine.id: machine.name for machine in found.house.plant.machine}
