"""One figure beside its reference, and where the recordings are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value beside what others reach and what we aim at.

    goal_is: whether the goal is a floor ("min") or a ceiling ("max"); None goals are only reported.
    """

    name: str
    value: float
    goal: float | None = None
    goal_is: Literal["min", "max"] = "min"
    reference: str = ""

    def __post_init__(self) -> None:
        if math.isnan(self.value):
            raise ValueError(f"{self.name} was not measured")

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal.

        >>> Figure("F1", 0.85, 0.80).met, Figure("FAR %", 10.2, 12.0, "max").met, Figure("rows", 3.0).met
        (True, True, None)
        """
        if self.goal is None:
            return None
        return self.value >= self.goal if self.goal_is == "min" else self.value <= self.goal


@dataclass(frozen=True, slots=True)
class SetReport:
    """What one set of recordings says. protocol: how it was measured; notes: what a reader must know."""

    name: str
    protocol: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


class MissingSetError(FileNotFoundError):
    """The folder of a set is not there."""


def folder(data: Path, name: str) -> Path:
    """A set's folder. Raises MissingSetError with what to do."""
    place = data / name
    if not place.is_dir():
        raise MissingSetError(f"{place} is missing: get the set as its public source says and name it {name}")
    return place
