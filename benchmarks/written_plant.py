"""A plant written straight into a journal, for the screens' tests and benchmarks: seeded, no edge, no broker.

It goes through the journal's own writer, so that the screens read exactly what they read in production.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.contract.batch import Batch
from ingest.contract.plant import Plant, parse_plant
from ingest.contract.rows import (
    AlarmChange,
    AlarmState,
    Condition,
    FeatureRow,
    Judgement,
    Outputs,
    Priority,
    Reason,
    RemainingLife,
)
from ingest.contract.values import Gap, Message, Scalar, Waveform
from ingest.journal.entry import ClockState, ClockVerdict, DeadLetter, Intake
from ingest.journal.journal import Journal

NS_PER_S = 1_000_000_000
RATE_HZ = 25_600.0
N_SAMPLES = 8_192
COLUMNS = ("x.velocity_rms_mm_s", "x.rms_g", "velocity_rms_mm_s", "rms_g")
KINDS = ("pump", "fan", "motor", "compressor", "conveyor")
AREAS = ("Boiler house", "Crushing", "Cooling", "Packing")
VELOCITY = {"": 0.9, "C": 3.6, "D": 5.8}
HEAD = """
[plant]
id = "kilang-uji"
name = "Kilang Uji Cilegon"
timezone = "Asia/Jakarta"
language = "id"

[tariff]
currency = "IDR"
peak_per_kwh = 1553.67
off_peak_per_kwh = 1035.78
peak_from = "18:00"
peak_to = "22:00"

[[shift]]
name = "Pagi"
start = "06:00"
end = "14:00"

[[shift]]
name = "Siang"
start = "14:00"
end = "22:00"

[[shift]]
name = "Malam"
start = "22:00"
end = "06:00"

