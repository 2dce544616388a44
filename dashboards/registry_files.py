"""The model registry as its files say it, for the models page: read, never written, and nothing is loaded.

root/models/NAME/VERSION/manifest.json, root/history.jsonl, root/decisions.jsonl. Deciding is a word on the
desk; `mitra model carry-out` puts it to the gate, and its answers stand in the last of these files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ingest.contract.lines import whole_lines

MAX_VERSIONS = 40
MAX_EVENTS = 200
MAX_ANSWERS = 200
MAX_BYTES = 2_000_000


class MetricFile(msgspec.Struct, frozen=True):
    """A figure with its interval and what it stands on."""

    name: str
    value: float
    lower: float
    upper: float
    count: int
    group: str = ""


class ManifestFile(msgspec.Struct, frozen=True):
    """What of a manifest is shown."""

    name: str
    version: int
    kind: str
    created_ns: int
    data_sha256: str
    data_from_ns: int
    data_to_ns: int
    code_version: str
    seed: int
    files: tuple[dict[str, Any], ...] = ()
    metrics: tuple[MetricFile, ...] = ()
    limits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class EventFile(msgspec.Struct, frozen=True):
    """One line of the history."""

    step: str
    name: str
    version: int
    by: str
    reason: str
    time_ns: int


class CheckFile(msgspec.Struct, frozen=True):
    """One look of the gate."""

    code: str
    passed: bool
    detail: str
    group: str = ""


class AnswerFile(msgspec.Struct, frozen=True):
    """What came of one decision of a person; code: `done`, or why not."""

    action_id: str
    done_ns: int
    code: str
    detail: str = ""
    checks: tuple[CheckFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One model name: champion and challenger side by side.

    broken: versions whose files do not hold; past: earlier champions, the newest last.
    """

    name: str
    champion: ManifestFile | None
    challenger: ManifestFile | None
    versions: tuple[ManifestFile, ...]
    broken: tuple[str, ...]
    events: tuple[EventFile, ...]
    past: tuple[int, ...] = ()

    def metric_names(self) -> tuple[tuple[str, str], ...]:
        """(name, group) of every figure that one of the two has."""
        both = [one for model in (self.champion, self.challenger) if model for one in model.metrics]
        return tuple(dict.fromkeys((one.name, one.group) for one in both))


def metric(model: ManifestFile | None, name: str, group: str) -> MetricFile | None:
    """A figure of a model, None when it has none."""
    for one in model.metrics if model else ():
        if (one.name, one.group) == (name, group):
            return one
    return None


def families(root: Path) -> tuple[Family, ...]:
    """Every model name with versions; an absent folder is an empty registry."""
    events = _events(root / "history.jsonl")
    folder = root / "models"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return tuple(
        _family(folder / name, name, tuple(one for one in events if one.name == name)) for name in names
    )


def _family(folder: Path, name: str, events: tuple[EventFile, ...]) -> Family:
    versions, broken = [], []
    numbers = sorted((int(path.name) for path in folder.iterdir() if path.name.isdigit()), reverse=True)
    for number in numbers[:MAX_VERSIONS]:
        manifest = _manifest(folder / str(number))
        if manifest is None or (manifest.name, manifest.version) != (name, number):
            broken.append(f"{name}@{number}")
        else:
            versions.append(manifest)
    champion, challenger, past = standing(events)
    by_version = {one.version: one for one in versions}
    return Family(
        name,
        by_version.get(champion or 0),
        by_version.get(challenger or 0),
        tuple(versions),
        tuple(broken),
        tuple(reversed(events)),
        past,
    )


def standing(events: tuple[EventFile, ...]) -> tuple[int | None, int | None, tuple[int, ...]]:
    """Champion, challenger and earlier champions after these events, oldest first."""
    champion: int | None = None
    challenger: int | None = None
    past: tuple[int, ...] = ()
    for event in events:
        if event.step == "challenge":
            challenger = event.version
        elif event.step == "refuse":
            challenger = None
        elif event.step == "promote":
            past = (*past, champion) if champion is not None else past
            champion, challenger = event.version, None
        elif event.step == "rollback":
            champion, past = event.version, past[:-1]
        elif event.step == "first":
            champion = event.version
    return champion, challenger, past


def answers(root: Path) -> dict[str, AnswerFile]:
    """The newest answers to people's decisions, by the id of the action."""
    try:
        lines = whole_lines((root / "decisions.jsonl").read_bytes())[-MAX_ANSWERS:]
        found = [msgspec.json.decode(line, type=AnswerFile) for line in lines]
    except (OSError, msgspec.DecodeError):
        return {}
    return {one.action_id: one for one in found}


def _manifest(folder: Path) -> ManifestFile | None:
    """A version's manifest when it can be read and its files are what it says; None otherwise."""
    try:
        data = (folder / "manifest.json").read_bytes()
        if len(data) > MAX_BYTES:
            return None
        manifest = msgspec.json.decode(data, type=ManifestFile)
        whole = all(_same(folder / str(one["name"]), one) for one in manifest.files)
    except (OSError, msgspec.DecodeError, KeyError):
        return None
    return manifest if whole else None


def _same(path: Path, entry: dict[str, Any]) -> bool:
    if path.parent.resolve() != path.resolve().parent or path.stat().st_size != entry["size_bytes"]:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == str(entry["sha256"])


def _events(path: Path) -> tuple[EventFile, ...]:
    try:
        lines = whole_lines(path.read_bytes())[-MAX_EVENTS:]
        return tuple(msgspec.json.decode(line, type=EventFile) for line in lines)
    except (OSError, msgspec.DecodeError):
        return ()
