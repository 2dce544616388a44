"""Between the sensors' threads and the one that stores: a bounded waiting room.

A sensor that plays as fast as it can waits at the door. A sensor that follows the clock cannot wait: what
finds no place is counted by machine and becomes a gap record, so that the plant knows of the hole.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from edge.outbox_rows import Loss
from ingest.contract.values import Message

MAX_MESSAGES = 1024
MAX_BYTES = 64 * 1024 * 1024
NOT_ACCEPTED = "outbox_unavailable"


def size_of(message: Message) -> int:
    """Bytes that a message takes, near enough."""
    return 256 + sum(len(one.samples) for one in message.waveforms) + 32 * len(message.scalars)


class Intake:
    """See the module. `wake` is called, from any thread, when the storing thread has something to do."""

    def __init__(
        self, wake: Callable[[], None], max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES
    ):
        self._wake = wake
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._changed = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._n_bytes = 0
        self._losses: dict[tuple[str, str], Loss] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message, *, patient: bool) -> bool:
        """Leave a message. A patient sensor waits for a place; False when the agent stops meanwhile."""
        size = size_of(message)
        with self._changed:
            while self._is_full and not self._is_closed:
                if not patient:
                    self._lose(Loss(message.machine, message.time_ns, message.time_ns, 1, NOT_ACCEPTED))
                    return False
                self._changed.wait()
            if self._is_closed:
                return False
            was_empty = not self._waiting
            self._waiting.append(message)
            self._n_bytes += size
        if was_empty:
            self._wake()
        return True

    @property
    def _is_full(self) -> bool:
        return len(self._waiting) >= self._max_messages or self._n_bytes >= self._max_bytes

    def lose(self, loss: Loss) -> None:
        """Declare what a source could not give; it becomes a gap record."""
        with self._changed:
            self._lose(loss)
        self._wake()

    def _lose(self, loss: Loss) -> None:
        known = self._losses.get((loss.machine, loss.reason))
        self._losses[loss.machine, loss.reason] = known.joined(loss) if known else loss

    def take(self, limit: int) -> list[Message]:
        """The oldest messages, at most `limit`."""
        with self._changed:
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._n_bytes -= sum(size_of(message) for message in taken)
            self._changed.notify_all()
        return taken

    def put_back(self, messages: list[Message]) -> None:
        """Undo `take`: they could not be stored. They keep their order and their place before the others."""
        with self._changed:
            self._waiting.extendleft(reversed(messages))
            self._n_bytes += sum(size_of(message) for message in messages)

    def take_losses(self) -> tuple[Loss, ...]:
        """What found no place since the last call."""
        with self._changed:
            losses = tuple(self._losses.values())
            self._losses.clear()
        return losses

    def put_back_losses(self, losses: tuple[Loss, ...]) -> None:
        """Undo `take_losses`."""
        with self._changed:
            for loss in losses:
                self._lose(loss)

    def close(self) -> None:
        """Let everybody go who waits at the door; what is inside stays."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
