"""Which version is champion or challenger, as a fold over what people did.

Pure; the folder keeps the lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

REASON_LENGTH_MIN = 10
REASON_LENGTH_MAX = 1000


class Alias(StrEnum):
    """CHAMPION judges machines; CHALLENGER runs in its shadow."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


class Step(StrEnum):
    """What can happen to a model name."""

    FIRST = "first"  # the first champion has no rival to be compared with
    CHALLENGE = "challenge"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    REFUSE = "refuse"  # a person looked at the challenger and does not want it


class RefusedError(ValueError):
    """A step that is not allowed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the history. by and reason are a person's."""

    step: Step
    name: str
    version: int
    by: str
    reason: str
    time_ns: int

    def __post_init__(self) -> None:
        if not self.by.strip():
            raise RefusedError("A model is changed by a person: say who you are.")
        if not REASON_LENGTH_MIN <= len(self.reason.strip()) <= REASON_LENGTH_MAX:
            raise RefusedError(
                f"Say why in {REASON_LENGTH_MIN} to {REASON_LENGTH_MAX} characters: whoever is on shift "
                "when the alarms change will want to know."
            )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one model name stands. past: earlier champions, the newest last."""

    champion: int | None = None
    challenger: int | None = None
    past: tuple[int, ...] = field(default=())


def step(standing: Standing, event: Event) -> Standing:
    """The standing after one event. Raises RefusedError for a step that the standing does not allow."""
    if event.step is Step.FIRST:
        if standing.champion is not None:
            raise RefusedError(f"{event.name} has a champion; a new version must challenge it.")
        return replace(standing, champion=event.version)
    if event.step is Step.CHALLENGE:
        if event.version == standing.champion:
            raise RefusedError(f"{event.name}@{event.version} is the champion and cannot challenge itself.")
        return replace(standing, challenger=event.version)
    if event.step in (Step.PROMOTE, Step.REFUSE):
        if event.version != standing.challenger or standing.champion is None:
            raise RefusedError(
                f"{event.name}@{event.version} is not the challenger; let it run in shadow first."
            )
        if event.step is Step.REFUSE:
            return replace(standing, challenger=None)
        return Standing(event.version, None, (*standing.past, standing.champion))
    if not standing.past:
        raise RefusedError(f"{event.name} has no earlier champion to go back to.")
    if event.version != standing.past[-1]:
        raise RefusedError(f"{event.name} goes back to version {standing.past[-1]}, not {event.version}.")
    return Standing(event.version, standing.challenger, standing.past[:-1])


def standing_of(events: tuple[Event, ...], name: str) -> Standing:
    """Fold the history of one name."""
    now = Standing()
    for event in events:
        if event.name == name:
            now = step(now, event)
    return now
