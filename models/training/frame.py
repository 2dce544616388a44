"""History as training sees it: rows of many machines with the same columns, and the hash that names it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.rounds import ROUND_STARTS
from ingest.contract.actions import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from models.labels.label import Label
    from models.training.replay import GoldenStretch

ROWS_MAX = 20_000_000
LEFT_OUT = ("Mitra/", *ROUND_STARTS)
"""Starts of columns that no batch model reads: what models said, and what only one row in sixty has."""
UNKNOWN, HEALTHY, FAULTY = -1, 0, 1
HARD_HEALTHY_WEIGHT = 3.0  # a false alarm that a person marked teaches more than a quiet day


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Rows sorted by machine and time.

    machine: (n,) index into machines; time_ns: (n,); values: (n, d) with NaN for missing; groups: the machine
    group of each machine. Raises ValueError when the parts do not fit each other.
    """

    machine: NDArray[np.int64]
    time_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    columns: tuple[str, ...]
    machines: tuple[str, ...]
    groups: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.machine)
        if self.time_ns.shape != (n,) or self.values.shape != (n, len(self.columns)) or n > ROWS_MAX:
            raise ValueError(
                f"{n} rows (at most {ROWS_MAX}) need as many times and {len(self.columns)} columns"
            )
        if len(self.machines) != len(self.groups):
            raise ValueError("every machine belongs to one group")

    def of(self, machine: str) -> slice:
        """Rows of one machine. Raises ValueError for a machine that is not in the frame."""
        index = self.machines.index(machine)
        first, last = np.searchsorted(self.machine, [index, index + 1])
        return slice(int(first), int(last))


def join(
    parts: Mapping[str, tuple[NDArray[np.int64], Sequence[str], NDArray[np.float64]]],
    groups: Mapping[str, str],
) -> Frame:
    """A frame of several machines' rows: (times (n,), column names, values (n, d)) each, any order of
    columns.

    Columns that only some machines have are missing (NaN) for the others; machines without a group are
    "other".

    >>> frame = join({"pump-1": (np.array([2, 1]), ("rms",), np.array([[0.5], [0.4]]))}, {"pump-1": "pump"})
    >>> frame.time_ns.tolist(), frame.values.ravel().tolist(), frame.groups
    ([1, 2], [0.4, 0.5], ('pump',))
    """
    said = {name for _, names, _ in parts.values() for name in names}
    columns = tuple(sorted(name for name in said if not name.startswith(LEFT_OUT)))
    place = {name: k for k, name in enumerate(columns)}
    machines = tuple(sorted(parts))
    index, times, rows = [], [], []
    for number, machine in enumerate(machines):
        time_ns, names, values = parts[machine]
        order = np.argsort(time_ns, kind="stable")
        wide = np.full((len(time_ns), len(columns)), np.nan)
        kept = [k for k, name in enumerate(names) if name in place]
        wide[:, [place[names[k]] for k in kept]] = values[order][:, kept]
        index.append(np.full(len(time_ns), number, np.int64))
        times.append(np.asarray(time_ns, np.int64)[order])
        rows.append(wide)
    if not machines:
        return Frame(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 0)), (), (), ())
    belongs = tuple(groups.get(machine, "other") for machine in machines)
    return Frame(np.concatenate(index), np.concatenate(times), np.vstack(rows), columns, machines, belongs)


def data_hash(
    frame: Frame, labels: Sequence[Label], golden: Sequence[GoldenStretch] = (), horizon_ns: int = 0
) -> str:
    """SHA-256 of everything that training depends on but the seed: columns, machines, every number, every
    label, the golden stretches that it leaves out, and the horizon (0: not said).

    Order counts.
    """
    digest = hashlib.sha256()
    texts = [*frame.columns, "|", *frame.machines, "|", *frame.groups, "|"]
    texts += [
        f"{one.label_id}|{one.machine}|{one.verdict.value}|{one.from_ns}|{one.to_ns}|{one.fault}|{one.component}"
        for one in sorted(labels, key=lambda one: one.label_id)
    ]
    texts += sorted(f"golden|{one.machine}|{one.from_ns}|{one.to_ns}" for one in golden)
    texts += [f"horizon|{horizon_ns}"] if horizon_ns else []
    digest.update("\n".join(texts).encode())
    for column in (frame.machine.astype("<i8"), frame.time_ns.astype("<i8"), frame.values.astype("<f8")):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What each row was, seen from later: (n,) UNKNOWN, HEALTHY or FAULTY, and its weight."""

    value: NDArray[np.int8]
    weight: NDArray[np.float64]


def targets(frame: Frame, labels: Sequence[Label], horizon_ns: int) -> Targets:
    """FAULTY within the horizon before a confirmed fault and while it lasted, UNKNOWN where nobody can know.

    Unknown are stretches that people were not sure of, and the newest horizon of every machine, whose future
    has not happened yet. Labels of machines that are not in the frame are passed over.
    """
    value = np.full(len(frame.machine), HEALTHY, np.int8)
    weight = np.ones(len(frame.machine))
    for machine in frame.machines:
        rows = frame.of(machine)
        times = frame.time_ns[rows]
        if len(times):
            value[rows][times > times[-1] - horizon_ns] = UNKNOWN
    for order in (Verdict.NOT_SURE, Verdict.FALSE_ALARM, Verdict.CONFIRMED):  # the surer word is written last
        for label in labels:
            if label.verdict is not order or label.machine not in frame.machines:
                continue
            rows = frame.of(label.machine)
            before = horizon_ns if order is Verdict.CONFIRMED else 0
            times = frame.time_ns[rows]
            within = (times >= label.from_ns - before) & (times <= label.to_ns)
            value[rows][within] = {Verdict.NOT_SURE: UNKNOWN, Verdict.FALSE_ALARM: HEALTHY}.get(order, FAULTY)
            weight[rows][within] = HARD_HEALTHY_WEIGHT if order is Verdict.FALSE_ALARM else 1.0
    return Targets(value, weight)
