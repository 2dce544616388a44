"""The folder of models: immutable versions, a history of who changed what, and every read verified.

root/trusted/*.pub           public keys, hexadecimal
root/models/NAME/VERSION/    manifest.json, manifest.sig and the model's files
root/history.jsonl           one event a line, appended and synced
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.contract.lines import whole_lines, whole_size
from models.registry.gate import GateVerdict
from models.registry.history import Alias, Event, RefusedError, Standing, Step, standing_of, step
from models.registry.manifest import NAME, FileEntry, Manifest, ManifestError, from_bytes, sha256
from models.registry.signing import KEY_BYTES, Signer, UntrustedModelError, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_BYTES_MAX = 512 * 1024 * 1024
VERSIONS_MAX = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A verified version: its manifest and its files' bytes."""

    manifest: Manifest
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of `mitra model list`.

    aliases: what the version is now; signed: whether a trusted key vouches.
    """

    label: str
    kind: str
    created_ns: int
    aliases: tuple[Alias, ...]
    signed: bool


class Registry:
    """One folder; training, the command line and the screens' decisions take turns; readers may be many."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # Keys

    def trust(self, name: str, public: bytes) -> None:
        """Let models signed by this key be loaded. Raises RefusedError for a bad name or key."""
        if not NAME.fullmatch(name) or len(public) != KEY_BYTES:
            raise RefusedError("A trusted key has a name of a-z, 0-9 and dashes, and 32 bytes.")
        (self.root / "trusted").mkdir(parents=True, exist_ok=True)
        _write(self.root / "trusted" / f"{name}.pub", public.hex().encode() + b"\n")

    def trusted(self) -> frozenset[bytes]:
        """The public keys that vouch for models here."""
        return frozenset(
            bytes.fromhex(path.read_text("ascii").strip())
            for path in sorted((self.root / "trusted").glob("*.pub"))
        )

    # Versions

    def versions(self, name: str) -> tuple[int, ...]:
        """Versions of one name, ascending."""
        folder = self.root / "models" / name
        return tuple(sorted(int(path.name) for path in folder.glob("[0-9]*") if path.is_dir()))

    def names(self) -> tuple[str, ...]:
        """Model names that have versions."""
        return tuple(
            sorted(path.name for path in (self.root / "models").glob("*") if self.versions(path.name))
        )

    def add(self, draft: Manifest, files: Mapping[str, bytes], signer: Signer) -> Manifest:
        """Store a new version, signed. The draft's version and files are replaced by the true ones.

        Raises ManifestError, or RefusedError when the folder is full.
        """
        taken = self.versions(draft.name)
        if len(taken) >= VERSIONS_MAX:
            raise RefusedError(f"{draft.name} has {VERSIONS_MAX} versions; remove old ones first.")
        if any(len(data) > FILE_BYTES_MAX for data in files.values()):
            raise RefusedError(f"A file of a model has at most {FILE_BYTES_MAX} bytes.")
        entries = tuple(FileEntry(name, sha256(data), len(data)) for name, data in sorted(files.items()))
        manifest = replace(draft, version=(taken[-1] + 1 if taken else 1), files=entries)
        folder = self.root / "models" / manifest.name
        folder.mkdir(parents=True, exist_ok=True)
        signed = manifest.to_bytes()
        half = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
        for name, data in files.items():
            _write(half / name, data)
        _write(half / "manifest.json", signed)
        _write(half / "manifest.sig", signer.sign(signed))
        half.chmod(0o755)
        half.rename(folder / str(manifest.version))  # a version appears whole or not at all
        return manifest

    def manifest(self, name: str, version: int) -> Manifest:
        """The verified manifest of a version.

        Raises UntrustedModelError, or RefusedError when there is none.
        """
        folder = self._folder(name, version)
        data = (folder / "manifest.json").read_bytes()
        verify(data, (folder / "manifest.sig").read_bytes(), self.trusted())
        try:
            manifest = from_bytes(data)
        except ManifestError as error:
            raise UntrustedModelError(f"{name}@{version} was not loaded: {error}.") from error
        if (manifest.name, manifest.version) != (name, version):
            raise UntrustedModelError(
                f"{name}@{version} holds the signed manifest of {manifest.label}: somebody moved it. "
                "It was not loaded and the model in use stays."
            )
        return manifest

    def load(self, name: str, version: int) -> Model:
        """A version whose signature and every file hold. Raises UntrustedModelError when one does not."""
        manifest = self.manifest(name, version)
        folder = self._folder(name, version)
        files: dict[str, bytes] = {}
        for entry in manifest.files:
            path = folder / entry.name
            if not path.is_file() or path.stat().st_size != entry.size_bytes:
                raise UntrustedModelError(f"{entry.name} of {manifest.label} is missing or has another size.")
            data = path.read_bytes()
            if sha256(data) != entry.sha256:
                raise UntrustedModelError(
                    f"{entry.name} of {manifest.label} is not what was signed. It was not loaded; restore "
                    "the folder from a backup or roll back with `mitra model rollback`."
                )
            files[entry.name] = data
        return Model(manifest, files)

    def _folder(self, name: str, version: int) -> Path:
        if not NAME.fullmatch(name) or version not in self.versions(name):
            raise RefusedError(f"There is no {name}@{version}. `mitra model list` shows what there is.")
        return self.root / "models" / name / str(version)

    # Aliases

    def history(self) -> tuple[Event, ...]:
        """Every event, oldest first."""
        path = self.root / "history.jsonl"
        if not path.exists():
            return ()
        return tuple(
            Event(**{**(line := json.loads(text)), "step": Step(line["step"])})
            for text in whole_lines(path.read_bytes())
        )

    def standing(self, name: str) -> Standing:
        """Champion, challenger and earlier champions of one name."""
        return standing_of(self.history(), name)

    def listed(self) -> tuple[Listed, ...]:
        """Everything there is, newest version of a name first; broken ones are shown as not signed."""
        found = []
        for name in self.names():
            standing = self.standing(name)
            for version in reversed(self.versions(name)):
                is_now = ((Alias.CHAMPION, standing.champion), (Alias.CHALLENGER, standing.challenger))
                aliases = tuple(alias for alias, holder in is_now if holder == version)
                try:
                    manifest = self.manifest(name, version)
                except UntrustedModelError:
                    found.append(Listed(f"{name}@{version}", "", 0, aliases, False))
                else:
                    found.append(Listed(manifest.label, manifest.kind, manifest.created_ns, aliases, True))
        return tuple(found)

    def champion(self, name: str) -> Model | None:
        """The model that judges machines now, verified; None before the first."""
        version = self.standing(name).champion
        return None if version is None else self.load(name, version)

    def challenger(self, name: str) -> Model | None:
        """The model that runs in shadow now, verified; None when there is none."""
        version = self.standing(name).challenger
        return None if version is None else self.load(name, version)

    def challenge(self, name: str, version: int, *, by: str, reason: str, now_ns: int) -> Standing:
        """Let a version run in shadow; the first of a name becomes champion, as nothing judged before it."""
        first = self.standing(name).champion is None
        return self._append(Event(Step.FIRST if first else Step.CHALLENGE, name, version, by, reason, now_ns))

    def promote(self, name: str, verdict: GateVerdict, *, by: str, reason: str, now_ns: int) -> Standing:
        """Make the challenger champion.

        The gate must have passed for exactly these two, and a person says why.
        """
        now = self.standing(name)
        if now.challenger is None or now.champion is None:
            raise RefusedError(
                f"{name} has no challenger. Train one with `mitra train` and let it run in shadow."
            )
        pair = (f"{name}@{now.champion}", f"{name}@{now.challenger}")
        if (verdict.champion, verdict.challenger) != pair:
            raise RefusedError(
                f"The comparison is of {verdict.champion} and {verdict.challenger}, but now {pair[1]} "
                f"challenges {pair[0]}. Run `mitra model compare` again."
            )
        if not verdict.passed:
            failed = "; ".join(f"{f.code} {f.group}".strip() + f": {f.detail}" for f in verdict.failures)
            raise RefusedError(f"{pair[1]} was not promoted, {pair[0]} stays. The gate says: {failed}.")
        return self._append(Event(Step.PROMOTE, name, now.challenger, by, reason, now_ns))

    def refuse(self, name: str, version: int, *, by: str, reason: str, now_ns: int) -> Standing:
        """End the shadow run of a challenger that a person does not want; its version stays."""
        return self._append(Event(Step.REFUSE, name, version, by, reason, now_ns))

    def rollback(self, name: str, *, by: str, reason: str, now_ns: int) -> Standing:
        """Back to the champion before this one, whose files are the same bytes as when it left."""
        past = self.standing(name).past
        version = past[-1] if past else 0
        return self._append(Event(Step.ROLLBACK, name, version, by, reason, now_ns))

    def _append(self, event: Event) -> Standing:
        """Write an event down if it is allowed now; whoever else wants to, waits until that is done."""
        self.root.mkdir(parents=True, exist_ok=True)
        line = json.dumps({**asdict(event), "step": event.step.value}, ensure_ascii=False) + "\n"
        with (self.root / "history.jsonl").open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            after = step(self.standing(event.name), event)
            self.load(event.name, event.version)  # nothing unverified ever gets an alias
            file.seek(0)
            file.truncate(whole_size(file.read()))  # what a power cut left of a line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        return after

    def remove(self, name: str, version: int) -> None:
        """Delete a version that has no alias and that no rollback can reach.

        Raises RefusedError otherwise.
        """
        now = self.standing(name)
        if version in (now.champion, now.challenger, *now.past):
            raise RefusedError(f"{name}@{version} is in use, or a rollback may need it.")
        shutil.rmtree(self._folder(name, version))


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
