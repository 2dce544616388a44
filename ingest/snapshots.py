"""The models' state on disk: written now and then, so that a restart folds only what came after."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from ingest.contract.actions import Action
from ingest.contract.rows import FeatureRow
from ingest.journal.journal import Journal
from ingest.journal.written import Replayed

State = TypeVar("State")
KEPT = 2
MAGIC = b"mitra-state-1\n"
DIGEST_BYTES = 32


class Snapshots(Generic[State]):
    """Snapshots in a folder beside the journal.

    to_parts and from_bytes turn a state into bytes and back; the parts come from a copy, which is taken
    before to_parts returns. from_bytes raises ValueError for bytes of another version, and the next older
    snapshot is tried. replay folds the rows and actions of one batch, at that batch's now_ns.
    """

    def __init__(
        self,
        folder: Path,
        to_parts: Callable[[State], Iterable[bytes]],
        from_bytes: Callable[[bytes], State],
        replay: Callable[[State, tuple[FeatureRow, ...], tuple[Action, ...], int], State],
    ) -> None:
        self.folder = folder
        self._to_parts = to_parts
        self._from_bytes = from_bytes
        self._replay = replay
        self._writer: threading.Thread | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, state: State, journal: Journal, *, wait: bool = False) -> bool:
        """Write a snapshot of the state after the journal's last batch; False while one is being written.

        The copy is made now; checksums and the disk are a thread's business.
        """
        if self._writer is not None and self._writer.is_alive():
            if not wait:
                return False
            self._writer.join()
        parts, batch_id = self._to_parts(state), journal.batch_id
        self._writer = threading.Thread(
            target=self._write, args=(parts, batch_id, journal), name="snapshot", daemon=True
        )
        self._writer.start()
        if wait:
            self._writer.join()
        return True

    def _write(self, parts: Iterable[bytes], batch_id: int, journal: Journal) -> None:
        final = self.folder / f"state-{batch_id:016d}.bin"
        fresh = final.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(MAGIC + bytes(DIGEST_BYTES))
                digest = hashlib.sha256()
                for part in parts:
                    digest.update(part)
                    file.write(part)
                file.seek(len(MAGIC))
                file.write(digest.digest())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(final)
        except OSError:
            fresh.unlink(missing_ok=True)  # a full disk: the older snapshot stays good
            return
        kept = self._listed()
        for old in kept[:-KEPT]:
            old.unlink(missing_ok=True)
        journal.replay_from = _batch_of(kept[-KEPT:][0])

    def _listed(self) -> list[Path]:
        return sorted(self.folder.glob("state-*.bin"))

    def recover(self, journal: Journal, fresh: State) -> State:
        """The state after the journal's last batch: the newest good snapshot and what came after it."""
        state, batch_id = fresh, 0
        for path in reversed(self._listed()):
            raw = path.read_bytes()
            body = raw[len(MAGIC) + DIGEST_BYTES :]
            head = MAGIC + hashlib.sha256(body).digest()
            if not raw.startswith(head) or _batch_of(path) > journal.batch_id:
                continue
            try:
                state, batch_id = self._from_bytes(body), _batch_of(path)
            except ValueError:
                continue
            break
        journal.replay_from = batch_id
        return self.fold(state, journal.replay_after(batch_id))

    def fold(self, state: State, batches: Iterable[Replayed]) -> State:
        """Fold stored batches over a state, in order."""
        for rows, actions, now_ns in batches:
            state = self._replay(state, rows, actions, now_ns)
        return state


def _batch_of(path: Path) -> int:
    return int(path.stem.removeprefix("state-"))
