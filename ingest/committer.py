"""One batch is written to disk while the next is judged: the order stays, only the waiting goes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TypeVarTuple

from ingest.contract.rows import Outputs
from ingest.journal.entry import Intake

Taken = TypeVarTuple("Taken")
IDLE_S = 1.0


class Committer:
    """A thread that stores batches in their order, one at a time.

    store(intake, outputs) returns false when it gave up: then nothing after that batch is stored either, for
    its keys and its fold would have a hole. idle() is called on the same thread while there is nothing to
    store. What either raises is raised by the next `put` or `drain`.
    """

    def __init__(
        self, store: Callable[[Intake, Outputs], bool], idle: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._idle = store, idle
        self._waiting: queue.Queue[tuple[Intake, Outputs] | None] = queue.Queue(maxsize=1)
        self._failure: BaseException | None = None
        self.gave_up = False
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def put(self, intake: Intake, outputs: Outputs) -> None:
        """Hand a batch over; waits while one is being stored and another one waits."""
        self._check()
        self._waiting.put((intake, outputs))

    def drain(self) -> bool:
        """Wait until everything is stored; false when it was given up."""
        self._waiting.join()
        self._check()
        return not self.gave_up

    def stop(self) -> None:
        """Store what waits, then end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while True:
            try:
                taken = self._waiting.get(timeout=IDLE_S)
            except queue.Empty:
                self._try(self._idle)
                continue
            if taken is not None and not self.gave_up:
                self._try(self._keep, *taken)
            self._waiting.task_done()
            if taken is None:
                return

    def _keep(self, intake: Intake, outputs: Outputs) -> None:
        self.gave_up = not self._store(intake, outputs)

    def _try(self, work: Callable[[*Taken], None], *taken: *Taken) -> None:
        if self._failure is not None:
            return
        try:
            work(*taken)
        except BaseException as error:  # noqa: BLE001 (raised again by put or drain)
            self._failure = error
