"""Decisions about models that wait in the desk, and who is sent to carry them out. Loads nothing heavy."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ingest.contract.actions import MODEL_KINDS, Action
from ingest.contract.lines import whole_lines, whole_size
from ingest.desk import Desk
from mitra.layout import Layout
from mitra.supervisor import Program, Supervisor

log = logging.getLogger("mitra.mailbox")

ANSWERS = "decisions.jsonl"
MAX_WAITING = 100
AGAIN_S = 60.0
NAME = "model-decisions"


class Check(msgspec.Struct, frozen=True):
    """One look of the gate, as `models.registry.Finding`."""

    code: str
    passed: bool
    detail: str
    group: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What came of one decision.

    code: `done`, or why not: `changed`, `too_old`, `no_golden`, `gate`, `untrusted`, `refused`; detail: the
    same as a sentence, for the log; checks: what the gate looked at; said_ns, done_ns: when asked, answered.
    """

    action_id: str
    kind: str
    model: str
    by: str
    reason: str
    said_ns: int
    done_ns: int
    code: str
    detail: str
    checks: tuple[Check, ...] = ()


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Answer).decode


def answers(layout: Layout) -> tuple[Answer, ...]:
    """Every answer, oldest first."""
    path = layout.registry / ANSWERS
    return tuple(map(_DECODE, whole_lines(path.read_bytes()))) if path.exists() else ()


def write_answer(layout: Layout, answer: Answer) -> None:
    """Append an answer, on disk when this returns. Only `mitra model carry-out` writes."""
    layout.registry.mkdir(parents=True, exist_ok=True)
    with (layout.registry / ANSWERS).open("ab+") as file:
        file.seek(0)
        file.truncate(whole_size(file.read()))  # what a power cut left of a line
        file.write(_ENCODE(answer) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def waiting(layout: Layout, desk: Desk, cursor: int = 0) -> tuple[int, tuple[Action, ...]]:
    """Decisions said after cursor that have no answer, oldest first, MAX_WAITING or so; the next cursor."""
    known: frozenset[str] | None = None
    found: list[Action] = []
    while len(found) < MAX_WAITING:
        cursor, actions = desk.since(cursor)
        if not actions:
            break
        asked = [action for action in actions if action.kind in MODEL_KINDS]
        if asked and known is None:
            known = frozenset(one.action_id for one in answers(layout))
        found += [action for action in asked if action.action_id not in (known or ())]
    return cursor, tuple(found)


@dataclass(slots=True)
class Clerk:
    """Looks into the desk now and then, and starts `mitra model carry-out` when a decision waits there."""

    supervisor: Supervisor
    layout: Layout
    plant_path: Path
    desk: Desk | None = None
    cursor: int = 0
    sent: bool = False
    again_s: float = 0.0

    def look(self) -> None:
        """See to it that what was decided is carried out; call it every few seconds."""
        if self.sent:
            code = self.supervisor.ended(NAME)
            if code is None:
                return
            self.supervisor.stop_one(NAME)
            self.sent = False
            if code != 0:
                log.warning("decisions_not_carried_out code=%s again_s=%g", code, AGAIN_S)
                self.cursor, self.again_s = 0, time.monotonic() + AGAIN_S
        if time.monotonic() >= self.again_s and self._any():
            self.supervisor.start(self._errand())
            self.sent = True

    def close(self) -> None:
        """Let go of the desk."""
        if self.desk is not None:
            self.desk.close()
            self.desk = None

    def _any(self) -> bool:
        if self.desk is None:
            if not self.layout.desk.exists():
                return False
            self.desk = Desk(self.layout.desk)
        self.cursor, found = waiting(self.layout, self.desk, self.cursor)
        return bool(found)

    def _errand(self) -> Program:
        where = ("--data", str(self.layout.root), "--plant", str(self.plant_path))
        command = (sys.executable, "-m", "mitra", "model", "carry-out", *where)
        return Program(NAME, command, restart=False)
