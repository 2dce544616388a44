"""Behind `mitra train` and `mitra model compare`: history and golden cases in, models into the registry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from models.registry.gate import GatePolicy, GateVerdict, GoldenCase, judge
from models.registry.history import RefusedError
from models.training.content import from_files, to_files
from models.training.frame import Frame, join
from models.training.replay import GoldenStretch, evaluation
from models.training.train import HORIZON_NS, TrainingError, train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from models.labels.label import Label
    from models.registry.manifest import Manifest
    from models.registry.signing import Signer
    from models.registry.store import Registry

GOLDEN_CASES_MAX = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """Everything that training and comparison stand on. labels: admitted by quarantine."""

    frame: Frame
    labels: Sequence[Label]
    golden: Sequence[GoldenStretch] = ()
    horizon_ns: int = HORIZON_NS


def read_history(
    paths: Sequence[Path], *, machine: str = "machine", time: str = "time_ns", group: str = "group"
) -> Frame:
    """Feature history from Parquet or CSV files: a machine column, a time column, numbers in the others.

    time: integers are nanoseconds since 1970, timestamps are taken as they are; group: optional machine
    group. Raises TrainingError with what is missing.
    """
    if not paths:
        raise TrainingError("No history was named. Name Parquet or CSV files, or train from the historian.")
    tables = [_read(path, machine, time) for path in paths]
    table = pa.concat_tables(tables, promote_options="permissive")
    names = table[machine].to_numpy(zero_copy_only=False).astype(str)
    times = table[time]
    if not pa.types.is_integer(times.type):
        times = times.cast(pa.timestamp("ns")).cast(pa.int64())
    time_ns = times.to_numpy(zero_copy_only=False)
    columns = [
        field.name
        for field in table.schema
        if field.name not in (machine, time, group)
        and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]
    if not columns:
        raise TrainingError("The history has no numeric column to learn from.")
    values = np.column_stack(
        [table[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in columns]
    )
    groups: dict[str, str] = {}
    if group in table.column_names:
        groups = dict(zip(names, table[group].to_numpy(zero_copy_only=False).astype(str), strict=True))
    parts = {name: (time_ns[names == name], columns, values[names == name]) for name in np.unique(names)}
    return join(parts, groups)


def _read(path: Path, machine: str, time: str) -> pa.Table:
    try:
        read = pyarrow.parquet.read_table if path.suffix == ".parquet" else pyarrow.csv.read_csv
        table = read(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise TrainingError(f"{path.name} cannot be read as a table: {error}") from error
    missing = [name for name in (machine, time) if name not in table.column_names]
    if missing:
        raise TrainingError(
            f"{path.name} has no column {' or '.join(missing)}; it has {', '.join(table.column_names[:20])}."
        )
    return table


def read_golden(path: Path) -> tuple[GoldenStretch, ...]:
    """Golden cases from JSON: [{"case_id", "group", "machine", "from_ns", "to_ns", "faulty"}, ...].

    Raises TrainingError for anything else.
    """
    try:
        cases: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        if len(cases) > GOLDEN_CASES_MAX:
            raise TrainingError(f"{path.name} holds more than {GOLDEN_CASES_MAX} cases.")
        return tuple(
            GoldenStretch(
                GoldenCase(str(case["case_id"]), str(case["group"]), bool(case["faulty"])),
                str(case["machine"]),
                int(case["from_ns"]),
                int(case["to_ns"]),
            )
            for case in cases
        )
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path.name} is not a list of golden cases: {error!r}") from error


def train_challenger(
    registry: Registry,
    signer: Signer,
    name: str,
    kind: str,
    lessons: Lessons,
    *,
    by: str,
    reason: str,
    now_ns: int,
    code_version: str,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Manifest:
    """Train, sign, store, and let it run in shadow (or become the first champion).

    Raises TrainingError, RefusedError.
    """
    trained = train(
        name,
        kind,
        lessons.frame,
        lessons.labels,
        created_ns=now_ns,
        code_version=code_version,
        seed=seed,
        horizon_ns=lessons.horizon_ns,
        golden=lessons.golden,
        progress=progress,
    )
    manifest = registry.add(trained.manifest, to_files(trained.model), signer)
    registry.challenge(name, manifest.version, by=by, reason=reason, now_ns=now_ns)
    return manifest


def compare(registry: Registry, name: str, lessons: Lessons, policy: GatePolicy | None = None) -> GateVerdict:
    """Replay champion and challenger on the same history and golden set, and ask the gate.

    Raises RefusedError when there are not two to compare; UntrustedModelError when one does not verify.
    """
    pair = (registry.champion(name), registry.challenger(name))
    found = []
    for model in pair:
        if model is None:
            raise RefusedError(f"{name} has no champion and challenger to compare. Train with `mitra train`.")
        batch = from_files(model.files)
        found.append(
            evaluation(
                model.manifest.label,
                lessons.frame,
                batch.strange(lessons.frame),
                lessons.labels,
                golden=lessons.golden,
                horizon_ns=lessons.horizon_ns,
                label_noise=batch.label_noise,
            )
        )
    return judge(
        found[0], found[1], tuple(stretch.case for stretch in lessons.golden), policy or GatePolicy()
    )


def gate_lines(verdict: GateVerdict) -> Sequence[Mapping[str, str]]:
    """The checks as rows of a table for a person."""
    return [
        {"check": one.code, "group": one.group, "passed": "yes" if one.passed else "no", "detail": one.detail}
        for one in verdict.findings
    ]
