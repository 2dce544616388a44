"""What `mitra serve` says of itself: one small file, replaced every few seconds, read by `mitra status`."""

from __future__ import annotations

import msgspec

from mitra.layout import Layout, writing


class Serving(msgspec.Struct, frozen=True):
    """One moment. broker: without a login; the rest by process; why_down: what one that fell said last."""

    pid: int
    time_ns: int
    broker: str
    urls: dict[str, str]
    gateways: tuple[str, ...]
    alive: dict[str, bool] = {}
    pids: dict[str, int] = {}
    restarts: dict[str, int] = {}
    why_down: dict[str, str] = {}


def write_serving(layout: Layout, serving: Serving) -> None:
    """Replace the file in one step. Raises PersonError when the disk does not take it."""
    path = layout.serving
    with writing(path):
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(serving))
        fresh.replace(path)


def read_serving(layout: Layout) -> Serving | None:
    """What a `mitra serve` last said of itself; None when none runs here."""
    try:
        return msgspec.json.decode(layout.serving.read_bytes(), type=Serving)
    except (OSError, msgspec.DecodeError):
        return None
