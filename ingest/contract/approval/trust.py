"""Is this roster the plant's? TUF metadata checked offline, from bytes alone.

Root (offline, 2 of 3) names the keys of the other roles; targets (plant leads) names the roster by hash;
snapshot and the short-lived timestamp say that nothing older is being served. Source: TUF specification
1.0.34, section 5; signatures by python-tuf's metadata API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from ingest.contract.approval.codes import Code
from ingest.contract.approval.roster import Roster, parse_roster
from ingest.contract.approval.strict import b64, canonical, parse_object, unb64
from ingest.contract.rejected import Rejected

TIMESTAMP, SNAPSHOT, TARGETS, ROSTER = "timestamp.json", "snapshot.json", "targets.json", "roster.json"
MAX_METADATA_BYTES = 256 * 1024
MAX_ROOT_STEPS = 64
MAX_BUNDLE_BYTES = 1024 * 1024

_ROOT_NAME = re.compile(r"[1-9][0-9]{0,5}\.root\.json", re.ASCII)
T = TypeVar("T", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class Floor:
    """The highest versions ever believed: anything lower is a rollback."""

    timestamp: int = 0
    snapshot: int = 0
    targets: int = 0


@dataclass(frozen=True, slots=True)
class Trusted:
    """A roster that passed. root: the newest believed one; expires: Unix s of the first role to lapse."""

    roster: Roster
    root: bytes
    floor: Floor
    expires: int


def root_name(version: int) -> str:
    """The file of one version of the root.

    >>> root_name(2)
    '2.root.json'
    """
    return f"{version}.root.json"


def is_roster_file(name: str) -> bool:
    """True for the file names that make up a roster: no other name is ever read from, or written for, a link.

    >>> is_roster_file("3.root.json"), is_roster_file("../root.json"), is_roster_file("roster.json")
    (True, False, True)
    """
    return name in (TIMESTAMP, SNAPSHOT, TARGETS, ROSTER) or _ROOT_NAME.fullmatch(name) is not None


def write_bundle(files: Mapping[str, bytes]) -> bytes:
    """Roster files as one message for an edge."""
    return canonical({name: b64(data) for name, data in files.items() if is_roster_file(name)})


def read_bundle(data: bytes) -> dict[str, bytes] | Rejected:
    """The roster files in a message, or why it holds none. Total; nothing in it is believed yet."""
    found = parse_object(data, MAX_BUNDLE_BYTES)
    if isinstance(found, Rejected):
        return found
    files = {}
    for name, text in found.items():
        content = unb64(text) if isinstance(text, str) else None
        if not is_roster_file(name) or content is None:
            return Rejected(Code.BAD_FIELD, name[:64])
        files[name] = content
    return files


def trust(root: bytes, files: Mapping[str, bytes], floor: Floor, now_s: int) -> Trusted | Rejected:
    """The roster in files, as far as the believed root and floor allow, or why it is not believed. Total."""
    if any(len(data) > MAX_METADATA_BYTES for data in files.values()):
        return Rejected(Code.OVERSIZE)
    missing = [name for name in (TIMESTAMP, SNAPSHOT, TARGETS, ROSTER) if name not in files]
    if missing:
        return Rejected(Code.ROSTER_MISSING, missing[0])
    try:
        return _trust(root, files, floor, datetime.fromtimestamp(now_s, UTC))
    except (RepositoryError, ValueError, KeyError, TypeError, OverflowError) as error:
        return Rejected(Code.ROSTER_UNVERIFIED, f"{type(error).__name__}: {error}"[:200])


def _trust(root: bytes, files: Mapping[str, bytes], floor: Floor, now: datetime) -> Trusted | Rejected:
    believed, root, rekeyed = _walk_root(root, files)
    if rekeyed:
        # New keys for what moves often: the old numbers may have been run up by a thief (TUF 5.3.11).
        floor = replace(floor, timestamp=0, snapshot=0)
    timestamp = _open(files[TIMESTAMP], Timestamp)
    believed.signed.verify_delegate(Timestamp.type, timestamp.signed_bytes, timestamp.signatures)
    snapshot = _open(files[SNAPSHOT], Snapshot)
    timestamp.signed.snapshot_meta.verify_length_and_hashes(files[SNAPSHOT])
    believed.signed.verify_delegate(Snapshot.type, snapshot.signed_bytes, snapshot.signatures)
    targets = _open(files[TARGETS], Targets)
    meta = snapshot.signed.meta[TARGETS]
    meta.verify_length_and_hashes(files[TARGETS])
    believed.signed.verify_delegate(Targets.type, targets.signed_bytes, targets.signatures)
    targets.signed.targets[ROSTER].verify_length_and_hashes(files[ROSTER])
    if (timestamp.signed.snapshot_meta.version, meta.version) != (
        snapshot.signed.version,
        targets.signed.version,
    ):
        return Rejected(Code.ROSTER_UNVERIFIED, "versions do not agree")
    seen = Floor(timestamp.signed.version, snapshot.signed.version, targets.signed.version)
    if seen.timestamp < floor.timestamp or seen.snapshot < floor.snapshot or seen.targets < floor.targets:
        return Rejected(Code.ROSTER_ROLLBACK, f"{seen} is older than {floor}")
    signed = (believed.signed, timestamp.signed, snapshot.signed, targets.signed)
    expires = min(one.expires for one in signed)
    if expires <= now:
        return Rejected(Code.ROSTER_STALE, f"expired {expires.isoformat()}")
    roster = parse_roster(files[ROSTER])
    if isinstance(roster, Rejected):
        return roster
    return Trusted(roster, root, seen, int(expires.timestamp()))


def _walk_root(root: bytes, files: Mapping[str, bytes]) -> tuple[Metadata[Root], bytes, bool]:
    """Follow rotations from the believed root: each new one is signed by the old keys and its own."""
    believed = _open(root, Root)
    first = believed
    for _ in range(MAX_ROOT_STEPS):
        data = files.get(root_name(believed.signed.version + 1))
        if data is None:
            break
        newer = _open(data, Root)
        for judge in (believed, newer):
            judge.signed.verify_delegate(Root.type, newer.signed_bytes, newer.signatures)
        if newer.signed.version != believed.signed.version + 1:
            raise ValueError("a root version was skipped")
        believed, root = newer, data
    rekeyed = any(
        first.signed.roles[role].keyids != believed.signed.roles[role].keyids
        for role in (Timestamp.type, Snapshot.type)
    )
    return believed, root, rekeyed


def _open(data: bytes, kind: type[T]) -> Metadata[T]:
    found: Metadata[T] = Metadata.from_bytes(data)
    if not isinstance(found.signed, kind):
        raise TypeError(f"not {kind.__name__} metadata")
    return found
