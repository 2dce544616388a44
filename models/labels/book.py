"""All labels ever said, and which of them hold: corrections replace, undone words vanish, nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ingest.contract.actions import Action, ActionKind
from ingest.contract.rejected import Rejected
from models.labels.label import Label, label_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LABELS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class LabelBook:
    """Labels by id, ids that were undone (and when), and how many were refused for each reason."""

    labels: Mapping[str, Label] = field(default_factory=dict)
    undone: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)

    def add(self, label: Label) -> LabelBook | Rejected:
        """The book with one label more. Saying the same label again changes nothing.

        Rejected: an id with another meaning, a correction of what does not exist or of another machine, a
        full book.
        """
        if self.labels.get(label.label_id) == label:
            return self
        refusal = _refusal(self.labels, label)
        return refusal or replace(self, labels={**self.labels, label.label_id: label})

    def undo(self, label_id: str, time_ns: int) -> LabelBook | Rejected:
        """The book without one label from time_ns on. What it had corrected holds again."""
        if label_id not in self.labels:
            return Rejected("undoes_nothing", label_id)
        return replace(self, undone={**self.undone, label_id: time_ns})

    def hear(self, action: Action) -> LabelBook:
        """Fold one action of the desk: verdicts and their undoing; refusals are counted."""
        if action.kind is ActionKind.VERDICT:
            label = label_of(action)
            found = label if isinstance(label, Rejected) else self.add(label)
        elif action.kind is ActionKind.UNDO and str(action.values.get("undoes", "")) in self.labels:
            found = self.undo(str(action.values["undoes"]), action.time_ns)
        else:
            return self
        if isinstance(found, LabelBook):
            return found
        return replace(self, refused={**self.refused, found.reason: self.refused.get(found.reason, 0) + 1})

    def current(self, as_of_ns: int | None = None) -> tuple[Label, ...]:
        """Labels that hold, by the time they speak of; as_of_ns: as they were known then, for a replay."""
        known = {
            label.label_id: label
            for label in self.labels.values()
            if (as_of_ns is None or label.said_ns <= as_of_ns) and not self._gone(label.label_id, as_of_ns)
        }
        corrected = {label.corrects for label in known.values()}
        held = (label for label in known.values() if label.label_id not in corrected)
        return tuple(sorted(held, key=lambda label: (label.from_ns, label.label_id)))

    def _gone(self, label_id: str, as_of_ns: int | None) -> bool:
        undone = self.undone.get(label_id)
        return undone is not None and (as_of_ns is None or undone <= as_of_ns)


def book_of(labels: Iterable[Label]) -> tuple[LabelBook, tuple[Rejected, ...]]:
    """A book of many labels at once (an import), and what was refused."""
    known: dict[str, Label] = {}
    refused = []
    for label in labels:
        refusal = None if known.get(label.label_id) == label else _refusal(known, label)
        if refusal is None:
            known[label.label_id] = label
        else:
            refused.append(refusal)
    return LabelBook(known), tuple(refused)


def _refusal(known: Mapping[str, Label], label: Label) -> Rejected | None:
    if label.label_id in known:
        return Rejected("label_id_taken", label.label_id)
    if len(known) >= LABELS_MAX:
        return Rejected("label_book_full", f"{LABELS_MAX} labels; archive old ones")
    if label.corrects:
        old = known.get(label.corrects)
        if old is None or old.machine != label.machine or old.said_ns > label.said_ns:
            return Rejected("corrects_nothing", label.corrects)
    return None
