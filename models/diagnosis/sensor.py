"""Faults of the sensor, told apart from faults of the machine: they never advise a stop."""

from __future__ import annotations

import math
from typing import Final

from ingest.contract.rows import Reason
from models.diagnosis.rules import Diagnosis
from models.diagnosis.view import View

LOOSE_RISE = 1.0
LOOSE_FALL = -0.4
UNIT_RISE = 1.6
UNIT_SPREAD = 0.25
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
    """Loose (slow swings grow, high frequencies fade) or a wrong unit (all levels by one factor).

    None otherwise.
    """
    slow = view.rise("band_10_100_g")
    high = min(view.lowest("band_3000_6000_g"), view.lowest("band_6000_10000_g"))
    if slow > LOOSE_RISE and high < LOOSE_FALL:
        strength = min(1.0, 0.4 + 0.3 * (slow - LOOSE_RISE) + 0.5 * (LOOSE_FALL - high))
        reason = Reason("sensor_loose", {"factor": math.exp(slow)}, strength)
        return Diagnosis("sensor_loose", strength, (reason,), "sensor")
    bases = ("rms_g", "velocity_rms_mm_s", "band_10_100_g", "band_1000_3000_g", "envelope_rms_g")
    rises = [rise for base in bases if (rise := view.rise(base)) > 0]
    if len(rises) == len(bases) and min(rises) > UNIT_RISE and max(rises) - min(rises) < UNIT_SPREAD:
        factor = math.exp(sum(rises) / len(rises))
        return Diagnosis("sensor_unit", 0.8, (Reason("sensor_unit", {"factor": factor}, 0.8),), "sensor")
    return None
