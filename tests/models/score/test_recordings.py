"""The claims on real recordings, when the recordings are there."""

from pathlib import Path

import pytest

from benchmarks.detection import bearings, cmapss, gearbox, nab, skab
from benchmarks.detection.figures import MissingSetError, SetReport
from tests.recordings import DATA


def missed(report: SetReport) -> list[str]:
    return [f"{one.name}: {one.value:.4g}" for one in report.figures if one.met is False]


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"MITRA_DATA has no {name} folder")


@pytest.mark.recordings
@needs("skab")
def test_skab_goals_are_met() -> None:
    assert missed(skab.measure(DATA)) == []


@pytest.mark.full
@pytest.mark.recordings
@needs("nab")
def test_nab_goals_are_met() -> None:
    assert missed(nab.measure(DATA)) == []


@pytest.mark.full
@pytest.mark.recordings
@needs("cmapss")
def test_cmapss_goals_are_met() -> None:
    assert missed(cmapss.measure(DATA)) == []


@pytest.mark.full
@pytest.mark.recordings
@needs("ims")
def test_ims_goals_are_met() -> None:
    assert missed(bearings.measure_ims(DATA)) == []


@pytest.mark.full
@pytest.mark.recordings
@needs("femto")
def test_femto_goals_are_met() -> None:
    assert missed(bearings.measure_femto(DATA)) == []


@pytest.mark.full
@pytest.mark.recordings
@needs("gearbox")
def test_gearbox_goals_are_met() -> None:
    assert missed(gearbox.measure(DATA)) == []


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingSetError, match="skab is missing"):
        skab.measure(tmp_path)
