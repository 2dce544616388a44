"""What a diagnosis may look at: one row's values, and how far each watched quantity has risen."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from features.table import N_PEAKS, order_name
from ingest.contract.channels import SPEED_RPM
from ingest.contract.values import AXES
from models.online.columns import HARMONICS, Transform

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from ingest.contract.plant import Machine
    from ingest.contract.rows import FeatureRow
    from models.online.layout import Floats, Layout

AT_HZ, BESIDE_HZ, NEAR_HZ = 0.35, 0.6, 9.5
"""So near a peak is the order's own; from there another's; further away it cannot leak into the order."""


@dataclass(frozen=True, eq=False)
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
        """The axis that is loudest in this feature; empty when no axis says."""
        found = {axis: self.values.get(f"{axis}.{base}", math.nan) for axis in AXES}
        known = {axis: value for axis, value in found.items() if not math.isnan(value)}
        return max(known, key=known.__getitem__) if known else ""

    def rise(self, base: str) -> float:
        """The largest smoothed rise over axes and channels of one kind, in nepers.

        0 when nothing is known.
        """
        return self._rises.get(base, 0.0)

    def standing(self, base: str) -> float:
        """The largest evidence over its threshold of one kind; 0 when nothing is known."""
        return max([0.0, *self._of(base, self.ratio)])

    def slope(self) -> float:
        """Half a turn over the whole turn, all axes together; 0 where the block is too short for it.

        A line that leaks into its neighbours stays below 1; what swings slower than the turn does not.
        """
        below, turn = self.size("order_0_5_g"), self.size("order_1_g")
        return below / turn if turn > 0.0 and below > 0.0 else 0.0

    def stray(self, order: float) -> float:
        """How surely the line at an order is somebody else's: a loud peak beside it, by the told speed.

        A block tells lines apart by a few Hz only, but a peak's own place by tenths; 0 when no speed is told.
        """
        told = self.values.get(SPEED_RPM, math.nan)
        if not told > 0.0:
            return 0.0
        place, name = order * told / 60.0, order_name(order)
        axis = self.axis_of(name)
        for rank in range(1, N_PEAKS + 1):
            peak_hz = self.values.get(f"{axis}.peak_{rank}_hz", math.nan)
            away = abs(peak_hz - place)
            if away < NEAR_HZ and self.values[f"{axis}.peak_{rank}_g"] > 0.7 * self.values[f"{axis}.{name}"]:
                return min(max((away - AT_HZ) / (BESIDE_HZ - AT_HZ), 0.0), 1.0)
        return 0.0

    def size(self, base: str) -> float:
        """Root sum square over the axes; NaN when no axis says."""
        known = [
            value for axis in AXES if not math.isnan(value := self.values.get(f"{axis}.{base}", math.nan))
        ]
        return math.sqrt(sum(value * value for value in known)) if known else math.nan

    def prominence(self, part: str) -> tuple[float, str]:
        """How far a bearing part's envelope lines stand over the other parts' lines, and on which axis.

        The root mean square of the part's harmonics over the median of all parts' lines; about 1 for noise.
        """
        return self._prominences[part]

    @cached_property
    def _rises(self) -> dict[str, float]:
        """Largest rise by kind, where one has risen: rules ask for the same kinds again and again."""
        found: dict[str, float] = {}
        for slot, rise in zip(self.layout.slots, self.level.tolist(), strict=False):
            if rise > found.get(slot.watch.name, 0.0):
                found[slot.watch.name] = rise
        return found

    @cached_property
    def _prominences(self) -> dict[str, tuple[float, str]]:
        best = dict.fromkeys(HARMONICS, (0.0, ""))
        for axis in AXES:
            lines = {
                part: [self.values.get(f"{axis}.envelope_{part}_{k}_g", math.nan) for k in harmonics]
                for part, harmonics in HARMONICS.items()
            }
            known = [value for some in lines.values() for value in some if not math.isnan(value)]
            background = statistics.median(known) if known else 0.0
            if not background > 0:
                continue
            for part, own in lines.items():
                value = self._strength_of(axis, part, own) / background
                if value > best[part][0]:
                    best[part] = (value, axis)
        return best

    def _strength_of(self, axis: str, part: str, lines: list[float]) -> float:
        """Root mean square of a part's lines and, where known, of its sidebands at half their weight."""
        square, weight = sum(line * line for line in lines), float(len(lines))
        sidebands = self.values.get(f"{axis}.envelope_{part}_sidebands_g", math.nan)
        if not math.isnan(sidebands):
            # An element under changing load speaks in sidebands as much as in its line.
            square, weight = square + 0.5 * sidebands**2, weight + 0.5
        return math.sqrt(square / weight)

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


def _largest(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return max(known) if known else math.nan
