"""The energy report as CSV and as PDF, both from the same rounded rows as the page, so that totals agree."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import typst

from dashboards.energy import EnergyReport, Row, enpi
from dashboards.language import N_, Language
from dashboards.period import Period

TEMPLATE = Path(__file__).parent / "templates" / "energy.typ"
COLUMNS = (
    N_("Machine"),
    N_("Peak, kWh"),
    N_("Off-peak, kWh"),
    N_("Total, kWh"),
    N_("Idle, kWh"),
    N_("Cost"),
    N_("Idle cost"),
    N_("Missing meter hours, %"),
)


def energy_csv(report: EnergyReport, names: Mapping[str, str]) -> str:
    """Plain numbers with a decimal point, for spreadsheets; the last line is the total."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        [
            "machine",
            "name",
            "peak_kwh",
            "off_peak_kwh",
            "total_kwh",
            "idle_kwh",
            "cost",
            "idle_cost",
            "missing_percent",
        ]
    )
    for row in (*report.rows, report.total):
        name = "TOTAL" if row is report.total else names.get(row.machine, row.machine)
        numbers = (row.peak_kwh, row.off_peak_kwh, row.kwh, row.idle_kwh, row.cost, row.idle_cost)
        writer.writerow([row.machine, _plain(name), *numbers, f"{row.missing * 100:.1f}"])
    return out.getvalue()


def _plain(text: str) -> str:
    """A name that a spreadsheet will not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def energy_pdf(
    report: EnergyReport,
    names: Mapping[str, str],
    plant: str,
    *,
    period: Period,
    language: Language,
    claim: str,
) -> bytes:
    """The printed report (tagged PDF by Typst). claim: the sentence on savings, or why there is none."""
    say = language.say
    performance = enpi(report.total)
    data = {
        "lang": language.code,
        "title": say(N_("Energy report")),
        "plant": plant,
        "period": language.days(period.first, period.last),
        "figures": [
            [say(N_("Energy")), language.unit(float(report.total.kwh), "kWh", 3)],
            [say(N_("Cost")), language.money(float(report.total.cost))],
            [say(N_("Idle")), language.unit(float(report.total.idle_kwh), "kWh", 3)],
            [say(N_("Idle cost")), language.money(float(report.total.idle_cost))],
            [
                say(N_("Energy performance (EnPI)")),
                language.unit(performance[0], say(performance[1]), 3)
                if performance
                else say(N_("cannot be computed")),
            ],
            [say(N_("Missing meter hours")), language.percent(report.total.missing, 1)],
        ],
        "claim": claim,
        "columns": [say(column) for column in COLUMNS],
        "rows": [_cells(row, names.get(row.machine, row.machine), language) for row in report.rows],
        "total": _cells(report.total, say(N_("Total")), language),
        "page": say(N_("page")),
    }
    made = typst.compile(str(TEMPLATE), sys_inputs={"data": json.dumps(data)}, ignore_system_fonts=True)
    assert isinstance(made, bytes)
    return made


def _cells(row: Row, name: str, language: Language) -> list[str]:
    return [
        name,
        language.number(float(row.peak_kwh), 3),
        language.number(float(row.off_peak_kwh), 3),
        language.number(float(row.kwh), 3),
        language.number(float(row.idle_kwh), 3),
        language.money(float(row.cost)),
        language.money(float(row.idle_cost)),
        language.number(row.missing * 100, 1),
    ]
