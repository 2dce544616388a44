"""The slow round: when it is made, what it says, and that neither batches nor a restart change it."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from features.bearings import find, orders_of
from features.extract import CONFIDENCE_COLUMN, SPEED_COLUMN, extract
from features.listening import LISTENED_NAMES, listen
from features.rounds import (
    LISTEN_EVERY,
    MAX_READINGS,
    ROUND_FEATURES,
    ROUND_NAMES,
    ROUND_NS,
    ROUND_STARTS,
    SPAN_NS,
    SUM_UP_EVERY,
    dump,
    load,
    new_rounds,
    recall,
)
from features.trends import HOUR_NAMES, SAMPLED, hour
from features.vibration import Facts
from features.windows import empty, insert
from ingest.contract.values import Message, Scalar, Waveform

START_NS = 1_800_000_000_000_000_000
RATE_HZ = 4_096.0
SECOND_NS = 1_000_000_000
FACTS = {
    "pump-1": Facts(
        speed_hz=25.0, orders=orders_of(find("6205")), rated_power_kw=10.0, temperature_limit_c=80.0
    ),
    "fan-2": Facts(),
}


def waveform(hz, seed, n=8_192, axis="x"):
    t, rng = np.arange(n) / RATE_HZ, np.random.default_rng(seed)
    wave = sum(np.sin(2 * np.pi * k * hz * t + k) / k for k in (1, 2, 3, 4)) + 0.1 * rng.normal(size=n)
    return Waveform(axis, (1_000 * wave).astype("<i2").tobytes(), "int16", RATE_HZ, 1e-3, START_NS)


def message(at_s, hz=24.6, machine="pump-1", waves=True, **scalars):
    time_ns = START_NS + round(at_s * SECOND_NS)
    shown = tuple(Scalar(name.replace("__", "/"), value, time_ns) for name, value in scalars.items())
    return Message("gw-1", machine, time_ns, (waveform(hz, abs(int(at_s))),) if waves else (), shown)


def value(row, name):
    return float(row.values[row.names.index(name)])


def made_round(row):
    return row.names[-len(ROUND_NAMES) :] == ROUND_NAMES


def same(one, other):
    return one.names == other.names and one.values.tobytes() == other.values.tobytes()


def day(n=40, seed=0):
    """Messages of three machines, waveforms and scalars apart, some late, some with a speed."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        at = 17.0 * i if rng.random() > 0.15 else 17.0 * i - rng.integers(0, 300)
        kind = i % 4
        if kind == 0:
            made.append(message(at, hz=24.6))
        elif kind == 1:
            made.append(message(at, waves=False, Power__Active=7.0 + rng.random(), Temperature__bearing=60.0))
        elif kind == 2:
            made.append(message(at, machine="fan-2", Speed=1_490.0 + rng.random()))
        else:
            made.append(message(at, machine="nobody"))
    return made


def test_a_round_is_made_once_a_minute_and_adds_its_columns():
    rounds = new_rounds(FACTS)
    rows = extract([message(10.0 * i) for i in range(30)], FACTS, rounds)
    which = [i for i, row in enumerate(rows) if made_round(row)]
    assert which[0] == 0
    assert len(which) in (5, 6)
    assert set(np.diff(which[1:])) == {6}
    assert all(len(row.names) == len(row.values) and row.values.dtype == np.float32 for row in rows)


def test_without_a_past_nothing_is_added():
    with_past, without = extract([message(0)], FACTS, new_rounds(FACTS))[0], extract([message(0)], FACTS)[0]
    assert set(with_past.names) - set(without.names) == {CONFIDENCE_COLUMN, *ROUND_NAMES}
    stranger = extract([message(0, machine="nobody")], FACTS, new_rounds(FACTS))[0]
    assert not made_round(stranger)


@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_the_cut_into_batches_changes_nothing(size):
    messages = day()
    whole, parts = new_rounds(FACTS), new_rounds(FACTS)
    wanted = extract(messages, FACTS, whole)
    got = [
        row for at in range(0, len(messages), size) for row in extract(messages[at : at + size], FACTS, parts)
    ]
    assert all(same(one, other) for one, other in zip(wanted, got, strict=True))
    assert dump(whole) == dump(parts)


