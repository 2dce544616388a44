"""What people say changes the models at once, within bounds: verdicts, maintenance, undo.

A false alarm lets the machine's own threshold rise over the evidence that alarmed, and takes a bounded part
of the present level as normal; a confirmed fault lowers the threshold. Every effect is remembered and can be
undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ingest.contract.actions import MODEL_KINDS, Action, ActionKind, Verdict
from models.alarms.book import Alarm
from models.alarms.policy import (
    ALLOWANCE_STEP,
    CONFIRMED_FACTOR,
    FALSE_ALARM_FACTOR,
    FALSE_ALARM_MARGIN,
    MAX_ALLOWANCE,
    MAX_MULTIPLIER,
    MAX_SHIFT,
    MIN_MULTIPLIER,
)
from models.health.assess import ALARM, LEARNING, NORMAL
from models.labels.label import Source
from models.online.columns import COMPONENTS
from models.online.memory import DOWN_ROWS, RISK_ROWS, UP_ROWS, forget
from models.online.panel import reset_panel
from models.state import MAX_ACTIONS_REMEMBERED, MAX_EFFECTS_REMEMBERED, Effect, StreamState

if TYPE_CHECKING:
    from ingest.contract.rows import AlarmChange

ALARM_KINDS = frozenset(
    {
        ActionKind.ACKNOWLEDGE,
        ActionKind.SHELVE,
        ActionKind.UNSHELVE,
        ActionKind.OUT_OF_SERVICE,
        ActionKind.RETURN_TO_SERVICE,
    }
)


def hear(state: StreamState, action: Action) -> list[AlarmChange]:
    """Fold one action into the state. Saying the same thing twice is harmless.

    What does not fit is counted.
    """
    if action.action_id in state.actions_seen:
        return []
    state.actions_seen[action.action_id] = None
    if len(state.actions_seen) > MAX_ACTIONS_REMEMBERED:
        state.actions_seen.popitem(last=False)
    if action.kind in MODEL_KINDS:
        return []
    if action.machine not in state.index:
        state.drop("action for a machine that is not in the plant file")
        return []
    if action.kind in ALARM_KINDS:
        return state.book.act(action)
    if action.kind == ActionKind.VERDICT:
        return _verdict(state, action)
    if action.kind == ActionKind.MAINTENANCE:
        return _maintenance(state, action)
    if action.kind == ActionKind.UNDO:
        _undo(state, str(action.values.get("undoes", "")))
    return []


def _verdict(state: StreamState, action: Action) -> list[AlarmChange]:
    word = action.values.get("verdict")
    if word not in set(Verdict):
        state.drop("verdict without a known word")
        return []
    state.verdicts.append((action.time_ns, action.machine, str(word), str(action.values.get("fault", ""))))
    if word == Verdict.NOT_SURE or action.values.get("source") == Source.WORK_ORDER:
        return []  # a work order speaks of the past: it teaches the next training, not the present
    m = state.index[action.machine]
    memory = state.memory
    alarm = state.book.by_id(action.alarm_id)
    effect = Effect(action.machine, float(memory.multiplier[m]), float(memory.allowance[m]))
    changes: list[AlarmChange] = []
    if word == Verdict.CONFIRMED:
        memory.multiplier[m] = max(MIN_MULTIPLIER, memory.multiplier[m] * CONFIRMED_FACTOR)
        memory.allowance[m] = 1.0
    else:
        _forgive(state, m, alarm, effect)
        changes = state.book.dismiss(action.machine, action.time_ns, action.by, "false alarm")
        state.advised.pop(action.machine, None)
    state.effects[action.action_id] = effect
    if len(state.effects) > MAX_EFFECTS_REMEMBERED:
        state.effects.popitem(last=False)
    return changes


def _forgive(state: StreamState, m: int, alarm: Alarm | None, effect: Effect) -> None:
    """Let the machine's threshold rise over what alarmed, and take up to 6 dB of the present as normal."""
    memory = state.memory
    wanted = float(memory.multiplier[m]) * FALSE_ALARM_FACTOR
    if alarm is not None:
        wanted = max(wanted, float(memory.multiplier[m]) * alarm.peak_ratio * FALSE_ALARM_MARGIN)
        if alarm.peak_physics >= 1.0:
            memory.allowance[m] = min(MAX_ALLOWANCE, memory.allowance[m] * ALLOWANCE_STEP)
    memory.multiplier[m] = min(MAX_MULTIPLIER, wanted)
    r = int(memory.regime_now[m])
    if r >= 0 and memory.condition[m] == ALARM:
        shift = np.clip(memory.level[m], -MAX_SHIFT, MAX_SHIFT) * state.layout_of[m].tables.log
        memory.mean[m, r] += shift
        memory.anchor[m, r] += shift
        memory.level[m] -= shift
        effect.regime, effect.shift = r, shift
    # The relations that alarmed are normal too: they are learned again.
    reset_panel(state.panel, m)
    _calm(state, m)


def _calm(state: StreamState, m: int) -> None:
    memory = state.memory
    memory.fast[m] = 0.0
    memory.health_by[m] = 100.0
    memory.health[m] = 100.0
    memory.ratio[m] = memory.physics[m] = 0.0
    memory.counts[m, [UP_ROWS, DOWN_ROWS, RISK_ROWS]] = 0
    if memory.condition[m] == ALARM:
        memory.condition[m] = NORMAL


def _maintenance(state: StreamState, action: Action) -> list[AlarmChange]:
    """A repaired machine is a new machine.

    The baseline of the component, or of everything, is learned again.
    """
    m, memory = state.index[action.machine], state.memory
    reset_panel(state.panel, m)
    component = str(action.values.get("component", ""))
    if component in COMPONENTS:
        which = state.layout_of[m].tables.component == COMPONENTS.index(component)
        memory.rows[m][:, which] = 0.0
        memory.fast[m, which] = memory.level[m, which] = 0.0
        memory.fast_n[m, which] = 0.0
        _calm(state, m)
    else:
        kept = float(memory.multiplier[m])
        last_ns = int(memory.last_ns[m])
        forget(memory, m, state.dial.smoothing)
        memory.multiplier[m], memory.last_ns[m] = kept, last_ns
        memory.condition[m] = LEARNING
    state.advised.pop(action.machine, None)
    state.sensors.pop(action.machine, None)
    state.lives.pop(action.machine, None)
    memory.life_n[m] = 0
    return state.book.dismiss(action.machine, action.time_ns, action.by, "maintenance")


def _undo(state: StreamState, action_id: str) -> None:
    effect = state.effects.pop(action_id, None)
    if effect is None:
        state.drop("undo of an action without a remembered effect")
        return
    m = state.index[effect.machine]
    state.memory.multiplier[m], state.memory.allowance[m] = effect.multiplier, effect.allowance
    if effect.shift is not None:
        state.memory.mean[m, effect.regime] -= effect.shift
        state.memory.anchor[m, effect.regime] -= effect.shift
