"""What a stop of a machine needs, by the machine's criticality. Policy is this table and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

POLICY_VERSION = 1


@dataclass(frozen=True, slots=True)
class Policy:
    """approvals_needed: persons; presence: the code at the machine; hold_off_s: time for a local inhibit."""

    approvals_needed: int
    presence: bool
    hold_off_s: float

    def __post_init__(self) -> None:
        if not 1 <= self.approvals_needed <= 8 or not 0 <= self.hold_off_s <= 600:
            raise ValueError(f"approvals_needed must be 1..8 and hold_off_s 0..600, got {self}")


POLICIES: dict[str, Policy] = {
    "low": Policy(approvals_needed=1, presence=False, hold_off_s=0.0),
    "normal": Policy(approvals_needed=1, presence=False, hold_off_s=5.0),
    "high": Policy(approvals_needed=2, presence=False, hold_off_s=10.0),
    "critical": Policy(approvals_needed=2, presence=True, hold_off_s=10.0),
}
CRITICALITIES = tuple(POLICIES)
