"""Remaining life: what a run table may look like, what a model promises, what a model file may hold."""

import csv
import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rul import (
    ModelFileError,
    Runs,
    RunTableError,
    predict,
    predict_rows,
    read_runs,
    run_predict,
    run_train,
    train,
)
from models.rul.conformal import calibrate, weighted_quantile
from models.rul.files import from_bytes, to_bytes
from models.rul.windows import clusters, features, prepare


def fleet(units: int, seed: int, regimes: int = 1) -> Runs:
    """Units that wear out after 60 to 120 cycles; a column rises with wear, one only wanders."""
    rng = np.random.default_rng(seed)
    unit, cycle, values = [], [], []
    for u in range(units):
        life = int(rng.integers(60, 121))
        t = np.arange(1, life + 1)
        regime = rng.integers(0, regimes, life)
        wear = np.exp((t - life) / 15) * 4
        values.append(
            np.column_stack(
                [regime * 20.0, wear + rng.normal(0, 0.15, life) + 50 * regime, rng.normal(size=life)]
            )
        )
        unit.append(np.full(life, u))
        cycle.append(t)
    return Runs(
        np.concatenate(unit),
        np.concatenate(cycle).astype(float),
        np.vstack(values),
        ("setting_1", "level", "noise"),
        (0,),
        tuple(str(u + 1) for u in range(units)),
    )


