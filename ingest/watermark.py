"""When to tell an edge node what is stored: once a second at most, sooner when its window is half used."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ingest.contract.payload import write_committed
from ingest.contract.topics import Kind, node_topic
from ingest.host import Send
from ingest.journal.entry import Intake
from ingest.runs import Runs

NS_PER_S = 1_000_000_000
EVERY_NS = NS_PER_S
MAX_BOOTS = 8


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is committed of one boot of a node, to be said."""

    node: str
    boot_id: int
    send: Send


@dataclass(slots=True)
class _Node:
    told_ns: int = -EVERY_NS
    n_new: int = 0
    due: set[int] = field(default_factory=set)
    boots: OrderedDict[int, Runs] = field(default_factory=OrderedDict)


class Watermarks:
    """Coalesces commits into announcements. It knows only what is on disk, never what is on the way there.

    load: (node, boot_id) -> runs of counts in the journal; window: messages that a node may have on the way.
    Usable from two threads.
    """

    def __init__(
        self, site: str, load: Callable[[str, int], list[tuple[int, int]]], window: Callable[[str], int]
    ) -> None:
        self._site = site
        self._load, self._window = load, window
        self._nodes: dict[str, _Node] = {}
        self._due: set[str] = set()
        self._lock = threading.Lock()

    def stored(self, intake: Intake) -> None:
        """Note what a batch stored, or received once more. Call it after its transaction."""
        changes = {(change.node, change.boot_id): change for change in intake.runs}
        with self._lock:
            for (name, boot_id), seqs in intake.touched.items():
                node = self._nodes.setdefault(name, _Node())
                runs = node.boots.get(boot_id)
                if runs is None:
                    runs = node.boots[boot_id] = Runs(self._load(name, boot_id))
                elif (change := changes.get((name, boot_id))) is not None:
                    runs.apply(change.gone, change.came)
                runs.touch(seqs)
                node.boots.move_to_end(boot_id)
                while len(node.boots) > MAX_BOOTS:
                    node.due.discard(node.boots.popitem(last=False)[0])
                node.due.add(boot_id)
                node.n_new += len(seqs)
                self._due.add(name)

    def announcements(self, now_ns: int) -> list[Announcement]:
        """What is to be said now. Whatever does not go out must be given to `unsaid`."""
        with self._lock:
            return [one for name in list(self._due) for one in self._announce(name, now_ns)]

    def unsaid(self, dropped: Announcement) -> None:
        """It did not go out: what is committed of that boot is due again, a second later."""
        with self._lock:
            node = self._nodes[dropped.node]
            if dropped.boot_id in node.boots:
                node.due.add(dropped.boot_id)
                self._due.add(dropped.node)

    def _announce(self, name: str, now_ns: int) -> list[Announcement]:
        node = self._nodes[name]
        is_early = now_ns - node.told_ns < EVERY_NS
        if is_early and not node.n_new:
            return []
        window = self._window(name)
        if is_early and node.n_new < max(1, window // 2):
            return []
        topic = node_topic(self._site, Kind.NCMD, name)
        found = []
        for boot_id in sorted(node.due):
            committed = replace(node.boots[boot_id].committed(boot_id), window=window)
            found.append(Announcement(name, boot_id, Send(topic, write_committed(committed, now_ns))))
        node.told_ns, node.n_new = now_ns, 0
        node.due.clear()
        self._due.discard(name)
        return found
