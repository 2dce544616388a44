"""Labels are weighed before they may move a model: a doubtful word waits for a second person."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.contract.actions import Verdict
from models.labels.label import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from models.labels.label import Label

SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class Seen:
    """What the sensors showed then: worst health (0 to 100) and highest anomaly score in [0, 1]."""

    health_min: float
    score_max: float


@dataclass(frozen=True, slots=True)
class Release:
    """A second person vouches for a label in quarantine."""

    label_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class QuarantinePolicy:
    """sick_health: below it "false alarm" is doubted; calm_health, calm_score: above and below it a fault is
    doubted; burst_labels within burst_s by one person are doubted; golden_asked, golden_right: a person who
    was asked this many cases with known truth and got a smaller share right is doubted."""

    sick_health: float = 25.0
    calm_health: float = 90.0
    calm_score: float = 0.25
    burst_labels: int = 20
    burst_s: float = 600.0
    golden_asked: int = 5
    golden_right: float = 0.7


@dataclass(frozen=True, slots=True)
class Weighed:
    """A label and why it waits; it may train without doubts, or when a second person vouches for it."""

    label: Label
    doubts: tuple[str, ...]
    released_by: str = ""

    @property
    def admitted(self) -> bool:
        return not self.doubts or bool(self.released_by)


def weigh(
    labels: Iterable[Label],
    seen: Callable[[Label], Seen | None],
    *,
    golden_answers: Mapping[str, tuple[int, int]] | None = None,
    releases: Iterable[Release] = (),
    policy: QuarantinePolicy = QuarantinePolicy(),
) -> tuple[Weighed, ...]:
    """Judge every label that holds.

    seen: what the sensors showed (None: no data then, which is a doubt of its own); golden_answers: person ->
    (asked, right) on cases with known truth; releases: by somebody other than who said it.

    >>> from models.labels import Label
    >>> quiet = Label("a", "pump-1", Verdict.CONFIRMED, 0, 10, 20, "Siti", "imbalance")
    >>> weigh([quiet], lambda label: Seen(health_min=98.0, score_max=0.1))[0].doubts
    ('fault_without_a_trace',)
    >>> vouched = [Release("a", "Budi", "balanced it myself")]
    >>> weigh([quiet], lambda label: Seen(98.0, 0.1), releases=vouched)[0].admitted
    True
    """
    held = tuple(labels)
    bursts = _bursts(held, policy)
    peers = _contradicted(held)
    vouched = {release.label_id: release for release in releases if release.reason.strip()}
    found = []
    for label in held:
        doubts = _against_sensors(label, seen(label), policy)
        doubts += ["contradicted_by_peer"] * (label.label_id in peers)
        doubts += ["burst"] * (label.label_id in bursts)
        asked, right = (golden_answers or {}).get(label.by, (0, 0))
        if asked >= policy.golden_asked and right < policy.golden_right * asked:
            doubts.append("person_often_wrong")
        release = vouched.get(label.label_id)
        by = release.by if doubts and release and release.by.strip() not in ("", label.by) else ""
        found.append(Weighed(label, tuple(doubts), by))
    return tuple(found)


def _against_sensors(label: Label, seen: Seen | None, policy: QuarantinePolicy) -> list[str]:
    if label.verdict is Verdict.NOT_SURE:
        return []
    if seen is None:
        return ["no_data_then"]
    if label.verdict is Verdict.FALSE_ALARM and seen.health_min < policy.sick_health:
        return ["false_alarm_on_a_sick_machine"]
    if (
        label.verdict is Verdict.CONFIRMED
        and seen.health_min > policy.calm_health
        and seen.score_max < policy.calm_score
    ):
        return ["fault_without_a_trace"]
    return []


def _contradicted(labels: tuple[Label, ...]) -> set[str]:
    by_machine: dict[str, list[Label]] = defaultdict(list)
    for label in labels:
        by_machine[label.machine].append(label)
    wrong: set[str] = set()
    for group in by_machine.values():
        for place, one in enumerate(group):
            for other in group[place + 1 :]:
                if one.contradicts(other):
                    wrong |= {one.label_id, other.label_id}
    return wrong


def _decided_ns(label: Label) -> int:
    """When a person decided: of a work order when it was closed, as many are imported at one moment."""
    return label.to_ns if label.source is Source.WORK_ORDER else label.said_ns


def _bursts(labels: tuple[Label, ...], policy: QuarantinePolicy) -> set[str]:
    by_person: dict[str, list[Label]] = defaultdict(list)
    for label in sorted(labels, key=_decided_ns):
        by_person[label.by].append(label)
    found: set[str] = set()
    for said in by_person.values():
        for last in range(policy.burst_labels - 1, len(said)):
            first = last - policy.burst_labels + 1
            if _decided_ns(said[last]) - _decided_ns(said[first]) <= policy.burst_s * SECOND_NS:
                found |= {label.label_id for label in said[first : last + 1]}
    return found
