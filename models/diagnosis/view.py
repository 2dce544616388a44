"""What a diagnosis may look at: one row's values, and how far each watched quantity has risen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.contract.values import AXES
from models.online.columns import Transform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.contract.plant import Machine
    from ingest.contract.rows import FeatureRow
    from models.online.layout import Floats, Layout


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One row with its evidence. ratio: (S,) evidence over threshold; level.

    (S,) smoothed rise, nepers or units.
    """

    values: dict[str, float]
    machine: Machine
    layout: Layout
    ratio: Floats
    level: Floats

    def value(self, base: str) -> float:
        """The largest value over the axes; NaN when no axis says."""
        return _largest(self.values.get(f"{axis}.{base}", math.nan) for axis in AXES)

    def axis_of(self, base: str) -> str:
        """The axis that is loudest in this feature."""
        found = {axis: self.values.get(f"{axis}.{base}", math.nan) for axis in AXES}
        known = {axis: value for axis, value in found.items() if not math.isnan(value)}
        return max(known, key=known.__getitem__) if known else ""

    def rise(self, base: str) -> float:
        """The largest smoothed rise over axes and channels of one kind, in nepers.

        0 when nothing is known.
        """
        return max([0.0, *self._of(base, self.level)])

    def lowest(self, base: str) -> float:
        """The smallest smoothed rise (a fall is negative); 0 when nothing is known."""
        return min([0.0, *self._of(base, self.level)])

    def standing(self, base: str) -> float:
        """The largest evidence over its threshold of one kind; 0 when nothing is known."""
        return max([0.0, *self._of(base, self.ratio)])

    def prominence(self, part: str) -> tuple[float, str]:
        """How far a part's strongest envelope line stands over the envelope's floor, and its axis."""
        best, where = 0.0, ""
        for axis in AXES:
            floor = self.values.get(f"{axis}.envelope_floor_g", math.nan)
            if not floor > 0:
                continue
            for harmonic in (1, 2, 3):
                line = self.values.get(f"{axis}.envelope_{part}_{harmonic}_g", math.nan)
                if line / floor > best:
                    best, where = line / floor, axis
        return best, where

    def _of(self, base: str, numbers: Floats) -> list[float]:
        return [
            float(numbers[i])
            for i, slot in enumerate(self.layout.slots)
            if slot.watch.name == base and not math.isnan(numbers[i])
        ]

    def hottest_rise(self) -> tuple[float, str]:
        """Kelvin above normal of the temperature that rose most, and its channel."""
        found = [
            (float(self.level[i]), slot.name)
            for i, slot in enumerate(self.layout.slots)
            if slot.watch.component == "thermal" and slot.watch.transform == Transform.LINEAR
        ]
        return max(found, default=(0.0, ""))


def view_of(  # noqa: PLR0917  (what the kernel knows of one row)
    row: FeatureRow, machine: Machine, layout: Layout, evidence: Floats, threshold: float, level: Floats
) -> View:
    """A view of one row. evidence, level: (S,)."""
    values: NDArray[np.float32] = row.values
    return View(
        dict(zip(row.names, values.tolist(), strict=True)), machine, layout, evidence / threshold, level
    )


def _largest(values: object) -> float:
    known = [value for value in values if not math.isnan(value)]  # type: ignore[attr-defined]
    return max(known) if known else math.nan
