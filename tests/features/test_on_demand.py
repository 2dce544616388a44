"""Windows, speed, cepstrum and order tracking."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.cepstrum import real_cepstrum, strongest_family
from features.order_tracking import at_equal_angles, to_angle, turns_from_pulses
from features.speed import from_mains, from_pulses, from_spectrum
from features.windows import empty, from_bytes, insert, statistics, to_bytes

NAMES = ("rms_g", "kurtosis")


def row(*values):
    return np.array(values, np.float32)


def filled(times, names=NAMES, span_ns=10**12, max_rows=512):
    window = empty(names, span_ns, max_rows)
    for time_ns in times:
        window = insert(window, time_ns, row(time_ns % 97, -time_ns))
    return window


@given(
    st.lists(st.integers(0, 1_000), min_size=1, max_size=40, unique=True), st.randoms(use_true_random=False)
)
@settings(deadline=None, max_examples=60)
def test_the_order_of_arrival_does_not_matter(times, random):
    shuffled = list(times)
    random.shuffle(shuffled)
    one, other = filled(sorted(times)), filled(shuffled)
    np.testing.assert_array_equal(one.times_ns, other.times_ns)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(statistics(one).median, statistics(other).median)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60, unique=True))
@settings(deadline=None, max_examples=60)
def test_every_row_is_in_the_window_or_counted(times):
    window = filled(times, span_ns=500, max_rows=16)
    assert len(window.times_ns) <= 16
    assert (np.diff(window.times_ns) > 0).all()
    assert window.times_ns[-1] == max(times)
    assert window.times_ns[0] > max(times) - 500


def test_late_repeated_and_surplus_rows_are_counted():
    window = filled([1_000, 1_100, 1_050, 1_100, 100], span_ns=500)
    assert (len(window.times_ns), window.dropped_late, window.replaced) == (3, 1, 1)
    assert filled(range(20), max_rows=8).dropped_full == 12


def test_statistics_ignore_wild_and_missing_values():
    window = empty(NAMES, 10**15)
    hours = np.arange(24)
    for hour in hours:
        value = 900.0 if hour % 7 == 3 else 1.0 + 0.01 * hour
        window = insert(window, int(hour * 3.6e12), row(value, np.nan))
    found = statistics(window)
    assert found.median[0] == pytest.approx(1.13, abs=0.03)
    assert found.slope_per_h[0] == pytest.approx(0.01, rel=0.3)
    assert found.sigma[0] < 0.2
    assert np.isnan(found.median[1])
    assert found.known.tolist() == [1.0, 0.0]
    early = statistics(window, until_ns=int(5 * 3.6e12))
    assert early.median[0] < found.median[0]
    assert np.isnan(statistics(empty(NAMES, 5)).median).all()


def test_a_window_survives_its_snapshot():
    window = filled([5, 3, 9, 9])
    again = from_bytes(to_bytes(window), NAMES, window.span_ns)
    np.testing.assert_array_equal(again.values, window.values)
    assert (again.times_ns.tolist(), again.replaced) == ([3, 5, 9], 1)
    for spoilt in (b"", to_bytes(window)[:-1]):
        with pytest.raises(ValueError, match="stored window"):
            from_bytes(spoilt, NAMES, window.span_ns)
    with pytest.raises(ValueError, match="stored window"):
        from_bytes(to_bytes(window), ("rms_g",), window.span_ns)
    with pytest.raises(ValueError, match="positive"):
        empty(NAMES, 0)


@pytest.mark.parametrize("hz", [23.6, 24.4, 24.73, 25.1])
def test_speed_is_read_off_the_spectrum(hz):
    rng = np.random.default_rng(1)
    t = np.arange(16_384) / 8_192.0
    wave = sum(a * np.sin(2 * np.pi * k * hz * t + k) for k, a in ((1, 1.0), (2, 0.6), (3, 0.3), (4, 0.2)))
    found = from_spectrum(wave + rng.normal(0, 0.2, t.size), 8_192.0, 24.5)
    assert found.hz == pytest.approx(hz, abs=0.1)
    assert found.confidence > 0.5
    assert found.rpm == pytest.approx(60 * found.hz)


def test_neither_foreign_tones_nor_loud_lines_pull_the_speed_away():
    rng = np.random.default_rng(4)
    t = np.arange(8_192) / 4_096.0
    wave = sum(a * np.sin(2 * np.pi * k * 24.7 * t) for k, a in ((1, 1.0), (2, 30.0), (3, 0.3), (4, 0.2)))
    wave += 0.5 * np.sin(2 * np.pi * 5 * 24.3 * t) + rng.normal(0, 0.2, t.size)
    assert from_spectrum(wave, 4_096.0, 25.0).hz == pytest.approx(24.7, abs=0.05)


def test_axes_speak_together_and_a_dead_one_does_not_spoil_it():
    rng = np.random.default_rng(5)
    t = np.arange(16_384) / 8_192.0
    one = np.sin(2 * np.pi * 24.2 * t) + rng.normal(0, 0.5, t.size)
    other = np.sin(2 * np.pi * 3 * 24.2 * t) + rng.normal(0, 0.5, t.size)
    alone = from_spectrum(one, 8_192.0, 24.5)
    found = from_spectrum(np.stack([one, other, np.zeros(t.size)]), 8_192.0, 24.5)
    assert found.hz == pytest.approx(24.2, abs=0.05)
    assert found.confidence > alone.confidence


def test_a_speed_outside_the_range_is_no_answer():
    t = np.arange(16_384) / 8_192.0
    wave = sum(np.sin(2 * np.pi * 26.6 * k * t) for k in range(1, 7))
    found = from_spectrum(wave + np.random.default_rng(0).normal(0, 0.1, t.size), 8_192.0, 24.5)
    assert found.confidence < 0.5
    assert from_spectrum(np.where(t < 1, np.nan, wave), 8_192.0, 24.5).confidence == 0


@pytest.mark.parametrize("factor", [1e-6, 3.0, -1.0])
def test_the_unit_and_the_sign_of_a_wave_do_not_move_the_speed(factor):
    t = np.arange(8_192) / 4_096.0
    wave = sum(np.sin(2 * np.pi * k * 24.6 * t) / k for k in (1, 2, 3))
    wave += np.random.default_rng(2).normal(0, 0.1, t.size)
    one, other = (
        from_spectrum(wave, 4_096.0, 25.0),
        from_spectrum(factor * wave + 7.0 * factor, 4_096.0, 25.0),
    )
    assert other.hz == pytest.approx(one.hz, rel=1e-6)
    assert other.confidence == pytest.approx(one.confidence, abs=1e-6)


@pytest.mark.parametrize(("hz", "mains_hz"), [(24.6, 50.0), (48.8, 50.0), (16.3, 50.0), (29.4, 60.0)])
def test_the_poles_of_a_motor_are_read_off_its_spectrum(hz, mains_hz):
    rng = np.random.default_rng(6)
    t = np.arange(16_384) / 8_192.0
    wave = sum(np.sin(2 * np.pi * k * hz * t + k * k) / k for k in range(1, 7)) + rng.normal(0, 0.1, t.size)
    found = from_mains(wave, 8_192.0, mains_hz)
    assert found.hz == pytest.approx(hz, rel=0.002)
    assert found.confidence > 0.5


def test_hum_noise_and_silence_are_no_motor():
    t = np.arange(16_384) / 8_192.0
    rng = np.random.default_rng(7)
    hum = sum(np.sin(2 * np.pi * k * 50.0 * t + k) / k for k in range(1, 7)) + rng.normal(0, 0.05, t.size)
    for wave in (hum, rng.normal(size=t.size), np.zeros(t.size), np.full(t.size, np.nan)):
        assert not from_mains(wave, 8_192.0, 50.0).confidence > 0.5


def test_noise_gives_a_speed_with_little_confidence():
    confidences = [
        from_spectrum(np.random.default_rng(seed).normal(size=16_384), 8_192.0, 24.5).confidence
        for seed in range(8)
    ]
    assert max(confidences) < 0.6
    assert from_spectrum(np.zeros(4_096), 8_192.0, 24.5).confidence == 0
    assert np.isnan(from_spectrum(np.ones(256), 8_192.0, 24.5).hz)


def test_lost_and_double_pulses_do_not_move_the_speed():
    times = np.arange(40) * 0.04
    times = np.concatenate([np.delete(times, [7, 20]), [0.4001]])
    found = from_pulses(times)
    assert found.hz == pytest.approx(25.0, rel=1e-3)
    assert 0.7 < found.confidence < 1
    assert from_pulses(times, 2).hz == pytest.approx(12.5, rel=1e-3)
    assert from_pulses(times[:2]).confidence == 0
    with pytest.raises(ValueError, match="pulses_per_turn"):
        from_pulses(times, 0)


def test_sidebands_make_one_rahmonic_and_noise_makes_none():
    rng = np.random.default_rng(2)
    t = np.arange(16_384) / 8_192.0
    mesh = sum(np.cos(2 * np.pi * (1_000 + 31.25 * k) * t + 2 * k) for k in range(-12, 13))
    found = strongest_family(mesh + rng.normal(0, 0.05, t.size), 8_192.0, 20, 60)
    assert found.spacing_hz == pytest.approx(31.25, rel=0.01)
    noise = strongest_family(rng.normal(size=t.size), 8_192.0, 20, 60)
    assert found.prominence > 2 * noise.prominence
    assert strongest_family(np.zeros(4_096), 8_192.0, 20, 60) is None
    np.testing.assert_allclose(real_cepstrum(mesh)[1:], real_cepstrum(7 * mesh)[1:], atol=1e-6)
    with pytest.raises(ValueError, match="too few"):
        strongest_family(mesh, 8_192.0, 4_000, 4_090)
    with pytest.raises(ValueError, match="finite"):
        real_cepstrum(np.array([1.0, np.nan]))


def run_up(n=20_000, rate_hz=10_000.0):
    """Time and turns of each sample of a shaft that runs up from 15 to 30 turns a second. (n,), (n,)"""
    t = np.arange(n) / rate_hz
    return t, 15 * t + 15 * t**2 / (2 * t[-1])


def test_orders_stay_sharp_while_the_speed_runs_up():
    _, turns = run_up()
    wave = np.sin(2 * np.pi * turns) + 0.5 * np.sin(2 * np.pi * 4 * turns)
    samples = to_angle(wave, turns, 64).samples
    window = np.hanning(len(samples))
    amplitude = 2 * np.abs(np.fft.rfft(samples * window)) / window.sum()
    orders = np.arange(len(amplitude)) * 64 / len(samples)
    for order, size in ((1, 1.0), (4, 0.5)):
        assert amplitude[np.abs(orders - order) < 0.1].max() == pytest.approx(size, rel=0.05)
    assert amplitude[(np.abs(orders - 1) > 0.2) & (np.abs(orders - 4) > 0.2)].max() < 0.01


def test_pulses_give_the_same_angle_as_the_speed():
    t, turns = run_up()
    pulses = np.interp(np.arange(1, int(turns[-1])), turns, t)
    got = turns_from_pulses(pulses, 1, t) + 1
    known = np.isfinite(got)
    assert known.mean() > 0.9
    np.testing.assert_allclose(got[known], turns[known], atol=2e-3)


@pytest.mark.parametrize(
    "work",
    [
        lambda: at_equal_angles(np.zeros(50), 1e4, np.arange(1.0, 9.0), 1),
        lambda: turns_from_pulses(np.array([0.0, 1.0, 1.0, 2.0]), 1, np.zeros(3)),
        lambda: to_angle(np.zeros(100), np.linspace(0, 0.5, 100), 16),
        lambda: to_angle(np.zeros(100), np.linspace(0, 10, 100), 1_000),
        lambda: to_angle(np.zeros(100), np.zeros(100), 16),
        lambda: from_spectrum(np.zeros(100), 100.0, 10.0, 0.7),
    ],
)
def test_what_cannot_be_tracked_is_refused(work):
    with pytest.raises(ValueError, match=r"order tracking|samples over|tolerance"):
        work()
