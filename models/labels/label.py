"""A label: what a person, or a closed work order, says was true of one machine over one stretch of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ingest.contract.actions import Action, ActionKind, Verdict
from ingest.contract.rejected import Rejected

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
MACHINE = re.compile(r"[a-z0-9-]{1,64}")
FAULT = re.compile(r"[a-z0-9_]{1,64}")
UNKNOWN_FAULT = "unknown"
LOOK_BACK_NS = 24 * 3600 * 10**9  # a verdict without a time range speaks of the day before it
STRETCH_NS_MAX = 366 * 24 * 3600 * 10**9


class Source(StrEnum):
    """Who says so."""

    TECHNICIAN = "technician"
    WORK_ORDER = "work_order"


@dataclass(frozen=True, slots=True)
class Label:
    """One word on one machine.

    from_ns, to_ns: the time it speaks of; said_ns: when it was said, often much later; fault: code, "unknown"
    when the fault was real but has no code, "" unless confirmed; corrects: the label that this one replaces.
    Raises ValueError for a label that contradicts itself.
    """

    label_id: str
    machine: str
    verdict: Verdict
    from_ns: int
    to_ns: int
    said_ns: int
    by: str
    fault: str = ""
    component: str = ""
    alarm_id: str = ""
    corrects: str = ""
    source: Source = Source.TECHNICIAN

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.label_id) or not MACHINE.fullmatch(self.machine):
            raise ValueError(f"a label needs an id and a machine, got {self.label_id!r}, {self.machine!r}")
        if not self.by.strip():
            raise ValueError("a label is somebody's word: by is empty")
        if not 0 <= self.from_ns <= self.to_ns <= self.said_ns:
            raise ValueError("a label speaks of the past: from, to and said must follow each other")
        if self.to_ns - self.from_ns > STRETCH_NS_MAX:
            raise ValueError("a label speaks of at most a year; split it")
        if (self.verdict is Verdict.CONFIRMED) != bool(self.fault):
            raise ValueError("a confirmed label names a fault (or 'unknown'), the others name none")
        if self.fault and not FAULT.fullmatch(self.fault):
            raise ValueError(f"a fault code is of a-z, 0-9 and _, got {self.fault!r}")
        if self.corrects == self.label_id:
            raise ValueError("a label cannot correct itself")

    def overlaps(self, other: Label) -> bool:
        """Whether both speak of the same machine at a common time."""
        return self.machine == other.machine and self.from_ns <= other.to_ns and other.from_ns <= self.to_ns

    def contradicts(self, other: Label) -> bool:
        """Whether both cannot be true: a fault confirmed and denied at a common time."""
        words = {self.verdict, other.verdict}
        return self.overlaps(other) and words == {Verdict.CONFIRMED, Verdict.FALSE_ALARM}


def label_of(action: Action) -> Label | Rejected:
    """The label in a technician's action of kind VERDICT. Anything that does not fit is Rejected with its
    reason.

    >>> said = Action("a1", ActionKind.VERDICT, "Siti", 10**18, "pump-1", values={"verdict": "false_alarm"})
    >>> label_of(said).verdict.value
    'false_alarm'
    """
    if action.kind is not ActionKind.VERDICT:
        return Rejected("not_a_verdict", action.kind.value)
    said = action.values
    try:
        verdict = Verdict(str(said.get("verdict", "")))
        fault = str(said.get("fault", "")) or UNKNOWN_FAULT
        to_ns = int(said.get("to_ns", action.time_ns))
        return Label(
            label_id=action.action_id,
            machine=action.machine,
            verdict=verdict,
            from_ns=int(said.get("from_ns", max(to_ns - LOOK_BACK_NS, 0))),
            to_ns=to_ns,
            said_ns=action.time_ns,
            by=action.by,
            fault=fault if verdict is Verdict.CONFIRMED else "",
            component=str(said.get("component", "")),
            alarm_id=action.alarm_id,
            corrects=str(said.get("corrects", "")),
            source=Source(str(said.get("source", Source.TECHNICIAN.value))),
        )
    except ValueError as error:
        return Rejected("label_refused", str(error))
