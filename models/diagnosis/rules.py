"""Which fault explains what is seen: one rule a fault, from physics, each with the evidence it stands on.

A rule gives a strength in [0, 1]; the strongest wins, a weak one is "unknown". Gears after ISO 20816-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ingest.contract.rows import Reason
from models.diagnosis.view import View

UNKNOWN: Final = "unknown"
MIN_STRENGTH = 0.25
SPEAKS: Final = {"bpfo": 1.2, "bpfi": 1.05, "bsf": 1.8, "ftf": 1.0}
"""Times the other parts' envelope lines from which a bearing part speaks: noise stays near 1. An inner race
spreads into sidebands, and lines of a rolling element also rise with the cage's."""
RACES: Final = ("bpfo", "bpfi", "bsf")
IMPULSIVE = 0.6
"""Rise of kurtosis, in nepers, that says: impacts."""


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


def between(x: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, straight between."""
    return min(max((x - low) / (high - low), 0.0), 1.0)


def _orders(view: View) -> tuple[float, float, float]:
    """Rises once, twice and many times a turn."""
    return view.rise("order_1_g"), view.rise("order_2_g"), view.rise("order_4_10_g")


def _row(view: View) -> float:
    """Rise of the row of harmonics: twice a turn and many times a turn together."""
    return min(view.rise("order_2_g"), view.rise("order_4_10_g"))


def _rattles(view: View) -> float:
    """How much the row of harmonics rises as far as the envelope: a loose part, not a rolling bearing.

    Half way between the two, it is either.
    """
    row, envelope = _row(view), view.rise("envelope_rms_g")
    return between(row / max(envelope, 0.05), 0.68, 0.88) if row > 0.0 else 0.0


def _slopes(view: View) -> float:
    """How much the slow end rises before the turn itself: a swinging sensor, not a rotor."""
    below = view.rise("order_0_5_g") - view.rise("order_1_g")
    return max(between(below, 1.2, 2.2), between(view.slope(), 0.95, 1.3))


def _speaking(view: View) -> float:
    """The most prominent of races and rolling elements; the cage is too slow for a short block."""
    return max(view.prominence(part)[0] for part in RACES)


def _lead(view: View, part: str) -> float:
    """How much further a part's envelope lines have risen than the envelope: friction raises both alike."""
    return view.rise(f"envelope_{part}") - view.rise("envelope_rms_g")


def _impulsive(view: View) -> float:
    return between(view.rise("kurtosis"), 0.0, IMPULSIVE)


def _impacts(view: View, part: str) -> float:
    """How much this looks like a rolling bearing: impulsive, with lines, or growing more than the orders.

    Lines that outrun the envelope say it before kurtosis moves.
    """
    envelope, lead = view.rise("envelope_rms_g"), between(_lead(view, part), 0.3, 0.7)
    leads = between(envelope - max(_orders(view)), -0.2, 0.2)
    lines = between(_speaking(view), 1.5, 2.0)
    impacts = between(envelope, 0.0, 1.0) * max(_impulsive(view), lead) * max(leads, lines)
    return impacts * (1.0 - _rattles(view))


def _leads(view: View, part: str) -> float:
    """How far this part is the one that speaks; the cage by growth, for its lines are too close to zero."""
    if part in RACES:
        return 1.0 if view.prominence(part)[0] >= _speaking(view) else 0.4
    others = max(_lead(view, race) for race in RACES)
    bubbles = between(view.rise("vane_g"), 0.2, 0.6) * _boils(view)
    return (1.0 - between(others - _lead(view, part), -0.1, 0.3)) * (1.0 - bubbles)


def _bearing(view: View, fault: str) -> Finding:
    part = PART_OF[fault]
    family = _impacts(view, part)
    if family == 0.0:
        return Finding(fault, 0.0)
    prominence, axis = view.prominence(part)
    strength = family * _leads(view, part) * saturating(prominence - SPEAKS[part], 0.5)
    reasons = [
        Reason("bearing_line", {"part": part.upper(), "prominence": prominence, "axis": axis}, strength)
    ]
    rise = view.rise(f"envelope_{part}")
    if rise > 0.3:
        reasons.append(
            Reason("bearing_rise", {"part": part.upper(), "factor": math.exp(rise)}, 0.5 * strength)
        )
    kurtosis = view.value("kurtosis")
    if kurtosis > 4:
        reasons.append(Reason("impacts", {"kurtosis": kurtosis}, 0.3 * strength))
    return Finding(fault, strength, tuple(reasons))


def bearing_outer(view: View) -> Finding:
    """Envelope lines at BPFO."""
    return _bearing(view, "bearing_outer")


def bearing_inner(view: View) -> Finding:
    """Envelope lines at BPFI, with sidebands of the turn."""
    return _bearing(view, "bearing_inner")


def bearing_ball(view: View) -> Finding:
    """Envelope lines at BSF and twice BSF, with sidebands of the cage."""
    return _bearing(view, "bearing_ball")


def bearing_cage(view: View) -> Finding:
    """Impacts at FTF, too slow for a short block to show clear lines."""
    return _bearing(view, "bearing_cage")


def imbalance(view: View) -> Finding:
    """Once a turn grows alone."""
    one, two, many = _orders(view)
    if one <= 0:
        return Finding("imbalance", 0.0)
    alone = 1.0 - between(max(two, many) / one, 0.2, 0.8)
    smooth = 1.0 - between(view.rise("envelope_rms_g") / one, 0.2, 1.0)
    strength = saturating(one - 0.3, 0.5) * alone * smooth * (1.0 - _slopes(view)) * (1.0 - view.stray(1.0))
    return Finding("imbalance", strength, (Reason("order_1", {"factor": math.exp(one)}, strength),))


def misalignment(view: View) -> Finding:
    """Twice a turn grows, at least as far as once a turn, and without the row of harmonics.

    Once a turn must grow as well where twice the mains lies on twice a turn.
    """
    one, two, many = _orders(view)
    if two <= 0:
        return Finding("misalignment", 0.0)
    few = 1.0 - between(many / two, 0.3, 0.9)
    smooth = 1.0 - between(view.rise("envelope_rms_g") / two, 0.2, 0.8)
    own = max(between(one / two, 0.1, 0.4), between(two - view.rise("line_2_g"), 0.2, 0.5))
    twice = between(two / max(one, 0.05), 0.6, 1.0)
    strength = saturating(two - 0.3, 0.5) * few * smooth * own * twice
    strength *= (1.0 - _slopes(view)) * (1.0 - view.stray(2.0))
    return Finding("misalignment", strength, (Reason("order_2", {"factor": math.exp(two)}, strength),))


def looseness(view: View) -> Finding:
    """A row of harmonics grows, as much as the high frequencies do or more."""
    row = _row(view)
    if row <= 0:
        return Finding("looseness", 0.0)
    strength = saturating(row - 0.3, 0.5) * _rattles(view) * (1.0 - view.stray(2.0)) * (1.0 - view.stray(1.0))
    return Finding("looseness", strength, (Reason("harmonics", {"factor": math.exp(row)}, strength),))


def _leads_mesh(view: View) -> float:
    return between(view.rise("mesh_g") - 0.8 * view.rise("envelope_rms_g"), -0.2, 0.2)


def gear(view: View) -> Finding:
    """The tooth frequency and its sidebands grow more than the noise."""
    rise = view.rise("mesh_g")
    strength = saturating(rise - 0.3, 0.5) * _leads_mesh(view)
    reasons, sidebands = [Reason("mesh", {"factor": math.exp(rise)}, strength)], view.rise("mesh_sidebands_g")
    if sidebands > 0.3:
        reasons.append(Reason("mesh_sidebands", {"factor": math.exp(sidebands)}, 0.8 * strength))
    return Finding("gear", strength, tuple(reasons))


def _friction(view: View) -> tuple[float, float]:
    """How much this looks like noise without impacts, and by how much the high bands have risen."""
    high = 0.5 * (view.rise("band_3000_6000_g") + view.rise("band_6000_10000_g"))
    calm = 1.0 - between(view.rise("kurtosis"), 0.2, IMPULSIVE)
    leads = between(view.rise("envelope_rms_g") / max(*_orders(view), 0.1), 0.5, 0.9)
    return saturating(high - 0.2, 0.4) * calm * leads, high


def _boils(view: View) -> float:
    """Whether the middle band grows as much as the highest: collapsing bubbles rather than dry metal."""
    if "pump" not in view.machine.kind:
        return 0.0
    return between(view.rise("band_1000_3000_g") - view.rise("band_6000_10000_g"), -0.2, 0.2)


def cavitation(view: View) -> Finding:
    """Broadband noise of a pump, strongest in the middle band."""
    family, high = _friction(view)
    struck = max(between(_lead(view, part), 0.25, 0.5) for part in ("bpfo", "bpfi", "ftf"))
    struck = max(struck, between(_lead(view, "bsf"), 0.5, 0.8))
    # Bubbles in bursts also lift lines; then the vanes, which make them, are heard as well.
    strength = family * _boils(view) * (1.0 - struck * (1.0 - between(view.rise("vane_g"), 0.2, 0.6)))
    return Finding("cavitation", strength, (Reason("high_band", {"factor": math.exp(high)}, strength),))


def lubrication(view: View) -> Finding:
    """Friction noise at high frequencies, then heat."""
    family, high = _friction(view)
    strength = family * (1.0 - _boils(view)) * (1.0 - _leads_mesh(view) * (view.rise("mesh_g") > 0.5))
    strength *= 1.0 - max(between(_lead(view, part), 0.25, 0.5) for part in PART_OF.values())
    reasons = [Reason("high_band", {"factor": math.exp(high)}, strength)]
    rise_k, channel = view.hottest_rise()
    if channel and rise_k > 3.0:
        reasons.append(Reason("temperature_rise", {"channel": channel, "rise_k": rise_k}, 0.5 * strength))
    return Finding("lubrication", strength, tuple(reasons))


def electrical(view: View) -> Finding:
    """The phases draw different currents, or twice the mains frequency grows alone."""
    one, two, _ = _orders(view)
    rise = view.rise("line_2_g")
    other = max(one, view.rise("envelope_rms_g"), min(two, 0.8 * rise))
    unbalance = view.values.get("Current.unbalance", math.nan)
    from_current = 0.0 if math.isnan(unbalance) else saturating(unbalance - 0.025, 0.015)
    # One of the orders always lies near twice the mains: a row of harmonics is no sign of the windings.
    alone = 1.0 - between(_row(view) / max(rise, 0.05), 0.2, 0.6)
    strength = max(saturating(rise - other - 0.2, 0.4) * alone, from_current)
    reasons = [Reason("twice_mains", {"factor": math.exp(rise)}, strength)] if rise > 0.3 else []
    if from_current > 0.0:
        reasons.insert(0, Reason("phase_imbalance", {"percent": 100 * unbalance}, strength))
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