@pytest.mark.parametrize("stop", [1, 13, 29])
def test_a_restart_from_rows_or_from_bytes_remembers_the_same(stop):
    messages = day(seed=3)
    straight = new_rounds(FACTS)
    rows = extract(messages, FACTS, straight)
    told, saved = new_rounds(FACTS), new_rounds(FACTS)
    recall(told, rows[:stop])
    before = new_rounds(FACTS)
    extract(messages[:stop], FACTS, before)
    load(saved, dump(before) | {"gone": b"?"})
    for rounds in (told, saved):
        later = extract(messages[stop:], FACTS, rounds)
        assert all(same(one, other) for one, other in zip(rows[stop:], later, strict=True))
        assert dump(rounds) == dump(straight)


def test_columns_that_others_add_to_a_row_do_not_hide_its_round():
    rounds, again = new_rounds(FACTS), new_rounds(FACTS)
    rows = extract(day(), FACTS, rounds)
    wider = [
        structs.replace(
            row, names=(*row.names, "Mitra/Champion/forest"), values=np.append(row.values, np.float32(0.3))
        )
        for row in rows
    ]
    recall(again, wider)
    assert dump(again) == dump(rounds)


def test_damaged_memory_is_refused():
    rounds = new_rounds(FACTS)
    extract(day(), FACTS, rounds)
    good = dump(rounds)["pump-1"]
    for bad in (good[:5], good[:40], good[:-1], good[:48] + b"\xff" + good[49:]):
        with pytest.raises(ValueError, match=r"remembered|stored window"):
            load(new_rounds(FACTS), {"pump-1": bad})


def test_the_speed_is_read_where_none_is_told_and_orders_follow_it():
    rounds = new_rounds(FACTS)
    rows = extract([message(20.0 * i, hz=24.2) for i in range(20)], FACTS, rounds)
    assert [value(row, SPEED_COLUMN) for row in rows] == pytest.approx([24.2] * 20, abs=0.05)
    assert value(rows[-1], CONFIDENCE_COLUMN) > 0.5
    assert value(rows[0], "slow.speed_hz") == pytest.approx(24.2, abs=0.05)
    rated = extract([message(0, hz=24.2)], FACTS)[0]
    assert value(rated, SPEED_COLUMN) == 25.0
    assert value(rows[-1], "x.order_4_10_g") > value(rated, "x.order_4_10_g")
    assert len(rounds.machines["pump-1"].readings) == MAX_READINGS


def test_noise_leaves_the_rated_speed_and_says_that_nothing_is_sure():
    rng = np.random.default_rng(0)
    blocks = [
        Waveform("x", rng.normal(0, 900, 8_192).astype("<i2").tobytes(), "int16", RATE_HZ, 1e-3, START_NS)
        for _ in range(12)
    ]
    messages = [
        Message("gw-1", "pump-1", START_NS + i * ROUND_NS, (block,), ()) for i, block in enumerate(blocks)
    ]
    rows = extract(messages, FACTS, new_rounds(FACTS))
    assert {value(row, SPEED_COLUMN) for row in rows} == {25.0}
    assert {value(row, CONFIDENCE_COLUMN) for row in rows} == {0.0}


def test_a_speed_told_apart_from_the_waveforms_serves_them_for_ten_minutes():
    rounds = new_rounds(FACTS)
    told = [message(0, waves=False, Speed=1_440.0), message(30), message(599), message(700)]
    rows = extract(told, FACTS, rounds)
    assert [value(row, SPEED_COLUMN) for row in rows[1:3]] == [24.0, 24.0]
    assert value(rows[1], CONFIDENCE_COLUMN) == 1.0
    assert np.isnan(value(rows[1], "slow.speed_hz"))
    assert value(rows[3], SPEED_COLUMN) == pytest.approx(24.6, abs=0.05)


def test_an_undeclared_motor_has_a_speed_when_three_readings_agree():
    rows = extract([message(60.0 * i, machine="fan-2") for i in range(8)], FACTS, new_rounds(FACTS))
    speeds = [value(row, SPEED_COLUMN) for row in rows]
    assert np.isnan(speeds[:2]).all()
    assert np.isnan(value(rows[0], CONFIDENCE_COLUMN))
    assert speeds[2:] == pytest.approx([24.6] * 6, abs=0.05)
    off_the_mains = {"fan-2": Facts(mains_hz=None)}
    rows = extract([message(60.0 * i, machine="fan-2") for i in range(4)], off_the_mains, new_rounds(FACTS))
    assert np.isnan([value(row, SPEED_COLUMN) for row in rows]).all()


