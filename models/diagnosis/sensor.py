"""Faults of the sensor, told apart from faults of the machine: they never advise a stop."""

from __future__ import annotations

import math
from typing import Final

from ingest.contract.rows import Reason
from models.diagnosis.rules import UNKNOWN, Diagnosis
from models.diagnosis.view import View

LOOSE_RISE = 1.2
LOOSE_SLOPE = 0.12
LOOSE_LEAD = 0.4
UNIT_RISE = 1.2
"""Nepers: m/s2 taken for g (2.28 when smoothed out) passes it before an alarm of the machine has stood."""
ALIKE_RISE = 0.3
"""Nepers from which levels that rise by one factor are no sign of any part: a sensor's gain, or a fault."""
UNIT_NOISE = 0.12
"""Nepers by which smoothed rises of one factor lie apart by chance."""
STEEP = 1.15
"""A slower line over the next, in amplitude: leakage of one line into the next stays below 1."""
UNIT_SPREAD = 0.15
"""How far the rises may lie apart, as a share of their mean."""
FAULTS: Final = frozenset({"sensor_dead", "sensor_saturated", "sensor_loose", "sensor_unit"})


def dead() -> Diagnosis:
    """The machine runs and its sensor is silent."""
    return Diagnosis("sensor_dead", 0.9, (Reason("sensor_dead", {}, 1.0),), "sensor")


def saturated(clipped_share: float) -> Diagnosis:
    """More samples at the extremes than a signal within range has."""
    return Diagnosis(
        "sensor_saturated",
        0.9,
        (Reason("sensor_saturated", {"percent": 100 * clipped_share}, 1.0),),
        "sensor",
    )


def sensor_fault(view: View) -> Diagnosis | None:
    """Loose (the slower, the more it swings) or a wrong unit (all levels by one factor).

    None otherwise.
    """
    swing, lead = (
        view.rise("displacement_rms_um"),
        view.rise("velocity_rms_mm_s") - view.rise("envelope_rms_g"),
    )
    if swing > LOOSE_RISE and lead > LOOSE_LEAD and _swings(view, swing):
        strength = min(1.0, 0.5 + 0.1 * swing)
        reason = Reason("sensor_loose", {"factor": math.exp(swing)}, strength)
        return Diagnosis("sensor_loose", strength, (reason,), "sensor")
    bases = ("rms_g", "velocity_rms_mm_s", "band_10_100_g", "band_1000_3000_g", "envelope_rms_g")
    rises = [rise for base in bases if (rise := view.rise(base)) > 0]
    mean = sum(rises) / len(bases)
    alike = len(rises) == len(bases) and max(rises) - min(rises) < max(UNIT_SPREAD * mean, UNIT_NOISE)
    if alike and min(rises) > UNIT_RISE:
        factor = math.exp(mean)
        return Diagnosis("sensor_unit", 0.8, (Reason("sensor_unit", {"factor": factor}, 0.8),), "sensor")
    if alike and min(rises) > ALIKE_RISE:
        return Diagnosis(UNKNOWN, 0.8, ())
    return None


def _swings(view: View, swing: float) -> bool:
    """Whether the slow end grows most, and without a line: the slower, the louder."""
    below, one = view.rise("order_0_5_g"), view.rise("order_1_g")
    if view.slope() > 0.0:
        slope = swing - view.rise("velocity_rms_mm_s")
        return view.slope() > STEEP and 0.1 * below < one < below and slope > LOOSE_SLOPE
    # Too slow for half a turn to show: every order must have risen, the lower the louder and the further.
    two, many = view.rise("order_2_g"), view.rise("order_4_10_g")
    return one > two > many > 0.3 * one and view.size("order_1_g") > STEEP * view.size("order_2_g")
