"""Bearings, severity zones, temperature and power."""

from __future__ import annotations

import numpy as np
import pytest

from features.bearings import Orders, catalogue, find, orders_of
from features.power import current_signature, cycles, energy_kwh, idle_share, starts, unbalance
from features.severity import LIMITS, Limits, Zone, limits_of, zone
from features.temperature import fit_load, slope_c_per_h, time_above_s
from ingest.contract.plant import Bearing, Machine

S = 10**9


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_orders_of_every_bearing_obey_the_kinematics(name):
    bearing = find(name)
    orders = orders_of(bearing)
    assert orders.bpfo + orders.bpfi == pytest.approx(bearing.rolling_elements)
    assert orders.ftf * bearing.rolling_elements == pytest.approx(orders.bpfo)
    assert 0.3 < orders.ftf < 0.5 < 1 < orders.bsf < orders.bpfo < orders.bpfi


def test_orders_of_the_published_bearings():
    assert orders_of(find("6205")).bpfi == pytest.approx(5.4152, abs=3e-4)
    assert orders_of(find("6205")).bpfo == pytest.approx(3.5848, abs=3e-4)
    assert 2 * orders_of(find("6205")).bsf == pytest.approx(4.7135, abs=2e-3)
    assert orders_of(find("6203")).bpfo == pytest.approx(3.0530, abs=2e-3)
    assert orders_of(find("ZA-2115")).bpfo * 2_000 / 60 == pytest.approx(236.4, abs=0.5)


def test_the_plant_files_bearing_replaces_ours():
    own = Bearing(name="6205", rolling_elements=10, ball_mm=7.5, pitch_mm=39)
    assert find("6205-2RS", [own]) == own


def test_impossible_bearings_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        orders_of(Bearing(name="x", rolling_elements=30, ball_mm=10, pitch_mm=40))
    with pytest.raises(ValueError, match="order"):
        Orders(0.0, 5.0, 2.0, 0.4)


@pytest.mark.parametrize(("group", "support"), LIMITS)
def test_zones_follow_the_table(group, support):
    limits = LIMITS[group, support]
    at = [limits.ab_mm_s, limits.bc_mm_s, limits.cd_mm_s]
    assert [zone(v, limits) for v in at] == [Zone.A, Zone.B, Zone.C]
    assert [zone(v + 0.01, limits) for v in at] == [Zone.B, Zone.C, Zone.D]


def test_what_is_undeclared_is_not_judged():
    bare = Machine(id="a", name="A", gateway="g")
    assert limits_of(bare) is None
    assert limits_of(Machine(id="a", name="A", gateway="g", iso_group=1)) is None
    assert zone(9.0, None) is Zone.CANNOT_JUDGE
    assert zone(float("nan"), LIMITS[1, "rigid"]) is Zone.CANNOT_JUDGE
    own = Machine(id="a", name="A", gateway="g", zone_limits_mm_s=(1.0, 2.0, 3.0))
    assert limits_of(own) == Limits(1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="rise"):
        limits_of(Machine(id="a", name="A", gateway="g", zone_limits_mm_s=(3.0, 2.0, 1.0)))


def test_load_explains_a_warm_bearing_and_not_a_hot_one():
    rng = np.random.default_rng(1)
    load = rng.uniform(0, 100, 300)
    rise = 8 + 0.3 * load + rng.normal(0, 0.5, 300)
    rise[::17] += 30  # some readings of a sick day do not bend the line
    model = fit_load(rise, load)
    assert model.per_load == pytest.approx(0.3, abs=0.01)
    assert model.offset_c == pytest.approx(8, abs=0.5)
    assert model.excess_c(np.array([38.0]), np.array([100.0]))[0] == pytest.approx(0, abs=1)
    assert model.excess_c(np.array([50.0]), np.array([100.0]))[0] == pytest.approx(12, abs=1)
    assert fit_load(rise[:5], load[:5]) is None
    assert fit_load(np.full(20, 9.0), np.full(20, 50.0)).per_load == 0


def test_slope_ignores_a_wild_reading_and_gaps():
    hours = np.arange(48.0)
    temperature = 40 + 0.5 * hours
    temperature[[3, 30]] = 200, np.nan
    assert slope_c_per_h((hours * 3_600 * S).astype(np.int64), temperature) == pytest.approx(0.5, abs=0.01)
    assert np.isnan(slope_c_per_h(np.array([0, S]), np.array([1.0, 2.0])))


def test_time_above_a_limit_does_not_count_a_gap():
    times = np.array([0, 60, 120, 10_000]) * S
    assert time_above_s(times, np.array([85.0, 85.0, 85.0, 20.0]), 80.0, 300.0) == 420.0
    assert time_above_s(times[:1], np.array([85.0]), 80.0, 300.0) == 0.0


def test_cycles_starts_idle_and_energy():
    power_kw = np.array([0, 0.5, 9, 9, 9, 0.5, 0.5, 12, 12, 0, np.nan, 0.0])
    times = np.arange(12, dtype=np.int64) * 60 * S
    found = cycles(times, power_kw, 2.0, 30.0, 120.0)
    assert [(c.start_ns // S, c.end_ns // S, c.peak_kw) for c in found] == [(120, 240, 9.0), (420, 480, 12.0)]
    assert found[0].energy_kwh == pytest.approx(9 * 2 / 60)
    assert starts(power_kw, 2.0) == 2
    assert idle_share(power_kw, 2.0, 0.1) == pytest.approx(3 / 11)
    assert np.isnan(idle_share(np.array([np.nan]), 2.0, 0.1))
    assert energy_kwh(times, np.full(12, 6.0), 120.0) == pytest.approx(6 * 11 / 60)
    assert energy_kwh(times, np.full(12, 6.0), 30.0) == 0.0  # a gap is not energy
    gap = times.copy()
    gap[4:] += 3_600 * S
    assert len(cycles(gap, np.full(12, 9.0), 2.0, 30.0, 120.0)) == 2


def test_unbalance_of_a_dead_supply_is_unknown():
    assert np.isnan(unbalance(np.zeros((3, 1)))[0])
    assert unbalance(np.full((3, 1), 400.0))[0] == 0.0


def test_current_signature_of_a_broken_bar_and_a_bent_supply():
    rate_hz, n, slip = 5_000.0, 50_000, 0.03
    t = np.arange(n) / rate_hz
    current = 100 * np.sin(2 * np.pi * 49.9 * t) + 5 * np.sin(2 * np.pi * 5 * 49.9 * t)
    healthy = current_signature(current, rate_hz, 50.0, slip)
    bars = current + 2 * np.sin(2 * np.pi * 49.9 * (1 - 2 * slip) * t)
    broken = current_signature(bars, rate_hz, 50.0, slip)
    assert healthy.mains_hz == pytest.approx(49.9, abs=0.11)
    assert healthy.thd == pytest.approx(0.05, abs=0.002)
    assert healthy.rms == pytest.approx(70.8, abs=0.1)
    assert broken.bar_sidebands_db == pytest.approx(-34, abs=1)
    assert healthy.bar_sidebands_db < -60
    assert np.isnan(current_signature(current[:5_000], rate_hz, 50.0, 0.005).bar_sidebands_db)
    with pytest.raises(ValueError, match="mains line"):
        current_signature(current[:100], rate_hz, 50.0, slip)
