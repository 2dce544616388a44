"""What judges the stream now: `models.json`, written beside the journal once a minute, read by screens."""

from __future__ import annotations

from typing import Final

import msgspec

MODELS_FILE: Final = "models.json"
MAX_MODELS_BYTES: Final = 8_000_000
"""Some 30,000 machines; a larger file is not ours."""


class PanelNow(msgspec.Struct, frozen=True):
    """warm_up: 0 to 1, 1 once it may speak, -1 where there are no two quantities to relate; values: each
    statistic over its threshold.
    """

    machine: str
    warm_up: float
    stands: bool
    values: dict[str, float]


class Live(msgspec.Struct, frozen=True):
    """A batch model that scores the stream. alias: champion (it speaks) or challenger (it is recorded)."""

    model: str
    alias: str


class Drifted(msgspec.Struct, frozen=True):
    """A level that has changed for good: a question to a person. feature: score, health or a quantity;
    before, after: its level.
    """

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
    """The whole file. detectors: of the panel; refused: why a model does not judge, in words; agreement: the
    newest 31 days.
    """

    time_ns: int
    detectors: tuple[str, ...] = ()
    panel: tuple[PanelNow, ...] = ()
    live: tuple[Live, ...] = ()
    refused: tuple[str, ...] = ()
    agreement: Agreement | None = None
    drift: tuple[Drifted, ...] = ()


def parse_models_now(data: bytes) -> ModelsNow | None:
    """The file's content; None when it is too large, damaged, or of another version.

    >>> parse_models_now(b'{"time_ns": 9, "live": [{"model": "pumps@2", "alias": "champion"}]}').live[0].model
    'pumps@2'
    >>> parse_models_now(b"{") is None
    True
    """
    try:
        return msgspec.json.decode(data, type=ModelsNow) if len(data) <= MAX_MODELS_BYTES else None
    except msgspec.DecodeError:
        return None
