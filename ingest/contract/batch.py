"""The micro-batch: what the stream's one pure function is given at a time."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.contract.actions import Action
from ingest.contract.values import Gap, Message


@dataclass(frozen=True, slots=True)
class Batch:
    """Admitted messages in arrival order, declared gaps, and what people said since the last batch.

    now_ns is the host's time when the batch was closed: the only clock that the models ever see.
    """

    now_ns: int
    messages: tuple[Message, ...] = ()
    gaps: tuple[Gap, ...] = ()
    actions: tuple[Action, ...] = ()
