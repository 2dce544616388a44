"""What is read off a waveform now and then, because every block could not pay for it.

Cyclic coherence at the bearing's orders and the strongest family of the cepstrum, of all axes together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.fft

from features.cepstrum import strongest_family
from features.signature import level_envelope_spectrum, line_level_db
from features.table import SlowFeature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.bearings import Orders

Values: TypeAlias = "NDArray[np.float64]"


LISTENED: tuple[SlowFeature, ...] = (
    SlowFeature(
        "slow.cepstrum_hz", "Hz", "Spacing of harmonics or sidebands: gears, bearings", "Randall 2017"
    ),
    SlowFeature(
        "slow.cepstrum_prominence",
        "1",
        "How far that family stands out: sidebands of a cracked tooth, rubbing",
        "its cepstrum over the median of the range",
    ),
    *(
        SlowFeature(
            f"slow.coherence_{part}_db",
            "dB",
            f"Damage of the {what}, whatever band it rings in",
            "cyclic coherence integrated over sixteen bands, first two harmonics (Antoni 2009)",
        )
        for part, what in (
            ("bpfo", "outer race"),
            ("bpfi", "inner race"),
            ("bsf", "rolling elements, at twice their spin"),
            ("ftf", "cage"),
        )
    ),
)
LISTENED_NAMES: tuple[str, ...] = tuple(one.name for one in LISTENED)


def listen(axes: Values, rate_hz: float, shaft_hz: float, orders: Orders | None) -> Values:
    """Values of `LISTENED`, (len(LISTENED),), of axes (n_axes, n); the axis that speaks loudest counts.

    shaft_hz, orders: NaN and None when unknown, then coherence is NaN and the cepstrum is searched from four
    times the resolution to 300 Hz. All NaN when a sample is not finite.
    """
    if not np.isfinite(axes).all():
        return np.full(len(LISTENED), np.nan)
    spacing, prominence = np.nan, np.nan
    low_hz, high_hz = _range(axes.shape[1], rate_hz, shaft_hz)
    if rate_hz / low_hz - rate_hz / high_hz >= 10:
        for wave in axes:
            family = strongest_family(wave, rate_hz, low_hz, high_hz)
            if family is not None and not family.prominence <= prominence:
                spacing, prominence = family.spacing_hz, family.prominence
    levels = np.full(4, np.nan)
    if orders is not None and shaft_hz > 0:
        for wave in axes:
            if np.ptp(wave) > 0:
                levels = np.fmax(levels, coherence_db(wave, rate_hz, shaft_hz, orders))
    return np.concatenate([[spacing, prominence], levels])


def _range(n: int, rate_hz: float, shaft_hz: float) -> tuple[float, float]:
    least = 4 * rate_hz / n
    if shaft_hz > 0:
        return max(least, 0.8 * shaft_hz), max(2 * least, 8 * shaft_hz)
    return least, max(2 * least, 300.0)


def coherence_db(wave: NDArray[np.float64], rate_hz: float, shaft_hz: float, orders: Orders) -> Values:
    """Level of BPFO, BPFI, 2 BSF and FTF in the mean envelope spectrum of sixteen bands, dB, (4,).

    Each band is brought to the same level first, which is near the integrated cyclic coherence (Antoni, MSSP
    23, 2009): a weak band in which impacts ring counts like a strong one. The mean of the first two harmonics
    over their surroundings; noise stays below 4 dB in long records. NaN below four bins, where no line can be
    told from the record's own length.

    >>> from features.bearings import find, orders_of
    >>> orders, t = orders_of(find("6205")), np.arange(32_768) / 16_384
    >>> hits = np.exp(-600 * np.mod(t, 1 / (orders.bpfo * 25))) * np.sin(2 * np.pi * 4_000 * t)
    >>> noisy = hits + 0.3 * np.random.default_rng(0).normal(size=t.size)
    >>> int(np.argmax(coherence_db(noisy, 16_384, 25.0, orders)))
    0
    """
    spectrum = scipy.fft.rfft(wave - wave.mean())
    power = level_envelope_spectrum(spectrum)
    bin_hz = rate_hz / len(wave)
    levels = []
    for order in (orders.bpfo, orders.bpfi, 2 * orders.bsf, orders.ftf):
        place = order * shaft_hz / bin_hz
        if place < 4 or 2 * place > len(power) - 4:
            levels.append(np.nan)
            continue
        levels.append(sum(line_level_db(power, harmonic * place, bin_hz) for harmonic in (1, 2)) / 2)
    return np.array(levels)
