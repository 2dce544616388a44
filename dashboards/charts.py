"""Numbers for the charts, as JSON that uPlot takes: trends, waveforms, spectra, waterfalls. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dashboards.language import N_, Language
from dashboards.picture import VELOCITY
from dashboards.spectra import (
    Floats,
    Spectrum,
    amplitude_spectrum,
    cursor_lines,
    envelope_spectrum,
    samples_g,
    thinned,
)
from dashboards.words import GAPS, called
from features.severity import limits_of
from ingest.contract.channels import POWER_KW, SPEED_RPM, TEMPERATURE
from ingest.contract.plant import Machine, Plant
from ingest.contract.rows import Judgement
from ingest.contract.values import Gap, Waveform
from ingest.views import Latest, Trend

MAX_WAVE_POINTS = 4_096
MAX_SPECTRUM_POINTS = 2_048
WATERFALL_BINS = 256
GAP_FACTOR = 5.0


def columns_of(latest: Latest | None) -> dict[str, tuple[str, str, int]]:
    """What can be drawn of a machine: column -> (label to translate, unit, decimals)."""
    found: dict[str, tuple[str, str, int]] = {
        VELOCITY: (N_("Vibration velocity"), "mm/s", 2),
        "rms_g": (N_("Vibration acceleration"), "g", 3),
    }
    for channel in sorted(latest.scalars) if latest else ():
        if channel.startswith(TEMPERATURE):
            found[channel] = (N_("Temperature"), "°C", 1)
        elif channel == POWER_KW:
            found[channel] = (N_("Active power"), "kW", 1)
        elif channel == SPEED_RPM:
            found[channel] = (N_("Speed"), "rpm", 0)
    return found


def listed(values: np.ndarray[Any, np.dtype[np.float64]], digits: int = 4) -> list[float | None]:
    """Floats for JSON: rounded, None where missing."""
    return [round(value, digits) if math.isfinite(value) else None for value in values.tolist()]


def trend_json(
    trend: Trend,
    column: str,
    machine: Machine,
    *,
    gaps: tuple[Gap, ...],
    about: tuple[str, str, int],
    language: Language,
) -> dict[str, Any]:
    """A trend with its zone bands; where nothing was measured the line is broken, never drawn through."""
    label, unit, digits = about
    limits = limits_of(machine) if column == VELOCITY else None
    times, values, low, high = _broken(trend, column)
    return {
        "kind": "trend",
        "x_label": language.say(N_("Time")),
        "label": language.say(label),
        "unit": unit,
        "digits": digits,
        "x": times,
        "y": values,
        "low": low,
        "high": high,
        "bands": [limits.ab_mm_s, limits.bc_mm_s, limits.cd_mm_s] if limits else [],
        "gaps": [
            [
                gap.from_ns / 1e9,
                gap.to_ns / 1e9,
                gap.n_messages,
                gap.reason,
                called(GAPS, gap.reason, language),
            ]
            for gap in gaps[:200]
        ],
    }


def _broken(
    trend: Trend, column: str
) -> tuple[list[float], list[float | None], list[float | None], list[float | None]]:
    """The line as lists, with an empty point wherever time jumped by more than five usual steps."""
    time_s = trend.time_ns / 1e9
    lists = [listed(table[column]) for table in (trend.values, trend.low, trend.high)]
    times = [round(value, 3) for value in time_s.tolist()]
    if len(times) > 2:
        steps = np.diff(time_s)
        usual = float(np.median(steps))
        for where in reversed(np.flatnonzero(steps > GAP_FACTOR * usual).tolist()):
            times.insert(where + 1, round(times[where] + usual, 3))
            for one in lists:
                one.insert(where + 1, None)
    return times, lists[0], lists[1], lists[2]


def health_json(judgements: tuple[Judgement, ...], language: Language) -> dict[str, Any]:
    """Health over time, from the judgements that the journal keeps."""
    return {
        "kind": "trend",
        "x_label": language.say(N_("Time")),
        "label": language.say(N_("Health")),
        "unit": "",
        "digits": 0,
        "x": [round(one.time_ns / 1e9, 3) for one in judgements],
        "y": [round(one.health, 2) if math.isfinite(one.health) else None for one in judgements],
        "low": [],
        "high": [],
        "bands": [],
        "gaps": [],
    }


def waveform_json(waveform: Waveform, language: Language) -> dict[str, Any]:
    """The block in g; long ones as the low and high of each bucket, so that no impact is lost to the eye."""
    x = samples_g(waveform)
    ms: Floats = np.arange(len(x), dtype=np.float64) * (1000.0 / waveform.rate_hz)
    low = high = x
    if len(x) > MAX_WAVE_POINTS:
        starts = np.linspace(0, len(x), MAX_WAVE_POINTS // 2 + 1).astype(np.int64)[:-1]
        low, high, ms = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts), ms[starts]
    return {
        "kind": "waveform",
        "x_label": "ms",
        "label": language.say(N_("Acceleration")),
        "unit": "g",
        "digits": 3,
        "x": listed(ms),
        "low": listed(low),
        "high": listed(high),
        "rms_g": round(float(np.sqrt(np.mean(x * x))), 4),
        "peak_g": round(float(np.max(np.abs(x))), 4),
        "rate_hz": waveform.rate_hz,
        "start_ms": waveform.start_ns // 1_000_000,
        "when": language.when(waveform.start_ns),
    }


def spectrum_json(
    waveform: Waveform,
    plant: Plant,
    machine: Machine,
    speed_rpm: float | None,
    language: Language,
    *,
    envelope: bool,
) -> dict[str, Any]:
    """Amplitude or envelope spectrum with the places where faults would show."""
    x = samples_g(waveform)
    whole = envelope_spectrum(x, waveform.rate_hz) if envelope else amplitude_spectrum(x, waveform.rate_hz)
    spectrum = thinned(_upto(whole, 1_000.0) if envelope else whole, MAX_SPECTRUM_POINTS)
    label = N_("Envelope amplitude") if envelope else N_("Amplitude")
    return {
        "kind": "spectrum",
        "x_label": "Hz",
        "label": language.say(label),
        "unit": "g",
        "digits": 4,
        "x": listed(spectrum.hz, 3),
        "y": listed(spectrum.amplitude_g, 6),
        "bin_hz": round(waveform.rate_hz / len(x), 4),
        "when": language.when(waveform.start_ns),
        "start_ms": waveform.start_ns // 1_000_000,
        "lines": [
            {
                "code": line.code,
                "name": line.name,
                "hz": None if line.hz is None else round(line.hz, 3),
                "missing": language.say(line.missing) if line.missing else "",
            }
            for line in cursor_lines(plant, machine, speed_rpm)
        ],
    }


def _upto(spectrum: Spectrum, hz: float) -> Spectrum:
    kept = spectrum.hz <= hz
    return Spectrum(spectrum.hz[kept], spectrum.amplitude_g[kept])


def waterfall_json(waveforms: Sequence[Waveform], language: Language, max_hz: float) -> dict[str, Any]:
    """Spectra over time, oldest first, as dB below the loudest line; for a heat map."""
    rows, times = [], []
    for waveform in waveforms:
        spectrum = _upto(amplitude_spectrum(samples_g(waveform), waveform.rate_hz), max_hz)
        edges = np.linspace(0, max_hz, WATERFALL_BINS + 1)
        starts = np.searchsorted(spectrum.hz, edges[:-1])
        starts = np.minimum(starts, len(spectrum.hz) - 1)
        rows.append(np.maximum.reduceat(spectrum.amplitude_g, starts))
        times.append(waveform.start_ns // 1_000_000)
    grid = np.array(rows) if rows else np.zeros((0, WATERFALL_BINS))
    top = float(grid.max()) if grid.size else 0.0
    db = 20 * np.log10(np.maximum(grid, 1e-9) / max(top, 1e-9))
    return {
        "kind": "waterfall",
        "label": language.say(N_("Amplitude")),
        "unit": "g",
        "max_hz": max_hz,
        "top_g": round(top, 5),
        "times_ms": times,
        "when": [language.clock(time_ms * 1_000_000) for time_ms in times],
        "db": np.clip(np.round(db), -60, 0).astype(int).tolist(),
    }
