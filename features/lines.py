"""Third part of the fused kernel: amplitudes at shaft orders and fault lines of the raw spectrum."""

# ruff: noqa: PLR0917  (compiled functions are called by place)

from __future__ import annotations

import math

import numpy as np

from features.fft import Floats, Settings
from features.jit import compiled
from features.spectrum import span
from features.table import BEARING_PARTS, COLUMN, N_HARMONICS, SHAFT_ORDERS

_FIRST_ORDER, _LOOSE = COLUMN["order_0_5_g"], COLUMN["order_4_10_g"]
_FIRST_PART, _N_PARTS = COLUMN["bpfo_g"], len(BEARING_PARTS)
_MESH, _MESH_SIDEBANDS = COLUMN["mesh_g"], COLUMN["mesh_sidebands_g"]
_VANE, _MAINS = COLUMN["vane_g"], COLUMN["line_2_g"]
_ORDERS = np.array(SHAFT_ORDERS)
_SLACK = 0.01
_MAX_SLACK_BINS = 4.0
"""A line is looked for 1 % around its place: bearings slip and a speed is never exact. At least one bin."""


@compiled
def line_square(power: Floats, n_bins: int, place: float) -> float:
    """Summed power of the main lobe nearest to `place` (in bins); NaN below bin 2 and above the spectrum."""
    if not 2.0 <= place <= n_bins - 4.0:
        return math.nan
    slack = min(_MAX_SLACK_BINS, max(1.0, _SLACK * place))
    top = round(place)
    for k in range(max(2, math.ceil(place - slack)), min(n_bins - 3, math.floor(place + slack)) + 1):
        if power[k] > power[top]:
            top = k
    return span(power, top - 2, top + 3)


@compiled
def harmonics_square(power: Floats, n_bins: int, place: float, n_harmonics: int) -> float:
    """Sum over the harmonics that lie within the spectrum; NaN when the first does not."""
    total = line_square(power, n_bins, place)
    for harmonic in range(2, n_harmonics + 1):
        square = line_square(power, n_bins, harmonic * place)
        if math.isfinite(square):
            total += square
    return total


@compiled
def raw_lines(
    power: Floats, n_bins: int, bin_hz: float, line_scale: float, known: Settings, row: Floats
) -> None:
    """Orders, bearing, gear, vane and mains lines. known: the settings of the block."""
    shaft = known[2] / bin_hz
    for i in range(_ORDERS.shape[0]):
        row[_FIRST_ORDER + i] = line_scale * math.sqrt(line_square(power, n_bins, _ORDERS[i] * shaft))
    total = line_square(power, n_bins, 4 * shaft)
    for order in range(5, 11):
        square = line_square(power, n_bins, order * shaft)
        if math.isfinite(square):
            total += square
    row[_LOOSE] = line_scale * math.sqrt(total)
    for i in range(_N_PARTS):
        square = harmonics_square(power, n_bins, known[3 + i] * shaft, N_HARMONICS)
        row[_FIRST_PART + i] = line_scale * math.sqrt(square)
    mesh = known[7] * shaft
    row[_MESH] = line_scale * math.sqrt(harmonics_square(power, n_bins, mesh, N_HARMONICS))
    sides = line_square(power, n_bins, mesh - shaft) + line_square(power, n_bins, mesh + shaft)
    sides += line_square(power, n_bins, mesh - 2 * shaft) + line_square(power, n_bins, mesh + 2 * shaft)
    row[_MESH_SIDEBANDS] = line_scale * math.sqrt(sides)
    row[_VANE] = line_scale * math.sqrt(line_square(power, n_bins, known[8] * shaft))
    row[_MAINS] = line_scale * math.sqrt(line_square(power, n_bins, 2 * known[9] / bin_hz))
