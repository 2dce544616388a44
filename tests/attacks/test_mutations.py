"""A few thousand of the mutations that `benchmarks.mutations` makes by the million."""

from __future__ import annotations

from benchmarks.mutations import run


def test_mutations_stop_nothing_break_nothing_and_each_has_a_code_and_a_receipt() -> None:
    found = run((2_000, 5))
    tally = found["tally"]
    assert tally.get("unauthorised", 0) == 0
    assert tally.get("uncaught", 0) == 0
    assert tally["tried"] == tally["receipts"] == sum(found["refused"].values())
    assert len(found["refused"]) >= 15
