"""False alarms of healthy simulated plants, and what is said of grown faults, without broker or clock.

Machines idle, change load and stop as their shifts want; rows go through the production fold. A plant where
nothing is wrong must stay silent: alarms are counted a machine-month and set beside the asked rate. The upper
bound is the exact 95 % one of a Poisson count: a short run cannot prove a low rate.

    python -m benchmarks.false_alarms --json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scipy.stats import chi2

from features.extract import extract
from ingest.contract.plant import Machine, Plant, parse_plant
from ingest.contract.rows import FeatureRow
from ingest.contract.values import Message, Scalar, Waveform
from models.stream import Settings, judge, new_state, warm_up
from simulators.faults import FaultKind
from simulators.machine import MachineModel
from simulators.plant import PlantRequest, write_plant
from simulators.sensor import models_of

SECOND_NS: Final = 1_000_000_000
ORIGIN_S: Final = 1_767_225_600
MONTH_H: Final = 720.0
BATCH: Final = 64
ONSET_S, GROWTH_S, FAULT_S = 60.0, 120.0, 430.0
PUMP, FAN, GEARBOX, COMPRESSOR = range(4)
FAULTS: Final = (
    (FaultKind.BEARING_OUTER, PUMP),
    (FaultKind.BEARING_INNER, COMPRESSOR),
    (FaultKind.BEARING_BALL, FAN),
    (FaultKind.BEARING_CAGE, PUMP),
    (FaultKind.IMBALANCE, FAN),
    (FaultKind.MISALIGNMENT, PUMP),
    (FaultKind.LOOSENESS, GEARBOX),
    (FaultKind.GEAR, GEARBOX),
    (FaultKind.CAVITATION, PUMP),
    (FaultKind.LUBRICATION, PUMP),
    (FaultKind.LUBRICATION, GEARBOX),
    (FaultKind.ELECTRICAL, PUMP),
    (FaultKind.ELECTRICAL, FAN),
)
"""Faults and the machine of the simulated works that has each."""


@dataclass(frozen=True, slots=True)
class Run:
    """One healthy plant: how its rows come. start_h: hours after midnight UTC; profile: demo or plant."""

    profile: str
    seed: int
    start_h: float
    hours: float
    period_s: float
    machines: int = 20

    @property
    def settings(self) -> Settings:
        """What the models are told."""
        return Settings.demo() if self.profile == "demo" else Settings()


RUNS: Final = (
    Run("demo", 1, 3.0, 0.67, 1.0),
    Run("demo", 2, 8.0, 0.67, 1.0),
    Run("demo", 3, 14.5, 0.67, 1.0),
    Run("demo", 4, 20.0, 0.67, 1.0),
    Run("plant", 11, 3.0, 96.0, 120.0),
    Run("plant", 12, 3.0, 120.0, 60.0, 10),
)
HELD_OUT: Final = tuple(
    Run("demo", seed, start_h, 0.67, 1.0)
    for seed, start_h in zip(
        range(101, 110), (0.0, 5.5, 7.0, 10.3, 12.0, 13.7, 16.0, 18.2, 22.5), strict=True
    )
)
"""Days to check a change of the models on, never to find one: whoever looks into them takes new seeds."""
QUICK: Final = (Run("demo", 1, 3.0, 0.2, 1.0, 8), Run("plant", 11, 3.0, 24.0, 240.0, 8))


def message(machine: Machine, model: MachineModel, now_ns: int) -> Message:
    """What a gateway would send of a machine now."""
    said = model.telemetry(now_ns)
    waves = tuple(one for one in said if isinstance(one, Waveform))
    return Message(
        machine.gateway, machine.id, now_ns, waves, tuple(one for one in said if isinstance(one, Scalar))
    )


def rows_of(plant: Plant, settings: Settings, start_ns: int, seconds: float, step_s: float) -> Iterator[Any]:
    """Rows of a whole plant in batches, in order of time."""
    models, facts = models_of(plant), new_state(plant, settings).facts
    batch: list[FeatureRow] = []
    for tick in range(int(seconds / step_s)):
        now_ns = start_ns + round(tick * step_s * SECOND_NS)
        messages = [message(machine, models[machine.id], now_ns) for machine in plant.machine]
        batch += extract(messages, facts)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def silence(run: Run) -> dict[str, Any]:
    """Alarms and warnings of a healthy plant."""
    start_ns = (ORIGIN_S + round(run.start_h * 3600)) * SECOND_NS
    request = PlantRequest(
        n_machines=run.machines,
        n_gateways=1,
        seed=run.seed,
        fault=None,
        origin_ns=start_ns,
        period_s=run.period_s,
        switches="",
    )
    plant = parse_plant(write_plant(request).text)
    state, conditions, raised = new_state(plant, run.settings), Counter[str](), []
    for batch in rows_of(plant, run.settings, start_ns, run.hours * 3600, run.period_s):
        _, judgements, alarms, _ = judge(state, batch, (), batch[-1].time_ns)
        conditions.update(one.condition.value for one in judgements)
        raised += [one for one in alarms if one.event == "raised"]
    return {
        "profile": run.profile,
        "seed": run.seed,
        "machine_hours": round(run.machines * run.hours, 1),
        "alarms": len(raised),
        "rows": sum(conditions.values()),
        "rows_in_warning": conditions["warning"],
        "said": [
            f"{one.machine} after {(one.time_ns - start_ns) / 6e10:.1f} min: {one.cause}" for one in raised
        ],
    }


def rate(found: Sequence[dict[str, Any]], asked: float) -> dict[str, float]:
    """Alarms a machine-month, with the exact upper 95 % bound, beside what was asked for.

    >>> rate([{"alarms": 0, "machine_hours": 720.0, "rows": 10, "rows_in_warning": 1}], 0.1)["upper_95"]
    3.0
    """
    alarms = sum(one["alarms"] for one in found)
    months = sum(one["machine_hours"] for one in found) / MONTH_H
    rows = sum(one["rows"] for one in found)
    return {
        "machine_months": round(months, 3),
        "alarms": alarms,
        "a_machine_month": round(alarms / months, 2),
        "upper_95": round(float(chi2.ppf(0.95, 2 * (alarms + 1))) / 2 / months, 2),
        "asked": asked,
        "rows_in_warning_pct": round(100.0 * sum(one["rows_in_warning"] for one in found) / rows, 3),
    }


def grown(fault: FaultKind, which: int) -> dict[str, Any]:
    """What is said of one fault that grows to zone D within two minutes, with the demo's profile."""
    origin_ns = (ORIGIN_S + 3 * 3600) * SECOND_NS
    request = PlantRequest(
        n_machines=4,
        n_gateways=1,
        seed=5,
        fault=fault,
        faulty=which,
        onset_s=ONSET_S,
        growth_s=GROWTH_S,
        origin_ns=origin_ns,
        switches="",
    )
    made = write_plant(request)
    plant = parse_plant(made.text)
    state, first, cause, last = new_state(plant, Settings.demo()), None, "", ""
    for batch in rows_of(plant, Settings.demo(), origin_ns, FAULT_S, 1.0):
        _, judgements, alarms, _ = judge(state, batch, (), batch[-1].time_ns)
        for one in alarms:
            if one.machine == made.faulty_machine and one.event in {"raised", "diagnosed"}:
                first, cause = (one.time_ns if first is None else first), one.cause
        last = next((one.condition.value for one in judgements if one.machine == made.faulty_machine), last)
    return {
        "fault": fault.value,
        "machine": made.faulty_machine,
        "alarm_after_onset_s": None if first is None else round((first - origin_ns) / SECOND_NS - ONSET_S, 1),
        "cause": cause,
        "right": cause == fault.value,
        "at_the_end": last,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer machines and hours, three faults")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of an indented one")
    parser.add_argument("--held-out", action="store_true", help="healthy days that no limit was settled on")
    given = parser.parse_args(argv)
    warm_up()
    found = []
    for run in HELD_OUT if given.held_out else QUICK if given.quick else RUNS:
        began = time.monotonic()
        found.append(silence(run))
        print(f"{run.profile}, seed {run.seed}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    asked = Settings().false_alarms_per_machine_month
    told = {
        "healthy": {
            profile: rate([one for one in found if one["profile"] == profile], asked)
            for profile in sorted({run["profile"] for run in found})
        },
        "runs": found,
        "faults": [grown(fault, which) for fault, which in (FAULTS[:3] if given.quick else FAULTS)],
        "know": "machines are simulated; the limits were settled with these simulators at hand",
    }
    print(json.dumps(told, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
