"""What watching a plant is worth: the same months with nobody watching, with a monthly round, and with Mitra.

Signals come from the simulators, features and alarms from the production code; nothing tells it the truth.
The founding story reports OEE +18 %, unplanned downtime -65 %, utility cost -12 %: this prints what this
system reaches under stated assumptions, and does not aim at those figures.

    python -m benchmarks.plant_story --days 180 --seeds 1,2,3 --json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from features.extract import extract
from ingest.contract.actions import Action, ActionKind, Verdict
from ingest.contract.batch import Batch
from ingest.contract.plant import Machine, Plant, parse_plant
from ingest.contract.rows import AlarmState
from ingest.contract.values import Message, Scalar, Waveform
from models.stream import Settings, StreamState, new_state, update, warm_up
from simulators.day import DAY_NS, MINUTE_NS
from simulators.economics import Assumptions, Call, Ledger, Member, NoWatch, Watch, Works
from simulators.faults import Fault, FaultKind
from simulators.machine import JAKARTA_S, MachineModel
from simulators.plant import PlantRequest, write_plant
from simulators.sensor import SimulatedSensor

SECOND_NS: Final = 1_000_000_000
START_NS: Final = (1_767_225_600 + 86_400 - JAKARTA_S) * SECOND_NS
"""A local midnight in Jakarta."""
ROUND_DAYS: Final = 30
FOUNDING: Final = {"oee_pct": 18.0, "unplanned_downtime_pct": -65.0, "utility_cost_pct": -12.0}


def message(machine: Machine, model: MachineModel, now_ns: int) -> Message:
    """What a gateway would send of a machine now."""
    telemetry = model.telemetry(now_ns)
    return Message(
        machine.gateway,
        machine.id,
        now_ns,
        tuple(one for one in telemetry if isinstance(one, Waveform)),
        tuple(one for one in telemetry if isinstance(one, Scalar)),
    )


@dataclass(slots=True)
class MitraWatch:
    """Our alarms and advices, from one block a machine and hour."""

    plant: Plant
    state: StreamState
    seed: int
    reports_idling: bool = True
    n_alarms: int = 0
    _said: list[Action] = field(default_factory=list)
    _open: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    def look(self, now_ns: int, models: Mapping[str, MachineModel]) -> Sequence[Call]:
        """One block of every machine, judged; a raised alarm calls, an advice calls urgently."""
        rng = np.random.default_rng((self.seed, now_ns // MINUTE_NS))
        at_ns = now_ns + int(rng.integers(0, 55)) * MINUTE_NS
        messages = tuple(message(machine, models[machine.id], at_ns) for machine in self.plant.machine)
        self.state, said = update(self.state, Batch(at_ns, messages, actions=tuple(self._said)))
        self._said.clear()
        calls = []
        for alarm in said.alarms:
            if alarm.event == "raised" and alarm.state is AlarmState.UNACKNOWLEDGED:
                self.n_alarms += 1
                self._open[alarm.machine] = alarm.alarm_id
                calls.append(Call(alarm.machine))
        return (*calls, *(Call(advice.machine, urgent=True) for advice in said.advice))

    def tell(self, now_ns: int, machine: str, found: FaultKind | None) -> None:
        """The technicians' verdict goes to the models, as from the screens."""
        verdict = Verdict.CONFIRMED if found else Verdict.FALSE_ALARM
        values: dict[str, str | int | float] = {"verdict": verdict.value}
        if found:
            values["fault"] = found.value
        self._say(ActionKind.VERDICT, now_ns, machine, values)

    def repaired(self, now_ns: int, machine: str) -> None:
        """A repaired machine is learned anew."""
        self._say(ActionKind.MAINTENANCE, now_ns, machine, {})
        self._open.pop(machine, None)

    def _say(self, kind: ActionKind, now_ns: int, machine: str, values: dict[str, str | int | float]) -> None:
        self._count += 1
        alarm_id = self._open.get(machine, "")
        self._said.append(Action(f"a-{self._count}", kind, "technician", now_ns, machine, alarm_id, values))


@dataclass(slots=True)
class RoundWatch:
    """A technician with a hand-held meter, once a month: ISO 10816-3 zone C calls for an inspection."""

    plant: Plant
    state: StreamState
    reports_idling: bool = False
    n_alarms: int = 0

    def look(self, now_ns: int, models: Mapping[str, MachineModel]) -> Sequence[Call]:
        """A round on the first morning of each month."""
        if (now_ns - START_NS) % (ROUND_DAYS * DAY_NS) != 9 * 60 * MINUTE_NS:
            return ()
        messages = [message(machine, models[machine.id], now_ns) for machine in self.plant.machine]
        calls = []
        for machine, row in zip(self.plant.machine, extract(messages, self.state.facts), strict=True):
            velocity_mm_s = row.values[row.names.index("velocity_rms_mm_s")]
            if velocity_mm_s > (4.5 if machine.iso_group == 1 else 2.8):
                calls.append(Call(machine.id))
        self.n_alarms += len(calls)
        return calls

    def tell(self, now_ns: int, machine: str, found: FaultKind | None) -> None:
        """A meter learns nothing."""

    def repaired(self, now_ns: int, machine: str) -> None:
        """A meter learns nothing."""


