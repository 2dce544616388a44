"""Which raw waveforms are kept: all around alarms, a thin sample otherwise, within a byte budget."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import msgspec

from ingest.contract.rows import Condition
from ingest.contract.values import Message

NS_PER_S = 1_000_000_000
FIRST_SHARE = 10.0
"""How many times its budget a plant may write while each of its machines is seen for the first time."""
SUSPICIOUS = frozenset({Condition.WARNING, Condition.ALARM})


@dataclass(frozen=True, slots=True)
class WaveformPolicy:
    """every_s: shortest time between two samples of a healthy machine; suspicious_every_s: of one in warning
    or alarm; budget_bytes_s: what all healthy samples together may write; ring_bytes: how much of the recent
    past stays in memory, to be kept when an alarm comes.
    """

    every_s: float = 10.0
    suspicious_every_s: float = 1.0
    budget_bytes_s: float = 1_000_000.0
    suspicious_budget_bytes_s: float = 4_000_000.0
    ring_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        if min(self.every_s, self.suspicious_every_s) < 0 or self.ring_bytes < 0:
            raise ValueError("times and sizes of the waveform policy must not be negative")
        if min(self.budget_bytes_s, self.suspicious_budget_bytes_s) <= 0:
            raise ValueError("the waveform budgets must be positive")


@dataclass(slots=True)
class _Machine:
    kept_ns: int
    condition: Condition = Condition.UNKNOWN


class Recent(msgspec.Struct, frozen=True, gc=False):
    """A block that was not kept when it came: it still may be."""

    row_id: int
    message: Message
    receive_ns: int
    n_bytes: int


class WaveformRule:
    """The policy at work. Fair by construction: each machine has its own due time, none starves."""

    def __init__(self, policy: WaveformPolicy) -> None:
        self.policy = policy
        self._machines: dict[str, _Machine] = {}
        self._mean_bytes = 0.0
        self._suspicious = 0
        self._next_first_ns = 0
        self._ring: deque[Recent] = deque()
        self._ring_bytes = 0

    def judged(self, machine: str, condition: Condition) -> bool:
        """Note what the models say. True when the machine just became suspicious: keep its recent past."""
        known = self._machines.get(machine)
        before = known.condition if known else Condition.UNKNOWN
        if condition is before:
            return False
        if known is None:
            known = self._machines[machine] = _Machine(-1)
        known.condition = condition
        self._suspicious += (condition in SUSPICIOUS) - (before in SUSPICIOUS)
        return condition in SUSPICIOUS and before not in SUSPICIOUS

    def wanted(self, machine: str, receive_ns: int, n_bytes: int) -> str:
        """Why this block is kept ("alarm" or "sample"), or "" when it is not."""
        self._mean_bytes += 0.01 * (n_bytes - self._mean_bytes) if self._mean_bytes else n_bytes
        known = self._machines.get(machine)
        suspicious = known is not None and known.condition in SUSPICIOUS
        if known is None or (known.kept_ns < 0 and not suspicious):
            return self._first(machine, receive_ns, n_bytes)
        if known.kept_ns >= 0 and receive_ns - known.kept_ns < self._every_ns(suspicious):
            return ""
        known.kept_ns = receive_ns
        return "alarm" if suspicious else "sample"

    def _first(self, machine: str, receive_ns: int, n_bytes: int) -> str:
        """A machine that is seen first has a waveform at once, but a whole plant at its start takes turns."""
        if receive_ns < self._next_first_ns:
            return ""
        pause_s = n_bytes / (FIRST_SHARE * self.policy.budget_bytes_s)
        self._next_first_ns = max(self._next_first_ns, receive_ns) + int(pause_s * NS_PER_S)
        known = self._machines.setdefault(machine, _Machine(-1))
        known.kept_ns = receive_ns
        return "sample"

    def _every_ns(self, suspicious: bool) -> float:
        policy = self.policy
        if suspicious:
            floor_s, sharing, budget = (
                policy.suspicious_every_s,
                self._suspicious,
                policy.suspicious_budget_bytes_s,
            )
        else:
            floor_s, sharing, budget = policy.every_s, len(self._machines), policy.budget_bytes_s
        return max(floor_s, sharing * self._mean_bytes / budget) * NS_PER_S

    def remember(self, recent: Recent) -> None:
        """Hold a block that was not kept, within ring_bytes; the oldest goes."""
        self._ring.append(recent)
        self._ring_bytes += recent.n_bytes
        while self._ring_bytes > self.policy.ring_bytes:
            self._ring_bytes -= self._ring.popleft().n_bytes

    def recall(self, machine: str) -> list[Recent]:
        """Take the recent past of a machine out of the ring."""
        mine = [recent for recent in self._ring if recent.message.machine == machine]
        if mine:
            self._ring = deque(recent for recent in self._ring if recent.message.machine != machine)
            self._ring_bytes -= sum(recent.n_bytes for recent in mine)
        return mine
