"""What each feature adds to a score: exact sums where there are any, the right column everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.contract.actions import Verdict
from models.explain.contributions import SENTENCES, contributions, reasons, sentence
from models.labels import Label
from models.score import score_table
from models.training import KINDS, BatchModel, Frame, from_files, join, to_files, train

HOUR = 3600 * 10**9
DAY = 24 * HOUR
START = 20_000 * DAY
COLUMNS = ("a", "b", "c", "d")
FAULT = 2  # the column that fails


def plant() -> tuple[Frame, list[Label]]:
    """Eight machines; column c of every second one is high before it fails; a and b go together."""
    rng = np.random.default_rng(11)
    times = START + np.arange(0, 20 * DAY, 2 * HOUR)
    days = (times - START) / DAY
    parts, labels = {}, []
    for k in range(8):
        values = rng.normal(10.0, 1.0, (len(times), 4))
        values[:, 1] = values[:, 0] + rng.normal(0, 0.2, len(times))
        if k % 2 == 0:
            values[:, FAULT] += np.where((days > 13) & (days < 15.5), 12.0, 0.0)
            at = START + 15 * DAY
            labels.append(
                Label(f"l{k}", f"m-{k}", Verdict.CONFIRMED, at, at + 6 * HOUR, at + DAY, "Siti", "seal")
            )
        parts[f"m-{k}"] = (times, COLUMNS, values)
    return join(parts, {}), labels


FRAME, LABELS = plant()


@pytest.fixture(scope="module", params=list(KINDS))
def model(request: pytest.FixtureRequest) -> BatchModel:
    trained = train("m", request.param, FRAME, LABELS, created_ns=START, code_version="t", horizon_ns=2 * DAY)
    return from_files(to_files(trained.model))  # as the registry gives it back


def row_at(machine: str, day: float) -> int:
    rows = FRAME.of(machine)
    return rows.start + int(np.searchsorted(FRAME.time_ns[rows], START + int(day * DAY)))


def test_the_column_that_fails_contributes_most(model: BatchModel) -> None:
    sick = np.array([row_at("m-0", 14), row_at("m-4", 14.5)])
    added = contributions(model, FRAME, sick)
    assert added.shape == (2, 4)
    assert added.argmax(axis=1).tolist() == [FAULT, FAULT]
    first = reasons(model, FRAME, int(sick[0]))
    assert first[0].code == "batch_high"
    assert first[0].values["channel"] == "c"
    assert sum(one.weight for one in first) <= 1.0 + 1e-9
    assert len(first) <= 3


def test_t2_and_q_are_split_without_rest_and_a_broken_relation_is_blamed() -> None:
    trained = train("m", "pca-t2-q", FRAME, LABELS, created_ns=START, code_version="t", horizon_ns=2 * DAY)
    rows, raw = np.arange(200), trained.model.detector.raw(FRAME.values[:200])
    assert np.allclose(contributions(trained.model, FRAME, rows).sum(axis=1), raw)
    odd = FRAME.values[:1].copy()
    odd[0, :2] = (8.0, 12.0)  # each usual by itself, never together
    alone = join({"m": (FRAME.time_ns[:1], COLUMNS, odd)}, {})
    assert {one.values["channel"] for one in reasons(trained.model, alone, 0)[:2]} == {"a", "b"}


def test_a_row_in_the_middle_has_little_to_say_and_words_are_in_both_languages(model: BatchModel) -> None:
    middle = join({"m": (FRAME.time_ns[:1], COLUMNS, np.median(FRAME.values, axis=0)[None])}, {})
    assert np.abs(contributions(model, middle, slice(0, 1))).max() < 0.2
    for code, said in SENTENCES.items():
        assert said["en"] != said["id"], code
    told = reasons(model, FRAME, row_at("m-0", 14))[0]
    assert sentence(told, "en") != sentence(told, "id")


def test_every_channel_contributes_to_the_online_score() -> None:
    values = np.random.default_rng(2).normal(0.0, 1.0, (400, 3))
    values[300:, 1] += 9.0
    judged = score_table(values, channels=("a", "b", "c"), fit_rows=200)
    assert judged.statistic.shape == (400, 3)
    assert np.abs(judged.statistic[350]).argmax() == 1
    assert judged.reasons(350)[0].values["channel"] == "b"
