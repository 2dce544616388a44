"""A signed model leaves for MLflow and comes back with the same scores; a changed copy is not loaded."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

from models.registry import Registry, Signer, UntrustedModelError
from models.training import KINDS, to_files
from tests.models.training.test_training import learnt, plant

pytestmark = pytest.mark.full
pytest.importorskip("mlflow")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    os.environ.update({"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_UV_AUTO_DETECT": "false"})
    registry, signer = Registry(tmp_path_factory.mktemp("registry")), Signer.new()
    registry.trust("training", signer.public)
    for kind in KINDS:
        registry.add(learnt(kind).manifest, to_files(learnt(kind).model), signer)
    return registry


@pytest.mark.parametrize("version", range(1, len(KINDS) + 1))
def test_mlflow_gives_the_same_scores(registry: Registry, tmp_path: Path, version: int) -> None:
    pyfunc, pandas = importlib.import_module("mlflow.pyfunc"), importlib.import_module("pandas")
    importlib.import_module("models.exchange.mlflow_model").save(registry, "plant", version, tmp_path / "out")
    frame, _ = plant()
    model = learnt(tuple(KINDS)[version - 1]).model
    table = pandas.DataFrame(frame.values, columns=list(frame.columns))[list(frame.columns)[::-1]]
    said = pyfunc.load_model(str(tmp_path / "out")).predict(table)
    assert np.array_equal(said["score"].to_numpy(), model.score(frame))
    assert np.array_equal(said["alarm"].to_numpy(), model.strange(frame))
    files = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files >= {"MLmodel", "model.skops", "manifest.json", "manifest.sig", "signers.txt"}
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".lock"))]


def test_missing_columns_are_missing_and_a_changed_copy_is_not_loaded(
    registry: Registry, tmp_path: Path
) -> None:
    pyfunc, pandas = importlib.import_module("mlflow.pyfunc"), importlib.import_module("pandas")
    save = importlib.import_module("models.exchange.mlflow_model").save
    save(registry, "plant", 2, tmp_path / "out")
    few = pandas.DataFrame({"rms": [1.0, 50.0]})
    said = pyfunc.load_model(str(tmp_path / "out")).predict(few)
    assert said["alarm"].tolist() == [False, True]
    with pytest.raises(FileExistsError):
        save(registry, "plant", 2, tmp_path / "out")
    (changed,) = (tmp_path / "out").rglob("model.skops")
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    with pytest.raises(UntrustedModelError, match="not what was signed"):
        pyfunc.load_model(str(tmp_path / "out"))
