"""One batch is written to disk while the next is judged: the order stays, only the waiting goes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from ingest.contract.rows import Outputs
from ingest.journal.entry import Intake


class Committer:
    """A thread that stores batches in their order, one at a time.

    store(intake, outputs) returns false when it gave up: then nothing after that batch is stored either, for
    its keys and its fold would have a hole. What store raises is raised by the next `put` or `drain`.
    """

    def __init__(self, store: Callable[[Intake, Outputs], bool]) -> None:
        self._store = store
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
            taken = self._waiting.get()
            try:
                if taken is None:
                    return
                if not self.gave_up and self._failure is None:
                    self.gave_up = not self._store(*taken)
            except BaseException as error:  # noqa: BLE001 (raised again by put or drain)
                self._failure = error
            finally:
                self._waiting.task_done()
