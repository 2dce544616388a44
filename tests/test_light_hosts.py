"""A gateway and the control service are small machines: what runs there loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "dask", "duckdb", "features", "fastapi", "h5py", "influxdb_client", "matplotlib", "models", "numba",
    "numpy", "pandas", "pyarrow", "quixstreams", "river", "scipy", "sklearn", "skops",
}  # fmt: skip
LOOK = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


def loaded(*modules: str) -> set[str]:
    """Top-level packages in a fresh interpreter after importing these."""
    answer = subprocess.run(
        [sys.executable, "-c", LOOK, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(answer.stdout))


def modules_of(folder: str, *without: str) -> list[str]:
    """Every module under a folder but those that a plant file has to ask for."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith(without) and not name.endswith("__main__"):
            found.append(name)
    assert len(found) > 3
    return found


def test_the_contract_loads_nothing_heavy_and_no_io() -> None:
    packages = loaded(*modules_of("ingest/contract"))
    assert packages & (HEAVY | {"paho", "sqlite3"}) == set()


def test_the_edge_agent_loads_nothing_heavy() -> None:
    # Sensors are loaded one by one, as the plant file names them: that is where numpy may come in.
    packages = loaded("edge.__main__", "edge.sensors", *modules_of("edge", "edge.sensors."))
    assert packages & HEAVY == set()


def test_the_actuator_loads_nothing_heavy_and_no_web() -> None:
    packages = loaded("edge.actuator.__main__", *modules_of("edge/actuator"))
    assert packages & (HEAVY | {"starlette", "uvicorn", "jinja2"}) == set()


def test_control_loads_nothing_heavy() -> None:
    if not (ROOT / "control" / "__main__.py").exists():
        pytest.fail("control has no __main__: this test has to follow where it starts")
    packages = loaded("control.__main__", *modules_of("control"))
    assert packages & (HEAVY - {"fastapi"}) == set()


def test_edge_and_control_never_load_each_other() -> None:
    assert "control" not in loaded("edge.__main__", "edge.actuator.__main__")
    assert "edge" not in loaded("control.__main__")
