"""Untrained diagnosis of a rolling bearing from one recording, its speed and its orders.

Two envelope spectra are read: that of the band with the highest spectral kurtosis, and the mean over sixteen
bands that are each brought to the same level first, which is near the integrated cyclic coherence (Antoni,
MSSP 23, 2009; Smith and Randall, MSSP 64-65, 2015). A part speaks when lines at its order stand out from
their surroundings. The limits are round numbers with a reason, the same for every machine and recording.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.fft

from features.hann import hann
from features.kurtogram import TOP_SHARE, Band, best_band

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.bearings import Orders

Wave: TypeAlias = "NDArray[np.float64]"


class Part(StrEnum):
    """What the evidence is about."""

    OUTER = "outer_race"
    INNER = "inner_race"
    BALL = "rolling_element"
    CAGE = "cage"


SLIP = 0.01
"""Rolling elements slip by 1 to 2 %, so a line is looked for 1 % around its place."""
CLEAR_DB = 20.0
"""A part is named when its lines have a hundred times the power around them; noise reaches 10 dB."""
WEAK_DB = 6.0
"""In the mean over bands noise stays below 4 dB; from here on something turns at a bearing order."""
HIGH_HZ = 2_000.0
HIGH_SHARE = 0.25
"""Impacts ring the structure: damage puts a good part of the acceleration energy above 2 kHz."""
IMPULSIVE, IMPACTS = 1.0, 5.0
"""Spectral kurtosis from which a band is worth demodulating, and from which impacts rule it."""
N_BANDS = 16
N_HARMONICS = 3
_MIN_TURNS = 20
_SURROUND_HZ, _SURROUND = 6.0, 0.04


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an envelope spectrum. name: as "2 x BPFO"; level_db: power over its surroundings."""

    name: str
    hz: float
    level_db: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one part. score_db: mean level of its first two harmonics where they stand out most.

    mean_band_db: the same in the mean over bands; sidebands_db: level of what modulates the first harmonic;
    raw_db: level of that harmonic in the plain spectrum.
    """

    part: Part
    score_db: float
    mean_band_db: float
    sidebands_db: float
    lines: tuple[Line, ...]
    raw_db: float


@dataclass(frozen=True, slots=True)
class Signature:
    """The verdict with its evidence. part: None = no sign of damage; confidence in [0, 1].

    by_exclusion: the recording rings above 2 kHz and there are impacts or weak bearing lines, but no part
    speaks clearly. Damaged races repeat themselves and do; a rolling element tumbles and hits now and then,
    so it is the likeliest, and the confidence is low.
    """

    part: Part | None
    confidence: float
    by_exclusion: bool
    high_share: float
    band: Band | None
    evidence: tuple[Evidence, ...]


def diagnose(wave_g: Wave, rate_hz: float, rpm: float, orders: Orders) -> Signature:
    """Name the damaged part of a bearing, if any, in one recording (n,) in g at a steady speed.

    Raises ValueError when the record is not finite, has no speed, or covers fewer than 20 turns.
    """
    shaft_hz = rpm / 60
    if not shaft_hz > 0 or not math.isfinite(shaft_hz):
        raise ValueError("a diagnosis by orders needs the shaft speed")
    if len(wave_g) / rate_hz * shaft_hz < _MIN_TURNS:
        raise ValueError(f"a diagnosis needs at least {_MIN_TURNS} turns of the shaft, record for longer")
    wave = np.asarray(wave_g, np.float64) - np.mean(wave_g)
    band = best_band(wave, rate_hz, 3 * orders.bpfi * shaft_hz)
    if band is None:
        return Signature(None, 0.0, by_exclusion=False, high_share=0.0, band=None, evidence=())
    bin_hz = rate_hz / len(wave)
    spectrum = scipy.fft.rfft(wave)
    raw = np.abs(scipy.fft.rfft(wave * hann(len(wave)))) ** 2
    spectra = [level_envelope_spectrum(spectrum)]
    if band.kurtosis >= IMPULSIVE:
        spectra.append(_envelope_spectrum(spectrum, int(band.low_hz / bin_hz), int(band.high_hz / bin_hz)))
    evidence = tuple(
        _evidence(part, spectra, raw, bin_hz=bin_hz, shaft_hz=shaft_hz, orders=orders) for part in Part
    )
    return _judge(evidence, _high_share(raw, bin_hz), band)


def _judge(evidence: tuple[Evidence, ...], high_share: float, band: Band) -> Signature:
    best = max(evidence, key=lambda item: item.score_db)
    if best.score_db >= CLEAR_DB:
        others = max(item.score_db for item in evidence if item is not best)
        confidence = 1 - 10 ** (-(best.score_db - others) / 10)
        # A cage that modulates is the mark of a rolling element that turns through the load zone with it.
        part = Part.BALL if best.part is Part.CAGE and _speaks(evidence, Part.BALL) else best.part
        return Signature(part, max(0.5, confidence), False, high_share, band, evidence)
    weak = max(item.mean_band_db for item in evidence if item.part is not Part.CAGE)
    if high_share >= HIGH_SHARE and (weak >= WEAK_DB or band.kurtosis >= IMPACTS):
        return Signature(Part.BALL, 0.3, True, high_share, band, evidence)
    return Signature(
        None, 1 - max(0.0, min(best.score_db / CLEAR_DB, 0.9)), False, high_share, band, evidence
    )


def _evidence(
    part: Part, spectra: list[Wave], raw: Wave, *, bin_hz: float, shaft_hz: float, orders: Orders
) -> Evidence:
    """Levels of one part's lines, from the envelope spectrum in which they stand out most."""
    order, step, symbol = {
        Part.OUTER: (orders.bpfo, 1.0, "BPFO"),
        Part.INNER: (orders.bpfi, 1.0, "BPFI"),
        Part.BALL: (2 * orders.bsf, orders.ftf, "2 BSF"),
        Part.CAGE: (orders.ftf, 1.0, "FTF"),
    }[part]
    place = order * shaft_hz / bin_hz
    aside = step * shaft_hz / bin_hz
    choices = []
    for power in spectra:
        levels = [line_level_db(power, harmonic * place, bin_hz) for harmonic in range(1, N_HARMONICS + 1)]
        sides = (line_level_db(power, place - aside, bin_hz), line_level_db(power, place + aside, bin_hz))
        choices.append((sum(levels[:2]) / 2, sum(sides) / 2, levels))
    mean_band_db = choices[0][0]
    score_db, sidebands_db, levels = max(choices)
    lines = tuple(
        Line(f"{harmonic} x {symbol}", harmonic * place * bin_hz, level)
        for harmonic, level in enumerate(levels, start=1)
    )
    return Evidence(part, score_db, mean_band_db, sidebands_db, lines, line_level_db(raw, place, bin_hz))


