"""What the host knows of one edge node between its birth and its death, and the order of its messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.contract.payload import Birth
from ingest.contract.sparkplug_b_pb2 import Payload
from ingest.contract.topics import Topic

SEQ_MODULO = 256
FUTURE = 128
NS_PER_S = 1_000_000_000
REBIRTH_FIRST_WAIT_NS = 5 * NS_PER_S
REBIRTH_LONGEST_WAIT_NS = 300 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Arrived:
    """A decoded message that is subject to its node's sequence. birth: what a certificate declared."""

    topic: Topic
    payload: Payload
    birth: Birth | None
    n_bytes: int
    head: bytes
    receive_ns: int


@dataclass(slots=True)
class Session:
    """One edge node. next_seq is None when any number may come: after a start, or a loss of our own."""

    node: str
    online: bool = False
    since_ns: int = 0
    bdseq: int | None = None
    birth: Birth | None = None
    devices: dict[str, Birth] = field(default_factory=dict)
    next_seq: int | None = None
    held: dict[int, Arrived] = field(default_factory=dict)
    held_bytes: int = 0
    held_since_ns: int = 0
    rebirths: int = 0
    seq_gaps: int = 0
    _rebirth_ns: int | None = None
    _rebirth_wait_ns: int = REBIRTH_FIRST_WAIT_NS

    def born(self, birth: Birth, seq: int | None, now_ns: int) -> int:
        """Begin anew with an NBIRTH: old aliases, devices and held messages are void; how many of these."""
        self.online, self.since_ns, self.birth = True, now_ns, birth
        bdseq = birth.facts.get("bdSeq")
        self.bdseq = int(bdseq) if isinstance(bdseq, int) else None
        self.devices.clear()
        self.next_seq = None if seq is None else (seq + 1) % SEQ_MODULO
        return self.drop_held()

    def died(self, now_ns: int) -> int:
        """The node is gone, and its devices and held messages with it; how many of these."""
        self.online, self.since_ns = False, now_ns
        self.devices.clear()
        self.next_seq = None
        return self.drop_held()

    def drop_held(self) -> int:
        """Forget what waits for a missing message; how many that were."""
        n_held = len(self.held)
        self.held.clear()
        self.held_bytes = 0
        return n_held

    def takes(self, seq: int | None) -> bool:
        """True, and the sequence goes on, when a message with this number may be read at once."""
        if seq is None:
            return True
        if self.next_seq is not None and seq != self.next_seq:
            return False
        self.next_seq = (seq + 1) % SEQ_MODULO
        return True

    def in_order(self, arrived: Arrived) -> bool:
        """True when the message may be read now; otherwise it is held until what is missing comes."""
        if not arrived.payload.HasField("seq"):
            return True
        seq = arrived.payload.seq % SEQ_MODULO
        if self.next_seq is None or seq == self.next_seq:
            self.next_seq = (seq + 1) % SEQ_MODULO
            return True
        if (seq - self.next_seq) % SEQ_MODULO >= FUTURE:
            return True  # from before: late, or sent twice; its key or digest tells
        if not self.held:
            self.held_since_ns = arrived.receive_ns
        if seq in self.held:
            return True  # the same number twice: one of them is read as it is
        self.held_bytes += arrived.n_bytes
        self.held[seq] = arrived
        return False

    def next_held(self) -> Arrived | None:
        """The held message whose turn it is now, or None."""
        if self.next_seq is None or self.next_seq not in self.held:
            return None
        arrived = self.held.pop(self.next_seq)
        self.held_bytes -= arrived.n_bytes
        self.next_seq = (self.next_seq + 1) % SEQ_MODULO
        return arrived

    def skip_missing(self) -> int:
        """Give up waiting: go on with the nearest held message; how many numbers are missing."""
        if self.next_seq is None or not self.held:
            return 0
        expected = self.next_seq
        missing = min((seq - expected) % SEQ_MODULO for seq in self.held)
        self.next_seq = (expected + missing) % SEQ_MODULO
        self.seq_gaps += 1
        return missing

    def may_ask_rebirth(self, now_ns: int) -> bool:
        """True when a rebirth may be requested now; each request doubles the wait, a birth resets it."""
        if self._rebirth_ns is not None and now_ns - self._rebirth_ns < self._rebirth_wait_ns:
            return False
        if self._rebirth_ns is not None:
            self._rebirth_wait_ns = min(2 * self._rebirth_wait_ns, REBIRTH_LONGEST_WAIT_NS)
        self._rebirth_ns = now_ns
        self.rebirths += 1
        return True

    def rebirth_came(self) -> None:
        """A birth answers: the next request, if ever, waits the shortest time again."""
        self._rebirth_wait_ns = REBIRTH_FIRST_WAIT_NS
