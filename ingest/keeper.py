"""The keeper: a thread that exports, compacts and expires the history and keeps the journal small."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ingest.historian.compact import HistoryPolicy, upkeep
from ingest.historian.export import HotPolicy, export, forget
from ingest.journal.journal import Journal
from ingest.journal.schema import open_reader

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeeperPolicy:
    """How often the keeper works: the write-ahead log, exports, upkeep of the history."""

    checkpoint_every_s: float = 0.5
    export_every_s: float = 60.0
    upkeep_every_s: float = 600.0
    least_rows: int = 64
    hot: HotPolicy = field(default_factory=HotPolicy)
    history: HistoryPolicy = field(default_factory=HistoryPolicy)

    def __post_init__(self) -> None:
        if min(self.checkpoint_every_s, self.export_every_s, self.upkeep_every_s) <= 0:
            raise ValueError("the keeper's intervals must be positive")


class Keeper:
    """Works beside the stream on connections of its own. `counters` says what it did."""

    def __init__(
        self, journal: Journal, history_dir: Path | None, policy: KeeperPolicy | None = None
    ) -> None:
        self.journal = journal
        self.history_dir = history_dir
        self.policy = policy or KeeperPolicy()
        self.counters: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._db = open_reader(journal.path)
        self._log = sqlite3.connect(journal.path, isolation_level=None, check_same_thread=False, timeout=10)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present piece of work, and export what is new."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._try(self._export, 1)
        self._db.close()
        self._log.close()

    def _run(self) -> None:
        policy = self.policy
        export_due_s = time.monotonic() + policy.export_every_s
        upkeep_due_s = time.monotonic() + min(60.0, policy.upkeep_every_s)
        while not self._stop.wait(policy.checkpoint_every_s):
            self._try(self._checkpoint)
            if time.monotonic() >= export_due_s:
                self._try(self._export, policy.least_rows)
                export_due_s = time.monotonic() + policy.export_every_s
            if time.monotonic() >= upkeep_due_s:
                self._try(self._upkeep)
                upkeep_due_s = time.monotonic() + policy.upkeep_every_s

    def _try(self, work: Callable[..., None], *values: int) -> None:
        """A full disk or a damaged segment stops no telemetry: counted, logged, tried again later."""
        try:
            work(*values)
        except (OSError, sqlite3.Error, duckdb.Error):
            self._count("keeper_failed", 1)
            LOG.exception("keeper_failed work=%s", work.__name__)

    def _checkpoint(self) -> None:
        _, pages, moved = self._log.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self.journal.checkpointed(int(pages), int(moved))

    def _export(self, least_rows: int) -> None:
        if self.history_dir is None:
            return
        for kind, n_rows in export(self.journal, self._db, self.history_dir, at_least=least_rows).items():
            self._count(f"exported_{kind}", n_rows)
        self._count("forgotten", forget(self.journal, self.policy.hot, time.time_ns()))

    def _upkeep(self) -> None:
        if self.history_dir is None:
            return
        for what, n_done in upkeep(self.history_dir, self.policy.history, time.time_ns()).items():
            self._count(f"history_{what}", n_done)

    def _count(self, name: str, more: int) -> None:
        self.counters[name] = self.counters.get(name, 0) + more
