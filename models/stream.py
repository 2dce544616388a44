"""The stream: one pure fold from rows to judgements, alarms and advice. It knows no clock, broker or
database.
`update(state, batch)` is `features.extract` followed by `judge`; `replay` is `judge` on journaled rows. The
state is mutated in place and returned. Rows of one machine are folded in their order; how a sequence of rows
is cut into batches changes nothing, and the same actions, rows and `now_ns` in the same order give the same
bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from features.extract import extract
from features.rounds import recall
from features.vibration import warm_up as warm_up_features
from ingest.contract.batch import Batch
from ingest.contract.plant import Plant
from ingest.contract.rows import (
    AlarmChange,
    Condition,
    FeatureRow,
    Judgement,
    Outputs,
    Reason,
    RemainingLife,
    StopAdvice,
)
from models.alarming import follow
from models.diagnosis.cadence import diagnosed
from models.diagnosis.rules import Diagnosis
from models.diagnosis.sensor import dead, saturated
from models.explain.reasons import reason_of_zone, with_level
from models.explain.together import reasons_of_panel
from models.health.assess import NORMAL, WARNING
from models.life.trend import fit, remaining_life
from models.online.columns import COMPONENTS
from models.online.panel import progress_of_all
from models.online.step import DEAD, LATE, SATURATED, SETTLING, STANDS, WARMING
from models.persist import dump, load, parts
from models.regime import NAMES
from models.rows import Judged, judge_rows
from models.settings import Settings
from models.state import StreamState, new_state
from models.teach import hear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.contract.actions import Action
    from ingest.contract.values import Message

__all__ = [
    "MODEL_ID",
    "Settings",
    "StreamState",
    "dump",
    "features_of",
    "judge",
    "load",
    "new_state",
    "parts",
    "replay",
    "update",
    "warm_up",
]

MODEL_ID: Final = "online-1"
CONDITIONS: Final = (
    Condition.UNKNOWN,
    Condition.LEARNING,
    Condition.STOPPED,
    Condition.NORMAL,
    Condition.WARNING,
    Condition.ALARM,
)
ZONES: Final = ("", "A", "B", "C", "D")


def update(state: StreamState, batch: Batch) -> tuple[StreamState, Outputs]:
    """Features of the messages, then `judge`.

    Everything that one micro-batch says, to be stored in one transaction.
    """
    rows = tuple(features_of(state, batch.messages))
    state, judgements, alarms, advice = judge(state, rows, batch.actions, batch.now_ns)
    return state, Outputs(rows, judgements, alarms, advice)


def features_of(state: StreamState, messages: Sequence[Message]) -> list[FeatureRow]:
    """One row a message, in order. Threads may share messages out, if each machine's stay together."""
    return extract(messages, state.facts, state.rounds)


def replay(
    state: StreamState, rows: Sequence[FeatureRow], actions: Sequence[Action], now_ns: int
) -> tuple[StreamState, Outputs]:
    """The same fold from rows that were stored: after a restart, or for a backtest."""
    recall(state.rounds, rows)
    state, judgements, alarms, advice = judge(state, rows, actions, now_ns)
    return state, Outputs(tuple(rows), judgements, alarms, advice)


def judge(
    state: StreamState, rows: Sequence[FeatureRow], actions: Sequence[Action], now_ns: int
) -> tuple[StreamState, tuple[Judgement, ...], tuple[AlarmChange, ...], tuple[StopAdvice, ...]]:
    """Actions first, then rows: regime -> score -> learn -> health -> alarm -> advisory.

    A row of a machine that the plant file does not know gets no judgement and is counted in `state.dropped`.
    now_ns only ends shelving; everything else goes by the rows' own time.
    """
    alarms: list[AlarmChange] = []
    advice: list[StopAdvice] = []
    for action in actions:
        alarms += hear(state, action)
    alarms += state.book.expire_shelves(now_ns)
    judgements: list[Judgement] = []
    for row, judged in zip(rows, judge_rows(state, rows), strict=True):
        if judged is None:
            continue
        judgements.append(_judgement(state, row, judged, alarms, advice))
    return state, tuple(judgements), tuple(alarms), tuple(advice)


