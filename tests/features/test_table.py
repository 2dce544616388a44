"""The tables: complete, without doubles, and the same as the documentation."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from features.listing import features_markdown
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
