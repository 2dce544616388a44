"""The kernel against the plain reference, and the laws that every feature of the table obeys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from features.bearings import find, orders_of
from features.table import COLUMN, FEATURE_NAMES, FEATURES
from features.vibration import NOTHING_KNOWN, Facts, extract_axis
from tests.features.reference import reference

RATE_HZ, SPEED_HZ, SCALE_G = 12_800.0, 24.7, 1e-3
FACTS = Facts(orders=orders_of(find("6205")), gear_teeth=23, vanes=7, mains_hz=50.0)
LENGTHS = (256, 1_024, 2_560, 8_192, 12_001, 16_384)


def machine(n, seed=0, rate_hz=RATE_HZ):
    """A machine with imbalance, a gear, an outer race fault and noise, in counts of a milli-g."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / rate_hz
    impacts = np.exp(-800 * np.mod(t, 1 / (FACTS.orders.bpfo * SPEED_HZ))) * np.sin(2 * np.pi * 2_600 * t)
    x = 400 * np.sin(2 * np.pi * SPEED_HZ * t) + 150 * np.sin(2 * np.pi * 23 * SPEED_HZ * t + 1)
    return x + 900 * impacts + rng.normal(0, 120, n) + 37


def chirp(n):
    t = np.arange(n) / RATE_HZ
    return 800 * np.sin(2 * np.pi * (50 + 0.3 * (RATE_HZ / 2) * t / t[-1] / 2) * t)


def tone(n):
    return 1_000 * np.sin(2 * np.pi * 1_234.5 * np.arange(n) / RATE_HZ + 0.3)


