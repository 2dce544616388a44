"""An outbox file that cannot be trusted is set aside, and what can still be read of it is carried over."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.outbox import Outbox, OutboxLimits
from edge.outbox_file import (
    Connect,
    Connection,
    OutboxCorrupt,
    connect_sqlite,
    open_outbox,
    set_aside,
)
from edge.outbox_rows import Counts, Loss
from ingest.contract import channels as ch
from ingest.contract.metrics import DataType
from ingest.contract.payload import read_payload
from ingest.contract.rejected import Rejected

CORRUPT = "outbox_corrupt"
_CHUNK_ROWS = 256


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of a corrupt file: where it lies, how many messages were read out of it, how many not."""

    aside: Path
    why: str
    rescued: int
    lost: int


def open_or_recover(
    path: Path,
    node: str,
    limits: OutboxLimits,
    mono_ns: int,
    now_ns: int,
    *,
    last_known: Counts | None = None,
    connect: Connect = connect_sqlite,
) -> tuple[Outbox, Recovery | None]:
    """Open the outbox; when the file is corrupt, set it aside, rescue, and declare the rest as a gap.

    last_known: the tally as somebody last saw it (the status file), for when the file's own cannot be read.
    Raises OutboxUnavailable when the disk refuses.
    """
    try:
        return Outbox(path, node, limits, mono_ns, connect), None
    except OutboxCorrupt as corrupt:
        why = str(corrupt)
    aside = set_aside(path, now_ns)
    fresh = open_outbox(path, connect)
    try:
        rescued, tally = _carry_over(aside, fresh, last_known or Counts(), connect)
    finally:
        fresh.close()
    outbox = Outbox(path, node, limits, mono_ns, connect)
    known = [one.made - one.committed - one.gap_declared for one in (tally, last_known) if one is not None]
    # At least one: bytes were lost, and a gap that says too little would be a lie.
    lost = max([1, *(held - rescued for held in known)])
    since_ns = last_known.oldest_time_ns if last_known and last_known.oldest_time_ns else now_ns
    outbox.commit(mono_ns, losses=[Loss(node, min(since_ns, now_ns), now_ns, lost, CORRUPT)])
    return outbox, Recovery(aside, why, rescued, lost)


def _carry_over(
    aside: Path, fresh: Connection, last_known: Counts, connect: Connect
) -> tuple[int, Counts | None]:
    """Copy what can be read; how many messages that were, and the old tally if it could be read."""
    try:
        old = connect(aside)
    except sqlite3.Error:
        return 0, None
    try:
        boots, channels = _all(old, "SELECT * FROM boot"), _all(old, "SELECT * FROM channel")
        told = _all(old, "SELECT made, committed, gap_declared, thinned, bdseq, ran_ns FROM tally")
        names = ("made", "committed", "gap_declared", "thinned", "bdseq", "ran_ns")
        tally = Counts(**dict(zip(names, told[0], strict=True))) if told else None
        fresh.execute("BEGIN IMMEDIATE")
        fresh.executemany("INSERT OR IGNORE INTO boot VALUES (?, ?)", boots)
        fresh.executemany("INSERT OR IGNORE INTO channel VALUES (?, ?, ?, ?)", channels)
        if channels:
            for row in _readable(old, sorted(boots)):
                fresh.execute("INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                fresh.execute("INSERT OR IGNORE INTO handed VALUES (?)", row[:1])
    finally:
        with contextlib.suppress(sqlite3.Error):
            old.close()
    rescued = int(fresh.execute("SELECT count(*) FROM message WHERE kind != 2").fetchone()[0])
    base = tally or last_known
    fresh.execute(
        "UPDATE tally SET made = ?, committed = ?, gap_declared = ?, thinned = ?, bdseq = ?, ran_ns = ?",
        # What is lost is declared, and so counted as made, by the gap that follows.
        (
            base.committed + base.gap_declared + rescued,
            base.committed,
            base.gap_declared,
            base.thinned,
            base.bdseq,
            base.ran_ns,
        ),
    )
    fresh.execute("COMMIT")
    return rescued, tally


def _all(old: Connection, sql: str) -> list[Any]:
    with contextlib.suppress(sqlite3.Error):
        return old.execute(sql).fetchall()
    return []


def _readable(old: Connection, boots: list[Any]) -> Iterator[Any]:
    """Rows that can be read from either end and whose body says the key that their place gives them."""
    for row in itertools.chain(_walk(old, "n > ?", "ASC", -1), _walk(old, "n < ?", "DESC", 1 << 62)):
        n, machine, body = row[0], row[1], row[6]
        boot = next((one for one in reversed(boots) if one[0] <= n), None)
        if boot is not None and isinstance(machine, str) and _says(body, boot[1], n - boot[0]):
            yield row


def _walk(old: Connection, where: str, order: str, start: int) -> Iterator[Any]:
    with contextlib.suppress(sqlite3.Error):
        while True:
            rows = old.execute(
                f"SELECT * FROM message WHERE {where} ORDER BY n {order} LIMIT ?",  # noqa: S608
                (start, _CHUNK_ROWS),
            ).fetchall()
            if not rows:
                return
            yield from rows
            start = rows[-1][0]


def _says(body: object, boot_id: int, seq64: int) -> bool:
    payload = read_payload(body) if isinstance(body, bytes) else Rejected("no_bytes")
    if isinstance(payload, Rejected):
        return False
    # The key's metrics come first and travel by alias, or by name.
    values = [m.long_value for m in payload.metrics if m.datatype == DataType.UINT64][:2]
    return values == [boot_id, seq64] and not any(m.name == ch.BDSEQ for m in payload.metrics)
