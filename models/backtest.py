"""Recordings through the production code: what would have been said, and how long before the end.

Nothing here judges: snapshots become messages, `features.extract` makes rows, `stream.judge` says what it
says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from features.extract import extract
from ingest.contract.channels import SPEED_RPM
from ingest.contract.plant import Machine, Plant
from ingest.contract.rows import AlarmChange, FeatureRow, Judgement
from ingest.contract.values import AXES, Message, Scalar, Waveform
from models.settings import Settings
from models.stream import judge, new_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

MACHINE: Final = "machine"
START_NS: Final = 1_000_000_000_000_000_000
DEFAULT_PERIOD_S: Final = 10.0
BATCH: Final = 32


@dataclass(frozen=True, slots=True)
class Raised:
    """One alarm of a backtest. snapshot: its index; channel: what spoke loudest."""

    snapshot: int
    cause: str
    priority: str
    channel: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the stream said of a recording, snapshot by snapshot.

    first_alarm: index of the snapshot, None when nothing alarmed; lead_s: from the first alarm to the last
    snapshot; alarms: everything raised; health, score, condition: (n,).
    """

    snapshots: int
    baseline: int
    period_s: float
    first_alarm: int | None
    lead_s: float | None
    alarms: tuple[Raised, ...]
    health: tuple[float, ...]
    score: tuple[float, ...]
    condition: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the long columns."""
        return {
            "snapshots": self.snapshots,
            "baseline": self.baseline,
            "first_alarm": self.first_alarm,
            "lead_s": self.lead_s,
            "alarms": [
                {
                    "snapshot": one.snapshot,
                    "cause": one.cause,
                    "priority": one.priority,
                    "channel": one.channel,
                }
                for one in self.alarms
            ],
        }


def backtest(
    snapshots: NDArray[np.float32],
    rate_hz: float,
    rpm: float | None = None,
    baseline: int = 100,
    *,
    period_s: float = DEFAULT_PERIOD_S,
    machine: Machine | None = None,
    settings: Settings | None = None,
) -> Report:
    """Judge waveform snapshots (n, samples, axes) in g, in order, `period_s` apart.

    baseline: how many first snapshots are the machine's own healthy past; machine: facts, if any are known.
    Raises ValueError for a rate or shape out of the limits of the contract.

    >>> rng = np.random.default_rng(1)
    >>> report = backtest(rng.standard_normal((40, 512, 1)).astype(np.float32), 10_000.0, baseline=20)
    >>> report.snapshots, report.first_alarm
    (40, None)
    """
    plant = _plant(machine, rpm)
    rows = [row for batch in _rows(snapshots, rate_hz, rpm, period_s, plant) for row in batch]
    return _judge(rows, plant, settings or Settings.backtest(baseline), baseline, period_s)


def backtest_rows(
    names: Sequence[str],
    values: NDArray[np.float64],
    baseline: int = 100,
    *,
    time_ns: NDArray[np.int64] | None = None,
    period_s: float = DEFAULT_PERIOD_S,
    settings: Settings | None = None,
) -> Report:
    """Judge ready-made features (n, columns), in row order, through the same health code."""
    if time_ns is None:
        time_ns = START_NS + (np.arange(len(values)) * period_s * 1e9).astype(np.int64)
    elif len(time_ns) > 1:
        period_s = float(np.median(np.diff(time_ns))) * 1e-9
    shared = tuple(names)
    rows = [
        FeatureRow(MACHINE, int(at), shared, row)
        for at, row in zip(time_ns, values.astype(np.float32), strict=True)
    ]
    return _judge(rows, _plant(None, None), settings or Settings.backtest(baseline), baseline, period_s)


def _judge(
    rows: list[FeatureRow], plant: Plant, settings: Settings, baseline: int, period_s: float
) -> Report:
    state = new_state(plant, settings)
    judgements: list[Judgement] = []
    changes: list[AlarmChange] = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        _, said, alarms, _ = judge(state, batch, (), batch[-1].time_ns)
        judgements += said
        changes += alarms
    at = {row.time_ns: i for i, row in enumerate(rows)}
    raised = tuple(
        Raised(at[change.time_ns], change.cause, change.priority.value, _channel(change))
        for change in changes
        if change.event == "raised" and not change.cause.startswith("sensor_")
    )
    first = raised[0].snapshot if raised else None
    return Report(
        snapshots=len(rows),
        baseline=baseline,
        period_s=period_s,
        first_alarm=first,
        lead_s=None if first is None else (len(rows) - 1 - first) * period_s,
        alarms=raised,
        health=tuple(one.health for one in judgements),
        score=tuple(round(one.score, 4) for one in judgements),
        condition=tuple(one.condition.value for one in judgements),
    )


def _channel(change: AlarmChange) -> str:
    return next(
        (str(reason.values["channel"]) for reason in change.reasons if "channel" in reason.values), ""
    )


def _plant(machine: Machine | None, rpm: float | None) -> Plant:
    tables = {
        "plant": {"id": "recording", "name": "Recording"},
        "gateway": [{"id": "recording"}],
        "machine": [{"id": MACHINE, "name": "Recording", "gateway": "recording"}],
    }
    plant = msgspec.convert(tables, Plant)
    facts = plant.machine[0] if machine is None else msgspec.structs.replace(machine, id=MACHINE)
    if rpm is not None and facts.rated_rpm is None:
        facts = msgspec.structs.replace(facts, rated_rpm=rpm)
    return msgspec.structs.replace(plant, machine=(facts,))


def _rows(
    snapshots: NDArray[np.float32], rate_hz: float, rpm: float | None, period_s: float, plant: Plant
) -> Iterator[list[FeatureRow]]:
    if snapshots.ndim != 3 or not 1 <= snapshots.shape[2] <= 2 * len(AXES):
        raise ValueError(f"snapshots must be (n, samples, axes) with at most 6 axes, got {snapshots.shape}")
    state = new_state(plant)
    for start in range(0, len(snapshots), BATCH):
        messages = [
            _message(snapshots[i], rate_hz, rpm, START_NS + round(i * period_s * 1e9))
            for i in range(start, min(start + BATCH, len(snapshots)))
        ]
        yield extract(messages, state.facts, state.rounds)


def _message(snapshot: NDArray[np.float32], rate_hz: float, rpm: float | None, time_ns: int) -> Message:
    waveforms = tuple(
        Waveform(
            axis,
            np.ascontiguousarray(snapshot[:, k], "<f4").tobytes(),
            "float32",
            rate_hz,
            1.0,
            time_ns,
        )
        for k, axis in zip(range(snapshot.shape[1]), AXES, strict=False)
    )
    scalars = () if rpm is None else (Scalar(SPEED_RPM, rpm, time_ns),)
    return Message("recording", MACHINE, time_ns, waveforms, scalars)
