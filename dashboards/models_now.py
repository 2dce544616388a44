"""What judges the stream at this moment, as ingest's side says it once a minute: read, never written.

The file `models.json` lies beside the journal.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

NAME = "models.json"
MAX_BYTES = 8_000_000


class Live(msgspec.Struct, frozen=True):
    """A batch model that scores the stream; alias: champion (it speaks) or challenger (it is recorded)."""

    model: str
    alias: str


class Drifted(msgspec.Struct, frozen=True):
    """A level that has changed for good. feature: score, health, or a quantity; before, after: its level."""

    time_ns: int
    machine: str
    feature: str
    before: float
    after: float


class Agreement(msgspec.Struct, frozen=True):
    """Machine-days that champion and challenger saw side by side, and who found the machine strange then."""

    champion: str
    challenger: str
    days: int
    both: int
    only_champion: int
    only_challenger: int

    @property
    def agreed(self) -> int:
        """Days on which both said the same."""
        return self.days - self.only_champion - self.only_challenger


class ModelsNow(msgspec.Struct, frozen=True):
    """What of the file is shown. refused: why a model does not judge, in words."""

    time_ns: int
    live: tuple[Live, ...] = ()
    refused: tuple[str, ...] = ()
    agreement: Agreement | None = None
    drift: tuple[Drifted, ...] = ()


def read_models_now(journal: Path) -> ModelsNow | None:
    """The newest file; None before the first, or when it cannot be understood."""
    try:
        data = journal.with_name(NAME).read_bytes()
        return msgspec.json.decode(data, type=ModelsNow) if len(data) <= MAX_BYTES else None
    except (OSError, msgspec.DecodeError):
        return None


def by_feature(drift: tuple[Drifted, ...]) -> dict[str, list[Drifted]]:
    """What drifted, by quantity: that on most machines first, of each machine the newest."""
    found: dict[str, dict[str, Drifted]] = {}
    for one in drift:
        found.setdefault(one.feature, {})[one.machine] = one
    return {
        feature: sorted(ones.values(), key=lambda one: -one.time_ns)
        for feature, ones in sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    }
