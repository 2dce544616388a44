"""Everything that a page needs, wired once by `__main__` (or by a test)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from dashboards.accounts import Account, GuessBrake
from dashboards.chain import ChainWatch
from dashboards.config import ScreensConfig
from dashboards.guard import Measures
from dashboards.language import LANGUAGES, Language
from dashboards.ledger import Ledger
from dashboards.live import Hub
from dashboards.parts import Parts
from dashboards.sessions import Sessions
from dashboards.source import Source
from ingest.contract.plant import Plant
from ingest.desk import Desk


@dataclass(frozen=True, slots=True)
class House:
    """now_ns: the clock; measures: what /metrics tells."""

    config: ScreensConfig
    plant: Plant
    source: Source
    desk: Desk
    hub: Hub
    ledger: Ledger
    sessions: Sessions
    accounts: Mapping[str, Account]
    now_ns: Callable[[], int]
    measures: Measures = field(default_factory=Measures)
    brake: GuessBrake = field(default_factory=GuessBrake)
    parts: Parts = field(default_factory=Parts)
    chain: ChainWatch = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "chain", ChainWatch(self.desk, self.now_ns))

    @property
    def zone(self) -> ZoneInfo:
        """The plant's time zone."""
        return ZoneInfo(self.plant.plant.timezone)

    def language(self, code: str | None) -> Language:
        """A reader's language; the configured one when the wish is unknown."""
        wanted = code if code in LANGUAGES else (self.config.language or self.plant.plant.language)
        return Language(str(wanted), self.zone, self.plant.tariff.currency)
