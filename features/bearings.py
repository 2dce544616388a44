"""From the geometry of a rolling bearing to the orders at which its parts speak."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from ingest.contract.plant import Bearing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Orders:
    """Fault orders, multiples of shaft speed; the outer ring stands still."""

    bpfo: float
    bpfi: float
    bsf: float
    ftf: float

    def __post_init__(self) -> None:
        for name in ("bpfo", "bpfi", "bsf", "ftf"):
            if not 0 < getattr(self, name) < 1_000:
                raise ValueError(f"{name} must be an order between 0 and 1000, got {getattr(self, name)}")


def orders_of(bearing: Bearing) -> Orders:
    """Orders of the races, the rolling elements and the cage (Harris, Rolling Bearing Analysis).

    Raises ValueError when the rolling elements do not fit between the rings.

    >>> orders = orders_of(find("6205"))
    >>> round(orders.bpfi, 3), round(orders.bpfo, 3), round(2 * orders.bsf, 3), round(orders.ftf, 3)
    (5.415, 3.585, 4.713, 0.398)
    """
    ratio = bearing.ball_mm / bearing.pitch_mm * math.cos(math.radians(bearing.contact_deg))
    if (
        bearing.ball_mm >= bearing.pitch_mm
        or bearing.rolling_elements * bearing.ball_mm > math.pi * bearing.pitch_mm
    ):
        raise ValueError(
            f"bearing {bearing.name}: {bearing.rolling_elements} elements of {bearing.ball_mm} mm do not fit "
            f"on a pitch circle of {bearing.pitch_mm} mm; check the geometry"
        )
    half = bearing.rolling_elements / 2
    spin = bearing.pitch_mm / (2 * bearing.ball_mm) * (1 - ratio**2)
    return Orders(bpfo=half * (1 - ratio), bpfi=half * (1 + ratio), bsf=spin, ftf=(1 - ratio) / 2)


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Bearing]:
    """The bearings that come with Mitra, by name.

    >>> len(catalogue()) >= 15
    True
    """
    table = tomllib.loads(files("features").joinpath("bearings.toml").read_text("utf-8"))
    return {entry["name"]: msgspec.convert(entry, Bearing) for entry in table["bearing"]}


def find(name: str, declared: Iterable[Bearing] = ()) -> Bearing:
    """A bearing by its name; those declared in the plant file come first.

    Seals and clearances do not move the orders, so "6205-2RS/C3" finds "6205". Raises KeyError with a
    sentence for a person when nobody knows the bearing.

    >>> find("6205-2RS/C3").rolling_elements
    9
    """
    known = {bearing.name.lower(): bearing for bearing in (*catalogue().values(), *declared)}
    wanted = name.strip().lower()
    for candidate in (wanted, wanted.split("/")[0], wanted.split("-")[0].split("/")[0].split(" ")[0]):
        if candidate in known:
            return known[candidate]
    raise KeyError(
        f"bearing {name!r} is not known, so its fault lines are not watched; "
        "add a [[bearing]] with its geometry to the plant file"
    )
