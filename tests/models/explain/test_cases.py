"""Similar past cases in a history: the same kind of fault is found on another machine."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.contract.actions import Verdict
from models.explain.cases import departure, similar_cases
from models.labels import Label
from models.training import Frame, join

HOUR = 3600 * 10**9
DAY = 24 * HOUR
START = 20_000 * DAY
COLUMNS = ("kurtosis", "rms", "temperature")
HOT, WORN = np.array([0.0, 0.0, 9.0]), np.array([6.0, 4.0, 0.0])


def plant() -> tuple[Frame, tuple[Label, ...]]:
    """Six machines: a and b wore out, c ran hot, d was a false alarm that looked hot; e wears, f is calm."""
    rng = np.random.default_rng(3)
    times = START + np.arange(0, 40 * DAY, HOUR)
    days = (times - START) / DAY
    shapes = {
        "a": (10, WORN),
        "b": (15, WORN * 0.7),
        "c": (20, HOT),
        "d": (25, HOT * 0.5),
        "e": (38, WORN * 0.4),
    }
    parts, labels = {}, []
    for name in "abcdef":
        values = rng.normal(0.0, 1.0, (len(times), 3)) + rng.uniform(5, 50, 3)
        if name in shapes:
            day, shape = shapes[name]
            values += np.where((days > day - 1) & (days < day + 1), 1.0, 0.0)[:, None] * shape
        parts[name] = (times, COLUMNS, values)
        if name in "abcd":
            at = START + shapes[name][0] * DAY
            word = Verdict.FALSE_ALARM if name == "d" else Verdict.CONFIRMED
            fault = {"c": "overheating", "d": ""}.get(name, "bearing_outer")
            labels.append(Label(f"l-{name}", name, word, at, at + 6 * HOUR, at + DAY, "Siti", fault))
    return join(parts, {}), tuple(labels)


def test_the_most_alike_case_is_the_same_fault_on_another_machine() -> None:
    frame, labels = plant()
    found = similar_cases(frame, labels, "e", START + 38 * DAY)
    assert [one.label.machine for one in found[:2]] == ["a", "b"] or [
        one.label.machine for one in found[:2]
    ] == ["b", "a"]
    assert all(one.likeness > 0.9 for one in found[:2])
    assert set(found[0].shared) == {"kurtosis", "rms"}
    assert found[0].lead_hours == pytest.approx(29.0)  # the hours of its last day and of the fault
    assert {one.label.machine for one in found if one.likeness > 0.5} == {"a", "b"}


def test_a_false_alarm_that_looked_the_same_is_told_and_the_future_is_not() -> None:
    frame, labels = plant()
    hot = similar_cases(frame, labels, "d", START + 25 * DAY)
    assert hot[0].label.machine == "c"
    again = similar_cases(frame, labels, "c", START + 20 * DAY)
    assert {one.label.machine for one in again} <= {"a", "b"}  # d came later, and c is not its own past


def test_nothing_is_like_a_calm_machine_and_too_little_history_says_nothing() -> None:
    frame, labels = plant()
    assert departure(frame, labels, "f", START + 30 * DAY) == {}
    assert similar_cases(frame, labels, "f", START + 30 * DAY) == ()
    assert departure(frame, labels, "a", START + HOUR) == {}
    with pytest.raises(ValueError, match="tuple"):
        similar_cases(frame, labels, "z", START + 30 * DAY)
