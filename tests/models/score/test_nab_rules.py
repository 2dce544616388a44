"""Our implementation of the benchmark's rules, checked by hand and against its published scores."""

import numpy as np
import pytest
from scipy.special import erfc

from benchmarks.detection import nab
from benchmarks.detection.nab_rules import Window, file_score, normalised, probation_rows
from tests.recordings import DATA as RECORDINGS

DATA = RECORDINGS / "nab"
WINDOW = Window(400, 499)


def alarms(*rows: int, n: int = 1000) -> np.ndarray:
    found = np.zeros(n, bool)
    found[list(rows)] = True
    return found


def test_only_the_earliest_hit_of_a_window_counts() -> None:
    assert file_score(alarms(400), [WINDOW]) == pytest.approx(1.0)
    assert file_score(alarms(400, 450, 499), [WINDOW]) == pytest.approx(1.0)
    assert 0.0 < file_score(alarms(499), [WINDOW]) < file_score(alarms(450), [WINDOW])


def test_misses_and_far_false_alarms_cost_their_full_weight() -> None:
    assert file_score(alarms(), [WINDOW]) == -1.0
    assert file_score(alarms(300), [WINDOW]) == pytest.approx(-1.11)
    assert file_score(alarms(900), [WINDOW]) == pytest.approx(-1.11)
    assert file_score(alarms(500), [WINDOW]) > -1.01  # just after a window is nearly right


def test_probation_is_not_scored() -> None:
    assert file_score(alarms(10, 149), []) == 0.0
    assert file_score(alarms(150), []) == pytest.approx(-0.11)


def windowed_gaussian(x: np.ndarray) -> np.ndarray:
    """The benchmark's simplest detector, from its description: two-tailed normal of all rows so far."""
    score = np.zeros(len(x))
    for row in range(1, len(x)):
        spread = np.std(x[:row]) or 1e-6
        score[row] = 1 - 0.5 * erfc(abs(x[row] - np.mean(x[:row])) / spread / 1.4142)
    return score


@pytest.mark.recordings
@pytest.mark.skipif(not DATA.is_dir(), reason="MITRA_DATA has no nab folder")
def test_published_scores_of_a_detector_are_reproduced() -> None:
    theirs = nab.published(DATA, "windowedGaussian")
    names = nab.series_names(DATA)
    assert len(names) == 35
    for name in names:
        values, windows = nab.series(DATA, name)
        alarm = windowed_gaussian(values) >= 1.0 - 5e-13  # published scores have 12 digits
        assert file_score(alarm, windows) == pytest.approx(theirs[name], abs=2e-3), name


@pytest.mark.recordings
@pytest.mark.skipif(not DATA.is_dir(), reason="MITRA_DATA has no nab folder")
def test_doing_nothing_scores_zero_as_published() -> None:
    theirs = nab.published(DATA, "null")
    total = windows_total = 0.0
    for name in nab.series_names(DATA):
        values, windows = nab.series(DATA, name)
        quiet = file_score(np.zeros(len(values), bool), windows)
        assert quiet == theirs[name]
        total += quiet
        windows_total += len(windows)
    assert normalised(total, int(windows_total)) == 0.0
    assert probation_rows(5000) == 750
