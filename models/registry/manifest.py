"""What is signed about a model: its files, data and code, how well it did, and where not to trust it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
FORMAT = 1
FILES_MAX = 16
METRICS_MAX = 2000
TEXTS_MAX = 50
TEXT_LENGTH_MAX = 4000


class ManifestError(ValueError):
    """A manifest that cannot be trusted or understood."""


def sha256(data: bytes) -> str:
    """Content hash as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a model, by content."""

    name: str
    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        if not FILE_NAME.fullmatch(self.name) or not SHA256.fullmatch(self.sha256) or self.size_bytes < 0:
            raise ManifestError(f"a file entry needs a plain name, a SHA-256 and a size, got {self}")


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure with its interval. group: machine group it holds for, "" for all; count: what it stands on."""

    name: str
    value: float
    lower: float
    upper: float
    count: int
    group: str = ""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.value, self.lower, self.upper))):
            raise ManifestError(f"metric {self.name} is not a number")
        if not self.lower <= self.value <= self.upper or self.count < 0:
            raise ManifestError(f"metric {self.name} must lie in its interval, got {self}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A version of a model. created_ns: when it was trained; data_from_ns, data_to_ns: the data window.

    data_sha256: hash of the training data (`models.training.data_hash`); limits: where the model must not be
    trusted, in words. Raises ManifestError when built with nonsense.
    """

    name: str
    version: int
    kind: str
    created_ns: int
    data_sha256: str
    data_from_ns: int
    data_to_ns: int
    code_version: str
    seed: int
    files: tuple[FileEntry, ...]
    metrics: tuple[Metric, ...] = ()
    limits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or not NAME.fullmatch(self.kind):
            raise ManifestError(f"names are a-z, 0-9 and dashes, got {self.name!r}, {self.kind!r}")
        if not 1 <= self.version <= 10**9 or not SHA256.fullmatch(self.data_sha256):
            raise ManifestError("a version is a whole number from 1 and its data has a SHA-256")
        if not 1 <= len(self.files) <= FILES_MAX or len(self.metrics) > METRICS_MAX:
            raise ManifestError(f"a model has 1 to {FILES_MAX} files and at most {METRICS_MAX} metrics")
        if len({entry.name for entry in self.files}) != len(self.files):
            raise ManifestError("two files of a model have the same name")
        if self.data_from_ns > self.data_to_ns:
            raise ManifestError("the data window ends before it begins")
        texts = (*self.limits, *self.notes)
        if len(texts) > TEXTS_MAX or any(len(text) > TEXT_LENGTH_MAX for text in texts):
            raise ManifestError(f"at most {TEXTS_MAX} texts of {TEXT_LENGTH_MAX} characters")

    @property
    def label(self) -> str:
        """As people and rows name it: `bearings@3`."""
        return f"{self.name}@{self.version}"

    def to_bytes(self) -> bytes:
        """The bytes that are signed: JSON with sorted keys and no spaces, one form for one manifest."""
        plain = {"format": FORMAT, **asdict(self)}
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def from_bytes(data: bytes) -> Manifest:
    """Read a manifest. Raises ManifestError when it is not one, or not in the one form that is signed."""
    try:
        plain: dict[str, Any] = json.loads(data)
        form = plain.pop("format", None)
        plain["files"] = tuple(FileEntry(**entry) for entry in plain["files"])
        plain["metrics"] = tuple(Metric(**entry) for entry in plain["metrics"])
        plain["limits"], plain["notes"] = tuple(plain["limits"]), tuple(plain["notes"])
        manifest = Manifest(**plain)
    except ManifestError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ManifestError(f"this is not a manifest: {error}") from error
    if form != FORMAT or manifest.to_bytes() != data:
        raise ManifestError("the manifest is not written as it was signed")
    return manifest
