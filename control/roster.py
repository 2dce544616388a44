"""The roster's keeper: who may approve, published as TUF metadata that edges verify by themselves.

A folder holds `draft.json` (what the next roster will say), `public/` (what is copied to control and the
edges) and, unless they are kept elsewhere, `keys/`: three root keys (offline, two must sign), the leads' keys
(they sign the roster) and one online key (snapshot and the short-lived timestamp).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from ingest.contract.approval.roster import Credential, Person, Roster, parse_roster
from ingest.contract.approval.trust import (
    ROSTER,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    Floor,
    Trusted,
    is_roster_file,
    root_name,
    trust,
)
from ingest.contract.rejected import Rejected

DRAFT = "draft.json"
ROLES_ONLINE = (Snapshot.type, Timestamp.type)


class RosterError(ValueError):
    """The roster cannot be changed so; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Lives:
    """How long each role is believed. Not refreshed within timestamp_hours: no remote stops."""

    root_days: int = 365
    targets_days: int = 90
    snapshot_days: int = 7
    timestamp_hours: int = 24


def init(
    folder: Path,
    site: str,
    now: datetime,
    *,
    root_keys: int = 3,
    root_threshold: int = 2,
    leads: int = 2,
    lead_threshold: int = 2,
    lives: Lives = Lives(),
) -> Path:
    """Make all keys, the first root and an empty roster. Returns the root to pin at every edge."""
    if (folder / "public").exists():
        raise RosterError(f"{folder} already holds a roster; use enrol, revoke and publish")
    (folder / "public").mkdir(parents=True)
    roots = [_new_key(folder / "keys" / f"root-{n}.pem") for n in range(1, root_keys + 1)]
    lead_signers = [_new_key(folder / "keys" / f"lead-{n}.pem") for n in range(1, leads + 1)]
    online = _new_key(folder / "keys" / "online.pem")
    root = Root(version=1, expires=now + timedelta(days=lives.root_days), consistent_snapshot=False)
    for signer in roots:
        root.add_key(signer.public_key, Root.type)
    for signer in lead_signers:
        root.add_key(signer.public_key, Targets.type)
    for role in ROLES_ONLINE:
        root.add_key(online.public_key, role)
    root.roles[Root.type].threshold = root_threshold
    root.roles[Targets.type].threshold = lead_threshold
    _release(folder / "public", {root_name(1): _signed(Metadata(root), roots)})
    _write(folder / DRAFT, Roster(site, ()).to_bytes())
    publish(folder, now, lives=lives)
    return folder / "public" / root_name(1)


def enrol(folder: Path, person: Person) -> None:
    """Put a person into the draft, or give one that is there more keys. Nothing changes until `publish`."""
    draft = draft_of(folder)
    others = tuple(one for one in draft.persons if one.id != person.id)
    before = next((one for one in draft.persons if one.id == person.id), None)
    if before is not None:
        known = {key.id for key in person.credentials}
        person = replace(
            person, credentials=(*(k for k in before.credentials if k.id not in known), *person.credentials)
        )
    try:
        changed = Roster(draft.site, (*others, person)).to_bytes()
    except ValueError as error:
        raise RosterError(f"{person.id} was not enrolled: {error}") from error
    checked = parse_roster(changed)
    if isinstance(checked, Rejected):
        raise RosterError(f"{person.id} was not enrolled: {checked.reason} {checked.detail}")
    _write(folder / DRAFT, changed)


def revoke(folder: Path, person: str, credential: str = "") -> None:
    """Take a person, or one of a person's keys, out of the draft. Takes effect with `publish`."""
    draft = draft_of(folder)
    found = next((one for one in draft.persons if one.id == person), None)
    if found is None:
        raise RosterError(f"nobody called {person} is enrolled; `mitra roster show` lists who is")
    others = tuple(one for one in draft.persons if one.id != person)
    if credential:
        left = tuple(key for key in found.credentials if key.id != credential)
        if len(left) == len(found.credentials):
            raise RosterError(f"{person} has no key {credential}")
        others = (*others, replace(found, credentials=left))
    _write(folder / DRAFT, Roster(draft.site, others).to_bytes())


def publish(
    folder: Path,
    now: datetime,
    *,
    lead_keys: Sequence[Path] = (),
    online_key: Path | None = None,
    lives: Lives = Lives(),
) -> Roster:
    """Sign the draft with the leads' keys and make it current. Returns what edges will now believe."""
    roster = (folder / DRAFT).read_bytes()
    public = folder / "public"
    keys = lead_keys or sorted((folder / "keys").glob("lead-*.pem"))
    targets = Targets(version=_version(folder, TARGETS) + 1, expires=now + timedelta(days=lives.targets_days))
    targets.targets[ROSTER] = TargetFile.from_data(ROSTER, roster)
    made = {ROSTER: roster, TARGETS: _signed(Metadata(targets), [_load_key(path) for path in keys])}
    made |= _said_anew(folder, made[TARGETS], now, online_key, lives)
    # Judged before it is released: with a wrong key the old roster stays, and with it the remote stops.
    found = _judged(read_public(public) | made, public / root_name(1), now)
    if isinstance(found, Rejected):
        raise RosterError(
            f"edges would refuse this roster ({found.reason}: {found.detail}), so the one before it stays; "
            "sign with the keys of enough leads and with the online key"
        )
    _release(public, made)
    return found.roster


