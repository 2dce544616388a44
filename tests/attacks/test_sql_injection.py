"""Attack: text that a database could take for a command."""

from __future__ import annotations

import ast
import sqlite3
from pathlib import Path

import pytest

from control.technician import RefusedError
from tests.approval_rig import WholePlant

HOSTILE = [
    "x' OR '1'='1",
    "x'; DROP TABLE proposal; --",
    'x" OR ""="',
    "x) UNION SELECT * FROM receipt --",
    "%",
    "_",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_injection_in_ids_and_reasons_is_only_text(plant: WholePlant, text: str) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    for method, path, body in (
        ("GET", f"/api/v1/proposals/{text}", None),
        ("POST", f"/api/v1/proposals/{text}/rejection", {"reason": "because"}),
        ("GET", f"/api/v1/proposals?state={text}", None),
        ("GET", f"/api/v1/audit?before={text}", None),
    ):
        with pytest.raises(RefusedError, match=r"not_found|bad_field|404"):
            budi._call(method, path, body)
    assert budi.reject(shown["id"], text + " is why")["state"] == "denied"
    assert budi.proposal(shown["id"])["events"][-1]["detail"] == text + " is why"
    database = sqlite3.connect(Path(plant.settings.state_dir) / "control.sqlite")
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    assert {"proposal", "approval", "event", "receipt", "held", "seen"} <= tables


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_injection_from_analytics_is_refused_or_only_text(plant: WholePlant, text: str) -> None:
    for field in ("machine", "dedup_key", "model_id"):
        with pytest.raises(ValueError, match=field):
            plant.request("fan-1", **{field: text})
    assert plant.request("fan-1", reason=text) is None
    (detail,) = plant.service.desks["plant-1"].listing(is_open=True)
    assert detail.request.reason == text


def test_no_query_of_control_or_the_actuator_is_built_from_values() -> None:
    """Every execute() gets a constant, or constants joined: never an f-string, % or format."""
    root = Path(__file__).parents[2]
    found = 0
    for folder in ("control", "edge/actuator"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in {"execute", "executemany", "executescript"}
                ):
                    found += 1
                    assert isinstance(node.args[0], ast.Constant | ast.Name | ast.BinOp | ast.IfExp), path
    assert found > 30
