"""Server-sent events: a beat a second, and every machine and alarm that changed, as ready words.

Viewers in step share one encoding; a viewer that fell behind gets only the newest.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from dashboards.describe import live_words
from dashboards.house import House
from dashboards.language import Language
from dashboards.live import Moment

BEAT_S = 1.0
MAX_SHARED = 64


@dataclass(slots=True)
class Shared:
    """Encodings of the last moments, by (from, to, language, machine)."""

    made: dict[tuple[int, int, str, str], str] = field(default_factory=dict)

    def event(self, house: House, moment: Moment, seq: int, language: Language, machine: str) -> str:
        """What changed between seq and this moment, as one event."""
        key = (seq, moment.seq, language.code, machine)
        text = self.made.get(key)
        if text is None:
            text = _encoded(house, moment, seq, language, machine)
            self.made[key] = text
            while len(self.made) > MAX_SHARED:
                self.made.pop(next(iter(self.made)), None)
        return text


def _encoded(house: House, moment: Moment, seq: int, language: Language, machine: str) -> str:
    machines = moment.picture.machines
    wanted = [machine] if machine in machines else machines
    changed = house.hub.changed
    counts = moment.picture.counts(house.now_ns(), house.config.stale_after_s)
    body = {
        "seq": moment.seq,
        "fed": moment.fed_ns // 1_000_000,
        "machines": {
            name: {
                "level": machines[name].level.value,
                "heard": machines[name].received_ns // 1_000_000,
                "calling": len(machines[name].calling),
                "words": live_words(machines[name], language),
            }
            for name in wanted
            if changed.get(name, 0) > seq
        },
        "alarms": [name for name, at in tuple(house.hub.alarms_changed.items()) if at > seq],
        "counts": {
            **{f"zone_{letter}": language.number(n) for letter, n in counts.by_zone.items()},
            "unjudged": language.number(counts.unjudged),
            "stale": language.number(counts.stale),
            "unknown": language.number(counts.unknown),
            "calling": language.number(counts.calling),
        },
    }
    return f"id: {moment.seq}\nevent: change\ndata: {json.dumps(body, separators=(',', ':'))}\n\n"


async def events(
    house: House, shared: Shared, seq: int, language: Language, machine: str
) -> AsyncIterator[str]:
    """The events of one viewer until it leaves. seq: what its page shows already."""
    hub = house.hub
    hub.viewers += 1
    try:
        yield "retry: 1000\n\n" + _beat(house)
        if seq > hub.moment.seq:
            seq = 0  # The page is from before a restart of the screens.
        next_beat = time.monotonic() + BEAT_S
        while not hub.closing:
            moment = await hub.wait(seq, max(0.01, next_beat - time.monotonic()))
            if moment.seq > seq:
                yield shared.event(house, moment, seq, language, machine)
                seq = moment.seq
            if time.monotonic() >= next_beat:
                yield _beat(house)
                next_beat = time.monotonic() + BEAT_S
    finally:
        hub.viewers -= 1


def _beat(house: House) -> str:
    moment = house.hub.moment
    body = {
        "now": house.now_ns() // 1_000_000,
        "fed": moment.fed_ns // 1_000_000,
        "reading": moment.reading,
        "boot": house.hub.boot,
    }
    return f"event: beat\ndata: {json.dumps(body)}\n\n"
