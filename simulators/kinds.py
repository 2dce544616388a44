"""The kinds of driven machines: what turns, what sings, and how power follows load.

Levels are typical of the trade (motor data sheets of 4-pole IE3 machines, ISO 10816-3 zone A for a healthy
machine); they are stated here once, and every machine varies around them by its seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulators.faults import FaultKind


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineKind:
    """Constants of one kind of machine.

    load_mean, load_spread: share of rated load while running; no_load: share of rated power drawn when
    nothing is delivered; idle_speed: share of rated speed when idle (1 without a frequency converter);
    vanes: blades of a wheel, 0 for none; gear_teeth, gear_ratio: of the input pinion, 0 for no gear;
    units_per_hour: production at full load, 0 when the machine makes nothing countable;
    flow_mm_s: random velocity at full load; structure_g, hiss_g: broadband acceleration at rated speed;
    modes_hz: three structural resonances, low to high.
    """

    load_mean: float
    load_spread: float
    no_load: float
    flow_mm_s: float
    structure_g: float
    hiss_g: float
    modes_hz: tuple[float, float, float]
    variable_speed: bool = False
    idle_speed: float = 1.0
    vanes: int = 0
    gear_teeth: int = 0
    gear_ratio: float = 1.0
    units_per_hour: float = 0.0


MODE_DAMPING: Final = (0.035, 0.025, 0.02)
MODE_GAINS: Final = ((0.5, 0.5, 0.3), (1.0, 0.9, 0.5), (0.7, 0.7, 0.5))
"""Damping ratio of each mode, and how strongly x, y and z feel it."""

KINDS: Final[dict[str, MachineKind]] = {
    "pump": MachineKind(
        load_mean=0.78,
        load_spread=0.07,
        no_load=0.28,
        flow_mm_s=0.3,
        structure_g=0.03,
        hiss_g=0.025,
        modes_hz=(1150, 2900, 6200),
        vanes=6,
    ),
    "fan": MachineKind(
        load_mean=0.7,
        load_spread=0.1,
        no_load=0.16,
        flow_mm_s=0.4,
        structure_g=0.02,
        hiss_g=0.015,
        modes_hz=(820, 2500, 5400),
        variable_speed=True,
        idle_speed=0.45,
        vanes=9,
    ),
    "compressor": MachineKind(
        load_mean=0.82,
        load_spread=0.05,
        no_load=0.32,
        flow_mm_s=0.35,
        structure_g=0.06,
        hiss_g=0.05,
        modes_hz=(1400, 3300, 7600),
        vanes=4,
    ),
    "gearbox": MachineKind(
        load_mean=0.74,
        load_spread=0.12,
        no_load=0.22,
        flow_mm_s=0.3,
        structure_g=0.05,
        hiss_g=0.03,
        modes_hz=(1000, 2700, 5900),
        gear_teeth=23,
        gear_ratio=3.7,
        units_per_hour=90.0,
    ),
    "conveyor": MachineKind(
        load_mean=0.62,
        load_spread=0.14,
        no_load=0.26,
        flow_mm_s=0.35,
        structure_g=0.03,
        hiss_g=0.02,
        modes_hz=(760, 2300, 5000),
        gear_teeth=19,
        gear_ratio=14.5,
        units_per_hour=240.0,
    ),
    "motor": MachineKind(
        load_mean=0.7,
        load_spread=0.1,
        no_load=0.2,
        flow_mm_s=0.2,
        structure_g=0.025,
        hiss_g=0.015,
        modes_hz=(1300, 3000, 6600),
        units_per_hour=60.0,
    ),
}

NEEDS: Final[dict[FaultKind, frozenset[str]]] = {
    FaultKind.CAVITATION: frozenset({"pump"}),
    FaultKind.GEAR: frozenset({"gearbox", "conveyor"}),
}
"""Faults that only some kinds of machines can have."""


def can_have(kind: str, fault: FaultKind) -> bool:
    """Whether this kind of machine has the part that this fault breaks.

    >>> can_have("fan", FaultKind.GEAR), can_have("fan", FaultKind.IMBALANCE)
    (False, True)
    """
    return kind in NEEDS.get(fault, KINDS.keys())