def test_readings_that_contradict_each_other_are_no_speed():
    rounds = new_rounds(FACTS)
    turns = [24.6, 48.9, 16.2, 24.6, 48.9]
    rows = extract([message(60.0 * i, hz=hz, machine="fan-2") for i, hz in enumerate(turns)], FACTS, rounds)
    assert np.isnan([value(row, SPEED_COLUMN) for row in rows]).all()
    assert len(rounds.machines["fan-2"].readings) >= 3


@pytest.mark.parametrize(
    ("column", "every"), [("slow.cepstrum_hz", LISTEN_EVERY), ("hour.median_rms_g", SUM_UP_EVERY)]
)
@pytest.mark.parametrize("minutes", [1, 7])
def test_what_is_dear_waits_for_its_turn(column, every, minutes):
    asked = range(0, 3 * every, minutes)
    rows = extract([message(60.0 * i, hz=24.6) for i in asked], FACTS, new_rounds(FACTS))
    done = [i for i, row in zip(asked, rows, strict=True) if np.isfinite(value(row, column))]
    assert 0 < done[0] < SUM_UP_EVERY + minutes
    assert 3 <= len(done) <= 4
    assert all(abs(step - every) < minutes for step in np.diff(done[1:]))


def test_a_block_an_hour_is_summed_up_and_listened_to_every_time():
    rows = extract([message(3_600.0 * i) for i in range(4)], FACTS, new_rounds(FACTS))
    for column in ("hour.median_rms_g", "slow.cepstrum_hz"):
        assert [bool(np.isfinite(value(row, column))) for row in rows] == [False, True, True, True]


def test_a_plant_that_starts_at_once_does_not_listen_to_all_machines_at_once():
    rounds, dear = new_rounds([f"fan-{i}" for i in range(600)]), []
    for minute in range(2 * LISTEN_EVERY):
        due = [
            past.turns(past.round_of(START_NS + minute * 60 * SECOND_NS), 1)
            for past in rounds.machines.values()
        ]
        dear.append([sum(turn) for turn in zip(*due, strict=True)])
    sums_up, listens = np.array(dear).T
    assert sums_up[0] == listens[0] == 0
    assert sums_up.max() < 3 * 600 / SUM_UP_EVERY
    assert listens[:SUM_UP_EVERY].max() < 3 * 600 / SUM_UP_EVERY
    assert listens[-LISTEN_EVERY:].max() < 5 * 600 / LISTEN_EVERY
    assert 600 <= listens[-LISTEN_EVERY:].sum() <= 1200


def window_of(columns, step_s=60):
    n = len(next(iter(columns.values())))
    window = empty(SAMPLED, SPAN_NS, 64)
    for i in range(n):
        row = np.array([columns.get(name, np.full(n, np.nan))[i] for name in SAMPLED], np.float32)
        window = insert(window, START_NS + i * step_s * SECOND_NS, row)
    return window, START_NS + (n - 1) * step_s * SECOND_NS


def hourly(columns, limit_c=np.nan, rated_kw=np.nan):
    window, until = window_of(columns)
    return dict(zip(HOUR_NAMES, hour(window, until, limit_c, rated_kw), strict=True))


def test_an_hour_of_growth_has_a_slope_and_another_load_is_no_trend():
    minutes = np.arange(60)
    rng = np.random.default_rng(1)
    steady = 1.0 + 0.3 * minutes / 60 + rng.normal(0, 0.002, 60)
    found = hourly({"rms_g": steady, "speed_hz": np.full(60, 25.0), "power_kw": np.full(60, 5.0)})
    assert found["hour.slope_rms_g_per_h"] == pytest.approx(0.3, rel=0.05)
    assert found["hour.median_rms_g"] == pytest.approx(1.15, abs=0.02)
    load_kw = np.where(minutes < 30, 2.0, 8.0)
    jump = np.where(minutes < 30, 1.0, 3.0) + rng.normal(0, 0.002, 60)
    found = hourly({"rms_g": jump, "power_kw": load_kw})
    assert abs(found["hour.slope_rms_g_per_h"]) < 0.02
    assert found["hour.median_rms_g"] == pytest.approx(3.0, abs=0.01)
    assert found["hour.sigma_rms_g"] == pytest.approx(0.002, rel=0.8)


