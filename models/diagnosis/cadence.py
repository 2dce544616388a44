"""When to diagnose: at once when a suspicion begins or turns graver, then at an interval of the rows' time.

A diagnosis costs as much as a whole row does, and a fault does not change its kind from second to second.
Nothing here asks a clock, and a machine's rows come in order: replays and batches of any size agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest.contract.rows import Reason
from ingest.contract.values import AXES
from models.diagnosis.rules import Diagnosis
from models.diagnosis.suspect import suspect
from models.health.assess import ALARM
from models.online.step import PASSING, RISKY, SILENT

if TYPE_CHECKING:
    from ingest.contract.plant import Machine
    from ingest.contract.rows import FeatureRow
    from models.rows import Judged

IN_ALARM, IN_C, IN_D, AT_RISK, SICKEST = (1 << i for i in range(5))
HEARD: Final = tuple(f"{axis}.rms_g" for axis in AXES)


@dataclass(slots=True)
class Held:
    """The diagnosis that stands for a machine until the next one is due.

    seen: what has been so since, as bits, so that each way to turn graver asks once an interval; heard:
    whether it rests on vibration.
    """

    diagnosis: Diagnosis
    reasons: tuple[Reason, ...]
    time_ns: int
    seen: int
    heard: bool


def gravity(judged: Judged) -> int:
    """In alarm, zone C or D, at risk, and which component is the sickest, as bits."""
    i, lists = judged.i, judged.lists
    zone, health = lists.zone[i], lists.health_by[i]
    bits = SICKEST << health.index(min(health))
    bits |= IN_ALARM if lists.condition[i] == ALARM else 0
    bits |= IN_C if zone >= 3 else 0
    bits |= IN_D if zone == 4 else 0
    return bits | (AT_RISK if lists.flags[i] & RISKY else 0)


def diagnosed(
    held: dict[str, Held], row: FeatureRow, machine: Machine, judged: Judged, interval_s: float
) -> Held:
    """The diagnosis of a suspicious row: the one that stands, or a new one, which then stands.

    A row that cannot tell (without vibration, or while the machine changes over) ends none that stands.
    """
    now, last = gravity(judged), held.get(row.machine)
    due = last is None or (row.time_ns - last.time_ns) * 1e-9 >= interval_s
    if last is not None:
        if not due and not now & ~last.seen:
            return last
        if judged.lists.flags[judged.i] & (PASSING | SILENT):
            return last
    heard = any(name in row.names for name in HEARD)
    if last is not None:
        if last.heard and not heard:
            return last
        now |= 0 if due else last.seen
    diagnosis, reasons = suspect(row, machine, judged)
    found = held[row.machine] = Held(diagnosis, tuple(reasons), row.time_ns, now, heard)
    return found
