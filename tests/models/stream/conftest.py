"""A small plant and rows that a person can read: what a healthy machine says, and what a sick one says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from ingest.contract.plant import Plant
from ingest.contract.rows import AlarmChange, FeatureRow, Judgement, StopAdvice
from models.stream import StreamState, judge

NAMES = (
    "x.rms_g",
    "x.peak_g",
    "x.kurtosis",
    "x.velocity_rms_mm_s",
    "x.envelope_rms_g",
    "x.clipped_share",
    "Temperature/bearing",
    "Speed",
    "State",
)
CALM = np.array([0.1, 0.4, 3.0, 1.0, 0.02, 0.0, 55.0, 1480.0, 2.0])
SPREAD = np.array([0.05, 0.08, 0.03, 0.05, 0.06, 0.0, 0.005, 0.0, 0.0])
VIBRATION = slice(0, 5)
SECOND = 1_000_000_000


@dataclass
class Rows:
    """Seeded rows of one machine, a second apart."""

    machine: str
    rng: np.random.Generator
    time_ns: int = 1_000 * SECOND

    def make(
        self, gain: float = 1.0, kurtosis: float = 1.0, rpm: float = 1480.0, state: float = 2.0
    ) -> FeatureRow:
        values = CALM * np.exp(SPREAD * self.rng.standard_normal(len(CALM)))
        values[VIBRATION] *= [gain, gain * kurtosis, kurtosis, gain, gain]
        values[-2:] = rpm, state
        self.time_ns += SECOND
        return FeatureRow(self.machine, self.time_ns, NAMES, values.astype(np.float32))

    def calm(self, n: int) -> list[FeatureRow]:
        return [self.make() for _ in range(n)]

    def growing(self, n: int, to: float = 12.0) -> list[FeatureRow]:
        return [self.make(gain=to ** ((i + 1) / n)) for i in range(n)]

    def stopped(self, n: int) -> list[FeatureRow]:
        return [self.make(gain=0.01, rpm=0.0, state=0.0) for _ in range(n)]


@dataclass
class Said:
    """Everything the stream said so far."""

    judgements: list[Judgement]
    alarms: list[AlarmChange]
    advice: list[StopAdvice]


@pytest.fixture
def plant() -> Plant:
    machines = [
        {
            "id": f"m{i}",
            "name": f"Machine {i}",
            "gateway": "gw",
            "iso_group": 2,
            "support": "rigid",
            "rated_rpm": 1480,
        }
        for i in range(4)
    ]
    tables = {"plant": {"id": "works", "name": "Works"}, "gateway": [{"id": "gw"}], "machine": machines}
    return msgspec.convert(tables, Plant)


@pytest.fixture
def rows() -> Callable[..., Rows]:
    def make(machine: str = "m0", seed: int = 1) -> Rows:
        return Rows(machine, np.random.default_rng(seed))

    return make


@pytest.fixture
def fold() -> Callable[..., Said]:
    def run(state: StreamState, some: Iterable[FeatureRow], actions: tuple = (), size: int = 1) -> Said:
        said, waiting = Said([], [], []), list(some)
        if not waiting:
            _, judgements, alarms, advice = judge(state, (), actions, actions[-1].time_ns if actions else 0)
            return Said(list(judgements), list(alarms), list(advice))
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            _, judgements, alarms, advice = judge(state, batch, actions, batch[-1].time_ns)
            said.judgements += judgements
            said.alarms += alarms
            said.advice += advice
            actions = ()
        return said

    return run