def _judgement(
    state: StreamState, row: FeatureRow, judged: Judged, alarms: list[AlarmChange], advice: list[StopAdvice]
) -> Judgement:
    i, lists = judged.i, judged.lists
    condition, flags = lists.condition[i], lists.flags[i]
    if condition < WARNING and state.held:
        state.held.pop(row.machine, None)
    diagnosis, reasons = _explain(state, row, judged) if condition >= WARNING or flags else (None, ())
    threshold = lists.multiplier[i]
    ratio = lists.ratio[i] * threshold
    judgement = Judgement(
        machine=row.machine,
        time_ns=row.time_ns,
        condition=CONDITIONS[condition],
        score=ratio / (1.0 + ratio),
        threshold=threshold / (1.0 + threshold),
        health=round(lists.health[i], 1),
        zone=ZONES[lists.zone[i]],
        regime=NAMES[lists.regime[i] + 1],
        fault="" if diagnosis is None else diagnosis.fault,
        confidence=0.0 if diagnosis is None else round(diagnosis.confidence, 3),
        reasons=reasons,
        health_by_component=dict(zip(COMPONENTS, lists.health_by[i], strict=True)),
        remaining_life=_life(state, row.machine, judged),
        model=MODEL_ID,
    )
    if flags & LATE:
        return judgement
    changes, stop = follow(state, row, judged, diagnosis, reasons)
    alarms += changes
    if stop is not None:
        advice.append(stop)
    return judgement


def _life(state: StreamState, machine: str, judged: Judged) -> RemainingLife | None:
    """Remaining life of a suspicious machine, renewed with each point of its history; None for the others."""
    i = judged.i
    if judged.lists.condition[i] < WARNING:
        if state.lives and judged.lists.condition[i] == NORMAL:
            state.lives.pop(machine, None)
        return None
    n = int(judged.verdicts.life_n[i])
    if n:
        trend = fit(judged.verdicts.life_h[i, :n], judged.verdicts.life_level[i, :n])
        state.lives[machine] = remaining_life(trend, state.failure_level)
    return state.lives.get(machine)


def _explain(
    state: StreamState, row: FeatureRow, judged: Judged
) -> tuple[Diagnosis | None, tuple[Reason, ...]]:
    """Diagnosis and reasons of a row that is not simply normal."""
    i, flags, m = judged.i, judged.lists.flags[judged.i], judged.m
    if flags & (LATE | STANDS):
        return None, ()
    if flags & DEAD:
        found = dead()
        return found, found.reasons
    if flags & SATURATED:
        found = saturated(_largest(row, "clipped_share"))
        return found, found.reasons
    reasons: list[Reason] = []
    diagnosis = None
    if judged.lists.condition[i] >= WARNING:
        held = diagnosed(state.held, row, state.machines[m], judged, state.settings.diagnose_s)
        diagnosis, reasons = held.diagnosis, list(held.reasons)
        zone = reason_of_zone(
            ZONES[judged.lists.zone[i]], float(judged.verdicts.velocity_mm_s[i]), state.given.zone_mm_s[m]
        )
        if zone is not None:
            reasons.insert(0, zone)
        loud = int(judged.verdicts.loud_slot[i])
        if loud >= 0:
            reasons = with_level(reasons, judged.layout.slots[loud].name, float(judged.verdicts.loud[i]))
        reasons += reasons_of_panel(judged, state.champion)
    if flags & WARMING:
        rows = float(judged.verdicts.regime_rows[i])
        reasons.append(Reason("learning", {"rows": rows, "needed": float(state.settings.warmup_rows)}, 0.1))
    elif flags & SETTLING and diagnosis is not None:
        minutes = float(judged.verdicts.running_s[i]) / 60.0
        reasons.append(Reason("settling", {"minutes": minutes}, 0.1))
    return diagnosis, tuple(reasons)


def _largest(row: FeatureRow, base: str) -> float:
    found = [float(v) for name, v in zip(row.names, row.values, strict=True) if name.endswith(f".{base}")]
    return max((v for v in found if not math.isnan(v)), default=0.0)


def warm_up() -> None:
    """Compile the kernels of features and models: some 30 s the first time, a second from the cache."""
    warm_up_features()
    plant = msgspec.convert(
        {
            "plant": {"id": "x", "name": "x"},
            "gateway": [{"id": "x"}],
            "machine": [{"id": "x", "name": "x", "gateway": "x"}],
        },
        Plant,
    )
    row = FeatureRow("x", 0, ("x.rms_g", "Speed"), np.ones(2, np.float32))
    state = new_state(plant)
    judge(state, (row,), (), 0)
    progress_of_all(state.panel, state.dial)
