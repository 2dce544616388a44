"""Asking edges for more of a suspicious machine, and for less again after. Pure; rate-limited and bounded.

A machine in warning or alarm is worth longer and denser waveforms than a healthy one. The edge decides what
it can give, and ends by itself when the time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ingest.contract import channels as ch
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.payload import NS_PER_MS
from ingest.contract.rows import Judgement
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.topics import Kind, node_topic
from ingest.host import Send
from ingest.journal.waveforms import SUSPICIOUS

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class AcquirePolicy:
    """n_samples and period_s: what is asked for (None: as it is); hold_s: for how long, renewed while it
    lasts; pause_s: shortest time between two requests for one machine; per_node: machines of an edge at once.
    """

    n_samples: int | None = 32_768
    period_s: float | None = None
    hold_s: float = 600.0
    pause_s: float = 60.0
    per_node: int = 8

    def __post_init__(self) -> None:
        if self.hold_s <= 0 or self.pause_s <= 0 or self.per_node < 1:
            raise ValueError("acquisition needs positive times and at least one machine a node")


@dataclass(slots=True)
class _Asked:
    node: str
    asked_ns: int
    until_ns: int


class Acquire:
    """Follows judgements; node_of names the edge of a machine ("" when it is not known)."""

    def __init__(self, site: str, node_of: Callable[[str], str], policy: AcquirePolicy | None = None) -> None:
        self.policy = policy or AcquirePolicy()
        self._site = site
        self._node_of = node_of
        self._asked: dict[str, _Asked] = {}

    def consider(self, judgements: Iterable[Judgement], now_ns: int) -> list[Send]:
        """The requests to publish after a batch. now_ns is the host's time."""
        sends: list[Send] = []
        for judgement in judgements:
            asked = self._asked.get(judgement.machine)
            if judgement.condition in SUSPICIOUS:
                sends += self._more(judgement.machine, asked, now_ns)
            elif asked is not None and now_ns - asked.asked_ns >= self.policy.pause_s * NS_PER_S:
                del self._asked[judgement.machine]
                if asked.until_ns > now_ns:
                    sends.append(self._send(asked.node, judgement.machine, None, now_ns, now_ns))
        return sends

    def _more(self, machine: str, asked: _Asked | None, now_ns: int) -> list[Send]:
        hold_ns = int(self.policy.hold_s * NS_PER_S)
        if asked is not None and asked.until_ns - now_ns > hold_ns // 10:
            return []
        if asked is not None and now_ns - asked.asked_ns < self.policy.pause_s * NS_PER_S:
            return []
        node = self._node_of(machine)
        if not node or (asked is None and self._on(node, now_ns) >= self.policy.per_node):
            return []
        self._asked[machine] = _Asked(node, now_ns, now_ns + hold_ns)
        return [self._send(node, machine, self.policy, now_ns + hold_ns, now_ns)]

    def _on(self, node: str, now_ns: int) -> int:
        return sum(asked.node == node and asked.until_ns > now_ns for asked in self._asked.values())

    def _send(
        self, node: str, machine: str, policy: AcquirePolicy | None, until_ns: int, now_ns: int
    ) -> Send:
        payload = Payload(timestamp=now_ns // NS_PER_MS)
        add_metric(payload, ch.ACQUIRE_MACHINE, DataType.STRING, machine)
        if policy is not None and policy.n_samples is not None:
            add_metric(payload, ch.ACQUIRE_SAMPLES, DataType.INT64, policy.n_samples)
        if policy is not None and policy.period_s is not None:
            add_metric(payload, ch.ACQUIRE_PERIOD_NS, DataType.INT64, int(policy.period_s * NS_PER_S))
        add_metric(payload, ch.ACQUIRE_UNTIL_NS, DataType.INT64, until_ns)
        return Send(node_topic(self._site, Kind.NCMD, node), payload.SerializeToString())
