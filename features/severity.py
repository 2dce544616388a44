"""Severity zones of ISO 10816-3:2009, from velocity RMS in mm/s, 10 (2 below 600 rpm) to 1000 Hz."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.contract.plant import Machine


class Zone(StrEnum):
    """A: as new; B: fit for long operation; C: only for a while; D: damage likely; CANNOT_JUDGE."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    CANNOT_JUDGE = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Boundaries A/B, B/C and C/D in mm/s."""

    ab_mm_s: float
    bc_mm_s: float
    cd_mm_s: float

    def __post_init__(self) -> None:
        if not 0 < self.ab_mm_s < self.bc_mm_s < self.cd_mm_s:
            raise ValueError(
                f"zone limits must rise, got {self.ab_mm_s}, {self.bc_mm_s}, {self.cd_mm_s} mm/s"
            )


LIMITS: dict[tuple[int, str], Limits] = {
    (1, "rigid"): Limits(2.3, 4.5, 7.1),
    (1, "flexible"): Limits(3.5, 7.1, 11.0),
    (2, "rigid"): Limits(1.4, 2.8, 4.5),
    (2, "flexible"): Limits(2.3, 4.5, 7.1),
}


def limits_of(machine: Machine) -> Limits | None:
    """A machine's own limits, else the standard's; None when group or support is undeclared.

    Raises ValueError when the machine's own limits do not rise.
    """
    if machine.zone_limits_mm_s is not None:
        return Limits(*machine.zone_limits_mm_s)
    if machine.iso_group is None or machine.support is None:
        return None
    return LIMITS[machine.iso_group, machine.support]


def zone(velocity_rms_mm_s: float, limits: Limits | None) -> Zone:
    """The zone of one value. Unknown limits or an unknown velocity cannot be judged and are never guessed.

    >>> zone(3.0, LIMITS[2, "rigid"]).value, zone(3.0, None) is Zone.CANNOT_JUDGE
    ('C', True)
    """
    if limits is None or not math.isfinite(velocity_rms_mm_s) or velocity_rms_mm_s < 0:
        return Zone.CANNOT_JUDGE
    if velocity_rms_mm_s <= limits.ab_mm_s:
        return Zone.A
    if velocity_rms_mm_s <= limits.bc_mm_s:
        return Zone.B
    return Zone.C if velocity_rms_mm_s <= limits.cd_mm_s else Zone.D