def refresh(
    folder: Path,
    now: datetime,
    *,
    online_key: Path | None = None,
    lives: Lives = Lives(),
) -> None:
    """Say again, for one more day, that the current roster is the newest. Run it daily; it needs no lead."""
    targets = (folder / "public" / TARGETS).read_bytes()
    _release(folder / "public", _said_anew(folder, targets, now, online_key, lives))


def _said_anew(
    folder: Path, targets: bytes, now: datetime, online_key: Path | None, lives: Lives
) -> dict[str, bytes]:
    """A snapshot and a timestamp over these targets."""
    signer = _load_key(online_key or folder / "keys" / "online.pem")
    snapshot = Snapshot(
        version=_version(folder, SNAPSHOT) + 1, expires=now + timedelta(days=lives.snapshot_days)
    )
    snapshot.meta[TARGETS] = _meta(targets)
    made = {SNAPSHOT: _signed(Metadata(snapshot), [signer])}
    timestamp = Timestamp(
        version=_version(folder, TIMESTAMP) + 1, expires=now + timedelta(hours=lives.timestamp_hours)
    )
    timestamp.snapshot_meta = _meta(made[SNAPSHOT])
    return made | {TIMESTAMP: _signed(Metadata(timestamp), [signer])}


def rotate_root(
    folder: Path,
    now: datetime,
    *,
    old_keys: Sequence[Path],
    new_keys: Sequence[Path],
    lives: Lives = Lives(),
) -> Path:
    """Replace the root keys by new_keys (made when missing), signed by old and new ones."""
    version = newest_root(folder)
    root = Metadata[Root].from_bytes((folder / "public" / root_name(version)).read_bytes()).signed
    new_signers = [_load_key(path) if path.exists() else _new_key(path) for path in new_keys]
    for key_id in list(root.roles[Root.type].keyids):
        root.revoke_key(key_id, Root.type)
    for signer in new_signers:
        root.add_key(signer.public_key, Root.type)
    root.version, root.expires = version + 1, now + timedelta(days=lives.root_days)
    signers = {s.public_key.keyid: s for s in (*map(_load_key, old_keys), *new_signers)}
    made = {root_name(version + 1): _signed(Metadata(root), list(signers.values()))}
    targets = (folder / "public" / TARGETS).read_bytes()
    _release(folder / "public", made | _said_anew(folder, targets, now, None, lives))
    return folder / "public" / root_name(version + 1)


def newest_root(folder: Path) -> int:
    """The highest version of the root in the public folder. Raises RosterError when there is none."""
    versions = [int(path.name.split(".")[0]) for path in (folder / "public").glob("*.root.json")]
    if not versions:
        raise RosterError(f"{folder / 'public'} holds no root; name the folder that `mitra roster init` made")
    return max(versions)


def show(folder: Path, now: datetime) -> Trusted:
    """The published roster as an edge would judge it. Raises RosterError when an edge would refuse it."""
    return believed(folder / "public", folder / "public" / root_name(1), now)


def believed(public: Path, pinned_root: Path, now: datetime) -> Trusted:
    """The roster in a public folder, verified from a pinned root. Raises RosterError with the reason."""
    found = _judged(read_public(public), pinned_root, now)
    if isinstance(found, Rejected):
        raise RosterError(f"edges refuse this roster ({found.reason}: {found.detail}); publish or refresh it")
    return found


def _judged(files: Mapping[str, bytes], pinned_root: Path, now: datetime) -> Trusted | Rejected:
    return trust(pinned_root.read_bytes(), files, Floor(), int(now.timestamp()))


def read_public(public: Path) -> dict[str, bytes]:
    """The roster files of a public folder, by name."""
    return {p.name: p.read_bytes() for p in sorted(public.glob("*.json")) if is_roster_file(p.name)}


def person(person_id: str, name: str, role: str, credentials: Sequence[Credential]) -> Person:
    """A person to enrol, with the keys made in front of the leads."""
    return Person(person_id, name, role, tuple(credentials))


def draft_of(folder: Path) -> Roster:
    """The roster as the next `publish` would sign it. Raises RosterError, OSError."""
    found = parse_roster((folder / DRAFT).read_bytes())
    if isinstance(found, Rejected):
        raise RosterError(f"{folder / DRAFT} is not a roster: {found.reason} {found.detail}")
    return found


def _new_key(path: Path) -> CryptoSigner:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    signer = CryptoSigner.generate_ed25519()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(signer.private_bytes)
    return signer


def _load_key(path: Path) -> CryptoSigner:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise RosterError(
            f"{path} holds no private key in PEM form; name a key file of this roster"
        ) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise RosterError(f"{path} does not hold an Ed25519 key")
    return CryptoSigner(key)


def _version(folder: Path, name: str) -> int:
    path = folder / "public" / name
    return int(Metadata.from_bytes(path.read_bytes()).signed.version) if path.exists() else 0


def _meta(data: bytes) -> MetaFile:
    return MetaFile.from_data(Metadata.from_bytes(data).signed.version, data, ["sha256"])


def _signed(
    metadata: Metadata[Root] | Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp],
    signers: Sequence[CryptoSigner],
) -> bytes:
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def _release(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace files in this order. All are on the disk before the first name changes: whoever reads in the
    middle meets a mix that nobody believes, so the middle must be short."""
    for name, data in files.items():
        with _new(folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    for name in files:
        _swap_in(folder / name)


def _write(path: Path, data: bytes) -> None:
    _release(path.parent, {path.name: data})


def _swap_in(path: Path) -> None:
    _new(path).replace(path)


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