[[gateway]]
id = "gw-1"
"""


@dataclass(frozen=True, slots=True)
class WrittenPlant:
    """Where everything lies. faulty: in zone D with an alarm; silent: the one that never spoke."""

    folder: Path
    plant: Plant
    journal: Path
    desk: Path
    faulty: str
    silent: str
    until_ns: int


def plant_text(n_machines: int) -> str:
    """A plant file: every fourth machine lacks its ISO group, so that it cannot be rated."""
    return HEAD + "".join(_machine_text(i, n_machines) for i in range(n_machines))


def _machine_text(i: int, n_machines: int) -> str:
    lines = [
        "\n[[machine]]",
        f'id = "{machine_id(i)}"',
        f'name = "{KINDS[i % 5].capitalize()} {i + 1}"',
        'gateway = "gw-1"',
        f'kind = "{KINDS[i % 5]}"',
        f'area = "{AREAS[i * len(AREAS) // n_machines]}"',
        f'line = "L{i % 3 + 1}"',
        f'criticality = "{("normal", "high", "low", "critical")[i % 4]}"',
        "rated_power_kw = 45.0\nrated_rpm = 1480.0\nidle_power_kw = 12.0\nideal_cycle_s = 2.0",
    ]
    if i % 4 != 3:
        lines.append('iso_group = 2\nsupport = "rigid"')
    if i % 2 == 0:
        lines.append('bearing = "6205"')
    return "\n".join(lines) + "\n"


def machine_id(i: int) -> str:
    """The id of the i-th machine."""
    return f"{KINDS[i % 5]}-{i + 1:03d}"


def block(seed: int, *, faulty: bool, start_ns: int) -> Waveform:
    """One block: shaft line, noise and, when faulty, impacts of an outer race at 88.4 Hz."""
    rng = np.random.default_rng(seed)
    t = np.arange(N_SAMPLES) / RATE_HZ
    x = 0.08 * np.sin(2 * math.pi * 24.67 * t) + 0.02 * rng.standard_normal(N_SAMPLES)
    if faulty:
        since = np.mod(t, 1 / 88.4)
        x += 0.9 * np.exp(-since * 1_500) * np.sin(2 * math.pi * 4_800 * since)
    counts = np.clip(np.round(x / 0.0005), -32_768, 32_767).astype("<i2")
    return Waveform("x", counts.tobytes(), "int16", RATE_HZ, 0.0005, start_ns)


def write_plant(
    folder: Path, until_ns: int, *, n_machines: int = 12, minutes: int = 90, step_s: int = 60, seed: int = 7
) -> WrittenPlant:
    """Write `minutes` of history up to until_ns. The last machine never speaks; the first falls ill."""
    folder.mkdir(parents=True, exist_ok=True)
    text = plant_text(n_machines)
    (folder / "plant.toml").write_text(text, "utf-8")
    written = WrittenPlant(
        folder,
        parse_plant(text),
        folder / "journal.db",
        folder / "desk.db",
        machine_id(0),
        machine_id(n_machines - 1),
        until_ns,
    )
    journal = Journal(written.journal)
    rng = np.random.default_rng(seed)
    n_steps = minutes * 60 // step_s
    for step in range(n_steps + 1):
        now_ns = until_ns - (n_steps - step) * step_s * NS_PER_S
        ill = step > n_steps // 2
        commit_step(journal, written, rng, now_ns, step=step, ill=ill, first=step == n_steps // 2 + 1)
    journal.close()
    return written


def commit_step(
    journal: Journal,
    written: WrittenPlant,
    rng: np.random.Generator,
    now_ns: int,
    *,
    step: int,
    ill: bool,
    first: bool = False,
    only: tuple[str, ...] | None = None,
) -> None:
    """One batch: every machine but the silent one says something and is judged."""
    messages, rows, judgements = [], [], []
    for i, machine in enumerate(written.plant.machine):
        if machine.id == written.silent or (only is not None and machine.id not in only):
            continue
        zone = ("D" if i == 0 else "C" if i in (2, 6) else "") if ill else ""
        running = (step // 10 + i) % 4 != 3
        message = _message(machine.id, now_ns, rng, step=step, zone=zone, running=running, wave=i < 2)
        velocity = (VELOCITY[zone] + 0.05 * rng.standard_normal()) * (1.0 if running or zone else 0.2)
        messages.append(message)
        said = [scalar.value for scalar in message.scalars]
        shown = [velocity, velocity / 20, velocity, velocity / 20, *said]
        columns = COLUMNS + tuple(scalar.channel for scalar in message.scalars)
        rows.append(FeatureRow(machine.id, now_ns, columns, np.array(shown, np.float32)))
        judgements.append(
            judged(machine.id, now_ns, zone, rated=machine.iso_group is not None, running=running)
        )
    intake = Intake(
        Batch(now_ns, tuple(messages), _gaps(written, now_ns) if first else ()),
        tuple(now_ns for _ in messages),
        dead_letters=_letters(now_ns) if first else (),
        clocks=(ClockVerdict("gw-1", ClockState.CORRECTED, 3_600 * NS_PER_S, 1.5, 0, 100, now_ns),)
        if first
        else (),
        counts={"refused_oversize": 1} if first else {},
    )
    alarms = opened(written, now_ns) if first else ()
    journal.commit(intake, Outputs(tuple(rows), tuple(judgements), alarms, ()))


def _message(
    machine: str, now_ns: int, rng: np.random.Generator, *, step: int, zone: str, running: bool, wave: bool
) -> Message:
    power = (31.0 if running else 11.5) + float(rng.normal(0, 0.4))
    values = {
        "Power/Active": power,
        "Temperature/bearing": {"": 52.0, "C": 66.0, "D": 81.0}[zone] + float(rng.normal(0, 0.3)),
        "Temperature/ambient": 31.0,
        "Speed": 1480.0 if running else 0.0,
        "State": 2.0 if running else 1.0,
        "Count/Total": float(step * 28),
        "Count/Good": float(step * 27),
    }
    waves = (block(step, faulty=zone == "D", start_ns=now_ns),) if wave else ()
    scalars = tuple(Scalar(name, value, now_ns) for name, value in values.items())
    return Message("gw-1", machine, now_ns, waves, scalars)


def judged(machine: str, now_ns: int, zone: str, *, rated: bool, running: bool = True) -> Judgement:
    """What the models would say of a machine in this zone."""
    if not zone:
        condition = Condition.NORMAL if running else Condition.STOPPED
        return Judgement(machine, now_ns, condition, 0.1, 0.7, 96.0, "A" if rated else "", model="robust-1")
    bad = zone == "D"
    return Judgement(
        machine,
        now_ns,
        Condition.ALARM if bad else Condition.WARNING,
        0.93 if bad else 0.74,
        0.7,
        31.0 if bad else 68.0,
        zone,
        fault="bearing_outer" if bad else "imbalance",
        confidence=0.86 if bad else 0.6,
        reasons=reasons(zone),
        remaining_life=RemainingLife(38.0, 20.0, 75.0, 0.8) if bad else None,
        health_by_component={"bearing": 31.0 if bad else 90.0, "vibration": 55.0},
        model="robust-1",
    )


def reasons(zone: str) -> tuple[Reason, ...]:
    """Evidence with codes of the contract."""
    velocity, limit = (5.8, 4.5) if zone == "D" else (3.6, 2.8)
    return (
        Reason("zone", {"velocity_mm_s": velocity, "zone": zone, "limit_mm_s": limit}, 0.5),
        Reason("impacts", {"kurtosis": 9.4}, 0.3),
        Reason("bearing_rise", {"part": "BPFO", "factor": 6.2}, 0.2),
    )


def opened(written: WrittenPlant, now_ns: int) -> tuple[AlarmChange, ...]:
    """Two alarms open at once: a high one on the faulty machine, a medium one elsewhere."""
    return (
        change(written.faulty, "bearing_outer", Priority.HIGH, now_ns),
        change(machine_id(2), "imbalance", Priority.MEDIUM, now_ns),
    )


def change(
    machine: str,
    cause: str,
    priority: Priority,
    now_ns: int,
    *,
    state: AlarmState = AlarmState.UNACKNOWLEDGED,
    previous: AlarmState = AlarmState.NORMAL,
    event: str = "raised",
    by: str = "",
    number: int = 1,
) -> AlarmChange:
    """One step of one alarm."""
    zone = "D" if priority is Priority.HIGH else "C"
    return AlarmChange(
        f"{machine}:{cause}:{number}",
        machine,
        cause,
        state,
        previous,
        priority,
        now_ns,
        event,
        by=by,
        reasons=reasons(zone),
        health=31.0,
    )


def _gaps(written: WrittenPlant, now_ns: int) -> tuple[Gap, ...]:
    return (Gap("gw-1", written.faulty, now_ns - 600 * NS_PER_S, now_ns - 480 * NS_PER_S, 7, "outbox_full"),)


def _letters(now_ns: int) -> tuple[DeadLetter, ...]:
    return (
        DeadLetter(
            now_ns,
            "spBv1.0/kilang-uji/DDATA/gw-1/pump-001",
            "oversize",
            "9,000,000 bytes",
            9_000_000,
            b"\x08",
        ),
    )
