"""What a diagnosis may look at: one row's values, and how far each watched quantity has risen."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.contract.values import AXES
from models.online.columns import HARMONICS, Transform

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
        """How far a bearing part's envelope lines stand over the other parts' lines, and on which axis.

        The root mean square of the part's harmonics over the median of all parts' lines; about 1 for noise.
        """
        best, where = 0.0, ""
        for axis in AXES:
            lines = {
                (one, harmonic): self.values.get(f"{axis}.envelope_{one}_{harmonic}_g", math.nan)
                for one, harmonics in HARMONICS.items()
                for harmonic in harmonics
            }
            known = [value for value in lines.values() if not math.isnan(value)]
            background = statistics.median(known) if known else 0.0
            if not background > 0:
                continue
            own = [lines[part, harmonic] ** 2 for harmonic in HARMONICS[part]]
            weight = float(len(own))
            sidebands = self.values.get(f"{axis}.envelope_{part}_sidebands_g", math.nan)
            if not math.isnan(sidebands):
                # An element under changing load speaks in sidebands as much as in its line.
                own.append(0.5 * sidebands**2)
                weight += 0.5
            value = math.sqrt(sum(own) / weight) / background
            if value > best:
                best, where = value, axis
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
