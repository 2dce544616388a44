"""The public keys of the edges: by them control knows a ticket and a receipt."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from control import log
from control.config import EdgeSettings, load_public_key
from ingest.contract.approval.codes import Code
from ingest.contract.approval.keys import PublicKey
from ingest.contract.approval.settings import SettingsError
from ingest.contract.rejected import Rejected

LOOK_AGAIN_S = 5


class EdgeKeys:
    """Each key is pinned when first read, for the life of this process; a missing one is looked for again.
    An edge without a key is not served, and takes nothing from the others. Safe from any thread."""

    def __init__(self, edges: Sequence[EdgeSettings]) -> None:
        """Read what is there, and say of every edge that cannot be served why."""
        self._lock = threading.Lock()
        self._paths = {(one.site, one.id): Path(one.public_key_file) for one in edges}
        self._keys: dict[tuple[str, str], PublicKey] = {}
        self._due_s = 0
        for (site, edge), why in self._read().items():
            log.say(
                "edge_not_served",
                logging.ERROR,
                site=site,
                edge=edge,
                why=why,
                meaning="no stop of its machines can be asked for; they are stopped at their own stop only",
            )

    def key(self, site: str, edge: str) -> PublicKey | Rejected:
        """The key of an edge, or that it has none."""
        found = self._keys.get((site, edge))
        return Rejected(Code.NO_EDGE_KEY, edge) if found is None else found

    def missing(self) -> list[tuple[str, str]]:
        """Site and edge of those that cannot be served."""
        return sorted(set(self._paths) - set(self._keys))

    def look_again(self, now_s: int) -> list[tuple[str, str]]:
        """Site and edge of those whose key has come meanwhile; looks once in LOOK_AGAIN_S."""
        with self._lock:
            before = self.missing()
            if not before or 0 <= self._due_s - now_s <= LOOK_AGAIN_S:
                return []
            self._due_s = now_s + LOOK_AGAIN_S
            still = self._read()
        came = [one for one in before if one not in still]
        for site, edge in came:
            log.say("edge_served", site=site, edge=edge)
        return came

    def _read(self) -> dict[tuple[str, str], str]:
        """Read the keys that are missing; why each of the rest is none."""
        still: dict[tuple[str, str], str] = {}
        for one in self.missing():
            try:
                self._keys[one] = load_public_key(self._paths[one])
            except SettingsError as error:
                still[one] = str(error)
        return still
