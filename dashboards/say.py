"""The one way by which a person's word leaves the screens: checked, written to the desk, counted."""

from __future__ import annotations

import re

from dashboards.problems import Problem
from dashboards.visit import Visit
from ingest.contract.actions import Action, ActionKind
from ingest.contract.ids import ID_PATTERN

ACTION_ID = re.compile(r"^[a-zA-Z0-9-]{8,64}$")
ALARM_ID = re.compile(r"^[a-zA-Z0-9:._-]{1,160}$")
MACHINE_ID = re.compile(f"^{ID_PATTERN}$")
MAX_NOTE_CHARS = 500


def checked_machine(found: Visit, machine: str) -> str:
    """A machine of the plant file. Raises Problem(404)."""
    if not MACHINE_ID.match(machine) or machine not in found.moment.picture.machines:
        raise Problem(404)
    return machine


def checked_alarm(alarm_id: str) -> str:
    """An alarm id that may be asked for. Raises Problem(404)."""
    if not ALARM_ID.match(alarm_id):
        raise Problem(404)
    return alarm_id


def note_of(text: str) -> str:
    """A person's note: printable, trimmed. Raises Problem(422) when it is too long."""
    clean = " ".join("".join(letter for letter in text if letter.isprintable() or letter in "\n\t").split())
    if len(clean) > MAX_NOTE_CHARS:
        raise Problem(422)
    return clean


def say(
    found: Visit,
    kind: ActionKind,
    form: tuple[str, str],
    machine: str,
    alarm_id: str = "",
    *,
    values: dict[str, str | int | float] | None = None,
) -> bool:
    """Write down one word. form: token and action_id. False when said before: harmless. Raises Problem."""
    token, action_id = form
    found.demand(kind, token)
    if not ACTION_ID.match(action_id):
        raise Problem(422)
    action = Action(action_id, kind, found.session.name, found.now_ns, machine, alarm_id, values or {})
    new = found.house.desk.say(action)
    if new:
        found.house.measures.actions.labels(kind.value).inc()
    return new
