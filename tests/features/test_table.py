"""The tables: complete, without doubles, and the same as the documentation."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from benchmarks.features import measure_dear
from features.listing import cadence_of, features_markdown, round_us
from features.rounds import ROUND_FEATURES
from features.table import FEATURE_NAMES, FEATURES, ON_DEMAND, VECTOR_FEATURES

DOCS = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_documentation_is_the_table():
    assert DOCS.read_text("utf-8") == features_markdown() + "\n"


def test_names_are_unique_and_end_in_their_unit():
    assert len(set(FEATURE_NAMES)) == len(FEATURES) >= 46
    suffix = {"g": "_g", "Hz": "_hz", "mm/s": "_mm_s", "um": "_um"}
    for feature in (*FEATURES, *VECTOR_FEATURES):
        assert feature.unit == "1" or feature.name.endswith(suffix[feature.unit])
        assert feature.fault


def test_amplitudes_scale_and_ratios_do_not():
    for feature in FEATURES:
        assert feature.source
        assert feature.degree == int(feature.unit in ("g", "mm/s", "um"))


def test_what_is_listed_on_demand_exists():
    for entry in ON_DEMAND:
        module, name = entry.function.rsplit(".", 1)
        assert callable(getattr(import_module(module), name))


def test_every_slow_column_is_listed_with_its_cadence():
    text = features_markdown()
    for feature in ROUND_FEATURES:
        assert f"| `{feature.name}` | {feature.unit} |" in text
        assert cadence_of(feature.name) in {entry.cadence for entry in ON_DEMAND}


def test_the_cost_of_what_is_dear_can_be_measured_again():
    measured = measure_dear(8_192, repeats=1)
    assert set(measured) == {entry.function for entry in ON_DEMAND}
    assert all(cost > 0 for cost in measured.values())
    assert round_us() < 10
