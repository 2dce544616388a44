"""Every streaming vibration feature: its name, unit, the fault that moves it, its source and its cadence.

The order of `FEATURES` is the order of the columns that the kernel fills, once for every axis and block.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

Cadence: TypeAlias = Literal["every block", "on demand"]
Need: TypeAlias = Literal["", "speed", "bearing", "gear", "vanes", "mains"]

BEARING_PARTS = ("bpfo", "bpfi", "bsf", "ftf")
BAND_EDGES_HZ = (10.0, 100.0, 300.0, 1_000.0, 3_000.0, 6_000.0, 10_000.0)
SHAFT_ORDERS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
N_PEAKS = 3
N_HARMONICS = 3


@dataclass(frozen=True, slots=True)
class Feature:
    """One column. need: what must be known of the machine; without it the value is NaN.

    Laws, checked for every entry: multiplying the samples by c > 0 multiplies the value by c to the power
    of `degree`; a shift changes only `mean_g`; turning the sign changes only what `odd` marks.
    """

    name: str
    unit: str
    fault: str
    source: str
    need: Need = ""
    degree: int = 0
    odd: bool = False
    cadence: Cadence = "every block"


_TIME = (
    Feature(
        "mean_g", "g", "Sensor offset or a sensor that came loose", "arithmetic mean", degree=1, odd=True
    ),
    Feature(
        "rms_g",
        "g",
        "Overall severity; the mean is removed, so it is the standard deviation",
        "ISO 2041",
        degree=1,
    ),
    Feature(
        "peak_g", "g", "Impacts: bearings, gears, loose parts", "largest distance from the mean", degree=1
    ),
    Feature("peak_to_peak_g", "g", "Impacts and clipping", "ISO 2041", degree=1),
    Feature(
        "crest", "1", "Early bearing damage lifts it before RMS; it falls as damage spreads", "peak / RMS"
    ),
    Feature("kurtosis", "1", "Impacts: 3 for a healthy, Gaussian machine", "Dyer and Stewart 1978"),
    Feature("skewness", "1", "One-sided impacts, rubbing", "third standardised moment", odd=True),
    Feature("shape", "1", "Change of wave form", "RMS / mean |x|"),
    Feature("impulse", "1", "Early impacts", "peak / mean |x|"),
    Feature("clearance", "1", "Early spalls, the most sensitive of the ratios", "peak / (mean sqrt|x|)^2"),
    Feature("clipped_share", "1", "A sensor out of range or stuck", "share of samples at the extremes"),
)
_SEVERITY = (
    Feature(
        "velocity_rms_mm_s",
        "mm/s",
        "Imbalance, misalignment, looseness; the ISO zone",
        "ISO 10816-3:2009",
        degree=1,
    ),
    Feature(
        "displacement_rms_um", "um", "Slow machines: imbalance, rub", "double spectral integration", degree=1
    ),
)
_BANDS = tuple(
    Feature(
        f"band_{low:.0f}_{high:.0f}_g",
        "g",
        "Shaft and structure" if high <= 1_000 else "Gears, bearings, cavitation, lubrication",
        "RMS in the band, Hann window; NaN above half the rate",
        degree=1,
    )
    for low, high in pairwise(BAND_EDGES_HZ)
)
_SHAPE = (
    Feature(
        "centroid_hz",
        "Hz",
        "Energy that moves to high frequencies: lubrication, bearings",
        "first spectral moment",
    ),
    Feature("spread_hz", "Hz", "Widening spectrum: wear, cavitation", "second spectral moment"),
    Feature("entropy", "1", "From tones (0) to noise (1): wear, cavitation", "Shannon, over all lines"),
    Feature(
        "rolloff_hz",
        "Hz",
        "High-frequency share of the energy",
        "frequency below which 95 % of the energy lies",
    ),
)
_PEAKS = tuple(
    feature
    for rank in range(1, N_PEAKS + 1)
    for feature in (
        Feature(
            f"peak_{rank}_hz",
            "Hz",
            "Where the machine speaks loudest",
            "Hann two-line interpolation (Grandke 1983)",
        ),
        Feature(f"peak_{rank}_g", "g", "How loud that line is", "energy of its main lobe", degree=1),
    )
)
_ORDER_FAULT = {
    0.5: "Rub, looseness, whirl",
    1.0: "Imbalance, bent shaft",
    1.5: "Looseness",
    2.0: "Misalignment, crack",
    2.5: "Looseness",
    3.0: "Misalignment, coupling",
}


def order_name(order: float) -> str:
    """Column of the amplitude at a multiple of the shaft speed.

    >>> order_name(1.5), order_name(2.0)
    ('order_1_5_g', 'order_2_g')
    """
    return f"order_{order:g}_g".replace(".", "_")


_ORDERS = (
    *(
        Feature(order_name(order), "g", _ORDER_FAULT[order], "amplitude of the line at the order", "speed", 1)
        for order in SHAFT_ORDERS
    ),
    Feature(
        "order_4_10_g",
        "g",
        "Looseness: a row of harmonics",
        "root sum square of the orders 4 to 10",
        "speed",
        1,
    ),
)
_PART_FAULT = {
    "bpfo": "Damage of the outer race",
    "bpfi": "Damage of the inner race",
    "bsf": "Damage of a rolling element",
    "ftf": "Damage of the cage",
}
_LINES = (
    *(
        Feature(f"{part}_g", "g", _PART_FAULT[part], "root sum square of three harmonics", "bearing", 1)
        for part in BEARING_PARTS
    ),
    Feature("mesh_g", "g", "Tooth wear, load", "root sum square of three mesh harmonics", "gear", 1),
    Feature(
        "mesh_sidebands_g",
        "g",
        "Eccentric, cracked or broken tooth",
        "mesh +- 1 and 2 shaft orders",
        "gear",
        1,
    ),
    Feature("vane_g", "g", "Vane pass: clearance, flow", "amplitude of the line", "vanes", 1),
    Feature(
        "line_2_g",
        "g",
        "Stator: soft foot, uneven air gap",
        "amplitude at twice the mains frequency",
        "mains",
        1,
    ),
)
_ENVELOPE = (
    Feature(
        "envelope_rms_g",
        "g",
        "Impacts and friction in the demodulated band",
        "RMS of the envelope about its mean",
        degree=1,
    ),
    Feature("envelope_mean_g", "g", "Level of the demodulated band", "mean of the envelope", degree=1),
    Feature("envelope_kurtosis", "1", "Impacts in the demodulated band", "of the envelope about its mean"),
    Feature(
        "envelope_floor_g",
        "g",
        "Noise that the lines stand on",
        "root mean square line of the envelope spectrum",
        degree=1,
    ),
    Feature(
        "envelope_order_1_g",
        "g",
        "Modulation once a turn: inner race, eccentric gear",
        "Randall and Antoni 2011",
        "speed",
        1,
    ),
    *(
        Feature(
            f"envelope_{part}_{harmonic}_g",
            "g",
            _PART_FAULT[part],
            "line of the envelope spectrum, Randall and Antoni 2011",
            "bearing",
            1,
        )
        for part in BEARING_PARTS
        for harmonic in range(1, N_HARMONICS + 1)
    ),
    Feature(
        "envelope_bpfi_sidebands_g",
        "g",
        "Inner race under load: sidebands of one turn",
        "BPFI +- 1 order",
        "bearing",
        1,
    ),
    Feature("envelope_bsf_sidebands_g", "g", "Rolling element: cage sidebands", "2 BSF +- FTF", "bearing", 1),
)

FEATURES: tuple[Feature, ...] = (
    *_TIME,
    *_SEVERITY,
    *_BANDS,
    *_SHAPE,
    *_PEAKS,
    *_ORDERS,
    *_LINES,
    *_ENVELOPE,
)
FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
COLUMN: dict[str, int] = {name: i for i, name in enumerate(FEATURE_NAMES)}


@dataclass(frozen=True, slots=True)
class VectorFeature:
    """One column over all axes of a message: the root sum square or the largest of the axes' values."""

    name: str
    how: Literal["root sum square", "largest"]
    unit: str
    fault: str


