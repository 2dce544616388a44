"""Rows through the kernel.

Rows of many machines and schemas become matrices and come back as verdicts, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.online.drift_watch import watch
from models.online.layout import N_FACTS, Layout, Plan, values_of
from models.online.step import (
    DEAD,
    LATE,
    PASSING,
    SATURATED,
    SETTLING,
    SILENT,
    STANDS,
    TAUGHT,
    WARMING,
    Verdicts,
    gather,
    room_for,
    step_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingest.contract.rows import FeatureRow
    from models.online.members import Member
    from models.online.panel_memory import Panel
    from models.state import StreamState

NO_LEVEL = LATE | PASSING | SETTLING | WARMING | DEAD | SATURATED | STANDS | SILENT
"""Rows that say nothing of a machine's level."""


class Judged(NamedTuple):
    """One row's place in the verdicts: row i of `verdicts`, with its layout. m: index of the machine."""

    m: int
    layout: Layout
    verdicts: Verdicts
    lists: Lists
    i: int


class Lists(NamedTuple):
    """Verdicts as Python numbers: building values from these is several times faster than from arrays."""

    condition: list[int]
    previous: list[int]
    regime: list[int]
    zone: list[int]
    flags: list[int]
    ratio: list[float]
    threshold: list[float]
    health: list[float]
    physics: list[float]
    multiplier: list[float]
    health_by: list[list[float]]


@dataclass(slots=True)
class _Group:
    """Rows of one layout, in order of arrival."""

    layout: Layout
    at: list[int] = field(default_factory=list)
    machine: list[int] = field(default_factory=list)
    time_ns: list[int] = field(default_factory=list)
    members: dict[int, tuple[Plan, list[int], list[FeatureRow]]] = field(default_factory=dict)


def judge_rows(state: StreamState, rows: Sequence[FeatureRow]) -> list[Judged | None]:
    """Fold rows into the memory, in order a machine. None for a machine that the plant file does not know."""
    judged: list[Judged | None] = [None] * len(rows)
    groups: dict[int, _Group] = {}
    waiting: set[int] = set()
    for at, row in enumerate(rows):
        m = state.index.get(row.machine)
        if m is None:
            state.drop("row of a machine that is not in the plant file")
            continue
        plan = state.layouts.plan(state.layout_of[m], row.names)
        if plan.layout is not state.layout_of[m]:
            # The machine says something new: what waits under its old layout must be folded first.
            if m in waiting:
                _flush(state, groups, judged)
                waiting.clear()
            state.layout_of[m] = plan.layout
        if plan.champion:
            state.champion = plan.champion
            _hear_both(state, m, row, plan)
        group = groups.get(id(plan.layout))
        if group is None:
            group = groups[id(plan.layout)] = _Group(plan.layout)
        member = group.members.get(id(plan))
        if member is None:
            member = group.members[id(plan)] = (plan, [], [])
        member[1].append(len(group.at))
        member[2].append(row)
        group.at.append(at)
        group.machine.append(m)
        waiting.add(m)
        group.time_ns.append(row.time_ns)
    _flush(state, groups, judged)
    return judged


def _hear_both(state: StreamState, m: int, row: FeatureRow, plan: Plan) -> None:
    """Count what champion and challenger say of the same row."""
    if plan.pair is not None:
        ours, theirs, label = plan.pair
        words = (float(row.values[ours]), float(row.values[theirs]))
        state.side_by_side.hear(m, row.time_ns, (plan.champion, label), words)


def _flush(state: StreamState, groups: dict[int, _Group], judged: list[Judged | None]) -> None:
    for group in groups.values():
        _run(state, group, judged)
    groups.clear()


def _turns(machines: list[int]) -> Iterator[slice]:
    """Stretches in which no machine speaks twice.

    >>> [(one.start, one.stop) for one in _turns([1, 2, 1, 1])]
    [(0, 2), (2, 3), (3, 4)]
    """
    start, seen = 0, set[int]()
    for i, m in enumerate(machines):
        if m in seen:
            yield slice(start, i)
            start, seen = i, set()
        seen.add(m)
    yield slice(start, len(machines))


def _ask(member: Member, panel: Panel, machines: list[int], said: Verdicts) -> None:
    """Let the detector outside the kernel judge these rows, and learn those that may teach."""
    for i, m in enumerate(machines):
        flags = int(said.flags[i])
        if flags & NO_LEVEL & ~SETTLING:
            continue
        if panel.n_axes[m] == 0:
            member.forget(m)
            continue
        known = member.knows(m)
        panel.given[m] = (member.score(m, said.residual[i]) if known else 0.0), known
        if flags & TAUGHT:
            member.learn(m, said.residual[i])


def _run(state: StreamState, group: _Group, judged: list[Judged | None]) -> None:
    n, tables = len(group.at), group.layout.tables
    if len(group.members) == 1:
        plan, _, rows = next(iter(group.members.values()))
        x, facts = gather(values_of(rows), plan.sources, plan.facts, tables.log)
    else:
        x, facts = np.full((n, tables.log.shape[0]), np.nan), np.full((n, N_FACTS), np.nan)
        for plan, at, rows in group.members.values():
            x[at], facts[at] = gather(values_of(rows), plan.sources, plan.facts, tables.log)
    out = room_for(n)
    machine = np.array(group.machine, np.int64)
    time_ns = np.array(group.time_ns, np.int64)
    for turn in _turns(group.machine) if state.member is not None else (slice(0, n),):
        part = Verdicts._make(array[turn] for array in out)
        step_rows(
            state.memory,
            state.panel,
            state.cuts,
            tables,
            state.given,
            state.dial,
            machine[turn],
            time_ns[turn],
            x[turn],
            facts[turn],
            part,
        )
        if state.member is not None:
            _ask(state.member, state.panel, group.machine[turn], part)
    lists = Lists(
        out.condition.tolist(),
        out.previous.tolist(),
        out.regime.tolist(),
        out.zone.tolist(),
        out.flags.tolist(),
        out.ratio.tolist(),
        out.threshold.tolist(),
        out.health.tolist(),
        out.physics.tolist(),
        out.multiplier.tolist(),
        np.round(out.health_by, 1).tolist(),
    )
    due_ns = state.drift.due_ns
    for i, place in enumerate(group.at):
        one = judged[place] = Judged(group.machine[i], group.layout, out, lists, i)
        if group.time_ns[i] >= due_ns[one.m] and lists.flags[i] & NO_LEVEL == 0:
            watch(state.drift, one, state.machines[one.m].id, group.time_ns[i])