def test_heat_that_load_explains_is_no_excess():
    rng = np.random.default_rng(2)
    load_kw = rng.uniform(2, 9, 60)
    rise = 10 + 3 * load_kw
    hot = rise + 30.0
    found = hourly({"rise_c": rise, "hottest_c": hot, "power_kw": load_kw}, limit_c=55.0)
    assert found["hour.over_load_c"] == pytest.approx(0, abs=0.05)
    assert found["hour.over_limit_s"] == pytest.approx(60 * np.count_nonzero(hot[:-1] > 55.0))
    rise[-1] += 8
    assert hourly({"rise_c": rise, "hottest_c": rise, "power_kw": load_kw})[
        "hour.over_load_c"
    ] == pytest.approx(8, abs=0.1)
    assert np.isnan(hourly({"power_kw": load_kw})["hour.slope_c_per_h"])


def test_cycles_starts_idling_and_energy_of_an_hour():
    kw = np.tile([0.0, 1.0, 9.0, 9.0, 9.0, 1.0], 10)
    found = hourly({"power_kw": kw}, rated_kw=10.0)
    assert found["hour.starts"] == 10
    assert found["hour.cycle_s"] == 120
    assert found["hour.idle_share"] == pytest.approx(1 / 3)
    assert found["hour.load_factor"] == pytest.approx(29 / 6 / 9)
    assert found["hour.energy_kwh"] == pytest.approx(29 / 6, rel=0.02)


def test_late_samples_find_their_place_and_move_what_follows():
    rounds = new_rounds(FACTS)
    on_time = [message(60.0 * i, waves=False, Temperature__bearing=50.0 + i) for i in range(10)]
    late = on_time.pop(4)
    extract([*on_time, late], FACTS, rounds)
    window = rounds.machines["pump-1"].window
    assert window.values[:, SAMPLED.index("hottest_c")].tolist() == [50.0 + i for i in range(10)]
    again = extract([message(240, waves=False, Temperature__bearing=99.0)], FACTS, rounds)[0]
    assert not made_round(again)
    too_late = extract([message(-4_000, waves=False, Temperature__bearing=1.0)], FACTS, rounds)[0]
    assert not made_round(too_late)


def test_names_of_slow_columns_are_their_own_and_have_a_unit():
    assert len(set(ROUND_NAMES)) == len(ROUND_FEATURES) == len(ROUND_NAMES)
    for feature in ROUND_FEATURES:
        assert feature.name.startswith(ROUND_STARTS)
        assert feature.unit
        assert feature.fault
        assert feature.source


@pytest.mark.parametrize("factor", [1e-3, 50.0, -1.0])
def test_what_is_listened_to_knows_neither_unit_nor_sign(factor):
    rng = np.random.default_rng(3)
    orders, t = orders_of(find("6205")), np.arange(16_384) / 16_384
    hits = np.exp(-600 * np.mod(t, 1 / (orders.bpfi * 25))) * np.sin(2 * np.pi * 3_000 * t)
    wave = hits + 0.05 * rng.normal(size=t.size)
    one, other = (listen(w[None], 16_384.0, 25.0, orders) for w in (wave, factor * wave + 2.0))
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    named = dict(zip(LISTENED_NAMES, one, strict=True))
    assert max(named["slow.coherence_bpfi_db"], 12) == named["slow.coherence_bpfi_db"]
    assert named["slow.coherence_bpfi_db"] == max(v for k, v in named.items() if "coherence" in k)


@pytest.mark.parametrize(
    "axes",
    [
        np.zeros((1, 4_096)),
        np.full((2, 4_096), 3.0),
        np.where(np.arange(4_096) == 7, np.nan, 1.0)[None],
    ],
)
def test_silence_and_missing_samples_say_nothing(axes):
    assert not np.isfinite(listen(axes, 4_096.0, 25.0, FACTS["pump-1"].orders)).any()


def test_a_clipped_tone_and_a_chirp_are_no_bearing():
    t = np.arange(16_384) / 16_384
    for wave in (np.clip(np.sin(2 * np.pi * 50 * t), -0.5, 0.5), np.sin(2 * np.pi * (500 + 2_000 * t) * t)):
        noisy = wave + 0.01 * np.random.default_rng(0).normal(size=t.size)
        levels = listen(noisy[None], 16_384.0, 24.7, FACTS["pump-1"].orders)[2:]
        assert not (levels > 12).any()
