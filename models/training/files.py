"""Behind `mitra train` and `mitra model compare`: history and golden cases in, models into the registry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from models.registry.gate import GatePolicy, GateVerdict, GoldenCase, judge
from models.registry.history import RefusedError
from models.tables import ColumnsError, read_columns
from models.training.content import from_files, to_files
from models.training.frame import Frame, join
from models.training.replay import GoldenStretch, evaluation
from models.training.train import HORIZON_NS, NOISE_UNMEASURED, TrainingError, train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.labels.label import Label
    from models.registry.manifest import Manifest
    from models.registry.signing import Signer
    from models.registry.store import Registry

GOLDEN_CASES_MAX = 10_000
END_NS = (1 << 63) - 1
VALUE = "v:"  # how a history export marks a feature, so that none is taken for its own columns
BOOKKEEPING = frozenset({"id", "receive_ns"})


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """Everything that training and comparison stand on. labels: admitted by quarantine."""

    frame: Frame
    labels: Sequence[Label]
    golden: Sequence[GoldenStretch] = ()
    horizon_ns: int = HORIZON_NS


def read_history(
    paths: Sequence[Path],
    *,
    machine: str = "machine",
    time: str = "time_ns",
    group: str = "group",
    groups: Mapping[str, str] | None = None,
    from_ns: int = 0,
    to_ns: int = END_NS,
) -> Frame:
    """Feature history from Parquet, CSV, NPZ or HDF5: machine and time columns, numbers in the others.

    time: integers are nanoseconds since 1970, timestamps and ISO 8601 text are taken as they are; group:
    optional column of machine groups; groups: machine -> group, surer than the column; rows in
    [from_ns, to_ns). What `mitra history export` wrote is known: its values are the columns `v:NAME`, the
    rest is bookkeeping. Raises TrainingError with what is missing.
    """
    if not paths:
        raise TrainingError("No history was named. Name files of it, or train from the historian.")
    parts: dict[str, list[tuple[NDArray[np.int64], tuple[str, ...], NDArray[np.float64]]]] = {}
    told: dict[str, str] = {}
    for path in paths:
        table = _read(path, machine, time)
        names = np.asarray(table[machine].cast(pa.string()).to_numpy(zero_copy_only=False)).astype(str)
        time_ns = _times(table[time], path, time)
        columns = _features(table, {machine, time, group}, path)
        values = np.column_stack([_numbers(table[name]) for name in columns])
        columns = tuple(name.removeprefix(VALUE) for name in columns)
        if group in table.column_names:
            told |= dict(zip(names, table[group].to_numpy(zero_copy_only=False).astype(str), strict=True))
        wanted = (time_ns >= from_ns) & (time_ns < to_ns)
        for name in np.unique(names[wanted]):
            rows = wanted & (names == name)
            parts.setdefault(str(name), []).append((time_ns[rows], columns, values[rows]))
    return join({name: _stacked(found) for name, found in parts.items()}, told | dict(groups or {}))


def _stacked(
    parts: Sequence[tuple[NDArray[np.int64], tuple[str, ...], NDArray[np.float64]]],
) -> tuple[NDArray[np.int64], tuple[str, ...], NDArray[np.float64]]:
    """One machine's rows of several files; a column that a file lacks is missing (NaN) there."""
    columns = tuple(sorted({name for _, names, _ in parts for name in names}))
    place = {name: k for k, name in enumerate(columns)}
    values = []
    for times, names, found in parts:
        wide = np.full((len(times), len(columns)), np.nan)
        wide[:, [place[name] for name in names]] = found
        values.append(wide)
    return np.concatenate([times for times, _, _ in parts]), columns, np.vstack(values)


def _read(path: Path, machine: str, time: str) -> pa.Table:
    try:
        table = read_columns(path)
    except ColumnsError as error:
        raise TrainingError(str(error)) from error
    missing = [name for name in (machine, time) if name not in table.column_names]
    if missing:
        raise TrainingError(
            f"{path.name} has no column {' or '.join(missing)}; it has {', '.join(table.column_names[:20])}."
        )
    empty = [name for name in (machine, time) if table[name].null_count]
    if empty:
        raise TrainingError(
            f"{path.name} has rows without a {' or '.join(empty)}. Leave them out or fill them."
        )
    return table


def _features(table: pa.Table, taken: set[str], path: Path) -> tuple[str, ...]:
    numeric = [
        field.name
        for field in table.schema
        if field.name not in taken and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]
    exported = [name for name in numeric if name.startswith(VALUE)]
    found = tuple(exported or (name for name in numeric if name not in BOOKKEEPING))
    if not found:
        raise TrainingError(f"{path.name} has no numeric column to learn from.")
    return found


def _times(column: pa.ChunkedArray, path: Path, name: str) -> NDArray[np.int64]:
    kind = column.type
    try:
        if pa.types.is_string(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            column = column.cast(pa.timestamp("ns")).cast(pa.int64())
        elif not pa.types.is_integer(kind):
            raise TrainingError(
                f"{path.name}: {name} holds {kind}; times are whole nanoseconds since 1970 or ISO 8601."
            )
    except pa.ArrowInvalid as error:
        raise TrainingError(f"{path.name}: {name} holds a time that cannot be read: {error}") from error
    return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


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
    progress: Callable[[int, int], None] = lambda _done, _total: None,
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
                label_noise=_measured_noise(model.manifest.limits, batch.label_noise),
            )
        )
    return judge(
        found[0], found[1], tuple(stretch.case for stretch in lessons.golden), policy or GatePolicy()
    )


def _measured_noise(limits: Sequence[str], noise: float | None) -> float | None:
    """Files of older versions hold 0 where nothing was measured; their cards say so."""
    return None if any(one.startswith(NOISE_UNMEASURED) for one in limits) else noise


def gate_lines(verdict: GateVerdict) -> Sequence[Mapping[str, str]]:
    """The checks as rows of a table for a person."""
    return [
        {"check": one.code, "group": one.group, "passed": "yes" if one.passed else "no", "detail": one.detail}
        for one in verdict.findings
    ]
