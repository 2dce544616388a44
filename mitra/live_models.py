"""The registry's champion and challenger on the stream: a word on each machine's newest row, once a minute.

A model of scikit-learn costs per call, so the newest rows of all machines are scored together, by a thread of
their own. A word is written beside the features of the machine's next row, before that row is judged and
stored: whoever folds stored rows again finds the same words, and none is recorded twice.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final

import numpy as np

from ingest.contract.rows import FeatureRow
from models.registry import Registry
from models.training.shadow import LiveModel, live_models

log = logging.getLogger("mitra.live_models")

EVERY_S: Final = 60.0
MAX_NAMES: Final = 4
ROWS_A_CALL: Final = 512
MAX_SCHEMAS: Final = 1024
Words = dict[str, tuple[tuple[str, ...], tuple[float, ...]]]
Mark = tuple[str, int, int]
Version = tuple[str, int]


class LiveModels:
    """Scores the newest row of every machine each `every_s` with the models of a registry's folder.

    `attach` belongs to the stream's thread; `refresh` and `score` to one other (`start` makes one). The
    folder is read again when it has changed: a promotion or a rollback takes effect within one round.
    models: what judges now; refused: why others may not, in words.
    """

    def __init__(self, root: Path, every_s: float = EVERY_S) -> None:
        self.models: tuple[LiveModel, ...] = ()
        self.refused: tuple[str, ...] = ()
        self._registry, self._every_s = Registry(root), every_s
        self._in_use: tuple[Version, ...] = ()
        self._looked: tuple[Mark, ...] = ()
        self._read: tuple[Mark, ...] | None = None
        self._newest: dict[str, FeatureRow] = {}
        self._words: Words = {}
        self._lock = threading.Lock()
        self._schemas: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[str, ...]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-models", daemon=True)

    def start(self) -> None:
        """Score from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(self._every_s)

    def attach(self, rows: tuple[FeatureRow, ...]) -> tuple[FeatureRow, ...]:
        """The rows, with the newest word on a machine beside its next row's features."""
        with self._lock:
            for row in rows:
                self._newest[row.machine] = row
            if not self._words:
                return rows
            return tuple(self._with_words(row) for row in rows)

    def _with_words(self, row: FeatureRow) -> FeatureRow:
        said = None if row.historical else self._words.pop(row.machine, None)
        if said is None:
            return row
        columns, words = said
        if len(self._schemas) >= MAX_SCHEMAS:
            self._schemas.clear()
        names = self._schemas.setdefault((row.names, columns), (*row.names, *columns))
        values = np.concatenate([row.values, np.array(words, np.float32)])
        return FeatureRow(row.machine, row.time_ns, names, values, row.key, row.historical, row.waveform_kept)

    def refresh(self) -> None:
        """Read the folder again if something there has changed."""
        self._looked = (
            self._shared_marks()
        )  # before anything is read: what changes meanwhile is read next time
        if self._looked + self._file_marks() == self._read:
            return
        found: list[LiveModel] = []
        refused: list[str] = []
        names = self._registry.names()
        self._in_use = tuple(one for name in names[:MAX_NAMES] for one in self._versions(name))
        files = self._file_marks()
        for name in names[:MAX_NAMES]:
            models, why = live_models(self._registry, name)
            found += models
            refused += why
        if len(names) > MAX_NAMES:
            refused.append(f"{MAX_NAMES} model names judge at once; {', '.join(names[MAX_NAMES:])} do not.")
        for sentence in refused:
            log.warning("model_refused %s", sentence)
        for one in found:
            log.info("model_live model=%s as=%s", one.label, one.alias)
        with self._lock:
            self.models, self.refused = tuple(found), tuple(refused)
            self._words = {}
        self._read = self._looked + files

    def _versions(self, name: str) -> tuple[Version, ...]:
        """Champion and challenger of a name; none where the history cannot be read, which `refused` says."""
        try:
            standing = self._registry.standing(name)
        except (OSError, ValueError, KeyError, TypeError):
            return ()
        return tuple((name, one) for one in (standing.champion, standing.challenger) if one is not None)

    def _shared_marks(self) -> tuple[Mark, ...]:
        """When history and keys changed."""
        root = self._registry.root
        return tuple(map(_mark, [root / "history.jsonl", *sorted((root / "trusted").glob("*.pub"))]))

    def _file_marks(self) -> tuple[Mark, ...]:
        """When the files in use changed: a tampered model is noticed within a round."""
        folders = [self._registry.root / "models" / name / str(version) for name, version in self._in_use]
        return tuple(_mark(path) for folder in folders for path in sorted(folder.glob("*")))

    def score(self) -> int:
        """Judge the newest rows; how many machines were."""
        with self._lock:
            rows, self._newest = list(self._newest.values()), {}
            models = self.models
        if not models:
            return 0
        words: Words = {}
        columns = tuple(model.column for model in models)
        for start in range(0, len(rows), ROWS_A_CALL):
            some = rows[start : start + ROWS_A_CALL]
            said = np.column_stack([model.words(some) for model in models])
            for row, word in zip(some, said.tolist(), strict=True):
                if not all(np.isnan(word)):
                    words[row.machine] = (columns, tuple(word))
        with self._lock:
            self._words = words
        return len(words)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.round()
            self._stopped.wait(self._every_s)

    def round(self) -> None:
        """Refresh and score. A model that breaks ends its own judging, in words, and not the stream's."""
        try:
            self.refresh()
            self.score()
        except Exception as error:
            log.exception("models_broken")
            why = f"No model judges: scoring broke ({type(error).__name__}: {error})."
            with self._lock:
                self.models, self._words = (), {}
                self.refused = (f"{why} The stream judges without; promote another model, or roll back.",)
            # Not again before somebody has decided something, or has since this round began.
            self._read = self._looked + self._file_marks()


def _mark(path: Path) -> Mark:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), found.st_mtime_ns, found.st_size
