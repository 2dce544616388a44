"""What one transaction stores besides the stream's outputs: receipts, refusals, keys, clocks, counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ingest.contract.batch import Batch
from ingest.contract.values import Message


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will never be stored, and why. It counts as committed when it carries a key."""

    receive_ns: int
    topic: str
    reason: str
    detail: str
    n_bytes: int
    head: bytes = b""


class ClockState(StrEnum):
    """What the host thinks of a node's clock."""

    UNKNOWN = "unknown"
    GOOD = "good"
    CORRECTED = "corrected"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class ClockVerdict:
    """A node's clock against receive time. offset_ns: receive time less device time, steady part;
    drift_ppm: how fast it changes; jumps: steps seen; lateness_ns: what the last message came late by."""

    node: str
    state: ClockState
    offset_ns: int
    drift_ppm: float
    jumps: int
    n_messages: int
    since_ns: int
    lateness_ns: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class NodeState:
    """Whether an edge node is there. machines: its devices that were born."""

    node: str
    online: bool
    since_ns: int
    rebirths: int = 0
    seq_gaps: int = 0
    machines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunChange:
    """How the stored counts of one boot changed: runs that went, and runs that came, as (first, last)."""

    node: str
    boot_id: int
    gone: tuple[int, ...]
    came: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message whose time cannot be trusted yet."""

    message: Message
    receive_ns: int


@dataclass(frozen=True, slots=True)
class Intake:
    """A micro-batch as the inbox hands it out: the batch for `update`, and what the journal keeps with it.

    receive_ns: (n,) host times of `batch.messages`; digests: (machine, digest) of messages without a key;
    runs: changes of the stored counts; released: quarantine entries that came back; touched: counts by
    boot, repeated ones too, of which the edge is to be told; counts: increments of counters by name.
    """

    batch: Batch
    receive_ns: tuple[int, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    released: tuple[int, ...] = ()
    touched: Mapping[tuple[str, int], tuple[int, ...]] = field(default_factory=dict)
    digests: tuple[tuple[str, int], ...] = ()
    runs: tuple[RunChange, ...] = ()
    clocks: tuple[ClockVerdict, ...] = ()
    nodes: tuple[NodeState, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    desk_cursor: int | None = None

    def __post_init__(self) -> None:
        if len(self.receive_ns) != len(self.batch.messages):
            raise ValueError("every message needs its receive time")

    @property
    def empty(self) -> bool:
        """True when there is nothing to store."""
        batch = self.batch
        return not (
            batch.messages
            or batch.gaps
            or batch.actions
            or self.dead_letters
            or self.quarantined
            or self.released
            or self.runs
            or self.clocks
            or self.nodes
            or self.counts
        )
