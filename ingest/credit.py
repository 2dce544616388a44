"""How many messages each edge node may have on the way, so that all of them together fit in the house.

A window of a fixed number of messages bounds what one node has on the way, not what fifty have: fifty windows
of 256 waveforms are 600 MB, more than the inbox takes and more than a broker holds for one reader. So the
host shares out a number of bytes and tells each node its part with every watermark. What small senders
cannot use goes to the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.contract.limits import FIRST_WINDOW_MESSAGES, MAX_WINDOW_MESSAGES

NS_PER_S = 1_000_000_000
SHARE_EVERY_NS = NS_PER_S
SILENT_NS = 60 * NS_PER_S
"""A node not heard for so long has nothing on the way; its part goes to the others."""
LEAST_MESSAGES = 2
"""One on the way and one being told of, or a node would wait for the host after every message."""
_WEIGHT = 1 / 16


@dataclass(slots=True)
class _Heard:
    mean_bytes: float
    at_ns: int


class Credit:
    """Shares room_bytes among the nodes that speak. `heard` and `share` belong to one thread."""

    def __init__(self, room_bytes: int) -> None:
        self._room_bytes = room_bytes
        self._heard: dict[str, _Heard] = {}
        self._windows: dict[str, int] = {}
        self._shared_ns = 0

    def heard(self, node: str, n_bytes: int, now_ns: int) -> None:
        """A message of n_bytes came from node."""
        heard = self._heard.get(node)
        if heard is None:
            self._heard[node] = _Heard(float(n_bytes), now_ns)
        else:
            heard.mean_bytes += _WEIGHT * (n_bytes - heard.mean_bytes)
            heard.at_ns = now_ns

    def share(self, now_ns: int) -> None:
        """Share the room out anew, once a second at most."""
        if now_ns - self._shared_ns < SHARE_EVERY_NS:
            return
        self._shared_ns = now_ns
        self._heard = {node: heard for node, heard in self._heard.items() if now_ns - heard.at_ns < SILENT_NS}
        self._windows = windows(
            {node: heard.mean_bytes for node, heard in self._heard.items()}, self._room_bytes
        )

    def window(self, node: str) -> int:
        """Messages that node may have on the way. Any thread may ask."""
        return self._windows.get(node, FIRST_WINDOW_MESSAGES)


def windows(mean_bytes: dict[str, float], room_bytes: int) -> dict[str, int]:
    """Messages a node may have on the way, by node, given the mean size of its messages in bytes.

    Who needs least is served first; the rest is shared evenly among those that could use more.

    >>> windows({"scalars": 200, "waves": 50_000, "more-waves": 50_000}, 10_000_000)
    {'scalars': 256, 'waves': 99, 'more-waves': 99}
    """
    left, shared = float(room_bytes), {}
    waiting = sorted(mean_bytes, key=lambda node: mean_bytes[node])
    for n_served, node in enumerate(waiting):
        each = max(1.0, mean_bytes[node])
        part = min(int(left / (len(waiting) - n_served) / each), MAX_WINDOW_MESSAGES)
        shared[node] = max(LEAST_MESSAGES, part)
        left = max(0.0, left - shared[node] * each)
    return shared
