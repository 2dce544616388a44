"""A plausible heavy plant as a plant file: a cement works with its quarry, mills, kiln and utilities.

Every machine is simulated; one develops a fault, and the text says nothing about it beyond the simulated
sensor's own table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
import numpy as np
import tomli_w

from features.bearings import find
from simulators.day import FULL_LOAD_EFFICIENCY
from simulators.faults import FaultKind
from simulators.kinds import KINDS, can_have
from simulators.machine import DEFAULT_RATE_HZ, DEFAULT_SAMPLES
from simulators.works import AREAS, TEMPLATES

SECOND_NS: Final = 1_000_000_000
Language = Literal["id", "en"]


SHIFTS: Final = (("06:00", "14:00"), ("14:00", "22:00"), ("22:00", "06:00"))
SHIFT_NAMES: Final[dict[Language, tuple[str, str, str]]] = {
    "id": ("pagi", "siang", "malam"),
    "en": ("morning", "afternoon", "night"),
}
FAILURE_COST: Final = {"low": 5e6, "normal": 40e6, "high": 150e6, "critical": 600e6}
"""Rupiah for one unplanned stop, by criticality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantRequest:
    """What kind of plant to write.

    n_machines, n_gateways: 1 or more; seed: decides everything that chance decides; language: of names;
    origin_ns: sensor time at which counters and plant time begin; speedup: plant seconds in a second;
    period_s, n_samples, rate_hz: how often and how long vibration is taken; fault: what the faulty machine
    (index faulty) develops, None for a healthy plant; onset_s, growth_s: in seconds of sensor time after
    the origin; severity: what the fault grows to; switches: folder of the run switches, from the plant file.
    """

    n_machines: int = 20
    n_gateways: int = 2
    seed: int = 1
    language: Language = "id"
    origin_ns: int = 1_767_225_600 * SECOND_NS
    speedup: float = 1.0
    period_s: float = 1.0
    n_samples: int = DEFAULT_SAMPLES
    rate_hz: float = DEFAULT_RATE_HZ
    fault: FaultKind | None = FaultKind.BEARING_OUTER
    faulty: int = 0
    onset_s: float = 30.0
    growth_s: float = 60.0
    severity: float = 1.0
    switches: str = "switches"

    def __post_init__(self) -> None:
        if not 1 <= self.n_gateways <= self.n_machines:
            raise ValueError(f"{self.n_machines} machines cannot be spread over {self.n_gateways} gateways")
        if not 0 <= self.faulty < self.n_machines:
            raise ValueError(
                f"faulty must be one of the machines 0 to {self.n_machines - 1}, got {self.faulty}"
            )
        kind = TEMPLATES[self.faulty % len(TEMPLATES)].kind
        if self.fault is not None and not can_have(kind, self.fault):
            raise ValueError(f"machine {self.faulty} is a {kind}, which has no part that {self.fault} breaks")


@dataclass(frozen=True, slots=True)
class PlantFile:
    """text: of plant.toml; machines: ids in order; faulty_machine: id of the one that fails, or empty."""

    text: str
    machines: tuple[str, ...]
    faulty_machine: str


