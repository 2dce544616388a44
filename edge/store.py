"""The outbox as the agent meets it: what to do when the disk refuses or the file is corrupt."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from edge.intake import Intake
from edge.log import say
from edge.node import Now
from edge.outbox import Commit, OutboxLimits
from edge.outbox_file import Connect, OutboxCorrupt, OutboxUnavailable, connect_sqlite
from edge.outbox_rows import Counts, Stored
from edge.rescue import open_or_recover
from ingest.contract.payload import Committed
from ingest.contract.values import Message

RETRY_NS = 1_000_000_000
_BATCH_MESSAGES = 256


class Store:
    """An outbox that is always there: reopened when corrupt, tried again each second when the disk refuses.

    trouble: empty, or why nothing is accepted now. generation grows with every file that is opened anew.
    """

    def __init__(
        self,
        path: Path,
        node: str,
        limits: OutboxLimits,
        now: Now,
        *,
        last_known: Counts | None = None,
        connect: Connect = connect_sqlite,
    ) -> None:
        self._path, self._node, self._limits, self._connect = path, node, limits, connect
        self._last_known = last_known
        self.trouble = ""
        self.generation = 0
        self._retry_ns = 0
        self._committed: list[Committed] = []
        self._open(now)

    def _open(self, now: Now) -> None:
        self.outbox, recovery = open_or_recover(
            self._path,
            self._node,
            self._limits,
            now.mono_ns,
            now.wall_ns,
            last_known=self._last_known,
            connect=self._connect,
        )
        self.generation += 1
        if recovery is not None:
            say(
                "outbox_set_aside",
                logging.ERROR,
                aside=recovery.aside,
                why=recovery.why,
                rescued=recovery.rescued,
                lost_and_declared=recovery.lost,
            )

    def forget(self, committed: Committed) -> None:
        """Delete with the next transaction what the host has stored; a boot's newest word counts."""
        self._committed = [one for one in self._committed if one.boot_id != committed.boot_id]
        self._committed.append(committed)

    def commit(self, intake: Intake, hand: int, now: Now) -> tuple[Sequence[Message], Commit]:
        """One transaction of all that waits: the messages it took, and what became of them.

        When the disk refuses, everything goes back to where it was.
        """
        if self.trouble and now.mono_ns < self._retry_ns:
            return (), Commit()
        messages, losses = intake.take(_BATCH_MESSAGES), intake.take_losses()
        committed, self._committed = self._committed, []
        if not (messages or losses or committed):
            return (), Commit()
        try:
            done = self.outbox.commit(now.mono_ns, messages, committed, losses, hand)
        except (OutboxUnavailable, OutboxCorrupt) as error:
            self._committed = committed + self._committed
            intake.put_back(messages)
            intake.put_back_losses(losses)
            self._trouble(error, now)
            return (), Commit()
        if self.trouble:
            say("outbox_accepts_again", logging.WARNING)
            self.trouble = ""
        return messages, done

    def read(self, first: int, end: int, limit: int, now: Now) -> Sequence[Stored] | None:
        """Rows to send; None when they cannot be read now."""
        try:
            return self.outbox.read(first, end, limit)
        except (OutboxUnavailable, OutboxCorrupt) as error:
            self._trouble(error, now)
            return None

    def replace_damaged(self, row: Stored, now: Now) -> Stored | None:
        """The gap record that takes the place of a damaged row; None when that cannot be stored now."""
        say("row_damaged", logging.ERROR, machine=row.machine, time_ns=row.time_ns)
        try:
            return self.outbox.replace_damaged(row)
        except (OutboxUnavailable, OutboxCorrupt) as error:
            self._trouble(error, now)
            return None

    def next_bdseq(self, now: Now) -> int:
        """Number of the next MQTT session; kept if the disk allows it."""
        try:
            return self.outbox.next_bdseq()
        except (OutboxUnavailable, OutboxCorrupt) as error:
            self._trouble(error, now)
            return (self.counts().bdseq + 1) % 256

    def counts(self) -> Counts:
        """The tally, or the last that could be read."""
        try:
            self._last_known = self.outbox.counts()
        except (OutboxUnavailable, OutboxCorrupt):
            return self._last_known or Counts()
        return self._last_known

    def _trouble(self, error: OutboxUnavailable | OutboxCorrupt, now: Now) -> None:
        self._retry_ns = now.mono_ns + RETRY_NS
        if not self.trouble:
            say(
                "outbox_refuses",
                logging.ERROR,
                why=str(error),
                meaning="no telemetry is accepted until it works",
            )
        self.trouble = str(error)
        self.outbox.relieve()
        if isinstance(error, OutboxCorrupt):
            self.outbox.close()
            self._open(now)
            self.trouble = ""
