"""Several cores for the dearest part of the stream: the features of a micro-batch, shared out by machine.

Sequence, gate, judgement and journal stay where they are, so there is nothing to merge and one writer a file.
The kernel releases the interpreter's lock, so threads are enough: samples are not copied, and no process can
fall on its own (docs/decisions/0007).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ingest.contract.batch import Batch
from ingest.contract.rows import FeatureRow, Outputs
from ingest.contract.values import Message
from models.stream import StreamState, features_of, judge

MAX_WORKERS = 16
MIN_SHARE = 8
"""Messages below which handing a share over costs more than it saves."""


def automatic() -> int:
    """Half of the cores that this process may use, at least one: broker, screens and disk need the rest."""
    return max(1, min(MAX_WORKERS, len(os.sched_getaffinity(0)) // 2))


def shares(machines: Sequence[str], workers: int) -> list[list[int]]:
    """Places of a batch by share. The messages of a machine stay together and in order.

    >>> shares(("a", "b", "a", "c"), 1)
    [[0, 1, 2, 3]]
    >>> [len(share) for share in shares([f"m-{i % 24}" for i in range(48)], 3)]
    [16, 16, 16]
    """
    n = max(1, min(workers, len(machines) // MIN_SHARE))
    share_of: dict[str, int] = {}
    found: list[list[int]] = [[] for _ in range(n)]
    for place, machine in enumerate(machines):
        found[share_of.setdefault(machine, len(share_of) % n)].append(place)
    return [share for share in found if share] or [[]]


class Workers:
    """`update` is `models.stream.update`, to the bit, with features on as many threads as wanted.

    What features remember is each machine's own, and rows are judged in the order of their messages: so the
    number of workers changes nothing but the time it takes. also: what is said beside the features, before
    rows are judged and stored. Raises ValueError for a number out of range.
    """

    def __init__(
        self,
        workers: int,
        also: Callable[[tuple[FeatureRow, ...]], tuple[FeatureRow, ...]] = lambda rows: rows,
    ) -> None:
        if not 1 <= workers <= MAX_WORKERS:
            raise ValueError(f"workers must be in 1..{MAX_WORKERS}, got {workers}")
        self.workers, self._also = workers, also
        self._pool = ThreadPoolExecutor(workers - 1, "features") if workers > 1 else None

    def update(self, state: StreamState, batch: Batch) -> tuple[StreamState, Outputs]:
        """Features of the messages, then `judge`."""
        rows = self._also(self._rows(state, batch.messages))
        state, judgements, alarms, advice = judge(state, rows, batch.actions, batch.now_ns)
        return state, Outputs(rows, judgements, alarms, advice)

    def _rows(self, state: StreamState, messages: Sequence[Message]) -> tuple[FeatureRow, ...]:
        """One row a message, in order; this thread takes the first share."""
        first, *others = shares([message.machine for message in messages], self.workers)
        if self._pool is None or not others:
            return tuple(features_of(state, messages))
        waiting = [
            self._pool.submit(features_of, state, [messages[place] for place in share]) for share in others
        ]
        made = dict(zip(first, features_of(state, [messages[place] for place in first]), strict=True))
        for share, later in zip(others, waiting, strict=True):
            made |= zip(share, later.result(), strict=True)
        return tuple(made[place] for place in range(len(messages)))

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
