"""What the stream remembers, all of it.

Arrays across machines, the alarm book, advice given, verdicts heard.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from features.extract import facts_of
from features.rounds import new_rounds
from ingest.contract.rows import RemainingLife
from models.alarms.book import AlarmBook
from models.diagnosis.cadence import Held
from models.online.drift_watch import DriftWatch, new_watch
from models.online.layout import Floats, Layout, Layouts
from models.online.members import Member, member_of
from models.online.memory import Dial, Given, Memory, dial, given, new_memory
from models.online.panel_memory import Panel, new_panel, panel_cuts
from models.online.side_by_side import SideBySide
from models.settings import Settings

if TYPE_CHECKING:
    from features.rounds import Rounds
    from features.vibration import Facts
    from ingest.contract.plant import Machine, Plant
    from models.online.half_space_trees import Cuts

MAX_ACTIONS_REMEMBERED = 10_000
MAX_EFFECTS_REMEMBERED = 256


@dataclass(slots=True)
class Advised:
    """The last stop that was advised for a machine. alarm_id: the episode it belongs to."""

    alarm_id: str
    time_ns: int
    health: float
    velocity_mm_s: float


@dataclass(slots=True)
class Effect:
    """What a verdict did to a machine, so that it can be undone. shift: (S,) moved baseline of `regime`."""

    machine: str
    multiplier: float
    allowance: float
    regime: int = -1
    shift: Floats | None = None


@dataclass(slots=True)
class SensorWatch:
    """How long a sensor has looked faulty."""

    fault: str
    rows: int
    since_ns: int


@dataclass(slots=True)
class StreamState:
    """State of the fold. It is mutated in place by `update` and `judge`: keep a `dump` if you need the old
    one.
    champion: label of the batch model whose words are heard; rounds: what the features remember of
    each machine; dropped: rows and actions that could not be
    judged, counted by reason.
    """

    plant: Plant
    settings: Settings
    machines: tuple[Machine, ...]
    index: dict[str, int]
    facts: dict[str, Facts]
    rounds: Rounds
    memory: Memory
    panel: Panel
    cuts: Cuts
    drift: DriftWatch
    member: Member | None
    side_by_side: SideBySide
    given: Given
    dial: Dial
    layouts: Layouts
    layout_of: list[Layout]
    book: AlarmBook = field(default_factory=AlarmBook)
    advised: dict[str, Advised] = field(default_factory=dict)
    effects: OrderedDict[str, Effect] = field(default_factory=OrderedDict)
    sensors: dict[str, SensorWatch] = field(default_factory=dict)
    lives: dict[str, RemainingLife] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    actions_seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    champion: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    verdicts: deque[tuple[int, str, str, str]] = field(
        default_factory=lambda: deque(maxlen=MAX_ACTIONS_REMEMBERED)
    )

    @property
    def failure_level(self) -> float:
        """The rise that counts as the end of life, in nepers."""
        return self.settings.failure_db * math.log(10.0) / 20.0

    def drop(self, reason: str) -> None:
        """Count what could not be used."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def new_state(plant: Plant, settings: Settings | None = None) -> StreamState:
    """The state before the first row. Raises KeyError or ValueError for a bearing that nobody knows."""
    settings = settings or Settings()
    machines = plant.machine
    layouts = Layouts()
    numbers = dial(settings)
    return StreamState(
        plant=plant,
        settings=settings,
        machines=machines,
        index={machine.id: i for i, machine in enumerate(machines)},
        facts={machine.id: facts_of(machine, plant.bearing) for machine in machines},
        rounds=new_rounds(machine.id for machine in machines),
        memory=new_memory(len(machines), numbers.smoothing),
        panel=new_panel(len(machines)),
        cuts=panel_cuts(),
        drift=new_watch(len(machines)),
        member=member_of(settings.detectors),
        side_by_side=SideBySide(len(machines)),
        given=given(machines),
        dial=numbers,
        layouts=layouts,
        layout_of=[layouts.empty] * len(machines),
    )
