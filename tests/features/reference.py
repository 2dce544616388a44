"""The features in plain float64 numpy, by their definitions, with no regard for speed.

Nothing here is shared with the kernel except the table of names: windows are multiplied in time, the
envelope is made at the full rate, moments are taken in one go.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from features.table import BAND_EDGES_HZ, BEARING_PARTS, FEATURE_NAMES, SHAFT_ORDERS, order_name

G_MM_S2 = 9_806.65
LINE = 32 / 3


def reference(samples, rate_hz, scale_g, speed_hz, facts):
    """One block (n,) -> dict of every feature of the table, NaN where it is not defined."""
    row = dict.fromkeys(FEATURE_NAMES, np.nan)
    counts = np.asarray(samples, np.float64)[: len(samples) // 2 * 2]
    if not np.isfinite(counts).all():
        return row
    n = len(counts)
    centred = (counts - counts.mean()) * scale_g
    bin_hz = rate_hz / n
    speed_hz = speed_hz if speed_hz and speed_hz > 0 else (facts.speed_hz or np.nan)
    row["mean_g"] = counts.mean() * scale_g
    _time(row, centred)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    power = np.abs(np.fft.rfft(centred * window))[: n // 2] ** 2
    _severity(row, power, n, bin_hz, speed_hz)
    _bands(row, power, n, bin_hz)
    if power.sum() > 0:
        _shape(row, power, bin_hz)
        _peaks(row, power, n, bin_hz)
    _raw_lines(row, power, n, bin_hz, speed_hz, facts)
    _envelope(row, centred, rate_hz, speed_hz, facts)
    return row


def _time(row, c):
    rms, size = np.sqrt(np.mean(c**2)), np.abs(c)
    row["rms_g"], row["peak_g"] = rms, size.max()
    row["peak_to_peak_g"] = np.ptp(c)
    row["clipped_share"] = np.mean((c == c.min()) | (c == c.max()))
    if rms > 0:
        row["crest"], row["impulse"] = size.max() / rms, size.max() / size.mean()
        row["kurtosis"], row["skewness"] = np.mean(c**4) / rms**4, np.mean(c**3) / rms**3
        row["shape"], row["clearance"] = rms / size.mean(), size.max() / np.mean(np.sqrt(size)) ** 2


def _rms(power, n):
    return np.sqrt(LINE / 2 * power.sum()) / n


def _severity(row, power, n, bin_hz, speed_hz):
    hz = np.arange(len(power)) * bin_hz
    lower = 2.0 if speed_hz < 10 else 10.0
    inside = (hz >= lower - 1e-9) & (hz <= 1_000 + 1e-9) & (hz > 0)
    if inside.any():
        omega = 2 * np.pi * hz[inside]
        row["velocity_rms_mm_s"] = _rms(power[inside] * (G_MM_S2 / omega) ** 2, n)
        row["displacement_rms_um"] = 1e3 * _rms(power[inside] * (G_MM_S2 / omega**2) ** 2, n)


def _bands(row, power, n, bin_hz):
    hz = np.arange(len(power)) * bin_hz
    for low, high in pairwise(BAND_EDGES_HZ):
        if low <= hz[-1]:
            row[f"band_{low:.0f}_{high:.0f}_g"] = _rms(power[(hz >= low) & (hz < high)], n)


def _shape(row, power, bin_hz):
    share, k = power / power.sum(), np.arange(len(power))
    centroid = (share * k).sum()
    row["centroid_hz"] = centroid * bin_hz
    row["spread_hz"] = np.sqrt((share * (k - centroid) ** 2).sum()) * bin_hz
    row["entropy"] = -np.sum(share[share > 0] * np.log(share[share > 0])) / np.log(len(power))
    cumulative = np.cumsum(share)
    at = int(np.searchsorted(cumulative, 0.95))
    before = cumulative[at - 1] if at else 0.0
    row["rolloff_hz"] = (at - 0.5 + (0.95 - before) / share[at]) * bin_hz


def _peaks(row, power, n, bin_hz):
    taken = []
    inner = range(2, len(power) - 2)
    tops = [k for k in inner if power[k] > 0 and power[k] >= power[k - 1] and power[k] >= power[k + 1]]
    for k in sorted(tops, key=lambda k: -power[k]):
        if len(taken) == 3:
            break
        if all(abs(k - other) > 2 for other in taken):
            taken.append(k)
            side = 1 if power[k + 1] > power[k - 1] else -1
            ratio = np.sqrt(power[k + side] / power[k])
            offset = side * np.clip((2 * ratio - 1) / (ratio + 1), 0, 0.5)
            row[f"peak_{len(taken)}_hz"] = (k + offset) * bin_hz
            row[f"peak_{len(taken)}_g"] = np.sqrt(LINE * power[k - 2 : k + 3].sum()) / n


def line(power, place):
    """Summed power of the lobe near `place`."""
    n_bins = len(power)
    if not 2 <= place <= n_bins - 4:
        return np.nan
    slack = min(4, max(1, 0.01 * place))
    near = range(max(2, int(np.ceil(place - slack))), min(n_bins - 3, int(np.floor(place + slack))) + 1)
    top = max(near, key=lambda k: power[k])
    return power[top - 2 : top + 3].sum()


def _harmonics(power, place, numbers):
    first, *rest = (line(power, number * place) for number in numbers)
    return first + sum(square for square in rest if np.isfinite(square))


def _orders(facts):
    return [getattr(facts.orders, part) if facts.orders else np.nan for part in BEARING_PARTS]


def _raw_lines(row, power, n, bin_hz, speed_hz, facts):
    shaft = speed_hz / bin_hz

    def amplitude(square):
        return np.sqrt(LINE * square) / n

    for order in SHAFT_ORDERS:
        row[order_name(order)] = amplitude(line(power, order * shaft))
    row["order_4_10_g"] = amplitude(_harmonics(power, shaft, range(4, 11)))
    for part, order in zip(BEARING_PARTS, _orders(facts), strict=True):
        row[f"{part}_g"] = amplitude(_harmonics(power, order * shaft, (1, 2, 3)))
    mesh = (facts.gear_teeth or np.nan) * shaft
    row["mesh_g"] = amplitude(_harmonics(power, mesh, (1, 2, 3)))
    row["mesh_sidebands_g"] = amplitude(sum(line(power, mesh + side * shaft) for side in (-2, -1, 1, 2)))
    row["vane_g"] = amplitude(line(power, (facts.vanes or np.nan) * shaft))
    row["line_2_g"] = amplitude(line(power, 2 * (facts.mains_hz or np.nan) / bin_hz))


def _envelope(row, centred, rate_hz, speed_hz, facts):
    n = len(centred)
    bin_hz = rate_hz / n
    m = 1 << ((n // 4).bit_length() - 1)
    low_hz, high_hz = facts.band_hz or (rate_hz / 8, rate_hz * 5 / 16)
    low = min(max(1, round(low_hz / bin_hz)), n // 2 - 8)
    high = max(low + 8, min(round(high_hz / bin_hz), n // 2, low + m * 3 // 4))
    spectrum = np.fft.fft(centred)
    band = np.zeros(n, complex)
    band[low:high] = 2 * spectrum[low:high]
    if n % m == 0:
        envelope = np.abs(np.fft.ifft(band))[:: n // m]
    else:  # resample by the band's own Fourier series
        times = np.arange(m) / m
        envelope = np.abs(np.exp(2j * np.pi * np.outer(times, np.arange(low, high))) @ band[low:high]) / n
    mean = envelope.mean()
    swing = envelope - mean
    row["envelope_mean_g"], row["envelope_rms_g"] = mean, swing.std()
    if swing.std() > 0:
        row["envelope_kurtosis"] = np.mean(swing**4) / np.mean(swing**2) ** 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(m) / m)
    power = np.abs(np.fft.rfft(swing * window))[: m // 2] ** 2
    row["envelope_floor_g"] = np.sqrt(LINE * 5 * power[2 : m // 4].mean()) / m
    shaft, orders = speed_hz / bin_hz, dict(zip(BEARING_PARTS, _orders(facts), strict=True))

    def amplitude(square):
        return np.sqrt(LINE * square) / m

    row["envelope_order_1_g"] = amplitude(line(power, shaft))
    for part, order in orders.items():
        for harmonic in (1, 2, 3):
            row[f"envelope_{part}_{harmonic}_g"] = amplitude(line(power, harmonic * order * shaft))
    for column, place, step in (
        ("bpfi", orders["bpfi"] * shaft, shaft),
        ("bsf", 2 * orders["bsf"] * shaft, orders["ftf"] * shaft),
    ):
        row[f"envelope_{column}_sidebands_g"] = amplitude(
            line(power, place - step) + line(power, place + step)
        )
