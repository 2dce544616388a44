"""The plant file: what stands where, what it is, and what its energy costs.

Parsing is pure (text in, `Plant` out); an unknown key or an impossible value raises `PlantError` with one
sentence that says what to do. Reading the file is the caller's.
"""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ingest.contract.explain import explain, known_at, unreadable
from ingest.contract.ids import ID_PATTERN

Id = Annotated[str, msgspec.Meta(pattern=f"^{ID_PATTERN}$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-4]):[0-5]\d$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Criticality = Literal["low", "normal", "high", "critical"]
MAX_MACHINES = 20_000


class PlantError(ValueError):
    """The plant file cannot be used; the message says why and what to do."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the plant file: an unknown key is an error."""


class Site(_Table, frozen=True, kw_only=True):
    """`[plant]`. id is the Sparkplug group."""

    id: Id
    name: Name
    timezone: str = "Asia/Jakarta"
    language: Literal["id", "en"] = "id"


class Tariff(_Table, frozen=True, kw_only=True):
    """`[tariff]`: time-of-use prices a kWh in `currency` (ISO 4217)."""

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "IDR"
    peak_per_kwh: NotNegative = 0.0
    off_peak_per_kwh: NotNegative = 0.0
    peak_from: Clock = "18:00"
    peak_to: Clock = "22:00"


class Shift(_Table, frozen=True, kw_only=True):
    """`[[shift]]`: planned busy time, local; an end before its start runs past midnight."""

    name: Name
    start: Clock
    end: Clock
    days: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Bearing(_Table, frozen=True, kw_only=True):
    """`[[bearing]]`: geometry in mm and degrees, outer ring fixed."""

    name: Name
    rolling_elements: Annotated[int, msgspec.Meta(ge=3, le=200)]
    ball_mm: Positive
    pitch_mm: Positive
    contact_deg: Annotated[float, msgspec.Meta(ge=0, lt=90)] = 0.0


class Gateway(_Table, frozen=True, kw_only=True):
    """`[[gateway]]`: an edge node."""

    id: Id
    name: str = ""


class Machine(_Table, frozen=True, kw_only=True):
    """`[[machine]]`: one device. What is not declared is not judged (ISO zone, orders, OEE)."""

    id: Id
    name: Name
    gateway: Id
    kind: str = "other"
    area: str = ""
    line: str = ""
    criticality: Criticality = "normal"
    rated_power_kw: Positive | None = None
    rated_rpm: Positive | None = None
    idle_power_kw: NotNegative | None = None
    iso_group: Literal[1, 2] | None = None
    support: Literal["rigid", "flexible"] | None = None
    zone_limits_mm_s: tuple[float, float, float] | None = None
    bearing: str = ""
    gear_teeth: Annotated[int, msgspec.Meta(ge=0)] = 0
    vanes: Annotated[int, msgspec.Meta(ge=0)] = 0
    line_hz: Positive = 50.0
    temperature_limit_c: float | None = None
    ideal_cycle_s: Positive | None = None
    failure_cost: NotNegative = 0.0
    sensor: dict[str, Any] = {}


class Plant(_Table, frozen=True, kw_only=True):
    """The whole plant file."""

    plant: Site
    tariff: Tariff = Tariff()
    shift: tuple[Shift, ...] = ()
    bearing: tuple[Bearing, ...] = ()
    gateway: tuple[Gateway, ...]
    machine: Annotated[tuple[Machine, ...], msgspec.Meta(max_length=MAX_MACHINES)]

    @property
    def site(self) -> str:
        """The Sparkplug group."""
        return self.plant.id

    def by_id(self) -> dict[str, Machine]:
        """Machines by their id."""
        return {machine.id: machine for machine in self.machine}

    def on(self, gateway: str) -> tuple[Machine, ...]:
        """The machines of one gateway."""
        return tuple(machine for machine in self.machine if machine.gateway == gateway)


_PATH = re.compile(r"`\$\.(?P<kind>\w+)(?:\[(?P<index>\d+)\])?(?:\.(?P<key>\w+))?")


def parse_plant(text: str, source: str = "the plant file") -> Plant:
    """Read a plant file's text. Raises PlantError.

    >>> parse_plant("[plant]\\nid = 'x'\\n")
    Traceback (most recent call last):
    ...
    ingest.contract.plant.PlantError: the plant file: [plant]: the key 'name' is missing
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlantError(unreadable(source, error)) from error
    try:
        plant = msgspec.convert(tables, Plant)
    except msgspec.ValidationError as error:
        raise PlantError(f"{source}: {_explain(str(error), tables)}") from error
    _check(plant, source)
    return plant


def _explain(text: str, tables: dict[str, Any]) -> str:
    """Say where in the file's own words, and which key may have been meant."""
    where = _PATH.search(text)
    kind = where["kind"] if where else None
    place = ""
    if where and kind:
        place = f"[{kind}]" if where["index"] is None else f"[[{kind}]] number {int(where['index']) + 1}"
        if where["index"] is not None:
            table = tables[kind][int(where["index"])]
            name = table.get("id", table.get("name")) if isinstance(table, dict) else None
            place += f" ({name!r})" if name else ""
        place += f", key {where['key']!r}" if where["key"] else ""
    what = explain(text.split(" - at ", maxsplit=1)[0], known_at(text, Plant))
    return f"{place}: {what}" if place else what


def _check(plant: Plant, source: str) -> None:
    try:
        ZoneInfo(plant.plant.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise PlantError(
            f"{source}: timezone {plant.plant.timezone!r} is not known; write one as Asia/Jakarta"
        ) from error
    gateways = [gateway.id for gateway in plant.gateway]
    machines = [machine.id for machine in plant.machine]
    for what, ids in (("gateway", gateways), ("machine", machines)):
        twice = sorted({one for one in ids if ids.count(one) > 1}) if len(set(ids)) != len(ids) else []
        if twice:
            raise PlantError(f"{source}: {what} {twice[0]!r} is declared twice; give each its own id")
    for bearing in plant.bearing:
        if bearing.ball_mm >= bearing.pitch_mm:
            raise PlantError(f"{source}: bearing {bearing.name!r}: ball_mm must be smaller than pitch_mm")
    known = set(gateways)
    for machine in plant.machine:
        if machine.gateway not in known:
            raise PlantError(
                f"{source}: machine {machine.id!r} names gateway {machine.gateway!r}, which is not declared; "
                f"add [[gateway]] id = {machine.gateway!r}"
            )
        limits = machine.zone_limits_mm_s
        if limits is not None and not 0 < limits[0] < limits[1] < limits[2]:
            raise PlantError(f"{source}: machine {machine.id!r}: zone_limits_mm_s must rise: A/B, B/C, C/D")
