"""The rate that the project promises, against the FFT measured in the same run."""

from __future__ import annotations

import pytest

from benchmarks.features import GOALS, measure


@pytest.mark.full
def test_features_are_made_at_a_third_of_the_rate_of_the_fft():
    result = measure(8_192, rounds=3)
    assert result["n_features"] >= 46
    for batch, goal in GOALS.items():
        assert result["ratio"][str(batch)] >= goal
