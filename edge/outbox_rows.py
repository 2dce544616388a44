"""The outbox's rows inside one transaction, and the memory that mirrors them.

Nothing here begins or ends a transaction: `edge.outbox` does, and calls `load` again when one failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from msgspec import structs

from edge import wire
from edge.channels import ChannelRow, Channels
from edge.outbox_file import Connection
from ingest.contract.limits import MAX_MESSAGE_BYTES
from ingest.contract.metrics import DataType
from ingest.contract.rejected import Rejected
from ingest.contract.values import Gap, Message, MessageKey

ROW_OVERHEAD_BYTES = 96
"""What a row costs beside its body, near enough for a limit."""


class RowKind(IntEnum):
    """What a row is: how a full outbox may treat it."""

    SCALARS = 0
    WAVEFORMS = 1
    GAP = 2


@dataclass(frozen=True, slots=True)
class Stored:
    """A durable message: n orders it, body lacks only the seq of the moment it is sent."""

    n: int
    machine: str
    time_ns: int
    kind: RowKind
    body: bytes


@dataclass(frozen=True, slots=True)
class Counts:
    """The law in numbers, in messages since the file was made.

    thinned: messages that lost their waveforms but not their scalars; bdseq: number of the last MQTT
    session; ran_ns: how long the gateway's agent has run, the only clock that no time server can turn;
    n_bytes: what the rows take; oldest_s and oldest_time_ns: age of the oldest row in running time, and its
    sensor time.
    """

    made: int = 0
    committed: int = 0
    in_outbox: int = 0
    gap_declared: int = 0
    thinned: int = 0
    bdseq: int = -1
    ran_ns: int = 0
    n_bytes: int = 0
    oldest_s: float = 0.0
    oldest_time_ns: int = 0

    @property
    def holds(self) -> bool:
        """True when nothing is unaccounted for."""
        return self.made == self.committed + self.in_outbox + self.gap_declared


@dataclass(frozen=True, slots=True)
class Loss:
    """Messages that were made but cannot be kept: they become a gap record."""

    machine: str
    from_ns: int
    to_ns: int
    n_messages: int
    reason: str

    def joined(self, other: Loss) -> Loss:
        """Both as one; machine and reason are the same."""
        return replace(
            self,
            from_ns=min(self.from_ns, other.from_ns),
            to_ns=max(self.to_ns, other.to_ns),
            n_messages=self.n_messages + other.n_messages,
        )


class Rows:
    """Tables and their mirror. Raises sqlite3.Error; then the mirror is wrong until `load`."""

    def __init__(self, connection: Connection, node: str, *, by_name: bool = False) -> None:
        self.node, self._by_name = node, by_name
        self.run = connection.execute
        self.run_many = connection.executemany
        self.holes = 0
        self.load()

    def load(self) -> None:
        """Fill memory from the file."""
        boots = self.run("SELECT first_n, boot_id FROM boot ORDER BY first_n").fetchall()
        self.boots = [(int(first), int(boot_id)) for first, boot_id in boots]
        known = self.run("SELECT * FROM channel ORDER BY alias").fetchall()
        self.channels = Channels(
            (ChannelRow(alias, machine, name, DataType(code)) for alias, machine, name, code in known),
            by_name=self._by_name,
        )
        tally = self.run("SELECT made, committed, gap_declared, thinned, bdseq, ran_ns FROM tally").fetchone()
        made, committed, gap_declared, thinned, bdseq, ran_ns = tally
        rows, n_bytes, last = self.run(
            "SELECT coalesce(sum(kind != 2), 0), coalesce(sum(length(body)), 0) + ? * count(*),"
            " coalesce(max(n), 0) FROM message",
            (ROW_OVERHEAD_BYTES,),
        ).fetchone()
        self.tally = Counts(made, committed, rows, gap_declared, thinned, bdseq, ran_ns, n_bytes)
        self.next_n = max([last, *(first - 1 for first, _ in self.boots)]) + 1
        self.handed = {int(n) for (n,) in self.run("SELECT n FROM handed").fetchall()}
        self._open_gaps: dict[tuple[str, str], tuple[int, Gap]] = {}

    def counts(self) -> Counts:
        """The tally with the age of the oldest row."""
        oldest = self.run("SELECT ran_ns, time_ns FROM message ORDER BY n LIMIT 1").fetchone()
        if oldest is None:
            return self.tally
        return replace(self.tally, oldest_s=(self.tally.ran_ns - oldest[0]) / 1e9, oldest_time_ns=oldest[1])

    def count(self, **more: int) -> None:
        """Move the tally."""
        self.tally = replace(
            self.tally, **{name: getattr(self.tally, name) + by for name, by in more.items()}
        )

    def write_tally(self) -> None:
        """Put the tally into the file."""
        one = self.tally
        self.run(
            "UPDATE tally SET made = ?, committed = ?, gap_declared = ?, thinned = ?, bdseq = ?, ran_ns = ?",
            (one.made, one.committed, one.gap_declared, one.thinned, one.bdseq, one.ran_ns),
        )

    # ---- boots and keys

    def begin_boot(self, boot_id: int) -> None:
        """Start a boot of this process; a former one without a message has nothing left to say."""
        ends = [first for first, _ in self.boots[1:]] + [self.next_n]
        for (first, _), end in zip(self.boots, ends, strict=False):
            if (
                self.run("SELECT 1 FROM message WHERE n >= ? AND n < ? LIMIT 1", (first, end)).fetchone()
                is None
            ):
                self.run("DELETE FROM boot WHERE first_n = ?", (first,))
        self.run("INSERT INTO boot VALUES (?, ?)", (self.next_n, boot_id))
        self.load()
        self.admit(self.node, None)
        self.holes = 0

    def key_of(self, n: int) -> MessageKey:
        """The key under which row n travels."""
        first, boot_id = next(boot for boot in reversed(self.boots) if boot[0] <= n)
        return MessageKey(self.node, boot_id, n - first)

    def span_of(self, boot_id: int) -> tuple[int, int] | None:
        """First and last row number of a boot; None when it is not known here (any more)."""
        for i, (first, known) in enumerate(self.boots):
            if known == boot_id:
                return first, (self.boots[i + 1][0] if i + 1 < len(self.boots) else self.next_n) - 1
        return None

    # ---- messages

    def encode(self, message: Message) -> tuple[Stored, bool] | Rejected:
        """The row of a message, and whether its machine got new channels; only those are inserted here."""
        if not message.waveforms and not message.scalars:
            return Rejected("empty", message.machine)
        new = self.admit(message.machine, message)
        if isinstance(new, Rejected):
            return new
        keyed = structs.replace(message, node=self.node, key=self.key_of(self.next_n))
        body = wire.message_body(keyed, self.channels.birth(message.machine))
        if len(body) > MAX_MESSAGE_BYTES - 8:
            return Rejected("oversize", f"{message.machine}: {len(body)} bytes")
        self.channels.saw(message)
        kind = RowKind.WAVEFORMS if message.waveforms else RowKind.SCALARS
        row = Stored(self.next_n, message.machine, message.time_ns, kind, body)
        self.next_n += 1
        return row, bool(new)

    def admit(self, machine: str, message: Message | None) -> tuple[ChannelRow, ...] | Rejected:
        """Give new channels their aliases, in the file too."""
        new = self.channels.admit(machine, message)
        if isinstance(new, tuple) and new:
            self.run_many(
                "INSERT INTO channel VALUES (?, ?, ?, ?)",
                [(row.alias, row.machine, row.name, int(row.datatype)) for row in new],
            )
        return new

    def insert(self, rows: Iterable[Stored], covers: int = 1) -> None:
        """Put rows into the file; the tally of messages is the caller's."""
        kept = tuple(rows)
        self.run_many(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(r.n, r.machine, r.time_ns, int(r.kind), covers, self.tally.ran_ns, r.body) for r in kept],
        )
        self.count(n_bytes=sum(len(row.body) + ROW_OVERHEAD_BYTES for row in kept))

    def delete(self, first: int, last: int) -> tuple[list[int], int]:
        """Delete first <= n <= last; the numbers that were there, and how many were telemetry."""
        gone = self.run(
            "DELETE FROM message WHERE n BETWEEN ? AND ? RETURNING n, kind, length(body)", (first, last)
        ).fetchall()
        self.count(n_bytes=-sum(size + ROW_OVERHEAD_BYTES for _, _, size in gone))
        numbers = [int(n) for n, _, _ in gone]
        handed = [n for n in numbers if n in self.handed]
        if handed:
            self.run_many("DELETE FROM handed WHERE n = ?", [(n,) for n in handed])
            self.handed.difference_update(handed)
        self._settle_gaps(numbers)
        return numbers, sum(kind != RowKind.GAP for _, kind, _ in gone)

    def hand(self, numbers: Sequence[int]) -> None:
        """From now on the host may have these rows."""
        self.run_many("INSERT OR IGNORE INTO handed VALUES (?)", [(n,) for n in numbers])
        self.handed.update(numbers)
        self._settle_gaps(numbers)

    def rewrite(self, n: int, kind: RowKind, body: bytes, old_size: int) -> None:
        """Give row n another body."""
        self.run("UPDATE message SET kind = ?, body = ? WHERE n = ?", (int(kind), body, n))
        self.count(n_bytes=len(body) - old_size)

    # ---- gaps

    def add_gap(self, loss: Loss) -> Stored:
        """A gap record under a key of its own, or a longer one when the last of its kind still waits here."""
        self.admit(loss.machine, None)
        gap = Gap(self.node, loss.machine, loss.from_ns, loss.to_ns, loss.n_messages, loss.reason)
        waiting = self._open_gaps.get((loss.machine, loss.reason))
        if waiting is None:
            n = self.next_n
            self.next_n += 1
        else:
            n, old = waiting
            gap = structs.replace(
                gap,
                from_ns=min(old.from_ns, gap.from_ns),
                to_ns=max(old.to_ns, gap.to_ns),
                n_messages=old.n_messages + gap.n_messages,
            )
            self.delete(n, n)
        row = self._gap_row(n, gap)
        self.insert([row], covers=gap.n_messages)
        self.count(gap_declared=loss.n_messages)
        self._open_gaps[loss.machine, loss.reason] = (n, gap)
        return row

    def replace_by_gap(self, n: int, machine: str, time_ns: int, size: int, reason: str) -> Stored:
        """The host may have this message already: the gap takes its key, so that only one of them counts."""
        row = self._gap_row(n, Gap(self.node, machine, time_ns, time_ns, 1, reason))
        self.rewrite(n, RowKind.GAP, row.body, size)
        self.count(gap_declared=1, in_outbox=-1)
        return row

    def _gap_row(self, n: int, gap: Gap) -> Stored:
        keyed = structs.replace(gap, key=self.key_of(n))
        body = wire.gap_body(keyed, self.channels.birth(gap.machine), gap.to_ns)
        return Stored(n, gap.machine, gap.to_ns, RowKind.GAP, body)

    def _settle_gaps(self, numbers: Sequence[int]) -> None:
        """A gap that was handed out or is gone cannot grow any more."""
        if self._open_gaps:
            settled = set(numbers)
            self._open_gaps = {key: one for key, one in self._open_gaps.items() if one[0] not in settled}
