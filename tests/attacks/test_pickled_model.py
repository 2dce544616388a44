"""Attack: a model file that runs a program when it is loaded."""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path

import pytest

from models.registry import FileEntry, Manifest, Metric, Registry, Signer, UntrustedModelError
from models.training import KINDS, TrainingError, from_files


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


def draft() -> Manifest:
    return Manifest(
        name="bearings",
        version=1,
        kind="isolation-forest",
        created_ns=1_700_000_000_000_000_000,
        data_sha256="0" * 64,
        data_from_ns=1,
        data_to_ns=2,
        code_version="0.1.0",
        seed=0,
        files=(FileEntry("model.skops", "0" * 64, 0),),
        metrics=(Metric("recall", 0.8, 0.6, 0.9, 20, "pumps"),),
        limits=(),
    )


def test_pickled_model_put_in_place_of_a_signed_one_is_never_read(tmp_path: Path) -> None:
    signer = Signer.new()
    registry = Registry(tmp_path / "models")
    registry.trust("training", signer.public)
    registry.add(draft(), {"model.skops": b"honest"}, signer)
    trace = tmp_path / "owned"
    bomb = pickle.dumps(Bomb(trace))
    for path in (tmp_path / "models").rglob("model.skops"):
        path.chmod(0o644)
        path.write_bytes(bomb)
    with pytest.raises(UntrustedModelError):
        registry.load("bearings", 1)
    assert not trace.exists()


def test_pickled_model_signed_by_a_stranger_is_never_read(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    registry.trust("training", Signer.new().public)
    trace = tmp_path / "owned"
    registry.add(draft(), {"model.skops": pickle.dumps(Bomb(trace))}, Signer.new())
    with pytest.raises(UntrustedModelError):
        registry.load("bearings", 1)
    assert not trace.exists()


def test_pickled_model_even_when_signed_is_not_unpickled(tmp_path: Path) -> None:
    """A trusted signer was fooled: the content is still not run."""
    trace = tmp_path / "owned"
    bomb = pickle.dumps(Bomb(trace))
    for name in ("model.skops", "model.pkl", "model.json", "meta.json"):
        for kind in sorted(KINDS):
            with pytest.raises((TrainingError, ValueError, KeyError)):
                from_files({name: bomb, "kind": kind.encode()})
    assert not trace.exists()
    assert any(code.name == "REDUCE" for code, _, _ in pickletools.genops(bomb))


def test_no_module_of_ours_loads_a_pickle() -> None:
    root = Path(__file__).parents[2]
    words = ("pickle.load", "joblib.load", "cloudpickle", "allow_pickle=True", "torch.load", "dill.")
    for package in ("control", "dashboards", "edge", "features", "ingest", "mitra", "models", "simulators"):
        for path in (root / package).rglob("*.py"):
            text = path.read_text()
            assert not [word for word in words if word in text], path
