"""Adaptive acquisition: for a while the host wants more of one machine. Bounded, rate-limited, logged."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.contract import channels as ch
from ingest.contract.ids import is_id
from ingest.contract.limits import MAX_BLOCK_SAMPLES, MIN_BLOCK_SAMPLES
from ingest.contract.metrics import signed
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload

MIN_PERIOD_NS = 100_000_000
MAX_EXTRA_NS = 3_600_000_000_000
MIN_PAUSE_NS = 10_000_000_000
MAX_MACHINES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class AcquireRequest:
    """n_samples and period_ns: None leaves that as it is; until_ns: wall time at which all is as before."""

    machine: str
    n_samples: int | None
    period_ns: int | None
    until_ns: int


def read_acquire(payload: Payload) -> AcquireRequest | Rejected | None:
    """The request in a decoded NCMD; None when it carries none."""
    own = {metric.name: metric for metric in payload.metrics}
    if ch.ACQUIRE_MACHINE not in own:
        return None
    machine = own[ch.ACQUIRE_MACHINE].string_value
    if not is_id(machine):
        return Rejected("acquire_machine", repr(machine[:64]))
    if ch.ACQUIRE_UNTIL_NS not in own:
        return Rejected("acquire_without_end", machine)
    numbers: dict[str, int | None] = {}
    for name in (ch.ACQUIRE_SAMPLES, ch.ACQUIRE_PERIOD_NS, ch.ACQUIRE_UNTIL_NS):
        given = name in own and not own[name].is_null
        numbers[name] = signed(own[name].long_value, 64) if given else None
    n_samples, period_ns = numbers[ch.ACQUIRE_SAMPLES] or None, numbers[ch.ACQUIRE_PERIOD_NS] or None
    if n_samples is not None and not MIN_BLOCK_SAMPLES <= n_samples <= MAX_BLOCK_SAMPLES:
        return Rejected("acquire_samples", str(n_samples))
    if period_ns is not None and period_ns < MIN_PERIOD_NS:
        return Rejected("acquire_period", str(period_ns))
    return AcquireRequest(machine, n_samples, period_ns, numbers[ch.ACQUIRE_UNTIL_NS] or 0)


class Acquisitions:
    """Which machines are watched more closely, and until when; one change a machine in ten seconds."""

    def __init__(self) -> None:
        self._until_ns: dict[str, int] = {}
        self._changed_ns: dict[str, int] = {}

    def admit(self, request: AcquireRequest, wall_ns: int, mono_ns: int) -> int | Rejected:
        """The monotonic time at which it ends, or why not. A request whose end is past ends it now."""
        last_ns = self._changed_ns.get(request.machine)
        if last_ns is not None and mono_ns - last_ns < MIN_PAUSE_NS:
            return Rejected("acquire_too_often", request.machine)
        if request.machine not in self._until_ns and len(self._until_ns) >= MAX_MACHINES_AT_ONCE:
            return Rejected("acquire_too_many", request.machine)
        self._changed_ns[request.machine] = mono_ns
        until_ns = mono_ns + min(max(0, request.until_ns - wall_ns), MAX_EXTRA_NS)
        self._until_ns[request.machine] = until_ns
        return until_ns

    def ended(self, mono_ns: int) -> tuple[str, ...]:
        """Machines that go back to normal now."""
        over = tuple(machine for machine, until_ns in self._until_ns.items() if until_ns <= mono_ns)
        for machine in over:
            del self._until_ns[machine]
        return over