VECTOR_FEATURES: tuple[VectorFeature, ...] = (
    VectorFeature("rms_g", "root sum square", "g", "Overall severity, whatever way the sensor is turned"),
    VectorFeature("velocity_rms_mm_s", "largest", "mm/s", "The ISO zone judges the worst direction"),
    VectorFeature("peak_g", "largest", "g", "Impacts in any direction"),
    VectorFeature("kurtosis", "largest", "1", "Impacts in any direction"),
    VectorFeature("envelope_rms_g", "root sum square", "g", "Impacts and friction in the demodulated band"),
)


@dataclass(frozen=True, slots=True)
class SlowFeature:
    """One column of the rows that a round makes. fault: what moves it; source: how it is made, or a paper."""

    name: str
    unit: str
    fault: str
    source: str


@dataclass(frozen=True, slots=True)
class OnDemand:
    """What is dearer than every block may pay. cost_us: one block of 8,192 samples of one axis, on one core.

    cadence: when the stream does it, on its own.
    """

    function: str
    what: str
    fault: str
    source: str
    cost_us: float
    cadence: str = "on demand"


ON_DEMAND: tuple[OnDemand, ...] = (
    OnDemand(
        "features.speed.from_spectrum",
        "Shaft speed from a comb of harmonics, with its confidence",
        "None; other features need it",
        "comb of six harmonics",
        420,
        "once a minute, where no speed is told",
    ),
    OnDemand(
        "features.trends.hour",
        "Robust levels, trends, heat, cycles of the last hour",
        "Growth, heat that load does not explain, idling",
        "Theil 1950",
        260,
        "every 10 minutes",
    ),
    OnDemand(
        "features.listening.coherence_db",
        "Cyclic coherence at the bearing's orders, over all bands",
        "Races, rolling elements, cage",
        "Antoni 2009",
        290,
        "every 60 minutes",
    ),
    OnDemand(
        "features.cepstrum.strongest_family",
        "Spacing and prominence of a family of harmonics or sidebands",
        "Gears, bearings, blades",
        "Randall 2017",
        140,
        "every 60 minutes",
    ),
    OnDemand(
        "features.kurtogram.best_band",
        "Band with the highest spectral kurtosis, for the envelope",
        "Impacts of bearings and gears",
        "Antoni 2007",
        2500,
    ),
    OnDemand(
        "features.signature.diagnose",
        "Damaged part of a bearing, with its lines and sidebands (cost: four blocks, for twenty turns)",
        "Races, rolling elements, cage",
        "Antoni 2009; Smith and Randall 2015",
        11000,
    ),
    OnDemand(
        "features.order_tracking.to_angle",
        "Samples at equal angles, for a speed that moves within a block",
        "None; keeps orders sharp",
        "Fyfe and Munck 1997",
        440,
    ),
    OnDemand(
        "features.power.current_signature",
        "Lines of one phase's current: THD, sidebands of broken bars",
        "Rotor bars, supply, drives",
        "Thomson and Fenger 2001; IEC 61000-4-7",
        200,
    ),
)
