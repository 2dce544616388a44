"""Every example of the documentation builds."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.sensors import SENSORS, build
from ingest.contract.plant import Plant

TEXT = (Path(__file__).parents[3] / "docs" / "sensors.md").read_text("utf-8")
EXAMPLES = [
    tomllib.loads(block)["machine"]["sensor"] for block in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
]


@pytest.mark.parametrize("table", EXAMPLES, ids=lambda table: str(table["kind"]))
def test_every_example_builds(
    table: dict[str, object], plant_with: Callable[..., Plant], tmp_path: Path
) -> None:
    plant = plant_with(**table)
    assert build(plant, plant.machine[0], tmp_path).trouble is None


def test_every_kind_has_an_example() -> None:
    assert {table["kind"] for table in EXAMPLES} == set(SENSORS)