def impact(n):
    late = np.maximum(np.arange(n) - n // 3, 0) / RATE_HZ
    return np.round(5_000 * np.exp(-900 * late) * np.sin(2 * np.pi * 1_700 * late))


SIGNALS = {
    "machine": machine,
    "chirp": chirp,
    "tone": tone,
    "noise": lambda n: np.random.default_rng(5).normal(0, 300, n),
    "clipped": lambda n: np.clip(4 * machine(n), -1_000, 1_000),
    "offset": lambda n: machine(n) + 9_000,
    "impact": impact,
    "silence": np.zeros,
    "dc": lambda n: np.full(n, 981.0),
}
# What float32 costs against float64: relative to the value, or to the RMS for what is a small part of it.
RELATIVE, OF_RMS = 2e-4, 3e-6
LOOSE = {"entropy": 2e-3, "rolloff_hz": 2e-3, "spread_hz": 1e-3, "centroid_hz": 1e-3, "skewness": 1e-3}


def row_of(samples, facts=FACTS, kind=np.float32, speed_hz=SPEED_HZ, scale_g=SCALE_G, rate_hz=RATE_HZ):
    return extract_axis(np.asarray(samples).astype(kind)[None], rate_hz, scale_g, speed_hz, facts)[0]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("kind", [np.int16, np.float32])
@pytest.mark.parametrize("signal", SIGNALS)
def test_every_feature_equals_the_plain_reference(signal, kind, n):
    samples = np.round(SIGNALS[signal](n)).astype(kind)
    wanted = reference(samples, RATE_HZ, SCALE_G, SPEED_HZ, FACTS)
    got = row_of(samples, kind=kind)
    rms = float(wanted["rms_g"])
    wrong = {}
    for feature, value in zip(FEATURES, got, strict=True):
        expected = wanted[feature.name]
        if signal == "tone" and feature.name.startswith(("peak_2", "peak_3")):
            continue  # beside a tone there is only rounding noise, in which no line is second
        slack = LOOSE.get(feature.name, RELATIVE) * abs(expected)
        slack += rms * {"displacement_rms_um": 3e3, "velocity_rms_mm_s": 3e1}.get(feature.name, 1) * OF_RMS
        if feature.degree == 0:
            slack += 1e-4 * (1 if feature.unit == "1" else RATE_HZ / n)
        if not (np.isnan(value) and np.isnan(expected)) and not abs(value - expected) <= slack:
            wrong[feature.name] = (float(value), float(expected))
    assert not wrong


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_a_row_does_not_depend_on_the_blocks_beside_it(n, kind):
    blocks = np.stack([machine(n, seed) for seed in range(9)]).astype(kind)
    together = extract_axis(blocks, RATE_HZ, SCALE_G, SPEED_HZ, FACTS)
    alone = np.concatenate(
        [extract_axis(blocks[i : i + 1], RATE_HZ, SCALE_G, SPEED_HZ, FACTS) for i in range(9)]
    )
    threes = np.concatenate(
        [extract_axis(blocks[i : i + 3], RATE_HZ, SCALE_G, SPEED_HZ, FACTS) for i in (0, 3, 6)]
    )
    assert together.tobytes() == alone.tobytes() == threes.tobytes()


def test_a_row_does_not_depend_on_the_number_of_threads():
    blocks = np.stack([machine(4_096, seed) for seed in range(16)]).astype(np.float32)
    wanted = extract_axis(blocks, RATE_HZ, SCALE_G, SPEED_HZ, FACTS)
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(
            lambda i: extract_axis(blocks[i : i + 1], RATE_HZ, SCALE_G, SPEED_HZ, FACTS), range(16)
        )
    assert np.concatenate(list(parts)).tobytes() == wanted.tobytes()


def test_int16_counts_and_the_same_floats_say_the_same():
    samples = np.round(machine(8_192))
    assert row_of(samples, kind=np.int16).tobytes() == row_of(samples).tobytes()


@pytest.mark.parametrize("feature", FEATURES, ids=FEATURE_NAMES)
def test_scale_law(feature):
    samples, at = machine(8_192), COLUMN[feature.name]
    one, eight = row_of(samples)[at], row_of(samples * 8)[at]
    assert eight == pytest.approx(one * 8**feature.degree, rel=1e-5, abs=1e-6)
    assert row_of(samples, scale_g=8 * SCALE_G)[at] == pytest.approx(
        one * 8**feature.degree, rel=1e-5, abs=1e-6
    )


@pytest.mark.parametrize("feature", FEATURES, ids=FEATURE_NAMES)
def test_shift_law(feature):
    samples, at = np.round(machine(8_192)), COLUMN[feature.name]
    still, moved = row_of(samples, kind=np.int16)[at], row_of(samples + 2_000, kind=np.int16)[at]
    wanted = still + 2_000 * SCALE_G if feature.name == "mean_g" else still
    assert moved == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("feature", FEATURES, ids=FEATURE_NAMES)
def test_sign_law(feature):
    samples, at = np.round(machine(8_192)), COLUMN[feature.name]
    plain, turned = row_of(samples, kind=np.int16)[at], row_of(-samples, kind=np.int16)[at]
    assert turned == pytest.approx(-plain if feature.odd else plain, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("feature", FEATURES, ids=FEATURE_NAMES)
def test_length_law(feature):
    """Twice the same stationary signal is judged as once, within what the finer spectrum resolves."""
    if feature.name.startswith(("peak_2", "peak_3")):
        pytest.skip("which of the weak lines is second is a matter of noise")
    n, rate_hz = 32_768, 8_192.0
    t = np.arange(2 * n) / rate_hz
    clean = sum(
        amplitude * np.sin(2 * np.pi * hz * t + hz)
        for hz, amplitude in (
            (12, 50),
            (24, 900),
            (36, 40),
            (48, 90),
            (60, 30),
            (72, 60),
            (96, 70),
            (100, 80),
        )
    )
    carrier = np.sin(2 * np.pi * 2_048 * t) * (
        2 + sum(np.cos(2 * np.pi * hz * t) for hz in (24, 86, 130, 57))
    )
    samples = clean + 200 * carrier
    short, long = (
        row_of(samples[:m], speed_hz=24.0, rate_hz=rate_hz)[COLUMN[feature.name]] for m in (n, 2 * n)
    )
    if feature.name in ("entropy", "envelope_floor_g"):
        assert long < short  # the same tones among twice as many lines
    elif feature.name == "clipped_share":
        assert long == pytest.approx(short, rel=0.6)
    else:
        assert long == pytest.approx(short, rel=0.05, abs=1e-2, nan_ok=True)


@pytest.mark.parametrize("feature", FEATURES, ids=FEATURE_NAMES)
def test_what_a_feature_needs_and_does_not_get_makes_it_nan(feature):
    at = COLUMN[feature.name]
    value = row_of(machine(8_192), NOTHING_KNOWN, speed_hz=np.nan)[at]
    assert np.isnan(value) == bool(feature.need)
    assert np.isfinite(row_of(machine(8_192))[at])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [2_048, 2_560])
def test_a_bad_sample_spoils_its_own_block_only(n, bad):
    blocks = np.stack([machine(n, seed) for seed in range(3)]).astype(np.float32)
    clean = extract_axis(blocks, RATE_HZ, SCALE_G, SPEED_HZ, FACTS)
    blocks[1, n - 1] = bad
    rows = extract_axis(blocks, RATE_HZ, SCALE_G, SPEED_HZ, FACTS)
    assert np.isnan(rows[1]).all()
    assert rows[[0, 2]].tobytes() == clean[[0, 2]].tobytes()


@pytest.mark.parametrize("n", [2_048, 8_192, 12_000])
@pytest.mark.parametrize("hz", [333.0, 1_234.5, 2_047.9])
def test_a_tone_is_found_between_the_bins(n, hz):
    t = np.arange(n) / RATE_HZ
    row = row_of(2_000 * np.sin(2 * np.pi * hz * t))
    assert row[COLUMN["peak_1_hz"]] == pytest.approx(hz, abs=0.02 * RATE_HZ / n)
    assert row[COLUMN["peak_1_g"]] == pytest.approx(2.0, rel=1e-3)
    assert row[COLUMN["rms_g"]] == pytest.approx(np.sqrt(2), rel=5e-3)


def test_velocity_of_a_known_vibration():
    """1 g of peak at 100 Hz is 9806.65 / (2 pi 100) / sqrt 2 mm/s RMS; 5 Hz counts for a slow shaft only."""
    t = np.arange(8_192) / 4_096.0
    row = row_of(1_000 * np.sin(2 * np.pi * 100 * t), rate_hz=4_096.0)
    assert row[COLUMN["velocity_rms_mm_s"]] == pytest.approx(11.036, rel=1e-3)
    assert row[COLUMN["displacement_rms_um"]] == pytest.approx(11.036 / (2 * np.pi * 100) * 1e3, rel=1e-3)
    slow = 1_000 * np.sin(2 * np.pi * 5 * t)
    fast_row, slow_row = (row_of(slow, rate_hz=4_096.0, speed_hz=hz) for hz in (25.0, 5.0))
    assert fast_row[COLUMN["velocity_rms_mm_s"]] < 1
    assert slow_row[COLUMN["velocity_rms_mm_s"]] == pytest.approx(
        220.7, rel=1e-2
    )  # the lobe is weighted by 1/f


def test_an_outer_race_fault_lifts_its_own_lines_most():
    facts = Facts(orders=FACTS.orders, band_hz=(1_800, 3_400))
    row = row_of(machine(16_384), facts)
    lines = {part: row[COLUMN[f"envelope_{part}_1_g"]] for part in ("bpfo", "bpfi", "bsf", "ftf")}
    assert max(lines, key=lines.get) == "bpfo"
    assert lines["bpfo"] > 5 * max(lines["bpfi"], lines["bsf"], lines["ftf"])


@pytest.mark.parametrize(("n", "rate_hz", "scale_g"), [(255, 1e3, 1.0), (256, 0.0, 1.0), (256, 1e3, -1.0)])
def test_nonsense_is_refused(n, rate_hz, scale_g):
    with pytest.raises(ValueError, match=r"samples|positive"):
        extract_axis(np.zeros((1, n), np.float32), rate_hz, scale_g, np.nan, NOTHING_KNOWN)


def test_views_and_read_only_buffers_are_taken_as_they_come():
    blocks = np.stack([machine(2_048, seed) for seed in range(4)]).astype(np.int16)
    wanted = extract_axis(blocks[::2].copy(), RATE_HZ, SCALE_G, SPEED_HZ, FACTS)
    frozen = np.frombuffer(blocks.tobytes(), np.int16).reshape(blocks.shape)[::2]
    assert extract_axis(frozen, RATE_HZ, SCALE_G, SPEED_HZ, FACTS).tobytes() == wanted.tobytes()
    assert extract_axis(frozen[:0], RATE_HZ, SCALE_G, SPEED_HZ, FACTS).shape == (0, len(FEATURES))
