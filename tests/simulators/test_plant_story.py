"""The plant story runs through the production features and models, and prints what it found."""

from __future__ import annotations

import json

import pytest

from benchmarks import plant_story


@pytest.mark.full
def test_a_short_story_is_told_whole(capsys: pytest.CaptureFixture[str]) -> None:
    plant_story.main(["--days", "30", "--machines", "4", "--seeds", "3", "--mtbf-days", "12", "--json"])
    told = json.loads(capsys.readouterr().out)
    watches = told["watches"]
    assert set(watches) == {"run_to_failure", "monthly_round", "mitra"}
    assert watches["run_to_failure"]["breakdowns"] > 0
    assert watches["mitra"]["calls"] > 0
    assert watches["mitra"]["breakdowns"] <= watches["run_to_failure"]["breakdowns"]
    assert told["founding_story"]["oee_pct"] == 18.0
    assert isinstance(told["mitra_against_run_to_failure"]["unplanned_downtime_pct"], float)