@pytest.fixture(scope="module")
def trained() -> object:
    return train(fleet(24, 1))


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds are made once instead of three times: enough where only files and words are looked at."""
    monkeypatch.setattr("models.rul.life.REPEATS", 1)


def write(path: Path, runs: Runs, header: bool = True, sep: str = ",") -> Path:
    lines = [sep.join(["unit", "cycle", *runs.columns])] if header else []
    for u, c, row in zip(runs.unit, runs.cycle, runs.values, strict=True):
        lines.append(sep.join([str(u + 1), f"{c:g}", *(f"{v:.5f}" for v in row)]))
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_life_is_told_near_failure_and_intervals_cover_new_units(trained) -> None:
    fresh = fleet(60, 2)
    rul, lower, upper = predict_rows(trained, fresh)
    truth = np.minimum(fresh.remaining(), trained.cap_cycles)
    near = truth < 25
    assert np.sqrt(np.mean((rul - truth)[near] ** 2)) < 8.0
    assert 0.84 <= np.mean((truth >= lower) & (truth <= upper)) <= 0.99
    assert (lower <= rul).all()
    assert (rul <= upper).all()


def test_each_row_knows_its_past_only(trained) -> None:
    runs = fleet(3, 5)
    early = runs.pick(runs.cycle <= 40)
    rul, _, _ = predict_rows(trained, runs)
    assert np.allclose(predict_rows(trained, early)[0], rul[runs.cycle <= 40])


@pytest.mark.usefixtures("once")
def test_training_twice_gives_the_same_model() -> None:
    runs, fresh = fleet(10, 3), fleet(4, 4)
    assert predict(train(runs, seed=7), fresh) == predict(train(runs, seed=7), fresh)


def test_regimes_do_not_hide_wear() -> None:
    runs = fleet(20, 6, regimes=3)
    scaled = prepare(runs)
    assert scaled.mean.shape[0] == 3
    level = features(runs, scaled)[:, 0]
    assert abs(np.corrcoef(level, runs.values[:, 0])[0, 1]) < 0.2


def test_a_rounded_setting_that_moves_no_sensor_is_no_regime() -> None:
    runs = fleet(20, 6)
    rounded = np.random.default_rng(1).integers(0, 8, len(runs.unit)) * 0.1
    values = np.column_stack([rounded, runs.values[:, 1:], np.full(len(rounded), 518.67)])
    columns = (*runs.columns, "constant")
    scaled = prepare(Runs(runs.unit, runs.cycle, values, columns, (0,), runs.names))
    assert len(clusters(rounded)) == 8
    assert scaled.mean.shape[0] == 1


def test_settings_without_gaps_are_one_regime() -> None:
    assert len(clusters(np.random.default_rng(0).normal(size=500))) == 1


@pytest.mark.usefixtures("once")
def test_a_model_file_gives_bit_equal_predictions() -> None:
    trained, fresh = train(fleet(10, 1)), fleet(5, 8)
    assert predict(from_bytes(to_bytes(trained)), fresh) == predict(trained, fresh)


@pytest.mark.usefixtures("once")
def test_train_and_predict_on_files(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.csv", fleet(5, 1)), write(tmp_path / "two.csv.gz", fleet(5, 2))
    model = run_train([one, two], tmp_path / "life.skops")
    assert model.units == 10
    told = run_predict(
        tmp_path / "life.skops", write(tmp_path / "new.csv", fleet(3, 9)), tmp_path / "out.csv"
    )
    rows = list(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert list(rows[0]) == ["unit", "rul", "lower", "upper"]
    assert [row["unit"] for row in rows] == ["1", "2", "3"]
    assert [float(row["rul"]) for row in rows] == [pytest.approx(p.rul, abs=0.006) for p in told]


def test_a_space_separated_table_without_header_reads_as_one_with(tmp_path: Path) -> None:
    runs = fleet(3, 1)
    with_header = read_runs([write(tmp_path / "a.csv", runs)])
    without = read_runs([write(tmp_path / "b.txt", runs, header=False, sep=" ")])
    assert np.array_equal(with_header.values, without.values)
    assert without.columns == ("column_3", "column_4", "column_5")


def test_rows_out_of_order_are_sorted(tmp_path: Path) -> None:
    runs = fleet(3, 1)
    path = write(tmp_path / "a.csv", runs)
    lines = path.read_text("utf-8").splitlines()
    (tmp_path / "b.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n", "utf-8")
    assert np.array_equal(read_runs([tmp_path / "b.csv"]).values, read_runs([path]).values)


def test_a_pickle_or_a_foreign_type_is_never_loaded(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not a model file"):
        from_bytes(pickle.dumps({"format": 1}))
    with pytest.raises(ModelFileError, match="types that a life model never has"):
        from_bytes(skops.io.dumps({"format": 1, "columns": Path("x")}))
    with pytest.raises(ModelFileError, match="another version"):
        from_bytes(skops.io.dumps({"format": 99}))


def test_few_failures_are_said_to_be_few() -> None:
    with pytest.raises(RunTableError, match="9 failed units; at least 10"):
        train(fleet(9, 1))


@pytest.mark.parametrize(
    "text", ["", "unit,cycle,x\n", "1 2\n", "unit,cycle,x\n1,1,2\n1,2\n", "unit,cycle,x\na,1,2\n"]
)
def test_a_table_that_is_no_run_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(RunTableError):
        read_runs([path])


def test_other_columns_than_trained_on_are_refused(trained) -> None:
    runs = fleet(2, 1)
    other = Runs(runs.unit, runs.cycle, runs.values, ("a", "b", "c"), (), runs.names)
    with pytest.raises(RunTableError, match="was trained on"):
        predict(trained, other)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_a_weighted_quantile_with_equal_weights_is_an_order_statistic(
    values: list[float], level: float
) -> None:
    x = np.array(values)
    found = weighted_quantile(x, np.full(len(x), 1 / len(x)), level)
    assert found in x
    assert np.mean(x <= found) >= level - 1e-9


def test_few_units_get_one_honest_interval_and_too_few_none() -> None:
    rng = np.random.default_rng(0)
    unit = np.repeat(np.arange(12), 20)
    predicted = rng.uniform(0, 100, 240)
    found = calibrate(predicted, predicted + rng.normal(0, 5, 240), unit)
    assert len(found.knots) == 1
    with pytest.raises(ValueError, match="10 failed units"):
        calibrate(predicted[:180], predicted[:180], unit[:180])
