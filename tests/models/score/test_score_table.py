"""What a table's score promises, whatever the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.score import score_table, sentence
from models.score.novelty import AlarmPace, nearest_precedent, over_own_history, paced_score
from models.score.table import filled


def noisy_cycle(rows: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 10 + 3 * np.sin(np.arange(rows) * 2 * np.pi / 96) + rng.normal(0, 0.2, rows)


@pytest.mark.parametrize("fit_rows", [None, 200])
def test_a_row_is_judged_by_earlier_rows_only(fit_rows: int | None) -> None:
    x = np.stack([noisy_cycle(900), noisy_cycle(900, 4)], axis=1)
    changed = x.copy()
    changed[700:] += 50.0
    before = score_table(x, fit_rows=fit_rows)
    after = score_table(changed, fit_rows=fit_rows)
    assert np.array_equal(before.score[:700], after.score[:700])
    assert not np.array_equal(before.score[700:], after.score[700:])


@pytest.mark.parametrize("fit_rows", [None, 200])
def test_an_alarm_is_a_score_of_a_half_and_learning_rows_have_none(fit_rows: int | None) -> None:
    x = noisy_cycle(800)
    x[600:640] += 20.0
    judged = score_table(x, fit_rows=fit_rows)
    assert np.array_equal(judged.alarm, judged.score >= 0.5)
    assert judged.alarm[judged.learning_rows :].any()
    assert not judged.score[: judged.learning_rows].any()
    assert judged.score.min() >= 0.0
    assert judged.score.max() <= 1.0


def test_a_lasting_departure_from_a_baseline_stays_alarmed_and_ends_when_it_ends() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal([32.0, 80.0], [0.4, 0.5], (900, 2))
    x[500:700, 0] -= 2.0
    judged = score_table(x, channels=("flow", "temperature"), fit_rows=300)
    assert not judged.alarm[:500].any()
    assert judged.alarm[512:700].all()
    assert not judged.alarm[715:].any()
    assert judged.reasons(600)[0].code == "score_level_low"
    assert judged.reasons(600)[0].values["channel"] == "flow"


def test_a_sick_machine_does_not_teach_its_baseline() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(32.0, 0.4, 6000)
    x[500:] -= 2.0
    assert score_table(x, fit_rows=300).alarm[520:].all()


def test_a_channel_that_wanders_while_healthy_may_wander_on() -> None:
    rng = np.random.default_rng(5)
    wander = np.cumsum(rng.normal(0, 0.3, 1500))
    assert score_table(wander, fit_rows=400).alarm[400:].mean() < 0.05


def test_a_shape_without_precedent_alarms_and_recurring_ones_do_not() -> None:
    x = noisy_cycle(2000)
    x[1500:1530] = x[1500:1530].mean()  # a flat stretch inside the usual range: no limit would see it
    judged = score_table(x)
    rows = np.flatnonzero(judged.alarm)
    assert any(1500 <= row <= 1560 for row in rows)
    assert sum(not 1500 <= row <= 1560 for row in rows) <= 2


def test_many_healthy_channels_alarm_hardly_more_than_one() -> None:
    rng = np.random.default_rng(6)
    many = score_table(rng.normal(size=(1500, 12)))
    assert many.alarm.sum() <= 3


def test_nearest_precedent_agrees_with_a_plain_search() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=60)
    rows = 4
    found = nearest_precedent(x, rows, True, 8192)
    for i in range(2 * rows - 1, len(x)):
        here = x[i - rows + 1 : i + 1]
        plain = min(
            np.sqrt(np.mean((here - x[j - rows + 1 : j + 1]) ** 2)) for j in range(rows - 1, i - rows + 1)
        )
        assert found[i] == pytest.approx(plain)


def test_the_running_quantile_forgets_what_left_the_history() -> None:
    rng = np.random.default_rng(9)
    distance = rng.exponential(size=400)
    floor = np.zeros(400)
    ratio = over_own_history(distance, floor, 100, 50, 0.9)
    for i in (50, 99, 100, 101, 250, 399):
        past = distance[max(0, i - 100) : i]
        middle = np.median(past)
        expected = max(distance[i] - middle, 0.0) / (np.quantile(past, 0.9) - middle)
        assert ratio[i] == pytest.approx(expected)


def test_one_event_is_one_alarm() -> None:
    statistic = np.zeros(200)
    statistic[50:70] = 5.0
    statistic[150] = 5.0
    assert np.flatnonzero(paced_score(statistic, 10, AlarmPace()) >= 0.5).tolist() == [50, 150]


def test_holes_are_filled_forwards_and_counted() -> None:
    x = np.column_stack([noisy_cycle(400), noisy_cycle(400, 7)])
    x[100:110, 0] = np.nan
    x[5, 1] = np.inf
    judged = score_table(x)
    assert judged.missing == 11
    assert np.isfinite(judged.score).all()


@pytest.mark.parametrize("fit_rows", [None, 100])
@pytest.mark.parametrize("value", [0.0, 21.5, np.nan])
def test_a_channel_that_never_moves_never_alarms(fit_rows: int | None, value: float) -> None:
    assert not score_table(np.full(500, value), fit_rows=fit_rows).alarm.any()


@given(rows=st.integers(1, 90), columns=st.integers(1, 3), scale=st.sampled_from([1e-12, 1.0, 1e12]))
@settings(max_examples=40, deadline=None)
def test_any_table_gets_finite_scores(rows: int, columns: int, scale: float) -> None:
    rng = np.random.default_rng(rows)
    judged = score_table(rng.normal(size=(rows, columns)) * scale)
    assert judged.score.shape == (rows,)
    assert np.isfinite(judged.score).all()


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((0, 2), {}),
        ((10, 0), {}),
        ((100, 1), {"fit_rows": 39}),
        ((10, 300), {}),
        ((100, 1), {"probation": 0.0}),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused(shape: tuple[int, int], options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"\d"):
        score_table(np.zeros(shape), **options)


def test_filling_leaves_whole_tables_alone() -> None:
    x = noisy_cycle(50)[:, None]
    same, missing = filled(x)
    assert np.array_equal(same, x)
    assert missing == 0


def test_reasons_speak_both_languages() -> None:
    x = noisy_cycle(900)
    x[700:] += 9.0
    reason = score_table(x, channels=("Suhu",), fit_rows=300).reasons(800)[0]
    assert sentence(reason, "en").startswith("Suhu is above its healthy level")
    assert sentence(reason, "id").startswith("Suhu di atas tingkat sehatnya")
