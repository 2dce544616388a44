"""Tables of `journal.db` and how its connections are opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA_VERSION = 1
BUSY_MS = 10_000
MMAP_BYTES = 256 * 1024 * 1024

TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS machine (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS node (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS column_set (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);

-- One micro-batch: what `update` was given, in order, so that the fold over it can be repeated.
CREATE TABLE IF NOT EXISTS batch (
    id INTEGER PRIMARY KEY, now_ns INTEGER NOT NULL, first_row INTEGER NOT NULL, last_row INTEGER NOT NULL);

-- vals: float32, one per name of the column set. time_ns is corrected sensor time, receive_ns the host's.
CREATE TABLE IF NOT EXISTS feature_row (
    id INTEGER PRIMARY KEY, machine_id INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    receive_ns INTEGER NOT NULL, set_id INTEGER NOT NULL, historical INTEGER NOT NULL,
    waveform_kept INTEGER NOT NULL, node_id INTEGER, boot_id INTEGER, seq64 INTEGER, vals BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS feature_row_time ON feature_row (machine_id, time_ns);

-- Scalars in full precision. vals: float64; times: int64 sensor times, NULL when all are time_ns.
CREATE TABLE IF NOT EXISTS scalar_row (
    id INTEGER PRIMARY KEY, machine_id INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    receive_ns INTEGER NOT NULL, set_id INTEGER NOT NULL, times BLOB, vals BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS scalar_row_time ON scalar_row (machine_id, time_ns);

CREATE TABLE IF NOT EXISTS waveform (
    id INTEGER PRIMARY KEY, machine_id INTEGER NOT NULL, axis TEXT NOT NULL, start_ns INTEGER NOT NULL,
    receive_ns INTEGER NOT NULL, rate_hz REAL NOT NULL, scale_g REAL NOT NULL, sample_type TEXT NOT NULL,
    kept_for TEXT NOT NULL, samples BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS waveform_time ON waveform (machine_id, axis, start_ns);

CREATE TABLE IF NOT EXISTS latest (
    machine_id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    receive_ns INTEGER NOT NULL, condition TEXT NOT NULL, scalars BLOB NOT NULL, judgement BLOB);

CREATE TABLE IF NOT EXISTS judgement (
    id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL, machine_id INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    condition TEXT NOT NULL, zone TEXT NOT NULL, fault TEXT NOT NULL, score REAL, health REAL,
    body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS judgement_time ON judgement (machine_id, time_ns);

CREATE TABLE IF NOT EXISTS alarm (
    alarm_id TEXT PRIMARY KEY, batch_id INTEGER NOT NULL, machine_id INTEGER NOT NULL, state TEXT NOT NULL,
    priority TEXT NOT NULL, opened_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS alarm_opened ON alarm (opened_ns);
CREATE INDEX IF NOT EXISTS alarm_machine ON alarm (machine_id, opened_ns);
CREATE TABLE IF NOT EXISTS alarm_change (
    id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL, alarm_id TEXT NOT NULL, time_ns INTEGER NOT NULL,
    receive_ns INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS alarm_change_alarm ON alarm_change (alarm_id);
CREATE INDEX IF NOT EXISTS alarm_change_batch ON alarm_change (batch_id);

CREATE TABLE IF NOT EXISTS advice (
    id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL, machine_id INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    receive_ns INTEGER NOT NULL, body BLOB NOT NULL);

CREATE TABLE IF NOT EXISTS gap (
    id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL, node_id INTEGER NOT NULL, machine_id INTEGER NOT NULL,
    from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL, receive_ns INTEGER NOT NULL,
    n_messages INTEGER NOT NULL, reason TEXT NOT NULL, boot_id INTEGER, seq64 INTEGER);
CREATE INDEX IF NOT EXISTS gap_machine ON gap (machine_id, from_ns);

-- head: the first bytes of what was refused, enough to see what it was.
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL, receive_ns INTEGER NOT NULL, topic TEXT NOT NULL,
    reason TEXT NOT NULL, detail TEXT NOT NULL, n_bytes INTEGER NOT NULL, head BLOB NOT NULL);

-- Messages of an untrustworthy clock, whole, until a person releases or the limit drops the oldest.
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY, node_id INTEGER NOT NULL, machine TEXT NOT NULL, receive_ns INTEGER NOT NULL,
    n_bytes INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS quarantine_node ON quarantine (node_id, id);

-- Dedup keys as runs of stored counts: (first, last) both included, per boot of a node's outbox.
CREATE TABLE IF NOT EXISTS stored_run (
    node_id INTEGER NOT NULL, boot_id INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (node_id, boot_id, first)) WITHOUT ROWID;
-- Digests of messages without a key, so that a re-send is known as one.
CREATE TABLE IF NOT EXISTS seen (
    machine_id INTEGER NOT NULL, digest INTEGER NOT NULL, receive_ns INTEGER NOT NULL,
    PRIMARY KEY (machine_id, digest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seen_received ON seen (receive_ns);

CREATE TABLE IF NOT EXISTS clock (node_id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS node_state (
    node_id INTEGER PRIMARY KEY, online INTEGER NOT NULL, since_ns INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS applied_action (
    id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL, action_id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS applied_action_batch ON applied_action (batch_id);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class JournalError(Exception):
    """The journal cannot be used; the message says what it means for the plant and what to do."""


def open_writer(path: Path) -> sqlite3.Connection:
    """The one writing connection; makes the file and its tables when they are missing.

    Every commit is synced to disk: a power cut takes nothing that the edge was told is stored.
    Raises JournalError when the file is no journal of this version, or cannot be opened.
    """
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA journal_size_limit = 67108864")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            db.close()
            raise JournalError(
                f"{path} was written by another version of mitra (schema {version}, this one knows "
                f"{SCHEMA_VERSION}); telemetry waits at the edges. Start the version that wrote it, "
                "or move the file away."
            )
        db.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    except sqlite3.Error as error:
        raise JournalError(
            f"the journal {path} cannot be opened ({error}); telemetry waits at the edges, nothing is lost. "
            "Check that the folder exists, is writable and has free space."
        ) from error
    return db


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection: it can neither write nor hold the writer up. Raises JournalError."""
    try:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_MS / 1000,
        )
        db.execute("PRAGMA query_only = 1")
        db.execute(f"PRAGMA mmap_size = {MMAP_BYTES}")
    except sqlite3.Error as error:
        raise JournalError(
            f"the journal {path} cannot be read ({error}); start `mitra serve` first."
        ) from error
    return db
