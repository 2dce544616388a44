"""When a challenger may become champion: enough evidence, worse for no machine group, and the golden set
kept.

Pure: counts in, a verdict with reasons out. A person decides after it; nobody decides instead of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import beta

CONFIDENCE = 0.9
NOT_MEASURED = (
    "Whether its labels contradict each other was not measured. Confirm faults on 5 machines or more, mark "
    "what was a false alarm, and train again."
)


@dataclass(frozen=True, slots=True)
class Tally:
    """How one model did on one machine group, replayed over labelled history.

    caught, missed: confirmed faults; false_alarms: alarms that people called false or that healthy stretches
    raised; healthy_stretches: machine-days (or other equal pieces) without a fault.
    """

    caught: int
    missed: int
    false_alarms: int
    healthy_stretches: int

    def __post_init__(self) -> None:
        if min(self.caught, self.missed, self.false_alarms, self.healthy_stretches) < 0:
            raise ValueError(f"counts are not negative, got {self}")
        if self.false_alarms > self.healthy_stretches:
            raise ValueError(f"at most one false alarm a stretch is counted, got {self}")

    @property
    def faults(self) -> int:
        return self.caught + self.missed

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.caught + other.caught,
            self.missed + other.missed,
            self.false_alarms + other.false_alarms,
            self.healthy_stretches + other.healthy_stretches,
        )


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """A case whose truth experts settled; it never trains and no verdict of the floor changes it."""

    case_id: str
    group: str
    faulty: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on the same history and the same golden set as its rival.

    golden: case id -> did it alarm; label_noise: share of the labels it was trained on that look wrong, None
    where that was not measured, which is not the same as 0.
    """

    label: str
    groups: dict[str, Tally]
    golden: dict[str, bool]
    label_noise: float | None = None


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What counts as enough.

    golden_lost_max: golden cases a challenger may get wrong that the champion gets right; label_noise_max:
    share of its labels that may look wrong; unmeasured_may_pass: whether it may pass where nobody measured.
    """

    faults_min: int = 5
    healthy_stretches_min: int = 100
    golden_cases_min: int = 10
    golden_accuracy_min: float = 0.9
    golden_lost_max: int = 0
    label_noise_max: float = 0.08
    unmeasured_may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of the gate. code: key of a sentence; group: machine group or ""."""

    code: str
    passed: bool
    detail: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """All checks; passed when every one is."""

    champion: str
    challenger: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)

    @property
    def failures(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.passed)


def interval(hits: int, of: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934).

    >>> [round(x, 3) for x in interval(9, 10)], interval(0, 0)
    ([0.606, 0.995], (0.0, 1.0))
    """
    if of == 0:
        return 0.0, 1.0
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, of - hits + 1))
    high = 1.0 if hits == of else float(beta.ppf(1.0 - tail, hits + 1, of - hits))
    return low, high


def judge(
    champion: Evaluation,
    challenger: Evaluation,
    golden: tuple[GoldenCase, ...],
    policy: GatePolicy = GatePolicy(),
) -> GateVerdict:
    """Compare two models that were replayed on the same history. Raises ValueError when they were not."""
    if set(champion.groups) != set(challenger.groups):
        raise ValueError("champion and challenger were not replayed on the same machine groups")
    ids = {case.case_id for case in golden}
    if ids - set(champion.golden) or ids - set(challenger.golden):
        raise ValueError("champion and challenger were not both asked about every golden case")
    findings = [
        *_enough(challenger, golden, policy),
        *(_not_worse(champion.groups[g], challenger.groups[g], g) for g in sorted(champion.groups)),
        *_golden(champion, challenger, golden, policy),
        _clean(challenger, policy),
    ]
    return GateVerdict(champion.label, challenger.label, tuple(findings))


def _enough(challenger: Evaluation, golden: tuple[GoldenCase, ...], policy: GatePolicy) -> list[Finding]:
    total = sum(challenger.groups.values(), Tally(0, 0, 0, 0))
    checks = (
        ("enough_faults", total.faults, policy.faults_min),
        ("enough_healthy", total.healthy_stretches, policy.healthy_stretches_min),
        ("enough_golden", len(golden), policy.golden_cases_min),
    )
    return [Finding(code, have >= need, f"{have} of at least {need}") for code, have, need in checks]


def _not_worse(champion: Tally, challenger: Tally, group: str) -> Finding:
    """No fault less, no more false alarms than chance explains: no group is voted down by another."""
    lost = champion.caught - challenger.caught
    _, usual = interval(champion.false_alarms, champion.healthy_stretches)
    allowed = (
        max(champion.false_alarms, int(usual * challenger.healthy_stretches)) if champion.false_alarms else 1
    )
    passed = lost <= 0 and challenger.false_alarms <= allowed
    said = (
        f"caught {challenger.caught} of {challenger.faults} (champion {champion.caught}), "
        f"false alarms {challenger.false_alarms} (champion {champion.false_alarms}, allowed {allowed})"
    )
    return Finding("not_worse", passed, said, group)


def _clean(challenger: Evaluation, policy: GatePolicy) -> Finding:
    """A model that learnt from many wrong labels is not trusted, however well it seems to do by them."""
    noise = challenger.label_noise
    if noise is None:
        return Finding("labels_unmeasured", policy.unmeasured_may_pass, NOT_MEASURED)
    said = f"{noise:.1%} of its labels look wrong, at most {policy.label_noise_max:.0%} may"
    return Finding("labels_consistent", noise <= policy.label_noise_max, said)


def _golden(
    champion: Evaluation, challenger: Evaluation, golden: tuple[GoldenCase, ...], policy: GatePolicy
) -> list[Finding]:
    right = [case for case in golden if challenger.golden[case.case_id] == case.faulty]
    lost = [
        case.case_id
        for case in golden
        if champion.golden[case.case_id] == case.faulty != challenger.golden[case.case_id]
    ]
    share = len(right) / len(golden) if golden else 0.0
    return [
        Finding(
            "golden_accuracy", share >= policy.golden_accuracy_min, f"{len(right)} of {len(golden)} right"
        ),
        Finding("golden_kept", len(lost) <= policy.golden_lost_max, ", ".join(lost[:5]) or "none lost"),
    ]
