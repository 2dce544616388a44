"""What people said of an alarm, folded: the acknowledgement, the verdict, and what was taken back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.contract.actions import Action, ActionKind
from ingest.contract.rows import AlarmState
from ingest.views import AlarmView


@dataclass(frozen=True, slots=True)
class Said:
    """The standing word of people on one alarm: None where nobody said anything, or took it back."""

    acknowledged: Action | None = None
    verdict: Action | None = None
    shelved: Action | None = None


def folded(newest_first: Sequence[Action]) -> Said:
    """Actions of one alarm into what stands. An undo counts only after what it takes back."""
    undone: set[str] = set()
    standing: dict[ActionKind, Action] = {}
    unshelved = False
    for action in newest_first:
        if action.kind is ActionKind.UNDO:
            undone.add(str(action.values.get("undoes", "")))
        elif action.kind is ActionKind.UNSHELVE:
            unshelved = unshelved or ActionKind.SHELVE not in standing
        elif action.action_id not in undone and action.kind not in standing:
            if action.kind is ActionKind.SHELVE and unshelved:
                continue
            standing[action.kind] = action
    return Said(
        standing.get(ActionKind.ACKNOWLEDGE),
        standing.get(ActionKind.VERDICT),
        standing.get(ActionKind.SHELVE),
    )


@dataclass(frozen=True, slots=True)
class Card:
    """One alarm as a card. pending: a word is on its way to the stream and not yet in the journal."""

    alarm: AlarmView
    said: Said
    pending: bool
    active: bool
    shelved: bool

    @property
    def wants_acknowledgement(self) -> bool:
        """Whether the large button is shown."""
        return self.active and not self.pending


def card(alarm: AlarmView, said: Said) -> Card:
    """Join the stream's state with what people said."""
    state = alarm.last.state
    active = state in (AlarmState.UNACKNOWLEDGED, AlarmState.RETURNED)
    acknowledged = said.acknowledged
    pending = active and acknowledged is not None and acknowledged.time_ns >= alarm.changed_ns
    return Card(alarm, said, pending, active, state is AlarmState.SHELVED)
