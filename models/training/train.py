"""`mitra train`: a frame and labels in, a model with honest figures out; same data and seed, same model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ingest.contract.actions import Verdict
from models.labels.noise import noise_share
from models.registry.gate import Tally
from models.registry.manifest import FileEntry, Manifest, sha256
from models.training.detectors import (
    KINDS,
    SUPERVISED,
    Fitted,
    Scale,
    scale_of_healthy,
    scale_of_probability,
)
from models.training.figures import limits, rates, trust
from models.training.frame import FAULTY, UNKNOWN, Frame, Targets, data_hash, targets
from models.training.replay import GoldenStretch, alarms_of, tallies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from models.labels.label import Label

FOLDS = 5
ROWS_MIN = 200
HEALTHY_MIN = 50
HORIZON_NS = 7 * 24 * 3600 * 10**9
DAY_NS = 24 * 3600 * 10**9
NOISE_UNMEASURED = "Whether its labels contradict each other was not measured"
NOISE_UNKNOWN = (
    f"{NOISE_UNMEASURED}: that takes confirmed faults on "
    f"{FOLDS} machines or more, outside the golden cases, and verdicts of both kinds."
)


class TrainingError(ValueError):
    """There is too little to learn from; the message says what is missing and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchModel:
    """A detector, its scale and the columns it reads."""

    kind: str
    columns: tuple[str, ...]
    detector: Fitted
    scale: Scale
    horizon_ns: int
    label_noise: float | None

    def score(self, frame: Frame) -> NDArray[np.float64]:
        """(n,) in [0, 1]. Columns are found by name; one that the frame lacks counts as missing."""
        return self.scale.apply(self.detector.raw(self.values_of(frame)))

    def values_of(self, frame: Frame) -> NDArray[np.float64]:
        """(n, d) what the model reads of a frame, in its own order; NaN for columns that the frame lacks."""
        place = {name: k for k, name in enumerate(frame.columns)}
        values = np.full((len(frame.machine), len(self.columns)), np.nan)
        for k, name in enumerate(self.columns):
            if name in place:
                values[:, k] = frame.values[:, place[name]]
        return values

    def strange(self, frame: Frame) -> NDArray[np.bool_]:
        """(n,) rows at or over the alarm level."""
        return np.asarray(self.score(frame) >= self.scale.level, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The model and the manifest of it, whose files and version the registry fills in."""

    model: BatchModel
    manifest: Manifest


def train(
    name: str,
    kind: str,
    frame: Frame,
    labels: Sequence[Label],
    *,
    created_ns: int,
    code_version: str,
    seed: int = 0,
    horizon_ns: int = HORIZON_NS,
    golden: Sequence[GoldenStretch] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Trained:
    """Learn one kind of detector; every figure of the manifest is of machines that the model had not seen.

    labels: admitted by quarantine; golden: stretches that no training sees; progress: (folds done, folds).
    Raises TrainingError.

    >>> from models.training import join
    >>> rng, hours = np.random.default_rng(0), np.arange(24 * 30) * 3600 * 10**9
    >>> parts = {f"fan-{k}": (hours, ("rms", "heat"), rng.normal(5, 1, (720, 2))) for k in range(6)}
    >>> trained = train("fans", "pca-t2-q", join(parts, {}), [], created_ns=0, code_version="1")
    >>> trained.model.score(join(parts, {})).shape, [one.name for one in trained.manifest.metrics]
    ((4320,), ['false_alarm_days', 'false_alarm_days'])
    """
    if kind not in KINDS:
        raise TrainingError(f"There is no kind of model called {kind}. There is: {', '.join(KINDS)}.")
    known = targets(frame, labels, horizon_ns)
    usable = _usable(frame, known, golden, horizon_ns)
    lesson = Lesson(frame, known, usable, _folds(frame, known, usable, kind, seed), seed)
    rounds = FOLDS + 1
    held_out = lesson.held_out(kind, lambda done: progress(done, rounds))
    detector = lesson.learn(kind, usable, FOLDS)
    progress(rounds, rounds)
    faulty = lesson.faulty
    if kind in SUPERVISED:
        scale = scale_of_probability(held_out[usable], faulty[usable], known.weight[usable])
    else:
        scale = scale_of_healthy(held_out[usable & ~faulty])
    told = scale.apply(held_out)
    probability = _cross_fitted(lesson, held_out) if kind in SUPERVISED else None
    noise = _label_noise(lesson, told if kind in SUPERVISED else None, labels, horizon_ns)
    alarms = alarms_of(frame, told >= scale.level)
    counts = tallies(frame, alarms, labels, horizon_ns)
    each = tallies(replace(frame, groups=frame.machines), alarms, labels, horizon_ns)
    figures = [metric for group, tally in counts.items() for metric in rates(tally, group)]
    figures += rates(sum(counts.values(), Tally(0, 0, 0, 0)), "")
    if probability is not None:
        figures += trust(probability, faulty, usable, frame, seed)
    model = BatchModel(kind, frame.columns, detector, scale, horizon_ns, noise)
    said_noise = "not measured" if noise is None else f"{noise:.3f}"
    manifest = Manifest(
        name=name,
        version=1,
        kind=kind,
        created_ns=created_ns,
        data_sha256=data_hash(frame, labels, golden, horizon_ns),
        data_from_ns=int(frame.time_ns.min()),
        data_to_ns=int(frame.time_ns.max()),
        code_version=code_version,
        seed=seed,
        files=(FileEntry("unsigned-draft", sha256(b""), 0),),
        metrics=tuple(figures),
        limits=limits(frame, counts, each) + (() if noise is not None else (NOISE_UNKNOWN,)),
        notes=(
            f"{len(frame.machines)} machines, {int(usable.sum())} rows, label noise {said_noise}",
            f"Horizon {horizon_ns / DAY_NS:g} days, {len(golden)} golden cases kept out",
        ),
    )
    return Trained(model, manifest)


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What one training works with: rows, what they were, which may teach, which fold they are in."""

    frame: Frame
    known: Targets
    usable: NDArray[np.bool_]
    folds: NDArray[np.int64]
    seed: int

    @property
    def faulty(self) -> NDArray[np.bool_]:
        return np.asarray(self.known.value == FAULTY, np.bool_)

    def learn(self, kind: str, rows: NDArray[np.bool_], turn: int) -> Fitted:
        """A detector from some rows. rows: (n,). Raises TrainingError."""
        healthy = int(np.sum(rows & ~self.faulty))
        if healthy < HEALTHY_MIN:
            raise TrainingError(
                f"{kind} was not trained: after one part of the machines is set aside for checking, "
                f"{healthy} rows are left that nobody called faulty, and {HEALTHY_MIN} are needed. Take a "
                "longer history, or a shorter horizon if it covers most of this one."
            )
        try:
            return KINDS[kind](
                self.frame.values[rows], self.faulty[rows], self.known.weight[rows], self.seed + turn
            )
        except ValueError as error:
            raise TrainingError(
                f"{kind} was not trained: {error}. Collect more history or verdicts."
            ) from error

    def held_out(self, kind: str, tell: Callable[[int], None]) -> NDArray[np.float64]:
        """(n,) raw scores, each by a detector that never saw the row's machine."""
        raw = np.full(len(self.usable), np.nan)
        for k in range(FOLDS):
            out = self.folds == k
            raw[out] = self.learn(kind, self.usable & ~out, k).raw(self.frame.values[out])
            tell(k + 1)
        return raw


def _usable(
    frame: Frame, known: Targets, golden: Sequence[GoldenStretch], horizon_ns: int
) -> NDArray[np.bool_]:
    """(n,) rows that may teach: what they were is known, and no golden case is near."""
    usable = known.value != UNKNOWN
    for stretch in golden:
        if stretch.machine not in frame.machines:
            continue
        rows = frame.of(stretch.machine)
        times = frame.time_ns[rows]
        usable[rows] &= ~((times >= stretch.from_ns - horizon_ns) & (times <= stretch.to_ns))
    return np.asarray(usable, np.bool_)


def _folds(
    frame: Frame, known: Targets, usable: NDArray[np.bool_], kind: str, seed: int
) -> NDArray[np.int64]:
    """Whole machines per fold, those with faults spread evenly. (n,)"""
    if int(usable.sum()) < ROWS_MIN or len(frame.machines) < FOLDS:
        raise TrainingError(
            f"{int(usable.sum())} usable rows of {len(frame.machines)} machines are too few: at least "
            f"{ROWS_MIN} rows of {FOLDS} machines are needed. Let the plant run longer; the models of each "
            "machine work meanwhile."
        )
    sick = np.array([bool(np.any(known.value[frame.of(name)] == FAULTY)) for name in frame.machines])
    if kind in SUPERVISED and sick.sum() < 2:
        raise TrainingError(
            f"Confirmed faults on {int(sick.sum())} machines are too few to learn failures from: "
            "at least 2 are needed. Confirm alarms on the alarm page, or import work orders."
        )
    shuffled = np.random.default_rng(seed).permutation(len(sick))
    order = shuffled[np.argsort(~sick[shuffled], kind="stable")]
    fold = np.empty(len(sick), np.int64)
    fold[order] = np.arange(len(sick)) % FOLDS
    return np.asarray(fold[frame.machine], np.int64)


def _cross_fitted(lesson: Lesson, raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) probabilities, each calibrated without the row's own fold: what a new machine will be told."""
    told = np.full(len(raw), np.nan)
    for k in range(FOLDS):
        out = lesson.folds == k
        rest = lesson.usable & ~out
        told[out] = scale_of_probability(raw[rest], lesson.faulty[rest], lesson.known.weight[rest]).apply(
            raw[out]
        )
    return told


def _label_noise(
    lesson: Lesson, told: NDArray[np.float64] | None, labels: Sequence[Label], horizon_ns: int
) -> float | None:
    """Share of verdicts that a model trained without those machines contradicts.

    told: (n,) its probabilities, out of fold; None asks gradient boosting, because a detector that never
    learnt from verdicts finds every false alarm strange, and rightly so. None when too few machines failed,
    or people gave verdicts of one kind only.
    """
    frame = lesson.frame
    if told is None:
        sick = len(np.unique(frame.machine[lesson.faulty & lesson.usable]))
        if sick < FOLDS:
            return None
        told = lesson.held_out("failure-horizon", lambda _: None)
    said, probability = [], []
    for label in labels:
        if label.verdict is Verdict.NOT_SURE or label.machine not in frame.machines:
            continue
        rows = frame.of(label.machine)
        times = frame.time_ns[rows]
        before = horizon_ns if label.verdict is Verdict.CONFIRMED else 0
        within = (times >= label.from_ns - before) & (times <= label.to_ns)
        if within.any():
            said.append(label.verdict is Verdict.CONFIRMED)
            probability.append(float(np.quantile(told[rows][within], 0.9)))
    return noise_share(np.array(said, np.bool_), np.array(probability))