def write_plant(request: PlantRequest) -> PlantFile:
    """The plant file of a request; the same request gives the same text.

    >>> from ingest.contract.plant import parse_plant
    >>> made = write_plant(PlantRequest(n_machines=3, n_gateways=1))
    >>> [machine.id for machine in parse_plant(made.text).machine], made.faulty_machine
    (['cooling-pump-01', 'id-fan-01', 'raw-mill-drive-01'], 'cooling-pump-01')
    """
    seeds = np.random.default_rng((request.seed, 31)).integers(0, 2**31, request.n_machines)
    ids = [_id(index) for index in range(request.n_machines)]
    gateways = [f"gw-{number:02d}" for number in range(1, request.n_gateways + 1)]
    gateway_name = {"id": "Gerbang data", "en": "Data gateway"}[request.language]
    tables = _heading(request)
    tables["gateway"] = [{"id": one, "name": f"{gateway_name} {n}"} for n, one in enumerate(gateways, 1)]
    tables["machine"] = [
        _machine(request, index, gateways[index * request.n_gateways // request.n_machines])
        | {"sensor": _sensor(request, index, int(seeds[index]))}
        for index in range(request.n_machines)
    ]
    faulty = ids[request.faulty] if request.fault is not None else ""
    return PlantFile(tomli_w.dumps(tables), tuple(ids), faulty)


def _id(index: int) -> str:
    return f"{TEMPLATES[index % len(TEMPLATES)].stem}-{index // len(TEMPLATES) + 1:02d}"


def _heading(request: PlantRequest) -> dict[str, Any]:
    name = {"id": "Pabrik Semen Nusantara", "en": "Nusantara Cement Works"}[request.language]
    bearings = sorted({template.bearing for template in TEMPLATES})
    return {
        "plant": {
            "id": "nusantara",
            "name": name,
            "timezone": "Asia/Jakarta",
            "language": request.language,
        },
        "tariff": {"currency": "IDR", "peak_per_kwh": 1553.67, "off_peak_per_kwh": 1035.78},
        "shift": [
            {"name": name, "start": start, "end": end}
            for name, (start, end) in zip(SHIFT_NAMES[request.language], SHIFTS, strict=True)
        ],
        "bearing": [msgspec.to_builtins(find(one)) for one in bearings],
    }


def _machine(request: PlantRequest, index: int, gateway: str) -> dict[str, Any]:
    template = TEMPLATES[index % len(TEMPLATES)]
    kind, number = KINDS[template.kind], index // len(TEMPLATES) + 1
    area = AREAS[template.area]
    idle_kw = template.power_kw / FULL_LOAD_EFFICIENCY * kind.no_load * kind.idle_speed**2
    facts: dict[str, Any] = {
        "id": _id(index),
        "name": f"{template.name_id if request.language == 'id' else template.name_en} {number}",
        "gateway": gateway,
        "kind": template.kind,
        "area": area.name_id if request.language == "id" else area.name_en,
        "line": f"{area.line}-{number}",
        "criticality": template.criticality,
        "rated_power_kw": template.power_kw,
        "rated_rpm": template.rpm,
        "idle_power_kw": round(idle_kw, 1),
        "iso_group": 1 if template.power_kw > 300 else 2,
        "support": "rigid",
        "bearing": template.bearing,
        "temperature_limit_c": 120.0,
        "failure_cost": FAILURE_COST[template.criticality],
    }
    facts |= {"gear_teeth": kind.gear_teeth} if kind.gear_teeth else {}
    facts |= {"vanes": kind.vanes} if kind.vanes else {}
    facts |= {"ideal_cycle_s": round(3600 / kind.units_per_hour, 3)} if kind.units_per_hour else {}
    return facts


def _sensor(request: PlantRequest, index: int, seed: int) -> dict[str, Any]:
    is_faulty = request.fault is not None and index == request.faulty
    sensor: dict[str, Any] = {
        "kind": "simulated",
        "seed": seed,
        "period_s": request.period_s,
        "n_samples": request.n_samples,
        "rate_hz": request.rate_hz,
        "origin": datetime.fromtimestamp(request.origin_ns // SECOND_NS, UTC),
        "speedup": request.speedup,
        "switches": request.switches,
    }
    if TEMPLATES[index % len(TEMPLATES)].two_shifts and not is_faulty:
        sensor["shifts"] = list(SHIFT_NAMES[request.language][:2])
    if is_faulty:
        sensor["idle_share"] = 0.0
        sensor["faults"] = [
            {
                "kind": str(request.fault),
                "onset_s": request.onset_s * request.speedup,
                "growth_s": request.growth_s * request.speedup,
                "severity": request.severity,
            }
        ]
    return sensor
