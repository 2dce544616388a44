"""The strongest reasons of a judgement, as codes and numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ingest.contract.rows import Reason

if TYPE_CHECKING:
    from features.severity import Zone
    from models.online.layout import Floats, Layout

TOP = 3
DB_PER_NEPER = 20.0 / math.log(10.0)
MIN_RATIO = 0.5
MIN_RISE = 0.6


def reasons_of_evidence(layout: Layout, ratio: Floats, level: Floats, top: int = TOP) -> list[Reason]:
    """The watched quantities that differ most from their past. ratio, level: (S,).

    Weights sum to at most 1.
    """
    found: list[tuple[float, Reason]] = []
    strengths = [
        (float(ratio[i]), i, slot)
        for i, slot in enumerate(layout.slots)
        if not math.isnan(ratio[i]) and ratio[i] >= MIN_RATIO
    ]
    strengths.sort(key=lambda entry: -entry[0])
    total = sum(strength for strength, _, _ in strengths[:top]) or 1.0
    for strength, i, slot in strengths[:top]:
        weight = strength / total
        rise = float(level[i])
        if slot.watch.transform == 0 and rise > 0.1:
            values: dict[str, float | str] = {
                "channel": slot.name,
                "factor": math.exp(rise),
                "db": rise * DB_PER_NEPER,
                "ratio": strength,
            }
            found.append((strength, Reason("level_rise", values, weight)))
        elif slot.watch.component == "thermal" and rise > 1.0:
            found.append(
                (strength, Reason("temperature_rise", {"channel": slot.name, "rise_k": rise}, weight))
            )
        else:
            found.append((strength, Reason("evidence", {"channel": slot.name, "ratio": strength}, weight)))
    return [reason for _, reason in found]


def with_level(reasons: list[Reason], channel: str, rise: float) -> list[Reason]:
    """Add the loudest amplitude's rise since warm-up, in nepers, if it is clear and not said yet."""
    said = any(one.code == "level_rise" and one.values["channel"] == channel for one in reasons)
    if said or rise < MIN_RISE:
        return reasons
    values: dict[str, float | str] = {"channel": channel, "factor": math.exp(rise)}
    values["db"] = rise * DB_PER_NEPER
    return [*reasons, Reason("level_rise", values, 0.5)]


def reason_of_zone(zone: Zone | str, velocity_mm_s: float, limits_mm_s: Floats) -> Reason | None:
    """Why the zone is C or D; None in A and B and where it cannot be judged."""
    if zone not in {"C", "D"}:
        return None
    limit = float(limits_mm_s[1] if zone == "C" else limits_mm_s[2])
    values: dict[str, float | str] = {"zone": str(zone), "velocity_mm_s": velocity_mm_s, "limit_mm_s": limit}
    return Reason("zone", values, 0.9 if zone == "D" else 0.5)
