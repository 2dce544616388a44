"""Readers of the journal, lent one at a time: a slow page never holds up the live stream.

The screens may start before the first telemetry: until there is a journal, every page says so.
"""

from __future__ import annotations

import queue
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dashboards.problems import Problem
from ingest.journal.schema import JournalError
from ingest.reader import Reader

MAX_READERS = 6
WAIT_S = 5.0


class Source:
    """Lends at most MAX_READERS readers; opened when first needed."""

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open = open_reader
        self._idle: queue.LifoQueue[Reader | None] = queue.LifoQueue()
        for _ in range(MAX_READERS):
            self._idle.put(None)

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """A reader for the length of a `with`. Raises Problem(503) when the journal cannot be read."""
        try:
            reader = self._idle.get(timeout=WAIT_S)
        except queue.Empty:
            raise Problem(503) from None
        try:
            if reader is None:
                reader = self._open()
            yield reader
        except (JournalError, sqlite3.Error) as error:
            raise Problem(503) from error
        finally:
            self._idle.put(reader)

    def close(self) -> None:
        """Close every idle reader."""
        for _ in range(MAX_READERS):
            try:
                reader = self._idle.get_nowait()
            except queue.Empty:
                return
            if reader is not None:
                reader.close()