def members(plant: Plant) -> list[Member]:
    """The machines of a plant, as their simulated sensors would play them."""

    def maker(machine: Machine) -> Any:
        config = {key: value for key, value in machine.sensor.items() if key != "kind"}

        def make(faults: tuple[Fault, ...]) -> MachineModel:
            origin_ns = round(config["origin"].timestamp()) * SECOND_NS
            tables = [
                {
                    "kind": str(fault.kind),
                    "onset_s": (fault.onset_ns - origin_ns) / SECOND_NS,
                    "growth_s": fault.growth_s,
                    "severity": fault.severity,
                }
                for fault in faults
            ]
            return SimulatedSensor.from_config(plant, machine, {**config, "faults": tables}, Path()).model

        return make

    return [Member(machine.id, machine.line, machine.kind, maker(machine)) for machine in plant.machine]


def tell_story(seed: int, days: int, assumed: Assumptions, n_machines: int) -> dict[str, Ledger]:
    """The same plant life under each watch."""
    request = PlantRequest(n_machines=n_machines, fault=None, seed=seed, origin_ns=START_NS, switches="none")
    plant = parse_plant(write_plant(request).text)
    watches: dict[str, Watch] = {
        "run_to_failure": NoWatch(),
        "monthly_round": RoundWatch(plant, new_state(plant)),
        "mitra": MitraWatch(plant, new_state(plant, Settings()), seed),
    }
    told = {}
    for name, watch in watches.items():
        began = time.monotonic()
        told[name] = Works(members(plant), assumed, seed, START_NS).live(watch, days)
        print(f"seed {seed}: {name} {days} days in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return told


def joined(ledgers: Sequence[Ledger]) -> Ledger:
    """All seeds together."""
    whole = Ledger()
    for ledger in ledgers:
        for one in fields(Ledger):
            if one.name != "lost_h":
                setattr(whole, one.name, getattr(whole, one.name) + getattr(ledger, one.name))
        for down, hours in ledger.lost_h.items():
            whole.lost_h[down] += hours
    return whole


def figures(ledger: Ledger) -> dict[str, float]:
    """What one ledger says."""
    return {
        "oee": round(ledger.oee, 4),
        "availability": round(ledger.availability, 4),
        "quality": round(ledger.quality, 4),
        "unplanned_line_hours": round(ledger.unplanned_h, 1),
        "planned_repair_line_hours": round(ledger.lost_h["planned"], 1),  # type: ignore[index]
        "breakdowns": ledger.breakdowns,
        "breakdowns_without_a_trace": ledger.sudden_breakdowns,
        "faults_caught": ledger.caught,
        "calls": ledger.calls,
        "calls_where_nothing_was_wrong": ledger.false_calls,
        "inspections": ledger.inspections,
        "inspections_where_nothing_was_wrong": ledger.needless_inspections,
        "stops_advised": ledger.stops_advised,
        "stops_rejected": ledger.stops_rejected,
        "running_mwh": round(ledger.running_kwh / 1e3, 1),
        "idle_mwh": round(ledger.idle_kwh / 1e3, 1),
        "energy_cost_million_idr": round(ledger.energy_cost / 1e6, 1),
        "energy_cost_idr_per_good_hour": round(ledger.energy_cost / ledger.good, 1),
    }


def change(before: float, after: float) -> float | None:
    """Per cent of change; None when there was nothing before."""
    return round(100.0 * (after / before - 1.0), 2) if before else None


def changes(before: Ledger, after: Ledger) -> dict[str, float | None]:
    """What a watch changed against another, in per cent."""
    return {
        "oee_pct": change(before.oee, after.oee),
        "oee_points": round(100 * (after.oee - before.oee), 2),
        "unplanned_downtime_pct": change(before.unplanned_h, after.unplanned_h),
        "utility_cost_pct": change(before.energy_cost / before.good, after.energy_cost / after.good),
        "utility_cost_running_pct": change(
            before.running_cost / before.good, after.running_cost / after.good
        ),
        "utility_cost_idle_pct": change(before.idle_cost / before.good, after.idle_cost / after.good),
    }


def spread(values: Sequence[float | None]) -> list[float]:
    """Least and greatest of what is known."""
    known = [value for value in values if value is not None]
    return [min(known), max(known)] if known else []


def main(argv: Sequence[str] | None = None) -> None:
    """Tell the story and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of an indented one")
    for one in fields(Assumptions):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=float, default=one.default)
    given = parser.parse_args(argv)
    assumed = Assumptions(**{one.name: getattr(given, one.name) for one in fields(Assumptions)})
    warm_up()
    stories = [tell_story(int(seed), given.days, assumed, given.machines) for seed in given.seeds.split(",")]
    whole = {name: joined([story[name] for story in stories]) for name in stories[0]}
    each = [changes(story["run_to_failure"], story["mitra"]) for story in stories]
    told = {
        "days": given.days,
        "machines": given.machines,
        "seeds": given.seeds,
        "assumptions": asdict(assumed),
        "watches": {name: figures(ledger) for name, ledger in whole.items()},
        "mitra_against_run_to_failure": changes(whole["run_to_failure"], whole["mitra"]),
        "mitra_against_monthly_round": changes(whole["monthly_round"], whole["mitra"]),
        "range_over_seeds": {key: spread([one[key] for one in each]) for key in each[0]},
        "founding_story": FOUNDING,
    }
    print(json.dumps(told, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
