"""The gate: what may enter the stream, once, and at which time. Pure; time is passed in."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import structs

from ingest.clocks import Clock, ClockPolicy, Verdict
from ingest.contract.channels import THINNED_REASON
from ingest.contract.values import Gap, Message, MessageKey
from ingest.host import Refused, Telemetry
from ingest.journal.entry import ClockVerdict, DeadLetter, Quarantined, RunChange
from ingest.message import corrected, digest, impossible
from ingest.runs import Runs

NS_PER_S = 1_000_000_000
IN_FLIGHT = 8
"""Batches after which one is surely on disk: fewer than these are ever on the way."""
MAX_RECENT = 65_536


class Memory(Protocol):
    """What the gate asks of the journal: keys and digests that are stored already."""

    def stored_runs(self, node: str, boot_id: int) -> list[tuple[int, int]]:
        """Runs of the counts stored for one boot."""
        ...

    def was_seen(self, machine: str, digest: int) -> bool:
        """True when this content of this machine is stored."""
        ...


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """rate and burst: messages a second of one node; silence_s: a pause that is declared as a gap, when it is
    also longer than `silence_periods` usual periods; judge_clocks: false only when recordings are replayed.
    """

    rate: float = 5_000.0
    burst: float = 10_000.0
    max_machines: int = 20_000
    max_boots: int = 8
    silence_s: float = 3_600.0
    silence_periods: float = 3.0
    letters_per_batch: int = 64
    judge_clocks: bool = True
    clock: ClockPolicy = field(default_factory=ClockPolicy)

    def __post_init__(self) -> None:
        if (
            self.rate <= 0
            or self.burst < 1
            or self.max_machines < 1
            or self.max_boots < 1
            or self.silence_s <= 0
        ):
            raise ValueError("the gate needs positive rates, limits and silence_s")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_ns: int


@dataclass(slots=True)
class _Machine:
    node: str
    time_ns: int
    period_ns: float = 0.0


@dataclass(slots=True)
class _Node:
    clock: Clock
    bucket: _Bucket
    boots: OrderedDict[int, Runs] = field(default_factory=OrderedDict)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What passed since the last `take`. touched: (node, boot_id) -> counts, repeated ones too."""

    messages: tuple[Message, ...]
    receive_ns: tuple[int, ...]
    gaps: tuple[Gap, ...]
    dead_letters: tuple[DeadLetter, ...]
    quarantined: tuple[Quarantined, ...]
    digests: tuple[tuple[str, int], ...]
    runs: tuple[RunChange, ...]
    touched: Mapping[tuple[str, int], tuple[int, ...]]
    clocks: tuple[ClockVerdict, ...]
    counts: Mapping[str, int]
    settled: tuple[str, ...]


