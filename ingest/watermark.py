"""When to tell an edge node what is stored: once a second at most, sooner when its window is half used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.contract.limits import MAX_WINDOW_MESSAGES
from ingest.contract.payload import write_committed
from ingest.contract.topics import Kind, node_topic
from ingest.host import Send
from ingest.runs import Runs

NS_PER_S = 1_000_000_000
EVERY_NS = NS_PER_S
HALF_WINDOW = MAX_WINDOW_MESSAGES // 2


@dataclass(slots=True)
class _Due:
    told_ns: int = -EVERY_NS
    n_new: int = 0
    boots: set[int] = field(default_factory=set)


class Watermarks:
    """Coalesces commits into announcements. runs_of: (node, boot_id) -> what is stored."""

    def __init__(self, site: str, runs_of: Callable[[str, int], Runs | None]) -> None:
        self._site = site
        self._runs_of = runs_of
        self._nodes: dict[str, _Due] = {}
        self._due: set[str] = set()

    def stored(self, node: str, boot_id: int, n_new: int) -> None:
        """Note that n_new messages of a boot were stored, or came once more."""
        due = self._nodes.setdefault(node, _Due())
        due.boots.add(boot_id)
        due.n_new += n_new
        self._due.add(node)

    def announcements(self, now_ns: int) -> list[Send]:
        """What is to be said now."""
        return [send for node in list(self._due) for send in self._announce(node, now_ns)]

    def _announce(self, node: str, now_ns: int) -> list[Send]:
        due = self._nodes[node]
        if due.n_new < HALF_WINDOW and now_ns - due.told_ns < EVERY_NS:
            return []
        sends = []
        for boot_id in sorted(due.boots):
            runs = self._runs_of(node, boot_id)
            if runs is not None:
                payload = write_committed(runs.committed(boot_id), now_ns)
                sends.append(Send(node_topic(self._site, Kind.NCMD, node), payload))
        due.told_ns, due.n_new = now_ns, 0
        due.boots.clear()
        self._due.discard(node)
        return sends