def line_level_db(power: Wave, place: float, bin_hz: float) -> float:
    """Highest power within the slip of `place` (bins) over the median around it, dB; 0 where nothing is."""
    slip = max(1.0, SLIP * place)
    around = max(_SURROUND * place, _SURROUND_HZ / bin_hz)
    low, high = max(0, int(place - slip)), int(place + slip) + 2
    if high > len(power):
        return 0.0
    floor = float(np.median(power[max(1, int(place - around)) : int(place + around) + 2]))
    top = float(power[low:high].max())
    return 10 * math.log10(top / floor) if floor > 0 and top > 0 else 0.0


def _high_share(raw: Wave, bin_hz: float) -> float:
    """Share of the acceleration energy above 2 kHz; 0 when the rate does not reach so far."""
    total = float(raw[1:].sum())
    return float(raw[int(HIGH_HZ / bin_hz) :].sum()) / total if total > 0 else 0.0


def _speaks(evidence: tuple[Evidence, ...], part: Part) -> bool:
    return next(item for item in evidence if item.part is part).score_db >= CLEAR_DB


def _envelope_spectrum(spectrum: NDArray[np.complex128], low: int, high: int) -> Wave:
    """Power spectrum (Hann) of the squared envelope of bins [low, high), over its squared mean.

    The bins keep the width of the record's own; there are as many as the band has.
    """
    n = int(scipy.fft.next_fast_len(2 * (high - low)))
    square = np.abs(scipy.fft.ifft(spectrum[low:high], n)) ** 2
    mean = square.mean()
    if mean == 0.0:
        return np.zeros(high - low)
    power: Wave = np.abs(scipy.fft.rfft((square / mean - 1) * hann(n))) ** 2 / n**2
    return power[: high - low]


def level_envelope_spectrum(spectrum: NDArray[np.complex128]) -> Wave:
    """Mean envelope spectrum of equal bands, each over its own level: weak bands count like strong.

    As the mean of `_envelope_spectrum` of every band, with all bands transformed at once.
    """
    edges = np.linspace(1, int(TOP_SHARE * len(spectrum)), N_BANDS + 1).astype(int)
    width = int(np.diff(edges).min())
    bands = spectrum[edges[:-1, np.newaxis] + np.arange(width)]
    n = int(scipy.fft.next_fast_len(2 * width))
    square = np.abs(scipy.fft.ifft(bands, n)) ** 2
    mean = square.mean(axis=1, keepdims=True)
    level = np.divide(square, mean, out=np.ones_like(square), where=mean != 0.0)
    power: Wave = (np.abs(scipy.fft.rfft((level - 1) * hann(n))) ** 2).mean(axis=0) / n**2
    return power[:width]
