"""Made-up bearings with one fault each, healthy machines, and the real recordings where they are at hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.diagnosis import evaluate, scores
from features.bearings import find, orders_of
from features.kurtogram import best_band, kurtogram
from features.signature import (
    CLEAR_DB,
    N_BANDS,
    TOP_SHARE,
    Part,
    _envelope_spectrum,
    diagnose,
    level_envelope_spectrum,
    line_level_db,
)
from tests.recordings import DATA

RATE_HZ, RPM, SECONDS = 12_000.0, 1_770.0, 6
SHAFT_HZ = RPM / 60
ORDERS = orders_of(find("6205"))


def hits(order, strength, seed=0):
    """Impacts at an order with 0.5 % of slip, each ringing at 3.1 kHz; strength(turns) weighs them."""
    rng = np.random.default_rng(seed)
    n = int(SECONDS * RATE_HZ)
    gaps = rng.normal(1, 0.005, int(order * SHAFT_HZ * SECONDS)) / (order * SHAFT_HZ)
    times = np.cumsum(gaps)
    times = times[times < SECONDS - 0.01]
    train = np.zeros(n)
    np.add.at(train, (times * RATE_HZ).astype(int), strength(times * SHAFT_HZ))
    ring_t = np.arange(120) / RATE_HZ
    ring = np.exp(-700 * ring_t) * np.sin(2 * np.pi * 3_100 * ring_t)
    return np.convolve(train, ring)[:n]


def machine(seed=1):
    """What every machine has: imbalance, a structure that hums below 1 kHz, and some noise."""
    rng = np.random.default_rng(seed)
    n = int(SECONDS * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    hum = np.convolve(rng.normal(0, 0.05, n), np.ones(12) / 12, "same")
    tones = 0.1 * np.sin(2 * np.pi * SHAFT_HZ * t) + 0.04 * np.sin(2 * np.pi * 2 * SHAFT_HZ * t + 1)
    return tones + hum + rng.normal(0, 0.004, n)


FAULTS = {
    Part.OUTER: lambda: hits(ORDERS.bpfo, lambda turns: 0.5 + 0 * turns),
    Part.INNER: lambda: hits(ORDERS.bpfi, lambda turns: 0.5 * (1 + np.cos(2 * np.pi * turns))),
    Part.BALL: lambda: hits(2 * ORDERS.bsf, lambda turns: 0.5 * (1 + np.cos(2 * np.pi * ORDERS.ftf * turns))),
    Part.CAGE: lambda: hits(ORDERS.ftf, lambda turns: 2.0 + 0 * turns),
}


@pytest.mark.parametrize("part", FAULTS)
def test_the_damaged_part_is_named(part):
    found = diagnose(machine() + FAULTS[part](), RATE_HZ, RPM, ORDERS)
    assert found.part is part
    assert not found.by_exclusion
    assert found.confidence >= 0.5
    best = next(item for item in found.evidence if item.part is part)
    assert best.score_db >= CLEAR_DB
    assert best.lines[0].level_db > 15
    assert found.band.kurtosis > 1


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_machine_is_not_accused(seed):
    assert diagnose(machine(seed), RATE_HZ, RPM, ORDERS).part is None
    noisy = machine(seed) + np.random.default_rng(seed).normal(0, 0.3, int(SECONDS * RATE_HZ))
    assert diagnose(noisy, RATE_HZ, RPM, ORDERS).part is None


def test_scale_and_sign_do_not_change_a_verdict():
    wave = machine() + FAULTS[Part.INNER]()
    plain = diagnose(wave, RATE_HZ, RPM, ORDERS)
    turned = diagnose(-50 * wave + 3, RATE_HZ, RPM, ORDERS)
    assert turned.part is plain.part
    assert turned.confidence == pytest.approx(plain.confidence, abs=1e-6)
    assert [item.score_db for item in turned.evidence] == pytest.approx(
        [item.score_db for item in plain.evidence]
    )


def test_impacts_at_no_order_are_laid_to_a_rolling_element_with_little_confidence():
    rng = np.random.default_rng(3)
    train = np.zeros(int(SECONDS * RATE_HZ))
    train[rng.choice(len(train) - 200, 40, replace=False)] = 8.0
    ring_t = np.arange(120) / RATE_HZ
    wave = (
        machine()
        + np.convolve(train, np.exp(-700 * ring_t) * np.sin(2 * np.pi * 3_100 * ring_t))[: len(train)]
    )
    found = diagnose(wave, RATE_HZ, RPM, ORDERS)
    assert (found.part, found.by_exclusion) == (Part.BALL, True)
    assert found.confidence <= 0.3


@pytest.mark.parametrize(
    ("wave", "rpm", "words"),
    [
        (np.ones(100), RPM, "turns"),
        (np.ones(40_000), 0.0, "speed"),
        (np.ones(40_000), float("nan"), "speed"),
        (np.full(40_000, np.nan), RPM, "finite"),
    ],
)
def test_what_cannot_be_judged_is_refused(wave, rpm, words):
    with pytest.raises(ValueError, match=words):
        diagnose(wave, RATE_HZ, rpm, ORDERS)


def test_a_rate_too_low_for_the_fault_lines_is_refused():
    with pytest.raises(ValueError, match="rate"):
        diagnose(np.random.default_rng(0).normal(size=20_000), 800.0, RPM, ORDERS)


def test_silence_has_no_band_and_no_verdict():
    assert best_band(np.zeros(4_096), RATE_HZ, 500) is None
    assert diagnose(np.zeros(40_000), RATE_HZ, RPM, ORDERS).part is None


def test_noise_has_no_kurtosis_in_any_band():
    bands = kurtogram(np.random.default_rng(0).normal(size=60_000), RATE_HZ, 500)
    assert len(bands) > 20
    assert max(abs(band.kurtosis) for band in bands) < 0.3
    assert sum(band.energy_share for band in bands if band.high_hz - band.low_hz > 5_000) == pytest.approx(
        1, abs=0.1
    )


def test_a_line_above_the_spectrum_says_nothing():
    assert line_level_db(np.ones(100), 200.0, 1.0) == 0.0
    assert line_level_db(np.zeros(100), 50.0, 1.0) == 0.0


def test_scores_of_a_known_confusion():
    result = scores(["Normal", "B", "IR", "OR", "OR"], ["Normal", "B", "IR", "OR", "B"])
    assert result["f1"] == {"Normal": 1.0, "B": 0.6667, "IR": 1.0, "OR": 0.6667}
    assert result["macro_f1"] == pytest.approx(0.8333, abs=1e-4)


@pytest.mark.recordings
@pytest.mark.skipif(
    not (DATA / "cwru" / "index.csv").exists(), reason="the recordings of MITRA_DATA are not here"
)
def test_the_recordings_are_diagnosed_as_promised():
    result = evaluate(DATA / "cwru")
    assert result["macro_f1"] >= 0.80
    assert result["named_by_lines_correctly"] == result["named_by_lines"] >= 20


def test_all_bands_at_once_are_the_mean_of_the_bands_one_by_one():
    spectrum = np.fft.rfft(np.random.default_rng(4).normal(size=8_192))
    spectrum[: len(spectrum) // N_BANDS] = 0  # a silent band is no level at all
    edges = np.linspace(1, int(TOP_SHARE * len(spectrum)), N_BANDS + 1).astype(int)
    width = int(np.diff(edges).min())
    one_by_one = [_envelope_spectrum(spectrum, low, low + width) for low in edges[:-1]]
    np.testing.assert_allclose(level_envelope_spectrum(spectrum), np.mean(one_by_one, axis=0), rtol=1e-12)
