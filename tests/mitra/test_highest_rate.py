"""How the pipeline benchmark decides that a rate was held, and searches for the highest one."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.pipeline import held, highest
from benchmarks.whole_path import cores

CALM = {"lost": 0, "drained_s": 0.9, "window_waited_s": 0.0, "p99_ms": 60.0}


def test_a_rate_is_held_when_all_is_stored_and_no_queue_grew() -> None:
    assert held(CALM)


@pytest.mark.parametrize(
    "worse", [{"lost": 1}, {"drained_s": 2.5}, {"window_waited_s": 1.0}, {"p99_ms": 1_500.0}]
)
def test_whatever_is_lost_waits_or_comes_late_is_not_held(worse: dict[str, Any]) -> None:
    assert not held(CALM | worse)


@pytest.mark.parametrize(("limit", "expected"), [(900.0, 750.0), (3_400.0, 3_250.0), (5_000.0, 5_000.0)])
def test_the_highest_rate_is_found_to_a_quarter_thousand(limit: float, expected: float) -> None:
    best, phases = highest(lambda rate: CALM | {"lost": int(rate > limit)})
    assert best == expected
    assert max(one["asked_per_s"] for one in phases if one["held"]) == expected


def test_one_burst_of_a_stranger_does_not_end_the_search() -> None:
    asked: list[float] = []

    def measure(rate: float) -> dict[str, Any]:
        asked.append(rate)
        return CALM | {"lost": int(rate > 2_100 or asked == [1_000.0, 2_000.0])}

    assert highest(measure)[0] == 2_000.0


def test_what_limits_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 2, 3})
    spent = {"server": 12.0, "broker": 2.0, "edge": 1.0, "loop": 9.5, "machine": 16.0}
    found = cores(spent, 10.0)
    assert found["limit"] == "the server's loop"
    assert found["cores_of_strangers"] == 0.1
    assert cores(spent | {"machine": 39.0}, 10.0)["limit"] == "cores"
    assert cores(spent | {"loop": 3.0}, 10.0)["limit"] == "nothing measured here"
