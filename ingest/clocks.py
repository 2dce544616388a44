"""The clock of each edge node against the host's: steady offsets are corrected, jumping clocks set apart.

A message's offset is receive time less sensor time. A steady one, be it years, is learnt and added. A node
whose offset steps is watched: a few agreeing messages make a new offset, too many steps a quarantine that
only a person ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from ingest.journal.entry import ClockState, ClockVerdict

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ClockPolicy:
    """tolerance_s: what network and polling may add; agreeing: messages that make an offset believable;
    max_jumps: steps within `jump_memory_s` after which a clock is not believed any more.
    """

    tolerance_s: float = 10.0
    agreeing: int = 5
    max_jumps: int = 3
    jump_memory_s: float = 86_400.0
    track: float = 0.05

    def __post_init__(self) -> None:
        if self.tolerance_s <= 0 or self.agreeing < 2 or self.max_jumps < 1 or not 0 < self.track < 1:
            raise ValueError(
                "the clock policy needs tolerance_s > 0, agreeing >= 2, max_jumps >= 1, 0 < track < 1"
            )


class Verdict(StrEnum):
    """What to do with a message."""

    ADMIT = "admit"
    QUARANTINE = "quarantine"


@dataclass(slots=True)
class Clock:
    """One node's clock. Feed every message to `see`; `offset_ns` is to be added to sensor time.

    `settled` turns true when a quarantine that nobody need look at can be released: the offset was learnt.
    """

    node: str
    policy: ClockPolicy = field(default_factory=ClockPolicy)
    state: ClockState = ClockState.UNKNOWN
    offset_ns: int = 0
    drift_ppm: float = 0.0
    n_messages: int = 0
    since_ns: int = 0
    lateness_ns: int = 0
    quarantined: int = 0
    settled: bool = False
    _jumps: list[int] = field(default_factory=list)
    _candidates: list[int] = field(default_factory=list)
    _anchor: tuple[int, int] | None = None

    @property
    def verdict(self) -> ClockVerdict:
        """What the journal keeps and the screens show."""
        return ClockVerdict(
            self.node,
            self.state,
            self.offset_ns,
            self.drift_ppm,
            len(self._jumps),
            self.n_messages,
            self.since_ns,
            self.lateness_ns,
            self.quarantined,
        )

    @classmethod
    def restored(cls, verdict: ClockVerdict, policy: ClockPolicy) -> Clock:
        """A clock as it was judged before a restart."""
        return cls(
            verdict.node,
            policy,
            verdict.state,
            verdict.offset_ns,
            verdict.drift_ppm,
            verdict.n_messages,
            verdict.since_ns,
            verdict.lateness_ns,
            verdict.quarantined,
            _jumps=[verdict.since_ns] * verdict.jumps,
        )

    def see(self, time_ns: int, receive_ns: int, *, historical: bool) -> Verdict:
        """Judge one message by its sensor time. Stored data may be late, but never from the future."""
        self.n_messages += 1
        late_ns = receive_ns - time_ns - self.offset_ns
        tolerance_ns = int(self.policy.tolerance_s * NS_PER_S)
        if self.state is ClockState.QUARANTINED:
            return self._aside()
        if historical:
            if self.state is ClockState.UNKNOWN or late_ns < -tolerance_ns:
                believable = self.state is ClockState.UNKNOWN and late_ns >= -tolerance_ns
                return Verdict.ADMIT if believable else self._aside()
            self.lateness_ns = late_ns
            return Verdict.ADMIT
        if abs(late_ns) <= tolerance_ns:
            self._steady(late_ns, receive_ns)
            return Verdict.ADMIT
        return self._off(receive_ns - time_ns, receive_ns)

    def _steady(self, late_ns: int, receive_ns: int) -> None:
        self.lateness_ns = late_ns
        self._candidates.clear()
        if self.state is ClockState.UNKNOWN:
            self._become(ClockState.GOOD, 0, receive_ns)
        if self._anchor is None:
            self._anchor = (receive_ns, late_ns + self.offset_ns)
        if receive_ns - self._anchor[0] > 60 * NS_PER_S:
            moved = late_ns + self.offset_ns - self._anchor[1]
            self.drift_ppm = 1e6 * moved / (receive_ns - self._anchor[0])
        if self.state is ClockState.CORRECTED:
            self.offset_ns += int(self.policy.track * late_ns)

    def _off(self, offset_ns: int, receive_ns: int) -> Verdict:
        """The message does not fit: learn whether its offset is a new steady one."""
        tolerance_ns = int(self.policy.tolerance_s * NS_PER_S)
        if self._candidates and abs(offset_ns - self._candidates[-1]) > tolerance_ns:
            self._candidates.clear()
            if self.state is not ClockState.UNKNOWN and self._jumped(receive_ns):
                return self._aside()
        self._candidates.append(offset_ns)
        if len(self._candidates) < self.policy.agreeing:
            return self._aside()
        first_time = self.state is ClockState.UNKNOWN
        if not first_time and self._jumped(receive_ns):
            return self._aside()
        learnt = int(median(self._candidates))
        steady = ClockState.GOOD if abs(learnt) <= tolerance_ns else ClockState.CORRECTED
        self._become(steady, 0 if steady is ClockState.GOOD else learnt, receive_ns)
        self.settled = True
        return Verdict.ADMIT

    def _jumped(self, receive_ns: int) -> bool:
        """Count a step; True when they were too many and the clock goes to quarantine."""
        memory_ns = int(self.policy.jump_memory_s * NS_PER_S)
        self._jumps = [at for at in self._jumps if receive_ns - at < memory_ns]
        self._jumps.append(receive_ns)
        if len(self._jumps) > self.policy.max_jumps:
            self._become(ClockState.QUARANTINED, self.offset_ns, receive_ns)
            return True
        return False

    def _become(self, state: ClockState, offset_ns: int, at_ns: int) -> None:
        self.state, self.offset_ns, self.since_ns = state, offset_ns, at_ns
        self._candidates.clear()
        self._anchor = None

    def _aside(self) -> Verdict:
        self.quarantined += 1
        return Verdict.QUARANTINE

    def release(self, at_ns: int) -> None:
        """A person says that the clock may be believed again: forget the jumps and learn anew."""
        self._jumps.clear()
        self._become(ClockState.UNKNOWN, 0, at_ns)
        self.quarantined = 0
        self.settled = False
