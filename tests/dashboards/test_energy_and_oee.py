"""Energy, baseline and OEE against sums done by hand; the page, the CSV and the PDF agree."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.energy import by_hour, cusum_kwh, enpi, fit_baseline, report
from dashboards.hours import HOUR_NS, IDLE, STOPPED, Hour, Samples, Stop, counted, hour_of, joined_stops
from dashboards.oee import losses, of_machine, pareto, told
from ingest.contract.actions import Action, ActionKind
from ingest.contract.plant import Machine, Shift, Tariff

S = 1_000_000_000
JAKARTA = ZoneInfo("Asia/Jakarta")
# 17:00 in Jakarta is 10:00 UTC.
FIVE_PM = 1_795_514_400 * S
TARIFF = Tariff(peak_per_kwh=1500.0, off_peak_per_kwh=1000.0)
PRESS = Machine(id="press", name="Press", gateway="gw", idle_power_kw=10.0, ideal_cycle_s=2.0)
NOTHING = np.zeros(0)


def samples(
    power: list[float], state: list[float] | None = None, step_s: int = 60, start_ns: int = FIVE_PM
) -> Samples:
    n = len(power)
    times = start_ns + np.arange(n, dtype=np.int64) * step_s * S
    said = np.array(state, float) if state is not None else np.full(n, np.nan)
    return Samples(times, np.array(power, float), said, NOTHING, NOTHING, np.full(n, np.nan))


def hour(
    made: Samples, start_ns: int = FIVE_PM, shifts: tuple[Shift, ...] = (), machine: Machine = PRESS
) -> Hour:
    return hour_of(machine, start_ns, made, tariff=TARIFF, shifts=shifts, zone=JAKARTA)


def test_an_hour_at_constant_power_is_that_many_kwh() -> None:
    found = hour(samples([30.0] * 60))
    assert found.kwh == pytest.approx(30.0)
    assert found.peak_kwh == 0.0
    assert found.metered_s == 3600.0
    assert found.running_s == 3600.0
    later = hour(samples([30.0] * 60, start_ns=FIVE_PM + HOUR_NS), FIVE_PM + HOUR_NS)
    assert later.peak_kwh == pytest.approx(30.0), "18:00 is peak"


def test_a_meter_that_fell_silent_is_missing_and_not_filled_in() -> None:
    found = hour(samples([30.0] * 30))
    assert found.metered_s == 29 * 60 + 300, "the last value holds for five usual steps and no longer"
    assert found.kwh == pytest.approx(30.0 * found.metered_s / 3600)


def test_idling_is_told_by_state_or_else_by_power() -> None:
    by_power = hour(samples([10.0] * 30 + [30.0] * 30))
    assert by_power.idle_off_peak_kwh == pytest.approx(5.0)
    by_state = hour(samples([30.0] * 60, [1.0] * 15 + [2.0] * 45))
    assert by_state.idle_s == 900.0
    unknown = hour(samples([30.0] * 60), machine=Machine(id="x", name="x", gateway="gw"))
    assert unknown.known_s == 0.0
    assert unknown.running_s == 0.0


def test_a_counter_alone_gives_energy_across_a_reset() -> None:
    made = samples([float("nan")] * 4, step_s=900)
    made = Samples(
        made.times_ns, made.power_kw, made.state, NOTHING, NOTHING, np.array([100.0, 104.0, 1.0, 6.0])
    )
    assert hour(made).kwh == pytest.approx(4.0 + 1.0 + 5.0)


def test_stops_count_in_planned_time_only_and_join_across_hours() -> None:
    shift = (Shift(name="late", start="17:30", end="19:00"),)
    first = hour(samples([30.0] * 60, [0.0] * 60), shifts=shift)
    assert first.planned_s == 1800.0
    assert [(one.seconds, one.mode) for one in first.stops] == [(1800.0, STOPPED)]
    second = hour(
        samples([30.0] * 60, [0.0] * 10 + [2.0] * 50, start_ns=FIVE_PM + HOUR_NS), FIVE_PM + HOUR_NS, shift
    )
    ((machine, stop),) = joined_stops([second, first])
    assert machine == "press"
    assert stop.seconds == 2400.0


def test_shifts_that_overlap_are_planned_once() -> None:
    shifts = (Shift(name="late", start="17:30", end="19:00"), Shift(name="tea", start="17:15", end="17:45"))
    assert hour(samples([30.0] * 60), shifts=shifts).planned_s == 45 * 60


def test_planned_time_before_the_first_word_and_after_now_is_not_missing() -> None:
    seen_ns = (FIVE_PM + 600 * S, FIVE_PM + 1_200 * S)
    found = hour_of(
        PRESS,
        FIVE_PM,
        samples([30.0] * 10, [2.0] * 10, start_ns=FIVE_PM + 600 * S),
        tariff=TARIFF,
        shifts=(),
        zone=JAKARTA,
        seen_ns=seen_ns,
    )
    assert found.planned_s == found.planned_known_s == found.metered_s == 600.0


def test_peak_hours_may_run_past_midnight() -> None:
    night = Tariff(peak_from="22:00", peak_to="06:00")
    found = hour_of(
        PRESS,
        FIVE_PM + 6 * HOUR_NS,
        samples([1.0] * 60, start_ns=FIVE_PM + 6 * HOUR_NS),
        tariff=night,
        shifts=(),
        zone=JAKARTA,
    )
    assert found.peak_kwh == pytest.approx(1.0)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50))
def test_a_counter_never_counts_backwards(readings: list[float]) -> None:
    found = counted(np.array(readings))
    assert found is not None
    assert found >= 0


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e5), st.floats(0, 1e5)),
        min_size=1,
        max_size=40,
    )
)
def test_totals_are_exactly_the_sum_of_the_rows(lines: list[tuple[float, float, float, float]]) -> None:
    hours = {f"m-{i}": [Hour(f"m-{i}", 0, *line, metered_s=3600.0)] for i, line in enumerate(lines)}
    made = report(hours, TARIFF, (0, HOUR_NS), HOUR_NS, {})
    for name in ("peak_kwh", "off_peak_kwh", "kwh", "idle_kwh", "cost", "idle_cost"):
        assert getattr(made.total, name) == sum((getattr(row, name) for row in made.rows), Decimal(0))


def test_missing_meter_hours_are_a_share_of_the_time_since_the_machine_first_spoke() -> None:
    hours = {"a": [Hour("a", 0, metered_s=1800.0)], "b": [Hour("b", 0, metered_s=1800.0)]}
    made = report(hours, TARIFF, (0, 24 * HOUR_NS), HOUR_NS, {"b": HOUR_NS // 2})
    assert {row.machine: row.missing for row in made.rows} == {"a": 0.5, "b": 0.0}


def test_energy_performance_is_by_piece_or_by_running_hour_or_not_at_all() -> None:
    whole = {"a": [Hour("a", 0, off_peak_kwh=10.0, running_s=7200.0, made=40.0)]}
    assert enpi(report(whole, TARIFF, (0, 1), 1, {}).total) == (0.25, "kWh/piece")
    no_count = {"a": [Hour("a", 0, off_peak_kwh=10.0, running_s=7200.0)]}
    assert enpi(report(no_count, TARIFF, (0, 1), 1, {}).total) == (5.0, "kWh/running hour")
    assert enpi(report({}, TARIFF, (0, 1), 1, {}).total) is None


def plant_hours(n: int, waste_kwh: float = 0.0, noise: float = 0.2, seed: int = 3) -> list[Hour]:
    rng = np.random.default_rng(seed)
    hours = []
    for i in range(n):
        running_s = float(rng.uniform(600, 3600))
        kwh = 4.0 + 25.0 * running_s / 3600 + waste_kwh + float(rng.normal(0, noise))
        hours.append(Hour("a", i * HOUR_NS, off_peak_kwh=kwh, running_s=running_s, metered_s=3600.0))
    return hours


def test_a_baseline_finds_the_waste_that_was_put_in() -> None:
    baseline = fit_baseline(by_hour(plant_hours(200)))
    assert baseline.valid
    assert baseline.r2 > 0.95
    saved = cusum_kwh(baseline, by_hour(plant_hours(100, waste_kwh=1.5, seed=9)))
    assert saved[-1] == pytest.approx(-150.0, abs=15.0)


def test_no_valid_baseline_no_claim() -> None:
    assert "declared" in fit_baseline(None).why_not
    assert "few" in fit_baseline(by_hour(plant_hours(20))).why_not
    assert "explains" in fit_baseline(by_hour(plant_hours(200, noise=30.0))).why_not
    constant = [Hour("a", i * HOUR_NS, off_peak_kwh=5.0, metered_s=3600.0) for i in range(60)]
    assert not fit_baseline(by_hour(constant)).valid


def test_hours_with_missing_meters_are_no_saving() -> None:
    hours = [
        Hour("a", 0, off_peak_kwh=1.0, metered_s=600.0),
        Hour("a", HOUR_NS, off_peak_kwh=9.0, metered_s=3600.0),
    ]
    assert by_hour(hours).kwh.tolist() == [9.0]


def test_oee_is_the_product_and_the_losses_add_up() -> None:
    hours = [
        Hour(
            "press", 0, planned_s=3600, planned_known_s=3600, planned_running_s=2700, made=1000.0, good=900.0
        )
    ]
    one = of_machine(PRESS, hours)
    assert one.availability == 0.75
    assert one.performance == pytest.approx(2000 / 2700)
    assert one.quality == 0.9
    assert one.oee == pytest.approx(0.75 * 2000 / 2700 * 0.9)
    found = losses([one])
    parts = found.availability_h + found.performance_h + found.quality_h + found.effective_h
    assert parts == pytest.approx(found.planned_h)
    assert found.effective_h / found.planned_h == pytest.approx(one.oee)


def test_what_is_missing_cannot_be_computed_and_is_not_zero() -> None:
    no_count = of_machine(
        PRESS, [Hour("press", 0, planned_s=3600, planned_known_s=3600, planned_running_s=1800)]
    )
    assert no_count.oee is None
    assert no_count.availability == 0.5
    hardly_known = of_machine(
        PRESS, [Hour("press", 0, planned_s=3600, planned_known_s=600, planned_running_s=600)]
    )
    assert hardly_known.availability is None
    no_cycle = of_machine(Machine(id="m", name="m", gateway="gw"), [Hour("m", 0, made=5.0, good=5.0)])
    assert no_cycle.performance is None


def test_the_newest_reason_of_a_stop_counts() -> None:
    stop = Stop(100 * S, 400 * S, IDLE)
    reasons = [
        Action(
            f"a{i}",
            ActionKind.DOWNTIME_REASON,
            "ani",
            i,
            "press",
            values={"from_ns": 100 * S, "reason": reason},
        )
        for i, reason in enumerate(("setup", "material"))
    ]
    (one,) = told([("press", stop)], reasons)
    assert one.reason == "material"
    assert pareto([one, *told([("press", Stop(900 * S, 960 * S, STOPPED))], reasons)]) == [
        ("material", pytest.approx(1 / 12), 1),
        ("", pytest.approx(1 / 60), 1),
    ]


def test_page_csv_pdf_and_interface_agree(screens: Any) -> None:
    screens.house.ledger.advance()
    table = list(csv.DictReader(io.StringIO(screens.client.get("/energy.csv").text)))
    total = table[-1]
    assert total["name"] == "TOTAL"
    for column in ("total_kwh", "idle_kwh", "cost", "idle_cost"):
        assert sum(Decimal(row[column]) for row in table[:-1]) == Decimal(total[column])
    api = screens.client.get("/api/energy").json()["rows"][-1]
    assert Decimal(str(api["cost"])) == Decimal(total["cost"])
    page = screens.client.get("/energy?lang=en").text
    assert f"Rp{Decimal(total['cost']):,.2f}" in page
    pdf = screens.client.get("/energy.pdf?lang=en")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF-")


def test_a_period_is_whole_local_days(screens: Any) -> None:
    assert screens.client.get("/energy.csv?first=2026-11-20&last=2026-11-24").status_code == 200
    assert screens.client.get("/energy?first=2026-11-24&last=2026-11-20").status_code == 422
    assert screens.client.get("/energy?first=1999-01-01&last=2026-11-20").status_code == 422


def test_without_a_baseline_the_page_claims_nothing(screens: Any) -> None:
    screens.house.ledger.advance()
    assert "No savings claim: no baseline period is declared." in screens.client.get("/energy?lang=en").text
    assert screens.client.get("/api/energy/cusum").json()["y"] == []


def test_the_ledger_looks_again_at_hours_that_lacked_data(screens: Any) -> None:
    ledger = screens.house.ledger
    first = ledger.advance()
    assert first > 0
    assert ledger.advance() > 0, "the running hour and incomplete ones are computed again"
    hours = ledger.hours(0, screens.clock())
    assert set(hours) == {machine.id for machine in screens.house.plant.machine} - {"fan-012"}
    assert all(one.metered_s > 0 for ones in hours.values() for one in ones)
