"""Sets of 64-bit counts as runs: what is stored of one boot of an edge node's outbox."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable

from ingest.contract.limits import MAX_COMMITTED_RANGES
from ingest.contract.payload import Committed

MAX_RUNS = 65_536
MAX_TOUCHED = 512


class Runs:
    """Counts as sorted, disjoint runs (first, last), both included. Membership is exact, never "seq <= last".

    >>> runs = Runs()
    >>> [runs.add(seq) for seq in (0, 1, 5, 1)]
    [True, True, True, False]
    >>> runs.pairs()
    [(0, 1), (5, 5)]
    """

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in pairs:
            self._firsts.append(first)
            self._lasts.append(last)
        self._gone: set[int] = set()
        self._came: set[int] = set()
        self._touched: deque[int] = deque(maxlen=MAX_TOUCHED)

    def __contains__(self, seq: int) -> bool:
        i = bisect_right(self._firsts, seq) - 1
        return i >= 0 and seq <= self._lasts[i]

    def __len__(self) -> int:
        return len(self._firsts)

    @property
    def full(self) -> bool:
        """True when another run would go over the limit: then only counts that join a run may come."""
        return len(self._firsts) >= MAX_RUNS

    def whole_before(self, seq: int) -> bool:
        """True when no count below seq is missing: the node's outbox holds nothing older."""
        return seq == 0 or (len(self._firsts) > 0 and self._firsts[0] <= 1 and self._lasts[0] >= seq - 1)

    def joins(self, seq: int) -> bool:
        """True when seq would lengthen a run."""
        return seq - 1 in self or seq + 1 in self

    def add(self, seq: int) -> bool:
        """Take a count in; False when it was there already."""
        i = bisect_right(self._firsts, seq) - 1
        if i >= 0 and seq <= self._lasts[i]:
            return False
        joins_left = i >= 0 and self._lasts[i] == seq - 1
        joins_right = i + 1 < len(self._firsts) and self._firsts[i + 1] == seq + 1
        if joins_right:
            self._forget(self._firsts[i + 1])
        if joins_left and joins_right:
            self._lasts[i] = self._lasts[i + 1]
            del self._firsts[i + 1], self._lasts[i + 1]
        elif joins_left:
            self._lasts[i] = seq
        elif joins_right:
            i += 1
            self._firsts[i] = seq
        else:
            i += 1
            self._firsts.insert(i, seq)
            self._lasts.insert(i, seq)
        self._came.add(self._firsts[i])
        return True

    def _forget(self, first: int) -> None:
        self._gone.add(first)
        self._came.discard(first)

    def apply(self, gone: Iterable[int], came: Iterable[tuple[int, int]]) -> None:
        """Repeat the changes that another one told by `take_changes`."""
        for first in gone:
            i = bisect_right(self._firsts, first) - 1
            if i >= 0 and self._firsts[i] == first:
                del self._firsts[i], self._lasts[i]
        for first, last in came:
            i = bisect_right(self._firsts, first) - 1
            if i >= 0 and self._firsts[i] == first:
                self._lasts[i] = last
            else:
                self._firsts.insert(i + 1, first)
                self._lasts.insert(i + 1, last)

    def touch(self, seqs: Iterable[int]) -> None:
        """Name the runs of these counts in the next watermark."""
        self._touched.extend(seqs)

    def take_changes(self) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
        """Firsts of the runs that went and the runs that came or grew since the last call, to be stored."""
        gone = tuple(sorted(self._gone))
        came = tuple(
            (first, self._lasts[bisect_right(self._firsts, first) - 1]) for first in sorted(self._came)
        )
        self._gone.clear()
        self._came.clear()
        return gone, came

    def pairs(self) -> list[tuple[int, int]]:
        """All runs, in order."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def committed(self, boot_id: int) -> Committed:
        """The watermark to announce: the runs touched last come first, so that none waits for another.

        An edge whose outbox lost messages leaves holes for good; it must still hear of what came after them.
        """
        through = self._lasts[0] if self._firsts and self._firsts[0] == 0 else -1
        chosen: dict[int, int] = {}
        for seq in reversed(self._touched):
            i = bisect_right(self._firsts, seq) - 1
            if i >= 0 and self._lasts[i] > through:
                chosen[self._firsts[i]] = self._lasts[i]
                if len(chosen) == MAX_COMMITTED_RANGES:
                    break
        for first, last in zip(reversed(self._firsts), reversed(self._lasts), strict=True):
            if len(chosen) == MAX_COMMITTED_RANGES or last <= through:
                break
            chosen.setdefault(first, last)
        self._touched.clear()
        return Committed(boot_id, through, tuple(sorted(chosen.items())))