class Gate:
    """See the module. owners: machine -> edge node of the plant file; another node may not speak for it."""

    def __init__(
        self,
        memory: Memory,
        owners: Mapping[str, str] | None = None,
        policy: GatePolicy | None = None,
        clocks: Iterable[ClockVerdict] = (),
    ) -> None:
        self.policy = policy or GatePolicy()
        self._memory = memory
        self._owners = dict(owners or {})
        self._known = {verdict.node: verdict for verdict in clocks}
        self._nodes: dict[str, _Node] = {}
        self._machines: dict[str, _Machine] = {}
        self._takes = 0
        self._used: dict[tuple[str, int], int] = {}
        self._recent: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._reset()

    def _reset(self) -> None:
        self._messages: list[Message] = []
        self._receive_ns: list[int] = []
        self._gaps: list[Gap] = []
        self._letters: list[DeadLetter] = []
        self._aside: list[Quarantined] = []
        self._digests: dict[tuple[str, int], None] = {}
        self._touched: dict[tuple[str, int], list[int]] = {}
        self._judged: set[str] = set()
        self._settled: list[str] = []
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        """Messages that wait for the next `take`."""
        return len(self._messages)

    # -- one at a time -------------------------------------------------------------------------------

    def admit(self, telemetry: Telemetry) -> None:
        """Let a message or a gap record in, or count why not."""
        content, receive_ns = telemetry.content, telemetry.receive_ns
        node = self._node(content.node, receive_ns)
        if not self._within_rate(node.bucket, receive_ns):
            self._count("refused_rate_limit")
            return
        key = content.key
        runs = self._runs(node, key) if key else None
        if runs is not None and key is not None:
            if key.seq64 in runs:
                runs.add(key.seq64)
                self._touched.setdefault((key.node, key.boot_id), []).append(key.seq64)
                self._count("duplicates")
                return
            if runs.full and not runs.joins(key.seq64):
                self._count("refused_too_many_holes")
                return
        why = self._owner(content) or impossible(content)
        if why:
            self._letter(telemetry, why)
        elif isinstance(content, Gap):
            self._gaps.append(content)
            self._count("gap_records")
        else:
            self._message(telemetry, content, node)
        if runs is not None and key is not None:
            runs.add(key.seq64)
            self._touched.setdefault((key.node, key.boot_id), []).append(key.seq64)

    def _message(self, telemetry: Telemetry, message: Message, node: _Node) -> None:
        if not message.waveforms and not message.scalars:
            self._count("refused_empty")
            return
        if message.key is None or not message.waveforms:
            mark = (message.machine, digest(message))
            if mark in self._recent or self._memory.was_seen(*mark):
                self._count("duplicates_resent")
                return
            self._digests[mark] = self._recent[mark] = None
            if len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)
        if self.policy.judge_clocks:
            receive_ns = telemetry.receive_ns
            if (
                node.clock.see(message.time_ns, receive_ns, historical=message.historical)
                is Verdict.QUARANTINE
            ):
                self._aside.append(Quarantined(message, receive_ns))
                self._judged.add(message.node)
                self._count("quarantined")
                return
            self._note_clock(node.clock)
            message = corrected(message, node.clock.offset_ns)
        self.pass_in(message, telemetry.receive_ns)

    def pass_in(self, message: Message, receive_ns: int) -> None:
        """Hand a message with a believable time to the next batch; declare the silence before it, and what
        its outbox took out of it."""
        self._silence(message)
        if message.thinned:
            at_ns = message.time_ns
            self._gaps.append(Gap(message.node, message.machine, at_ns, at_ns, 1, THINNED_REASON))
            self._count("thinned_messages")
        self._messages.append(message)
        self._receive_ns.append(receive_ns)

    def _note_clock(self, clock: Clock) -> None:
        if clock.settled:
            clock.settled = False
            self._settled.append(clock.node)
            self._judged.add(clock.node)
        elif clock.n_messages == 1 or clock.n_messages % 256 == 0:
            self._judged.add(clock.node)

    def _silence(self, message: Message) -> None:
        """A pause that no outbox will fill is a gap: say so when the machine speaks again."""
        known = self._machines.get(message.machine)
        if known is None:
            self._machines[message.machine] = _Machine(message.node, message.time_ns)
            return
        pause_ns = message.time_ns - known.time_ns
        if pause_ns <= 0:
            return
        usual_ns = known.period_ns
        if (
            pause_ns > self.policy.silence_s * NS_PER_S
            and pause_ns > self.policy.silence_periods * usual_ns
            and self._nothing_older(message.key)
        ):
            missing = max(1, round(pause_ns / usual_ns) - 1) if usual_ns else 1
            self._gaps.append(
                Gap(message.node, message.machine, known.time_ns, message.time_ns, missing, "silence")
            )
            self._count("gaps_of_silence")
        else:
            known.period_ns += (pause_ns - usual_ns) * 0.1 if usual_ns else pause_ns
        known.time_ns = message.time_ns

    def _nothing_older(self, key: MessageKey | None) -> bool:
        return key is None or self._nodes[key.node].boots[key.boot_id].whole_before(key.seq64)

    # -- refusals ------------------------------------------------------------------------------------

    def refuse(self, refused: Refused) -> None:
        """Count what could not be read; poison of an outbox is committed, so that it is not sent again."""
        self._count(f"refused_{refused.letter.reason}")
        if refused.again:
            return
        if len(self._letters) < self.policy.letters_per_batch:
            self._letters.append(refused.letter)
        key = refused.key
        if key is not None:
            runs = self._runs(self._node(key.node, refused.letter.receive_ns), key)
            if not runs.full or runs.joins(key.seq64):
                runs.add(key.seq64)
                self._touched.setdefault((key.node, key.boot_id), []).append(key.seq64)

    def declare(self, gap: Gap) -> None:
        """Record numbers of a foreign node's sequence that never came. An outbox sends its own again."""
        if self._nodes.get(gap.node) is None or not self._nodes[gap.node].boots:
            self._gaps.append(gap)
        self._count("sequence_gaps")

    def count(self, name: str, more: int = 1) -> None:
        """Add to a counter that the journal keeps."""
        self._counts[name] += more

    def _count(self, name: str) -> None:
        self._counts[name] += 1

    def _letter(self, telemetry: Telemetry, reason: str) -> None:
        self._count(f"refused_{reason}")
        if len(self._letters) < self.policy.letters_per_batch:
            self._letters.append(
                DeadLetter(telemetry.receive_ns, telemetry.topic[:256], reason, "", telemetry.n_bytes)
            )

    def _owner(self, content: Message | Gap) -> str:
        """Why this node may not speak for this machine, or ""."""
        owner = self._owners.get(content.machine)
        if owner is None:
            known = self._machines.get(content.machine)
            owner = known.node if known else content.node
            if known is None and len(self._machines) >= self.policy.max_machines:
                return "too_many_machines"
        return "" if owner == content.node else "machine_of_another_node"

    def _within_rate(self, bucket: _Bucket, now_ns: int) -> bool:
        policy = self.policy
        passed_s = max(0, now_ns - bucket.at_ns) / NS_PER_S
        bucket.tokens = min(policy.burst, bucket.tokens + passed_s * policy.rate)
        bucket.at_ns = now_ns
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def _node(self, name: str, now_ns: int) -> _Node:
        node = self._nodes.get(name)
        if node is None:
            verdict = self._known.get(name)
            clock = Clock.restored(verdict, self.policy.clock) if verdict else Clock(name, self.policy.clock)
            node = self._nodes[name] = _Node(clock, _Bucket(self.policy.burst, now_ns))
        return node

    def _runs(self, node: _Node, key: MessageKey) -> Runs:
        runs = node.boots.get(key.boot_id)
        if runs is None:
            runs = node.boots[key.boot_id] = Runs(self._memory.stored_runs(key.node, key.boot_id))
            while len(node.boots) > self.policy.max_boots:
                oldest = next(iter(node.boots))
                if self._takes - self._used[key.node, oldest] < IN_FLIGHT:
                    break  # its changes may not be on disk yet
                del node.boots[oldest], self._used[key.node, oldest]
        node.boots.move_to_end(key.boot_id)
        self._used[key.node, key.boot_id] = self._takes
        return runs

    # -- a batch at a time ---------------------------------------------------------------------------

    def take(self) -> Admitted:
        """All that passed since the last call."""
        changes = []
        for node, boot_id in sorted(self._touched):
            gone, came = self._nodes[node].boots[boot_id].take_changes()
            if gone or came:
                changes.append(RunChange(node, boot_id, gone, came))
        admitted = Admitted(
            tuple(self._messages),
            tuple(self._receive_ns),
            tuple(self._gaps),
            tuple(self._letters),
            tuple(self._aside),
            tuple(self._digests),
            tuple(changes),
            {boot: tuple(seqs) for boot, seqs in self._touched.items()},
            tuple(self._nodes[node].clock.verdict for node in sorted(self._judged)),
            dict(self._counts),
            tuple(self._settled),
        )
        self._takes += 1
        self._reset()
        return admitted

    def node_of(self, machine: str) -> str:
        """The edge node that speaks for a machine, or ""."""
        known = self._machines.get(machine)
        return self._owners.get(machine) or (known.node if known else "")

    def release(self, node: str, now_ns: int) -> None:
        """A person believes a node's clock again."""
        self._node(node, now_ns).clock.release(now_ns)
        self._judged.add(node)

    def readmit(self, one: Quarantined, *, as_received: bool) -> bool:
        """Bring a message back from quarantine: at the time it was received, or under the learnt offset.

        False, and it stays, when the learnt offset does not explain its time.
        """
        clock = self._node(one.message.node, one.receive_ns).clock
        own_ns = one.receive_ns - one.message.time_ns
        tolerance_ns = 2 * int(clock.policy.tolerance_s * NS_PER_S)
        if not as_received and abs(own_ns - clock.offset_ns) > tolerance_ns:
            return False
        message = corrected(one.message, own_ns if as_received else clock.offset_ns)
        self.pass_in(structs.replace(message, historical=True), one.receive_ns)
        self._count("released")
        return True
