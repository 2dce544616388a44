"""Spectra for the eye, on request: amplitude and envelope of one kept waveform, and where faults would show.

Hann window, amplitude-correct (a line of 1 g reads 1 g peak); the envelope is that of one band, by inverse
transform of that band's bins alone (Randall and Antoni, MSSP 25, 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboards.language import N_
from features.bearings import Orders, find, orders_of
from ingest.contract.plant import Machine, Plant
from ingest.contract.values import Waveform

Floats = NDArray[np.float64]
BAND = (1 / 8, 5 / 16)
"""The envelope's band as shares of the sampling rate, when no other is known."""
DTYPES = {"int16": "<i2", "float32": "<f4"}


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """hz, amplitude: (n,) float64; amplitude in g peak."""

    hz: Floats
    amplitude_g: Floats


def samples_g(waveform: Waveform) -> Floats:
    """The block in g with its mean removed, (n,) float64."""
    counts = np.frombuffer(waveform.samples, DTYPES[waveform.sample_type]).astype(np.float64)
    return np.asarray((counts - counts.mean()) * waveform.scale_g)


def amplitude_spectrum(x_g: Floats, rate_hz: float) -> Spectrum:
    """Single-sided amplitudes.

    >>> t = np.arange(4096) / 4096
    >>> found = amplitude_spectrum(0.5 * np.sin(2 * np.pi * 100 * t), 4096.0)
    >>> int(found.hz[found.amplitude_g.argmax()]), round(float(found.amplitude_g.max()), 3)
    (100, 0.5)
    """
    n = len(x_g)
    window = np.hanning(n + 1)[:n]
    lines = np.abs(np.fft.rfft(x_g * window)) * (2.0 / window.sum())
    return Spectrum(np.arange(n // 2 + 1, dtype=np.float64) * (rate_hz / n), lines)


def envelope_spectrum(x_g: Floats, rate_hz: float, band_hz: tuple[float, float] | None = None) -> Spectrum:
    """Spectrum of the envelope of one band, its mean removed."""
    n = len(x_g)
    low_hz, high_hz = band_hz or (BAND[0] * rate_hz, BAND[1] * rate_hz)
    bins = np.fft.rfft(x_g)
    hz = np.fft.rfftfreq(n, 1.0 / rate_hz)
    analytic = np.zeros(n, np.complex128)
    inside = (hz >= low_hz) & (hz <= high_hz)
    analytic[: len(bins)][inside] = 2.0 * bins[inside]
    envelope = np.abs(np.fft.ifft(analytic))
    spectrum = amplitude_spectrum(envelope - envelope.mean(), rate_hz)
    kept = spectrum.hz <= high_hz - low_hz  # Above the band's width an envelope holds nothing.
    return Spectrum(spectrum.hz[kept], spectrum.amplitude_g[kept])


def thinned(spectrum: Spectrum, max_points: int) -> Spectrum:
    """At most max_points: the highest line of each bucket, so that no peak is lost to the eye."""
    n = len(spectrum.hz)
    if n <= max_points:
        return spectrum
    starts = np.linspace(0, n, max_points + 1).astype(np.int64)[:-1]
    highest = np.maximum.reduceat(spectrum.amplitude_g, starts)
    ends = np.append(starts[1:], n)
    where = np.array(
        [a + int(spectrum.amplitude_g[a:b].argmax()) for a, b in zip(starts, ends, strict=True)], np.int64
    )
    return Spectrum(spectrum.hz[where], highest)


@dataclass(frozen=True, slots=True)
class CursorLine:
    """A place on the spectrum where a fault would show. hz: None when unknown; `missing` then says why."""

    code: str
    name: str
    hz: float | None
    missing: str = ""


NO_SPEED = N_("shaft speed is unknown")
NO_BEARING = N_("bearing is not declared or not known")


def cursor_lines(plant: Plant, machine: Machine, speed_rpm: float | None) -> tuple[CursorLine, ...]:
    """1x and the bearing's lines at this speed; each says what is missing when it cannot be placed."""
    rpm = speed_rpm if speed_rpm is not None and speed_rpm > 0 else machine.rated_rpm
    shaft_hz = rpm / 60.0 if rpm else None
    orders = _orders(plant, machine)
    lines = [CursorLine("1x", "1×", shaft_hz, "" if shaft_hz else NO_SPEED)]
    for code in ("bpfo", "bpfi", "bsf", "ftf"):
        order = getattr(orders, code, None)
        missing = NO_BEARING if order is None else NO_SPEED if shaft_hz is None else ""
        hz = None if order is None or shaft_hz is None else order * shaft_hz
        lines.append(CursorLine(code, code.upper(), hz, missing))
    return tuple(lines)


def _orders(plant: Plant, machine: Machine) -> Orders | None:
    if not machine.bearing:
        return None
    try:
        return orders_of(find(machine.bearing, plant.bearing))
    except (KeyError, ValueError):  # Not in any catalogue, or its geometry is impossible: no cursor then.
        return None
