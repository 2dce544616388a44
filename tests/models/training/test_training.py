"""Batch training on a made-up plant: what is learnt, what is refused, what the registry gets."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from ingest.contract.actions import Verdict
from models.labels import Label
from models.registry import Evaluation, GoldenCase, RefusedError, Registry, Signer, Tally, judge
from models.tables import ColumnsError, read_columns
from models.training import (
    KINDS,
    Frame,
    GoldenStretch,
    Lessons,
    Trained,
    TrainingError,
    card,
    compare,
    data_hash,
    evaluation,
    from_files,
    gate_lines,
    golden_answers,
    join,
    read_golden,
    read_history,
    shadow,
    targets,
    to_files,
    train,
    train_challenger,
)
from models.training.figures import limits, trust
from models.training.frame import FAULTY, HEALTHY, UNKNOWN

HOUR = 3600 * 10**9
DAY = 24 * HOUR
HORIZON = 4 * DAY
MACHINES = 20
DAYS = 30
START = 20_000 * DAY


@cache
def plant(hot_afternoons: bool = True) -> tuple[Frame, tuple[Label, ...]]:
    """Pumps and fans, a row every 4 hours; every second machine fails on day 25 after four days of signs.

    The others raise one alarm that a technician calls false: a single hot afternoon.
    """
    rng = np.random.default_rng(0)
    parts, labels = {}, []
    times = START + np.arange(0, DAYS * DAY, 4 * HOUR)
    for k in range(MACHINES):
        name, fails = f"{'pump' if k < MACHINES // 2 else 'fan'}-{k}", k % 2 == 0
        level = rng.uniform(1.0, 3.0)
        days = (times - START) / DAY
        growth = np.where(fails & (days > 21) & (days < 25.5), (days - 21) * 2.5, 0.0)
        hot = np.where(hot_afternoons & (not fails) & (days >= 12) & (days < 12.5), 6.0, 0.0)
        values = np.column_stack(
            [
                level + rng.normal(0, 0.2, len(times)) + growth,
                3.0 + rng.normal(0, 0.3, len(times)) + 1.5 * growth,
                60 + rng.normal(0, 1, len(times)) + hot,
                rng.normal(0, 1, len(times)),
            ]
        )
        parts[name] = (times, ("rms", "kurtosis", "temperature", "noise"), values)
        day, verdict = (25, Verdict.CONFIRMED) if fails else (12, Verdict.FALSE_ALARM)
        labels.append(
            Label(
                f"l{k}",
                name,
                verdict,
                from_ns=START + day * DAY,
                to_ns=START + day * DAY + DAY // 2,
                said_ns=START + 50 * DAY,
                by="Siti",
                fault="bearing_outer" if fails else "",
            )
        )
    groups = {name: name.split("-")[0] for name in parts}
    return join(parts, groups), tuple(labels)


def golden_set(frame: Frame) -> tuple[GoldenStretch, ...]:
    """Six failures and six calm weeks that experts settled."""
    found = []
    for k, name in enumerate(frame.machines[:12]):
        sick = int(name.split("-")[1]) % 2 == 0
        first = START + (22 if sick else 2) * DAY
        found.append(
            GoldenStretch(GoldenCase(f"g{k}", name.split("-")[0], sick), name, first, first + 3 * DAY)
        )
    return tuple(found)


@cache
def learnt(kind: str = "failure-horizon", flips: int = 0, hot_afternoons: bool = True) -> Trained:
    frame, labels = plant(hot_afternoons)
    wrong = set(np.random.default_rng(0).choice(len(labels), flips, replace=False).tolist())
    given = [flipped(label) if k in wrong else label for k, label in enumerate(labels)]
    when = START + 60 * DAY
    return train("plant", kind, frame, given, created_ns=when, code_version="0.1.0", horizon_ns=HORIZON)


def flipped(label: Label) -> Label:
    if label.verdict is Verdict.CONFIRMED:
        return replace(label, verdict=Verdict.FALSE_ALARM, fault="")
    return replace(label, verdict=Verdict.CONFIRMED, fault="unknown")


def judged(trained: Trained, name: str) -> Evaluation:
    frame, labels = plant()
    strange, noise = trained.model.strange(frame), trained.model.label_noise
    golden = golden_set(frame)
    return evaluation(name, frame, strange, labels, golden=golden, horizon_ns=HORIZON, label_noise=noise)


def metric(trained: Trained, name: str, group: str = "") -> float:
    return next(m.value for m in trained.manifest.metrics if (m.name, m.group) == (name, group))


def test_failures_are_foreseen_on_machines_not_trained_on() -> None:
    assert metric(learnt(), "recall") > 0.9
    assert metric(learnt(), "false_alarm_days") < 0.02
    assert metric(learnt(), "brier") < 0.05
    assert {m.group for m in learnt().manifest.metrics} == {"", "pump", "fan"}


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"failure-horizon"}))
def test_detectors_without_verdicts_find_them_too(kind: str) -> None:
    trained = learnt(kind, hot_afternoons=False)
    assert metric(trained, "recall") > 0.8
    assert metric(trained, "false_alarm_days") < 0.1


@pytest.mark.parametrize(
    "kind", ["failure-horizon", pytest.param("isolation-forest", marks=pytest.mark.full), "pca-t2-q"]
)
def test_the_same_data_and_seed_give_the_same_scores_and_files_keep_them(kind: str) -> None:
    frame, labels = plant()
    again = train(
        "plant", kind, frame, labels, created_ns=START + 60 * DAY, code_version="0.1.0", horizon_ns=HORIZON
    )
    scores = learnt(kind).model.score(frame)
    assert np.array_equal(again.model.score(frame), scores)
    assert again.manifest == learnt(kind).manifest
    assert np.array_equal(from_files(to_files(again.model)).score(frame), scores)
    assert scores.min() >= 0.0
    assert scores.max() <= 1.0


def test_the_hash_names_exactly_this_data() -> None:
    frame, labels = plant()
    same = data_hash(frame, tuple(reversed(labels)))
    assert same == data_hash(frame, labels)
    changed = frame.values.copy()
    changed[0, 0] += 1e-9
    assert data_hash(replace(frame, values=changed), labels) != same
    assert data_hash(frame, (flipped(labels[0]), *labels[1:])) != same


def test_nobody_knows_the_newest_days() -> None:
    frame, labels = plant()
    known = targets(frame, labels, HORIZON)
    rows = frame.of("pump-0")
    day = (frame.time_ns[rows] - START) / DAY
    assert set(known.value[rows][day > DAYS - 3]) == {UNKNOWN}
    assert set(known.value[rows][(day >= 21) & (day <= 25)]) == {FAULTY}
    assert set(known.value[rows][day < 20]) == {HEALTHY}
    false_alarm = frame.of("pump-1")
    assert known.weight[false_alarm].max() == 3.0


def test_golden_stretches_train_nothing() -> None:
    frame, labels = plant()
    golden = golden_set(frame)
    poisoned = frame.values.copy()
    for stretch in golden:
        rows = frame.of(stretch.machine)
        times = frame.time_ns[rows]
        within = (times >= stretch.from_ns - HORIZON) & (times <= stretch.to_ns)
        poisoned[rows] = np.where(within[:, None], -1e6, poisoned[rows])
    options = {"created_ns": START, "code_version": "0.1.0", "horizon_ns": HORIZON, "golden": golden}
    confirmed = [label for label in labels if label.verdict is Verdict.CONFIRMED][:4]
    one = train("plant", "isolation-forest", frame, confirmed, **options)
    other = replace(frame, values=poisoned)
    two = train("plant", "isolation-forest", other, confirmed, **options)
    assert np.array_equal(one.model.detector.raw(frame.values), two.model.detector.raw(frame.values))


def test_a_better_model_is_promoted_and_a_rollback_gives_the_same_bits(tmp_path: Path) -> None:
    frame, labels = plant()
    signer, registry = Signer.new(), Registry(tmp_path)
    registry.trust("training", signer.public)
    who = {"by": "Siti", "reason": "foresees failures earlier", "now_ns": START}
    for kind in ("isolation-forest", "failure-horizon"):
        registry.add(learnt(kind).manifest, to_files(learnt(kind).model), signer)
    lessons = Lessons(frame, labels, golden_set(frame), HORIZON)
    with pytest.raises(RefusedError, match="to compare"):
        compare(registry, "plant", lessons)
    registry.challenge("plant", 1, **who)
    before = champion_scores(registry, frame)
    registry.challenge("plant", 2, **who)
    verdict = compare(registry, "plant", lessons)
    assert verdict.passed, verdict.failures
    assert {line["passed"] for line in gate_lines(verdict)} == {"yes"}
    registry.promote("plant", verdict, **who)
    assert not np.array_equal(champion_scores(registry, frame), before)
    registry.rollback("plant", **who)
    assert np.array_equal(champion_scores(registry, frame), before)


def champion_scores(registry: Registry, frame: Frame) -> np.ndarray:
    model = registry.champion("plant")
    assert model is not None
    return from_files(model.files).score(frame)


def test_a_new_model_runs_in_the_shadow_of_the_champion(tmp_path: Path) -> None:
    frame, labels = plant()
    signer, registry = Signer.new(), Registry(tmp_path)
    registry.trust("training", signer.public)
    lessons = Lessons(frame, labels, golden_set(frame), HORIZON)
    who = {"by": "Siti", "reason": "the weekly training", "now_ns": START, "code_version": "0.1.0"}
    for _ in range(2):
        train_challenger(registry, signer, "plant", "pca-t2-q", lessons, **who)
    standing = registry.standing("plant")
    assert (standing.champion, standing.challenger) == (1, 2)
    report = shadow(learnt("pca-t2-q").model, learnt().model, frame)
    assert report.days == MACHINES * DAYS
    assert report.both >= MACHINES // 2
    assert len(report.differing) == report.only_champion + report.only_challenger
    same = shadow(learnt().model, learnt().model, frame)
    assert (same.only_champion, same.only_challenger) == (0, 0)


def rows_of(frame: Frame) -> dict[str, object]:
    return {
        "machine": [frame.machines[k] for k in frame.machine],
        "group": [frame.groups[k] for k in frame.machine],
        "time_ns": frame.time_ns,
        **{name: frame.values[:, k] for k, name in enumerate(frame.columns)},
    }


def test_history_is_read_from_every_form(tmp_path: Path) -> None:
    frame, _ = plant()
    rows = rows_of(frame)
    pq.write_table(pa.table(rows), tmp_path / "history.parquet")
    pacsv.write_csv(pa.table(rows), tmp_path / "history.csv")
    np.savez(tmp_path / "history.npz", **{name: np.asarray(column) for name, column in rows.items()})
    with h5py.File(tmp_path / "history.h5", "w") as file:
        for name, column in rows.items():
            file[name] = [str(one) for one in column] if name in ("machine", "group") else column
    for form in ("parquet", "npz", "h5"):
        read = read_history([tmp_path / f"history.{form}"])
        assert data_hash(read, ()) == data_hash(frame, ()), form
    assert np.allclose(read_history([tmp_path / "history.csv"]).values, frame.values)
    with pytest.raises(TrainingError, match="has no column mesin"):
        read_history([tmp_path / "history.csv"], machine="mesin")


def test_an_export_gives_its_features_and_not_its_bookkeeping(tmp_path: Path) -> None:
    frame, _ = plant()
    rows = {
        name if name in ("machine", "time_ns") else f"v:{name}": one for name, one in rows_of(frame).items()
    }
    rows |= {"id": np.arange(len(frame.machine)), "receive_ns": frame.time_ns + 7 * 10**15}
    pq.write_table(pa.table(rows), tmp_path / "export.parquet")
    groups = dict(zip(frame.machines, frame.groups, strict=True))
    read = read_history([tmp_path / "export.parquet"], groups=groups)
    assert data_hash(read, ()) == data_hash(frame, ())


def test_files_are_put_together_and_cut_to_the_window(tmp_path: Path) -> None:
    times = START + np.arange(10) * HOUR
    for name, column, part in (("a", "rms", times[:6]), ("b", "heat", times[6:])):
        table = pa.table({"machine": ["p"] * len(part), "time_ns": part, column: np.ones(len(part))})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    both = read_history(
        [tmp_path / "b.parquet", tmp_path / "a.parquet"], from_ns=int(times[2]), to_ns=int(times[8])
    )
    assert both.time_ns.tolist() == times[2:8].tolist()
    assert both.columns == ("heat", "rms")
    assert np.isnan(both.values).sum() == 6


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"machine": ["p"], "time_ns": [1]}, "no numeric column"),
        ({"machine": ["p", None], "time_ns": [1, 2], "x": [1.0, 2.0]}, "rows without a machine"),
        ({"machine": ["p"], "time_ns": ["yesterday"], "x": [1.0]}, "time that cannot be read"),
        ({"machine": ["p"], "time_ns": [1.5], "x": [1.0]}, "whole nanoseconds"),
        ({"machine": [], "time_ns": [], "x": []}, "no rows"),
    ],
)
def test_a_history_that_cannot_be_is_a_sentence(
    tmp_path: Path, columns: dict[str, list[object]], said: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "h.parquet")
    with pytest.raises(TrainingError, match=said):
        read_history([tmp_path / "h.parquet"])


def test_arrays_of_several_lengths_and_unknown_endings_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "h.npz", a=np.ones(3), b=np.ones(4))
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    (tmp_path / "h.xlsx").write_bytes(b"PK")
    for name, said in (("h.npz", "one length"), ("one.npz", "without a name"), ("h.xlsx", "no known kind")):
        with pytest.raises(ColumnsError, match=said):
            read_columns(tmp_path / name)
    np.savez(tmp_path / "wide.npz", t=np.arange(4), x=np.ones((4, 2)))
    assert read_columns(tmp_path / "wide.npz").column_names == ["t", "x.0", "x.1"]


def test_nothing_healthy_to_learn_from_is_said() -> None:
    frame, labels = plant()
    options = {"created_ns": START, "code_version": "0.1.0"}
    with pytest.raises(TrainingError, match="shorter horizon"):
        train("plant", "isolation-forest", frame, labels, horizon_ns=400 * DAY, **options)


def test_golden_cases_and_horizon_change_the_hash_of_the_data() -> None:
    frame, labels = plant()
    golden = golden_set(frame)
    hashes = [
        data_hash(frame, labels),
        data_hash(frame, labels, golden),
        data_hash(frame, labels, golden[1:]),
        data_hash(frame, labels, golden, HORIZON),
    ]
    assert len(set(hashes)) == 4
    assert data_hash(frame, labels, golden[::-1]) == hashes[1]


def test_people_are_asked_about_cases_with_known_truth() -> None:
    frame, labels = plant()
    golden = golden_set(frame)
    sick = labels[0]  # confirmed on day 25: its machine's golden stretch, days 22 to 25, was a failure
    right = replace(sick, from_ns=START + 23 * DAY, to_ns=START + 24 * DAY)
    wrong = replace(right, label_id="w", by="Budi", verdict=Verdict.FALSE_ALARM, fault="")
    unsure = replace(wrong, label_id="u", verdict=Verdict.NOT_SURE)
    assert golden_answers([right, wrong, unsure], golden) == {"Siti": (1, 1), "Budi": (1, 0)}


def test_golden_cases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    case = {"case_id": "a", "group": "pump", "machine": "pump-0", "from_ns": 1, "to_ns": 2, "faulty": True}
    path.write_text(json.dumps([case]), "utf-8")
    assert read_golden(path) == (GoldenStretch(GoldenCase("a", "pump", True), "pump-0", 1, 2),)
    path.write_text("{", "utf-8")
    with pytest.raises(TrainingError, match="not a list of golden cases"):
        read_golden(path)


def cases(frame: Frame) -> tuple[GoldenCase, ...]:
    return tuple(stretch.case for stretch in golden_set(frame))


@pytest.mark.parametrize(
    "kind", ["failure-horizon", pytest.param("isolation-forest", marks=pytest.mark.full)]
)
def test_a_fifth_of_labels_flipped_promotes_nothing(kind: str) -> None:
    frame, _ = plant()
    champion = judged(learnt(kind), "plant@1")
    verdict = judge(champion, judged(learnt(kind, flips=MACHINES // 5), "plant@2"), cases(frame))
    assert "labels_consistent" in {finding.code for finding in verdict.failures}
    assert learnt(kind).model.label_noise <= 0.05


def test_too_little_to_learn_from_is_said() -> None:
    frame, labels = plant()
    options = {"created_ns": START, "code_version": "0.1.0", "horizon_ns": HORIZON}
    with pytest.raises(TrainingError, match="Confirmed faults on 0 machines"):
        train("plant", "failure-horizon", frame, [], **options)
    with pytest.raises(TrainingError, match="There is: isolation-forest"):
        train("plant", "oracle", frame, labels, **options)
    few = join({"pump-1": (frame.time_ns[:50], frame.columns, frame.values[:50])}, {})
    with pytest.raises(TrainingError, match="too few"):
        train("plant", "pca-t2-q", few, [], **options)


def test_the_card_says_what_it_stands_on() -> None:
    text = card(learnt().manifest)
    assert "| pump | recall |" in text
    assert learnt().manifest.data_sha256 in text
    assert "Trained on 2 machine groups only: fan, pump." in text


@pytest.mark.full
@pytest.mark.parametrize("kind", ["pca-t2-q", "isolation-forest", "failure-horizon"])
def test_two_trainings_in_two_processes_give_the_same_bytes(kind: str) -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", TRAIN_AND_TELL, kind],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
            timeout=300,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert len(told.pop().split()) == 2


TRAIN_AND_TELL = """
import hashlib, sys
from tests.models.training.test_training import learnt
from models.training import card, to_files
trained = learnt(sys.argv[1])
(data,) = to_files(trained.model).values()
print(hashlib.sha256(data).hexdigest(), hashlib.sha256(card(trained.manifest).encode()).hexdigest())
"""


def test_another_seed_gives_another_file() -> None:
    frame, labels = plant()
    files = {
        to_files(
            train(
                "plant",
                "isolation-forest",
                frame,
                labels,
                created_ns=START,
                code_version="0.1.0",
                seed=seed,
                horizon_ns=HORIZON,
            ).model
        )["model.skops"]
        for seed in (1, 2)
    }
    assert len(files) == 2


def test_a_probability_is_judged_on_machines_that_calibrated_nothing() -> None:
    found = {metric.name: metric for metric in learnt().manifest.metrics}
    assert found["calibration_error"].value < 0.05
    assert found["calibration_error"].lower <= found["calibration_error"].value
    frame, _ = plant()
    n = len(frame.machine)
    faulty = np.arange(n) % 4 == 0
    every = np.ones(n, bool)
    right = {one.name: one.value for one in trust(np.full(n, 0.25), faulty, every, frame, 0)}
    wrong = {one.name: one.value for one in trust(np.full(n, 0.75), faulty, every, frame, 0)}
    assert right["calibration_error"] == pytest.approx(0.0, abs=1e-9)
    assert right["brier"] == pytest.approx(0.25 * 0.75)
    assert wrong["calibration_error"] == pytest.approx(0.5)


def test_the_card_names_machines_that_a_model_serves_badly() -> None:
    frame, _ = plant()
    fair = {name: Tally(1, 0, 1, 20) for name in frame.machines}
    groups = {"pump": Tally(10, 0, 5, 200), "fan": Tally(5, 0, 5, 200)}
    assert limits(frame, groups, fair) == ("Trained on 2 machine groups only: fan, pump.",)
    quiet = dict.fromkeys(frame.machines, Tally(1, 0, 0, 20))
    uneven = {**quiet, "pump-3": Tally(0, 2, 6, 20), "fan-12": Tally(1, 0, 2, 20)}
    said = " ".join(limits(frame, {**groups, "fan": Tally(2, 3, 5, 200)}, uneven))
    assert "Recall is lowest for fan (40%)" in said
    assert "Faults were missed on pump-3." in said
    assert "pump-3 had 6 of the 8 days" in said


def test_columns_are_found_by_name() -> None:
    frame, _ = plant()
    model = learnt().model
    order = [3, 1, 0, 2]
    shuffled = replace(frame, values=frame.values[:, order], columns=tuple(frame.columns[k] for k in order))
    assert np.array_equal(model.score(shuffled), model.score(frame))


def test_what_models_said_and_what_few_rows_have_is_no_column_of_training():
    names = ("x.rms_g", "Mitra/Champion/forest", "hour.starts", "slow.cepstrum_hz")
    frame = join({"pump-1": (np.arange(3), names, np.ones((3, 4)))}, {})
    assert frame.columns == ("x.rms_g",)
    assert frame.values.shape == (3, 1)
