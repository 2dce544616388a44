"""Overview: counts by zone, what needs a person first, every machine as a tile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from dashboards.describe import live_words
from dashboards.picture import FLOOD_FROM, Level, MachineNow
from dashboards.visit import Visit, shared_page, visit

router = APIRouter(include_in_schema=False)
SHARED_S = 1.0
"""The live stream tells at once what changed since."""
MAX_NEEDS = 50
MAX_TILES = 400
TILES_AN_AREA_WHEN_MANY = 24


@router.get("/")
def overview(
    found: Annotated[Visit, Depends(visit)],
    show: Annotated[str, Query(max_length=20)] = "",
    area: Annotated[str | None, Query(max_length=120)] = None,
) -> Response:
    """The plant at a glance."""
    calls = tuple((one.machine.id, len(one.calling)) for one in found.moment.picture.needs())
    key = (show, area, calls)  # whoever taps "N new" sees what is new
    return shared_page(found, "overview", key, SHARED_S, lambda visit: glance(visit, show, area))


def glance(found: Visit, show: str, area: str | None) -> dict[str, Any]:
    """What the main part shows."""
    picture = found.moment.picture
    stale_after_s = found.house.config.stale_after_s
    wanted = _filters(found.now_ns, stale_after_s).get(show)
    areas = {
        name: tuple(one for one in ones if wanted is None or wanted(one))
        for name, ones in picture.areas().items()
        if area is None or name == area
    }
    areas = {name: ones for name, ones in areas.items() if ones}
    totals = {name: len(ones) for name, ones in areas.items()}
    if sum(totals.values()) > MAX_TILES and area is None:
        areas = {name: _worst(ones)[:TILES_AN_AREA_WHEN_MANY] for name, ones in areas.items()}
    needs = picture.needs()
    shown = {one.machine.id: one for ones in areas.values() for one in ones[:MAX_TILES]}
    shown |= {one.machine.id: one for one in needs}
    return {
        "counts": picture.counts(found.now_ns, stale_after_s),
        "needs": needs,
        "max_needs": MAX_NEEDS,
        "flood": picture.lines(needs) if len(needs) > FLOOD_FROM else None,
        "heard": any(one.latest for one in picture.machines.values()),
        "areas": {name: ones[:MAX_TILES] for name, ones in areas.items()},
        "totals": totals,
        "texts": {machine: live_words(one, found.language) for machine, one in shown.items()},
        "show": show if wanted else "",
        "area_name": area,
    }


def _filters(now_ns: int, stale_after_s: float) -> dict[str, Callable[[MachineNow], bool]]:
    def fresh(one: MachineNow) -> bool:
        return one.latest is not None and not one.stale(now_ns, stale_after_s)

    return {
        "zone-a": lambda one: fresh(one) and one.zone == "A",
        "zone-b": lambda one: fresh(one) and one.zone == "B",
        "zone-c": lambda one: fresh(one) and one.zone == "C",
        "zone-d": lambda one: fresh(one) and one.zone == "D",
        "unjudged": lambda one: fresh(one) and not one.zone,
        "stale": lambda one: one.latest is not None and not fresh(one),
        "unknown": lambda one: one.latest is None,
    }


def _worst(ones: Iterable[MachineNow]) -> tuple[MachineNow, ...]:
    """Abnormal machines first, otherwise as in the plant file."""
    return tuple(
        sorted(ones, key=lambda one: (one.level not in (Level.ALARM, Level.WARNING), one.machine.id))
    )
