"""A batch model as an MLflow model, and back: no pickle on the way, hashes and signature checked at loading.

MLflow's `python_function` flavour names this module as the loader; the data beside it are the registry's own
files. Needs the extra `mlflow` (mlflow-skinny and pandas, both permissive).
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from models.registry.manifest import from_bytes, sha256
from models.registry.signing import UntrustedModelError, verify
from models.training.content import from_files
from models.training.frame import Frame

if TYPE_CHECKING:
    from models.registry.store import Registry
    from models.training.train import BatchModel

MANIFEST, SIGNATURE, SIGNERS = "manifest.json", "manifest.sig", "signers.txt"
DATA = "mitra"


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """What `mlflow.pyfunc.load_model` hands out."""

    model: BatchModel

    def predict(self, table: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """`score` in [0, 1] and `alarm`, a row for a row; columns that the table lacks are missing."""
        columns = tuple(name for name in self.model.columns if name in table.columns)
        values = table[list(columns)].to_numpy(np.float64) if columns else np.zeros((len(table), 0))
        zeros = np.zeros(len(table), np.int64)
        frame = Frame(zeros, zeros, values, columns, ("any",), ("any",))
        score = self.model.score(frame)
        return pd.DataFrame({"score": score, "alarm": score >= self.model.scale.level}, index=table.index)


def save(registry: Registry, name: str, version: int, out: Path) -> None:
    """Write a version of the registry as an MLflow model into a new folder.

    Raises UntrustedModelError when the version does not verify, FileExistsError when out is there.
    """
    if out.exists():
        raise FileExistsError(out)
    held = registry.load(name, version)
    model = from_files(held.files)
    signed = registry.root / "models" / name / str(version)
    inputs = Schema([ColSpec("double", column, required=False) for column in model.columns])
    outputs = Schema([ColSpec("double", "score"), ColSpec("boolean", "alarm")])
    with TemporaryDirectory() as scratch:
        data = Path(scratch) / DATA
        data.mkdir()
        for file, content in held.files.items():
            (data / file).write_bytes(content)
        (data / MANIFEST).write_bytes(held.manifest.to_bytes())
        (data / SIGNATURE).write_bytes((signed / SIGNATURE).read_bytes())
        (data / SIGNERS).write_text("".join(f"{key.hex()}\n" for key in sorted(registry.trusted())), "ascii")
        _quietly(
            path=str(out),
            loader_module=__name__,
            data_path=str(data),
            signature=ModelSignature(inputs, outputs),
            pip_requirements=[f"ayo-mitra[server,mlflow]=={held.manifest.code_version}"],
            metadata={
                "mitra": held.manifest.label,
                "kind": held.manifest.kind,
                "data_sha256": held.manifest.data_sha256,
                "level": float(model.scale.level),
            },
        )


def _quietly(**options: Any) -> None:
    """MLflow warns at length of what does not concern a model without a server; errors still raise."""
    log = logging.getLogger("mlflow")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mlflow.pyfunc.save_model(**options)
    finally:
        log.setLevel(before)


def _load_pyfunc(path: str) -> Scorer:
    """Called by MLflow with the data folder.

    The signature is checked against the keys that were exported with it: that shows a copy damaged or changed
    in part, not who made it; compare `signers.txt` with your registry's keys for that. Raises
    UntrustedModelError.
    """
    folder = Path(path)
    keys = frozenset(bytes.fromhex(line) for line in (folder / SIGNERS).read_text("ascii").split())
    data = (folder / MANIFEST).read_bytes()
    verify(data, (folder / SIGNATURE).read_bytes(), keys)
    files = {}
    for entry in from_bytes(data).files:
        content = (folder / entry.name).read_bytes()
        if sha256(content) != entry.sha256:
            raise UntrustedModelError(f"{entry.name} is not what was signed. Export the model again.")
        files[entry.name] = content
    return Scorer(from_files(files))
