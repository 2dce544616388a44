"""What people decide about models on the screens, carried out through the registry's gate.

The screens write only the desk, so a button there is a wish. Here it is held against what the person saw,
put to the gate, done or refused, and the answer written beside the registry, where the screens read it.
"""

from __future__ import annotations

import time
from pathlib import Path

from ingest.contract.actions import Action, ActionKind
from ingest.contract.plant import Plant
from ingest.desk import Desk
from mitra.exits import PersonError
from mitra.layout import Layout, read_plant, writing
from mitra.mailbox import Answer, Check, waiting, write_answer
from mitra.training import past_of, read_golden
from models.registry import GateVerdict, RefusedError, Registry, UntrustedModelError
from models.training import Lessons
from models.training import compare as replay_both

TOO_OLD_NS = 24 * 3600 * 1_000_000_000


class NoGoldenError(PersonError):
    """There are no golden cases that the gate could ask about."""


def golden_of(layout: Layout) -> Path | None:
    """The golden cases that decisions from the screens are judged by; None when nobody put them there."""
    folder = layout.signing_key.parent
    return next((path for name in ("golden.csv", "golden.json") if (path := folder / name).is_file()), None)


def carry_out(data: Path, plant_path: Path, golden: Path | None = None) -> tuple[Answer, ...]:
    """Answer every waiting decision, in the order in which they were said. Raises PersonError."""
    layout, plant = Layout(data), read_plant(plant_path)
    if not layout.desk.exists():
        return ()
    desk = Desk(layout.desk)
    try:
        _, actions = waiting(layout, desk)
    finally:
        desk.close()
    found = []
    for action in actions:
        answer = _answer(data, plant, golden or golden_of(layout), action, time.time_ns())
        with writing(layout.registry):
            write_answer(layout, answer)
        found.append(answer)
    return tuple(found)


def _answer(data: Path, plant: Plant, golden: Path | None, action: Action, now_ns: int) -> Answer:
    name = str(action.values.get("model", ""))
    reason = str(action.values.get("reason", ""))
    code, detail, verdict = _tried(data, plant, golden, action, now_ns)
    checks = tuple(
        Check(one.code, one.passed, one.detail, one.group) for one in (verdict.findings if verdict else ())
    )
    kind, said_ns = action.kind.value, action.time_ns
    return Answer(
        action.action_id, kind, name, action.by, reason, said_ns, time.time_ns(), code, detail, checks
    )


def _tried(
    data: Path, plant: Plant, golden: Path | None, action: Action, now_ns: int
) -> tuple[str, str, GateVerdict | None]:
    """Code, sentence, and the gate's verdict when it was asked. Only broken code raises."""
    registry, verdict = Registry(Layout(data).registry), None
    name, reason = str(action.values.get("model", "")), str(action.values.get("reason", ""))
    try:
        stale = _stale(registry, name, action, now_ns)
        if stale:
            return *stale, None
        if action.kind is ActionKind.PROMOTE_MODEL:
            verdict = ask_gate(registry, name, data, plant, _needed(golden))
            registry.promote(name, verdict, by=action.by, reason=reason, now_ns=now_ns)
        elif action.kind is ActionKind.REFUSE_MODEL:
            version = int(action.values["challenger"])
            registry.refuse(name, version, by=action.by, reason=reason, now_ns=now_ns)
        else:
            registry.rollback(name, by=action.by, reason=reason, now_ns=now_ns)
    except RefusedError as error:
        return "refused" if verdict is None or verdict.passed else "gate", str(error), verdict
    except UntrustedModelError as error:
        return "untrusted", str(error), verdict
    except NoGoldenError as error:
        return "no_golden", str(error), verdict
    except PersonError as error:
        return "refused", str(error), verdict
    return "done", "", verdict


def _stale(registry: Registry, name: str, action: Action, now_ns: int) -> tuple[str, str] | None:
    """A person decides about what the page showed; what has moved on since is not decided about."""
    if now_ns - action.time_ns > TOO_OLD_NS:
        return "too_old", "It waited for more than a day, so nobody may still mean it. Decide again."
    now = registry.standing(name)
    seen = (action.values.get("champion", 0), action.values.get("challenger", 0))
    if seen != (now.champion or 0, now.challenger or 0):
        return "changed", f"{name} has another champion or challenger than the page showed. Look again."
    return None


def _needed(golden: Path | None) -> Path:
    if golden is None:
        raise NoGoldenError(
            "setting",
            "The gate needs golden cases. Put them into training/golden.csv of the data folder "
            "(case,machine,from,to,faulty) and decide again.",
        )
    return golden


def ask_gate(registry: Registry, name: str, data: Path, plant: Plant, golden: Path) -> GateVerdict:
    """Replay champion and challenger on the plant's history and the golden cases.

    Raises PersonError, RefusedError, UntrustedModelError.
    """
    cases = read_golden(golden, plant)
    past = past_of(data, plant, golden=cases)
    try:
        return replay_both(registry, name, Lessons(past.frame, past.labels, cases))
    except (RefusedError, UntrustedModelError):
        raise
    except ValueError as error:
        raise PersonError("setting", f"The two models were not compared: {error}.") from error
