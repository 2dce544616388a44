"""Which fault explains what is seen: one rule a fault, from physics, each with the evidence it stands on.

ISO 20816-9 (gears). A rule gives a strength in [0, 1]; the strongest wins; a weak one means "unknown".
ISO 20816-9 (gears). A rule gives a strength in [0, 1]; the strongest wins, a weak one is "unknown".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ingest.contract.rows import Reason
from models.diagnosis.view import View

UNKNOWN: Final = "unknown"
MIN_STRENGTH = 0.3
PROMINENT = 6.0
"""Times the envelope floor from which a line is no noise (of n lines the largest stands near sqrt(ln n))."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault with its strength in [0, 1] and its evidence."""

    fault: str
    strength: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answer: fault code or "unknown", confidence in [0, 1], evidence, and which component it is."""

    fault: str
    confidence: float
    reasons: tuple[Reason, ...]
    component: str = ""


Rule: TypeAlias = Callable[[View], Finding]

PART_OF: Final = {
    "bearing_outer": "bpfo",
    "bearing_inner": "bpfi",
    "bearing_ball": "bsf",
    "bearing_cage": "ftf",
}

COMPONENT_OF: Final = {
    "bearing_outer": "bearing",
    "bearing_inner": "bearing",
    "bearing_ball": "bearing",
    "bearing_cage": "bearing",
    "lubrication": "bearing",
    "imbalance": "rotor",
    "misalignment": "rotor",
    "looseness": "rotor",
    "gear": "gear",
    "cavitation": "flow",
    "electrical": "electrical",
    "sensor_dead": "sensor",
    "sensor_saturated": "sensor",
    "sensor_loose": "sensor",
    "sensor_unit": "sensor",
}


def saturating(x: float, half: float) -> float:
    """0 at 0, one half at `half`, toward 1."""
    return 0.0 if x <= 0 else x / (x + half)


def _bearing(view: View, fault: str) -> Finding:
    part = PART_OF[fault]
    prominence, axis = view.prominence(part)
    rise = view.rise(f"envelope_{part}")
    others = max(view.rise(f"envelope_{other}") for other in PART_OF.values() if other != part)
    lead = rise - 0.5 * others
    strength = 0.6 * saturating(prominence - PROMINENT, 10.0) + 0.4 * saturating(lead, 0.8)
    if prominence < PROMINENT:
        strength *= 0.3
    reasons = [
        Reason("bearing_line", {"part": part.upper(), "prominence": prominence, "axis": axis}, strength)
    ]
    if rise > 0.3:
        reasons.append(
            Reason("bearing_rise", {"part": part.upper(), "factor": math.exp(rise)}, 0.5 * strength)
        )
    kurtosis = view.value("kurtosis")
    if kurtosis > 4:
        reasons.append(Reason("impacts", {"kurtosis": kurtosis}, 0.3 * strength))
    return Finding(fault, strength, tuple(reasons))


def bearing_outer(view: View) -> Finding:
    """Lines at BPFO."""
    return _bearing(view, "bearing_outer")


def bearing_inner(view: View) -> Finding:
    """Lines at BPFI, with sidebands of the turn."""
    return _bearing(view, "bearing_inner")


def bearing_ball(view: View) -> Finding:
    """Lines at BSF and twice BSF."""
    return _bearing(view, "bearing_ball")


def bearing_cage(view: View) -> Finding:
    """Lines at FTF."""
    return _bearing(view, "bearing_cage")


def _shares(view: View) -> tuple[float, float, float]:
    """Amplitudes once, twice and many times a turn."""
    one, two, many = view.value("order_1_g"), view.value("order_2_g"), view.value("order_4_10_g")
    return tuple(0.0 if math.isnan(v) else v for v in (one, two, many))  # type: ignore[return-value]


def imbalance(view: View) -> Finding:
    """Once a turn grows and leads; harmonics stay."""
    rise, other = view.rise("order_1_g"), max(view.rise("order_2_g"), 0.7 * view.rise("order_4_10_g"))
    strength = saturating(rise - 0.7 * other, 0.5)
    return Finding("imbalance", strength, (Reason("order_1", {"factor": math.exp(rise)}, strength),))


def misalignment(view: View) -> Finding:
    """Twice a turn grows, more than once a turn and than the row of harmonics."""
    rise = view.rise("order_2_g")
    other = max(0.8 * view.rise("order_1_g"), 0.8 * view.rise("order_4_10_g"))
    strength = saturating(rise - 0.8 * other, 0.5)
    return Finding("misalignment", strength, (Reason("order_2", {"factor": math.exp(rise)}, strength),))


def looseness(view: View) -> Finding:
    """A row of harmonics grows."""
    rise = view.rise("order_4_10_g")
    other = max(view.rise("order_1_g"), view.rise("order_2_g"))
    strength = saturating(rise - 0.6 * other, 0.5)
    return Finding("looseness", strength, (Reason("harmonics", {"factor": math.exp(rise)}, strength),))


def gear(view: View) -> Finding:
    """Sidebands of the tooth frequency grow."""
    rise = view.rise("mesh_sidebands_g") if view.machine.gear_teeth else 0.0
    strength = saturating(rise - 0.3, 0.5)
    return Finding("gear", strength, (Reason("mesh_sidebands", {"factor": math.exp(rise)}, strength),))


def _broadband(view: View) -> float:
    """Rise of the high bands beyond what lines of bearings explain."""
    high = max(view.rise("band_3000_6000_g"), view.rise("band_6000_10000_g"))
    prominent = max(view.prominence(part)[0] for part in PART_OF.values())
    return high * (1.0 if prominent < PROMINENT else 0.4)


def cavitation(view: View) -> Finding:
    """Broadband noise of a pump, without heat."""
    if "pump" not in view.machine.kind:
        return Finding("cavitation", 0.0)
    high = max(_broadband(view), view.rise("band_1000_3000_g") * 0.8)
    strength = saturating(high - 0.2, 0.5) * (1.0 if view.hottest_rise()[0] < 5.0 else 0.5)
    return Finding("cavitation", strength, (Reason("high_band", {"factor": math.exp(high)}, strength),))


def lubrication(view: View) -> Finding:
    """High-frequency friction noise, then heat."""
    high = _broadband(view)
    rise_k, channel = view.hottest_rise()
    strength = 0.6 * saturating(high - 0.2, 0.5) + 0.4 * saturating(rise_k - 3.0, 5.0) * (
        1.0 if high > 0.2 else 0.2
    )
    if "pump" in view.machine.kind and rise_k < 5.0:
        strength *= 0.6
    reasons = [Reason("high_band", {"factor": math.exp(high)}, strength)]
    if channel and rise_k > 3.0:
        reasons.append(Reason("temperature_rise", {"channel": channel, "rise_k": rise_k}, 0.5 * strength))
    return Finding("lubrication", strength, tuple(reasons))


def electrical(view: View) -> Finding:
    """Twice the mains frequency grows, or the phases draw different currents."""
    rise = view.rise("line_2_g")
    phases = [value for name, value in view.values.items() if name.startswith("Current/L") and value > 0]
    spread = (max(phases) - min(phases)) / (sum(phases) / len(phases)) if len(phases) > 1 else 0.0
    strength = max(saturating(rise - 0.3, 0.7) * 0.8, saturating(spread - 0.03, 0.05))
    reasons = [Reason("twice_mains", {"factor": math.exp(rise)}, strength)]
    if spread > 0.03:
        reasons.insert(0, Reason("phase_imbalance", {"percent": 100 * spread}, strength))
    return Finding("electrical", strength, tuple(reasons))


RULES: Final[tuple[Rule, ...]] = (
    bearing_outer,
    bearing_inner,
    bearing_ball,
    bearing_cage,
    imbalance,
    misalignment,
    looseness,
    gear,
    cavitation,
    lubrication,
    electrical,
)


def diagnose(view: View) -> Diagnosis:
    """The fault that explains most, or "unknown" when nothing stands clear."""
    findings = sorted((rule(view) for rule in RULES), key=lambda finding: -finding.strength)
    best, second = findings[0], findings[1]
    if best.strength < MIN_STRENGTH:
        return Diagnosis(UNKNOWN, 1.0 - best.strength, best.reasons[:1])
    confidence = best.strength * (1.0 - 0.5 * second.strength / best.strength)
    return Diagnosis(best.fault, confidence, best.reasons, COMPONENT_OF[best.fault])
