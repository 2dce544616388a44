"""The gate between challenger and champion."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.registry import Evaluation, GatePolicy, GateVerdict, GoldenCase, Tally, judge

GOLDEN = tuple(GoldenCase(f"case-{k}", "pumps", k % 2 == 0) for k in range(10))
RIGHT = {case.case_id: case.faulty for case in GOLDEN}


def evaluation(label: str, golden: dict[str, bool] = RIGHT, **groups: Tally) -> Evaluation:
    return Evaluation(label, dict(groups), golden, label_noise=0.0)


def failed(verdict: GateVerdict) -> set[tuple[str, str]]:
    return {(finding.code, finding.group) for finding in verdict.failures}


CHAMPION = evaluation("m@1", pumps=Tally(6, 2, 3, 200), fans=Tally(4, 1, 1, 100))


def test_a_better_challenger_passes() -> None:
    better = evaluation("m@2", pumps=Tally(8, 0, 2, 200), fans=Tally(4, 1, 0, 100))
    assert judge(CHAMPION, better, GOLDEN).passed


def test_one_group_that_loses_a_fault_stops_all() -> None:
    torn = evaluation("m@2", pumps=Tally(8, 0, 0, 200), fans=Tally(3, 2, 0, 100))
    assert failed(judge(CHAMPION, torn, GOLDEN)) == {("not_worse", "fans")}


def test_many_more_false_alarms_in_one_group_stop_all() -> None:
    noisy = evaluation("m@2", pumps=Tally(8, 0, 3, 200), fans=Tally(5, 0, 20, 100))
    assert failed(judge(CHAMPION, noisy, GOLDEN)) == {("not_worse", "fans")}


def test_little_evidence_is_not_enough() -> None:
    few = evaluation("m@1", pumps=Tally(2, 0, 0, 20))
    assert failed(judge(few, evaluation("m@2", pumps=Tally(2, 0, 0, 20)), GOLDEN)) == {
        ("enough_faults", ""),
        ("enough_healthy", ""),
    }


def test_a_lost_golden_case_stops_a_challenger_that_is_better_elsewhere() -> None:
    forgot = evaluation(
        "m@2", {**RIGHT, "case-0": False}, pumps=Tally(8, 0, 0, 200), fans=Tally(5, 0, 0, 100)
    )
    assert failed(judge(CHAMPION, forgot, GOLDEN)) == {("golden_kept", "")}


def test_without_a_golden_set_nothing_is_promoted() -> None:
    assert ("enough_golden", "") in failed(judge(CHAMPION, CHAMPION, ()))


def test_models_replayed_on_different_histories_are_not_compared() -> None:
    with pytest.raises(ValueError, match="same machine groups"):
        judge(CHAMPION, evaluation("m@2", pumps=Tally(1, 0, 0, 5)), GOLDEN)
    with pytest.raises(ValueError, match="every golden case"):
        judge(CHAMPION, Evaluation("m@2", CHAMPION.groups, {}), GOLDEN)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 50))
def test_a_model_is_never_worse_than_itself(caught: int, missed: int, false_alarms: int) -> None:
    same = evaluation("m@1", pumps=Tally(caught, missed, false_alarms, 100))
    assert all(f.passed for f in judge(same, same, GOLDEN).findings if f.code in {"not_worse", "golden_kept"})


def test_labels_that_nobody_could_check_promote_nothing_and_are_not_called_clean() -> None:
    better = evaluation("m@2", pumps=Tally(8, 0, 2, 200), fans=Tally(4, 1, 0, 100))
    verdict = judge(CHAMPION, replace(better, label_noise=None), GOLDEN)
    assert failed(verdict) == {("labels_unmeasured", "")}
    assert "not measured" in verdict.failures[0].detail
    assert "%" not in verdict.failures[0].detail
    assert judge(
        CHAMPION, replace(better, label_noise=None), GOLDEN, GatePolicy(unmeasured_may_pass=True)
    ).passed
