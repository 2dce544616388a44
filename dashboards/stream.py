"""Server-sent events: a beat a second, and every machine and alarm that changed, as ready words.

Only words that changed are sent. Viewers in step share one encoding; one that fell behind gets the newest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from dashboards.describe import live_words
from dashboards.house import House
from dashboards.language import Language
from dashboards.live import Moment
from dashboards.picture import MachineNow

BEAT_S = 1.0
WHOLE_PLANT_EVERY_S = 0.4
"""Viewers of the whole plant get at most this often a change: phones and the server breathe."""
MAX_SHARED = 64
MACHINE_PAGE_ONLY = frozenset({"heard", "speed", "fault", "life_range", "because"})
_ENCODE = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Spoken:
    """The words of one machine in one language: text, and the sequence number at which it last changed.

    seq: the change they were made at; whole_from: no change after this one was skipped, so that a viewer
    from then on misses nothing when only changed words are sent.
    """

    seq: int = -1
    whole_from: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)

    def update(self, now: MachineNow, seq: int, before: int, language: Language) -> None:
        """Take in the machine as it is at seq. before: the change before this one."""
        if self.seq != before:
            self.whole_from = seq
        for key, text in live_words(now, language).items():
            if self.texts.get(key) != text:
                self.texts[key] = text
                self.since[key] = seq
        self.seq = seq

    def after(self, seq: int) -> dict[str, str]:
        """What a viewer who has painted seq does not know yet."""
        if seq < self.whole_from:
            return dict(self.texts)
        return {key: self.texts[key] for key, since in self.since.items() if since > seq}


@dataclass(slots=True)
class Shared:
    """Encodings of the last moments, by (from, to, language, machine), and the words behind them."""

    made: dict[tuple[int, int, str, str], str] = field(default_factory=dict)
    spoken: dict[tuple[str, str], Spoken] = field(default_factory=dict)

    def event(self, house: House, moment: Moment, seq: int, language: Language, machine: str) -> str:
        """What changed between seq and this moment, as one event."""
        key = (seq, moment.seq, language.code, machine)
        text = self.made.get(key)
        if text is None:
            text = self._encoded(house, moment, seq, language, machine)
            self.made[key] = text
            while len(self.made) > MAX_SHARED:
                self.made.pop(next(iter(self.made)), None)
        return text

    def _encoded(self, house: House, moment: Moment, seq: int, language: Language, machine: str) -> str:
        machines = moment.picture.machines
        wanted = [machine] if machine in machines else machines
        changed = moment.changed
        counts = moment.picture.counts(house.now_ns(), house.config.stale_after_s)
        body = {
            "seq": moment.seq,
            "fed": moment.fed_ns // 1_000_000,
            "machines": {
                name: self._machine(machines[name], moment, seq, language, whole=not machine)
                | _slow(machines[name], house.config.stale_after_s)
                for name in wanted
                if changed.get(name, 0) > seq
            },
            "alarms": [name for name, at in moment.alarms.items() if at > seq],
            "counts": {
                **{f"zone_{letter}": language.number(n) for letter, n in counts.by_zone.items()},
                "unjudged": language.number(counts.unjudged),
                "stale": language.number(counts.stale),
                "unknown": language.number(counts.unknown),
                "calling": language.number(counts.calling),
            },
        }
        return f"id: {moment.seq}\nevent: change\ndata: {_ENCODE(body).decode()}\n\n"

    def _machine(
        self, now: MachineNow, moment: Moment, seq: int, language: Language, *, whole: bool
    ) -> dict[str, object]:
        name = now.machine.id
        spoken = self.spoken.setdefault((language.code, name), Spoken())
        if spoken.seq < moment.changed[name]:
            spoken.update(now, moment.changed[name], moment.before.get(name, 0), language)
        words = spoken.after(seq)
        if whole:
            words = {key: text for key, text in words.items() if key not in MACHINE_PAGE_ONLY}
        return {
            "level": now.level.value,
            "heard": now.received_ns // 1_000_000,
            "calling": len(now.calling),
            "words": words,
        }


def _slow(now: MachineNow, stale_after_s: float) -> dict[str, object]:
    """How long a machine that speaks seldom may be silent, in ms; nothing for the others."""
    patience_s = now.patience_s(stale_after_s)
    return {"patience": int(patience_s * 1000)} if patience_s > stale_after_s else {}


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
        every_s = 0.0 if machine else WHOLE_PLANT_EVERY_S
        next_beat = time.monotonic() + BEAT_S
        while not hub.closing:
            moment = await hub.wait(seq, max(0.01, next_beat - time.monotonic()))
            if moment.seq > seq:
                yield shared.event(house, moment, seq, language, machine)
                seq = moment.seq
                await asyncio.sleep(every_s)
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
    return f"event: beat\ndata: {_ENCODE(body).decode()}\n\n"
