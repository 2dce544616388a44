"""What judges now, for the page of models: a small file beside the metrics, renewed once a minute."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from ingest.contract.models_now import MODELS_FILE, Drifted, Live, ModelsNow, PanelNow, parse_models_now
from mitra.live_models import LiveModels
from models.online.panel import progress_of_all
from models.online.panel_memory import STATISTICS
from models.state import StreamState

__all__ = ["EVERY_S", "MODELS_FILE", "ModelsFile", "models_now", "read_models"]

EVERY_S: Final = 60.0


def models_now(state: StreamState, live: LiveModels, time_ns: int) -> ModelsNow:
    """What the file says. Machines that have not spoken yet are left out."""
    values, stands = state.panel.value.round(3).tolist(), state.panel.stands.tolist()
    warm_up = progress_of_all(state.panel, state.dial).round(3).tolist()
    spoke = (state.memory.last_ns >= 0).tolist()
    panel = tuple(
        PanelNow(
            machine.id,
            warm_up[m],
            bool(stands[m]),
            dict(zip(STATISTICS, values[m], strict=True)),
        )
        for m, machine in enumerate(state.machines)
        if spoke[m]
    )
    return ModelsNow(
        time_ns=time_ns,
        detectors=state.settings.detectors,
        panel=panel,
        live=tuple(Live(one.label, str(one.alias)) for one in live.models),
        refused=live.refused,
        agreement=state.side_by_side.agreement(),
        drift=tuple(Drifted(*found) for found in state.drift.found),
    )


def read_models(path: Path) -> ModelsNow | None:
    """The newest file; None before the first, or when it is of another version."""
    try:
        return parse_models_now(path.read_bytes())
    except OSError:
        return None


class ModelsFile:
    """Writes the file when it is due, whole or not at all."""

    def __init__(
        self,
        path: Path,
        live: LiveModels,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._live, self._every_s, self._clock = path, live, every_s, clock
        self._due_s = -1.0

    def consider(self, state: StreamState, time_ns: int) -> bool:
        """Write if it is time; a full disk costs the page its news, never the stream."""
        now_s = self._clock()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + self._every_s
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(models_now(state, self._live, time_ns)))
            fresh.replace(self._path)
        except OSError:
            return False
        return True
