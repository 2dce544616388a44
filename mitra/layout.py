"""Where one plant keeps its files, and reading the plant file for a person."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingest.contract.plant import Plant, PlantError, parse_plant
from mitra.exits import PersonError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Layout:
    """Folders and files under one data folder. Each file has one writing process."""

    root: Path

    @property
    def logs(self) -> Path:
        """Output of every process, one file each."""
        return self.root / "logs"

    @property
    def config(self) -> Path:
        """Configuration that the supervisor writes for its processes."""
        return self.root / "config"

    @property
    def broker(self) -> Path:
        """The embedded broker's store and accounts."""
        return self.root / "broker"

    @property
    def server(self) -> Path:
        """Journal, historian and model registry: written by the stream."""
        return self.root / "server"

    @property
    def journal(self) -> Path:
        """The stream's database."""
        return self.server / "journal.db"

    @property
    def history(self) -> Path:
        """Parquet segments."""
        return self.server / "history"

    @property
    def registry(self) -> Path:
        """Signed models."""
        return self.server / "registry"

    @property
    def signing_key(self) -> Path:
        """What `mitra train` signs models with: no process that judges machines reads it."""
        return self.root / "training" / "signing.key"

    @property
    def vouched(self) -> Path:
        """Who vouched for which doubted verdict: written by `mitra labels vouch`."""
        return self.root / "training" / "vouched.jsonl"

    @property
    def desk(self) -> Path:
        """What people said: written by the screens."""
        return self.root / "screens" / "desk.db"

    @property
    def users(self) -> Path:
        """Accounts of the screens: written by `mitra user`."""
        return self.root / "screens" / "users.toml"

    @property
    def serving(self) -> Path:
        """What `mitra serve` runs at this moment."""
        return self.root / "serving.json"

    @property
    def control(self) -> Path:
        """The isolated control service's own folder."""
        return self.root / "control"

    @property
    def switches(self) -> Path:
        """Simulated run switches, written by the simulated actuator."""
        return self.root / "switches"

    @property
    def roster(self) -> Path:
        """Who may approve: the draft, the signing keys and the public part."""
        return self.root / "roster"

    @property
    def keys(self) -> Path:
        """Software keys of people, offered by a demo only."""
        return self.root / "keys"

    @property
    def panels(self) -> Path:
        """What the displays at simulated machines show."""
        return self.root / "panels"

    def edge(self, gateway: str) -> Path:
        """The outbox and status of one gateway."""
        return self.root / "edge" / gateway

    def actuator(self, gateway: str) -> Path:
        """Keys, spent ids and receipts of one gateway's actuator."""
        return self.root / "actuator" / gateway


def plant_folder(data: Path) -> Layout:
    """A data folder in which something is kept for a plant. Raises PersonError when there is none.

    A plant may lack any part (no stream ran yet, nobody said anything), but not all of them.
    """
    layout = Layout(data)
    known = (layout.server, layout.desk.parent, layout.signing_key.parent, layout.broker, layout.control)
    if not any(one.is_dir() for one in known):
        why = "holds no plant's data" if data.is_dir() else "is no folder, so no plant's data is there"
        raise PersonError("setting", f"{data} {why}. Name the folder of `mitra serve` with --data.")
    return layout


_NO_FOLDER = (FileExistsError, FileNotFoundError, NotADirectoryError)
"""No folder is or can be made at a path: a file is in the way, or the file system takes none."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a sentence. Raises PersonError."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise PersonError(
                "disk",
                f"The disk that holds {path} is full, so nothing new can be stored. "
                "Free some space there; what is stored already is not touched.",
            ) from error
        if error.errno in NOT_WRITABLE or isinstance(error, _NO_FOLDER):
            raise PersonError(
                "disk",
                f"{path} cannot be written ({os.strerror(error.errno or 0)}). "
                "Give this user the right to write there, or name another folder.",
            ) from error
        raise


def make_folder(path: Path) -> Path:
    """Create a folder and prove that it can be written. Raises PersonError."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    return path


def read_plant(path: Path, named: str = "Name one with --plant") -> Plant:
    """The plant of a plant file. named: how the user names one. Raises PersonError with what to correct."""
    try:
        return parse_plant(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise PersonError(
            "setting",
            f"The plant file {path} cannot be read ({os.strerror(error.errno or 0)}). "
            f"{named}, or write a first one with `mitra plant new`.",
        ) from error
    except UnicodeDecodeError as error:
        raise PersonError("setting", f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except PlantError as error:
        raise PersonError("setting", str(error)) from error
