"""Runs know exactly what came, and say it within the limits of a watermark."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.contract.limits import MAX_COMMITTED_RANGES
from ingest.runs import Runs


@given(st.lists(st.integers(0, 60), max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_runs_equal_a_set_and_their_changes_rebuild_them(seqs: list[int], takes: list[int]) -> None:
    runs, follower, plain, stored = Runs(), Runs(), set[int](), dict[int, int]()
    for i, seq in enumerate(seqs):
        assert runs.add(seq) is (seq not in plain)
        plain.add(seq)
        if i in takes:
            _store(stored, runs, follower)
    _store(stored, runs, follower)
    assert sorted(stored.items()) == runs.pairs()
    assert follower.pairs() == runs.pairs()
    assert {seq for first, last in runs.pairs() for seq in range(first, last + 1)} == plain
    assert all((seq in runs) is (seq in plain) for seq in range(62))
    assert all(one[1] + 1 < two[0] for one, two in zip(runs.pairs(), runs.pairs()[1:], strict=False))


def _store(stored: dict[int, int], runs: Runs, follower: Runs) -> None:
    gone, came = runs.take_changes()
    follower.apply(gone, came)
    for first in gone:
        stored.pop(first, None)
    stored.update(came)


@given(st.sets(st.integers(0, 40), max_size=41))
def test_a_watermark_never_claims_what_did_not_come(seqs: set[int]) -> None:
    runs = Runs()
    for seq in sorted(seqs, reverse=True):
        runs.add(seq)
    runs.touch(seqs)
    said = runs.committed(3)
    assert {seq for seq in range(50) if said.holds(seq)} == seqs


def test_holes_for_good_do_not_hide_what_comes_after_them() -> None:
    runs = Runs()
    for seq in range(0, 4 * MAX_COMMITTED_RANGES, 2):
        runs.add(seq)
    runs.committed(1)
    for seq in (7, 4 * MAX_COMMITTED_RANGES - 2):
        runs.add(seq)
        runs.touch([seq])
    said = runs.committed(1)
    assert len(said.ranges) == MAX_COMMITTED_RANGES
    assert said.holds(7)
    assert said.holds(4 * MAX_COMMITTED_RANGES - 2)


def test_an_old_outbox_is_known_to_be_empty_only_when_nothing_is_missing() -> None:
    runs = Runs([(0, 4), (8, 9)])
    assert runs.whole_before(5)
    assert not runs.whole_before(10)
