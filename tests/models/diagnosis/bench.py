"""A test bench: one simulated machine through features and fold, with its raw samples kept beside."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np

from features.bearings import find, orders_of
from features.extract import extract
from ingest.contract.plant import Plant
from ingest.contract.rows import AlarmChange, Condition, FeatureRow, Judgement, StopAdvice
from ingest.contract.values import Message, Scalar, Waveform
from models.diagnosis.rules import UNKNOWN
from models.stream import Settings, judge, new_state
from simulators.faults import Fault, FaultKind
from simulators.kinds import KINDS
from simulators.machine import MachineModel
from simulators.plant_clock import PlantClock
from simulators.shifts import WorkPattern

SECOND = 1_000_000_000
ORIGIN_NS = 1_767_225_600 * SECOND
CALM_S, GROWTH_S, HOLD_S = 25, 40, 20
SAMPLES, RATE_HZ = 8_192, 25_600.0
SICK = (Condition.WARNING, Condition.ALARM)


@dataclass(frozen=True)
class Case:
    """A machine and what befalls it. severity: what the fault grows to."""

    kind: str
    rpm: float
    fault: FaultKind | None = None
    seed: int = 1
    severity: float = 1.0
    bearing: str = "6313"
    power_kw: float = 75.0
    idle_share: float = 0.0


@dataclass
class Told:
    """What the machine said and what was said of it, row by row. waves: (3, n) g of each row."""

    plant: Plant
    waves: list[np.ndarray] = field(default_factory=list)
    rows: list[FeatureRow] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    alarms: list[AlarmChange] = field(default_factory=list)
    advice: list[StopAdvice] = field(default_factory=list)

    @property
    def first_alarm(self) -> Judgement | None:
        """The judgement of the row that begins the alarm."""
        return next((one for one in self.judgements if one.condition == Condition.ALARM), None)

    @property
    def named(self) -> list[str]:
        """Every fault that was named, in order and without repeats."""
        said = [one.fault for one in self.judgements if one.fault not in ("", UNKNOWN)]
        return [name for i, name in enumerate(said) if i == 0 or said[i - 1] != name]

    @property
    def causes(self) -> list[str]:
        """Causes of the alarms, as people hear them first and later."""
        return [one.cause for one in self.alarms if one.event in ("raised", "diagnosed")]


def plant_of(case: Case, machine_id: str = "m0") -> Plant:
    kind = KINDS[case.kind]
    machine = {
        "id": machine_id,
        "name": "Machine",
        "gateway": "gw",
        "kind": case.kind,
        "rated_power_kw": case.power_kw,
        "rated_rpm": case.rpm,
        "iso_group": 1 if case.power_kw > 300 else 2,
        "support": "rigid",
        "bearing": case.bearing,
        "gear_teeth": kind.gear_teeth,
        "vanes": kind.vanes,
        "temperature_limit_c": 120.0,
    }
    tables = {"plant": {"id": "works", "name": "Works"}, "gateway": [{"id": "gw"}], "machine": [machine]}
    return msgspec.convert(tables, Plant)


def model_of(case: Case) -> MachineModel:
    fault = case.fault and Fault(case.fault, ORIGIN_NS + CALM_S * SECOND, float(GROWTH_S), case.severity)
    return MachineModel(
        case.kind,
        case.power_kw,
        case.rpm,
        orders=orders_of(find(case.bearing)),
        seed=case.seed,
        faults=() if fault is None else (fault,),
        clock=PlantClock(ORIGIN_NS),
        pattern=WorkPattern(idle_share=case.idle_share),
    )


def tell(case: Case, change=None, seconds: int = CALM_S + GROWTH_S + HOLD_S, settings=None) -> Told:
    """Run a case. change(second, samples (3, n) g, scalars) -> (samples, scalars), for what lies."""
    plant, model = plant_of(case), model_of(case)
    told, messages = Told(plant), []
    for second in range(seconds):
        now_ns = ORIGIN_NS + second * SECOND
        block, scalars = model.block(now_ns, SAMPLES, RATE_HZ), model.scalars(now_ns)
        samples = block.counts * block.scale_g
        if change is not None:
            samples, scalars = change(second, samples, scalars)
        told.waves.append(samples)
        messages.append(message_of(now_ns, samples, scalars))
    state = new_state(plant, settings or Settings.demo())
    told.rows = extract(messages, state.facts)
    for row in told.rows:
        _, judgements, alarms, advice = judge(state, (row,), (), row.time_ns)
        told.judgements += judgements
        told.alarms += alarms
        told.advice += advice
    return told


def message_of(now_ns: int, samples: np.ndarray, scalars: dict[str, float]) -> Message:
    """Samples in g, sent as float32, whatever made them."""
    waves = tuple(
        Waveform(axis, memoryview(wave.astype("<f4")).cast("B"), "float32", RATE_HZ, 1.0, now_ns)
        for axis, wave in zip("xyz", samples, strict=True)
    )
    return Message("gw", "m0", now_ns, waves, tuple(Scalar(*one, now_ns) for one in scalars.items()))
