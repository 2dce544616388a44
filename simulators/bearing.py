"""Rolling bearings: where their faults show, as multiples of shaft speed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class BearingOrders:
    """Fault orders of one bearing, dimensionless (multiples of shaft speed).

    bpfo: a point of the outer race is passed by an element; bpfi: the same for the inner race; bsf: one
    turn of an element (its fault strikes twice a turn); ftf: one turn of the cage.
    Raises ValueError when they cannot belong to a rolling bearing.
    """

    bpfo: float
    bpfi: float
    bsf: float
    ftf: float

    def __post_init__(self) -> None:
        if not 0 < self.ftf < 0.5 < self.bsf or not 0 < self.bpfo < self.bpfi:
            raise ValueError(
                "bearing orders must satisfy 0 < ftf < 0.5 < bsf and 0 < bpfo < bpfi, got "
                f"bpfo={self.bpfo}, bpfi={self.bpfi}, bsf={self.bsf}, ftf={self.ftf}"
            )


def orders_of(
    n_elements: int, element_diameter_mm: float, pitch_diameter_mm: float, contact_deg: float = 0.0
) -> BearingOrders:
    """Fault orders from geometry, inner race turning (Harris, Rolling Bearing Analysis).

    Raises ValueError when the geometry cannot roll.

    >>> orders = orders_of(9, 7.94, 39.04)
    >>> round(orders.bpfi, 4), round(orders.bpfo, 4), round(2 * orders.bsf, 4)
    (5.4152, 3.5848, 4.7135)
    """
    if n_elements < 3 or not 0 < element_diameter_mm < pitch_diameter_mm:
        raise ValueError(
            f"{n_elements} elements of {element_diameter_mm} mm cannot roll on a {pitch_diameter_mm} mm pitch"
        )
    ratio = element_diameter_mm / pitch_diameter_mm * math.cos(math.radians(contact_deg))
    return BearingOrders(
        bpfo=n_elements / 2 * (1 - ratio),
        bpfi=n_elements / 2 * (1 + ratio),
        bsf=pitch_diameter_mm / (2 * element_diameter_mm) * (1 - ratio**2),
        ftf=(1 - ratio) / 2,
    )


BEARINGS: Final[dict[str, tuple[int, float, float]]] = {
    "6203": (8, 6.747, 28.5),
    "6204": (8, 7.938, 33.5),
    "6205": (9, 7.94, 39.04),
    "6206": (9, 9.525, 46.0),
    "6308": (8, 15.081, 65.0),
    "6310": (8, 19.05, 80.0),
    "6313": (8, 23.812, 102.5),
    "6316": (8, 28.575, 125.0),
}
"""Deep-groove ball bearings: balls, ball and pitch diameter in mm (a usual design of each size)."""

DEEP_GROOVE_6205 = orders_of(*BEARINGS["6205"])
