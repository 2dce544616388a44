"""The registry's models on the stream: a promoted one judges within a round, a tampered one does not."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

import mitra.live_models
from ingest.contract.plant import Plant
from ingest.contract.reasons import sentence
from ingest.contract.rows import Condition, FeatureRow
from mitra.live_models import LiveModels
from mitra.models_file import ModelsFile, models_now, read_models
from models.online.layout import CHALLENGER_COLUMN, CHAMPION_COLUMN
from models.registry import Evaluation, GatePolicy, GoldenCase, Registry, Signer, Tally
from models.registry import judge as ask_gate
from models.registry.manifest import FileEntry, Manifest, sha256
from models.stream import Settings, dump, judge, load, new_state
from models.training import join, to_files
from models.training.detectors import KINDS, scale_of_healthy
from models.training.shadow import LiveModel, agreement
from models.training.train import BatchModel

NAMES = ("Pressure", "Flow", "Speed", "State")
COLUMNS = NAMES[:2]
MINUTE = 60_000_000_000
WHY = "Half a year more of data"
SETTINGS = Settings(warmup_rows=20, warmup_s=0.0, settle_s=0.0, memory_s=86_400.0, detectors=())


def rows(n, start=0, offset=0.0, machine="m0", seed=1):
    rng = np.random.default_rng([seed, start])
    found = []
    for i in range(start, start + n):
        values = [10 + offset + 0.1 * rng.standard_normal(), 5 + 0.1 * rng.standard_normal(), 1000.0, 2.0]
        found.append(FeatureRow(machine, (i + 1) * MINUTE, NAMES, np.array(values, np.float32)))
    return tuple(found)


def model_of(centre, seed=0):
    """An isolation forest that finds everything far from (centre, 5) strange."""
    rng = np.random.default_rng(seed)
    healthy = rng.standard_normal((400, 2)) * 0.1 + [centre, 5.0]
    detector = KINDS["isolation-forest"](healthy, np.zeros(400, bool), np.ones(400), seed)
    fresh = rng.standard_normal((400, 2)) * 0.1 + [centre, 5.0]
    return BatchModel(
        "isolation-forest",
        COLUMNS,
        detector,
        scale_of_healthy(detector.raw(fresh)),
        7 * 24 * 3600 * 10**9,
        0.0,
    )


@cache
def files_of(centre):
    """As the registry takes them; a forest is dear to grow and to write, and no test changes it."""
    return to_files(model_of(centre))


def draft():
    return Manifest(
        name="forest",
        version=1,
        kind="isolation-forest",
        created_ns=1,
        data_sha256=sha256(b"rows"),
        data_from_ns=0,
        data_to_ns=1,
        code_version="1",
        seed=0,
        files=(FileEntry("unsigned-draft", sha256(b""), 0),),
        metrics=(),
        limits=(),
        notes=(),
    )


@pytest.fixture
def registry(tmp_path: Path):
    """Version 1 knows this machine's pressure; version 2 was taught that 20 is healthy."""
    found, signer = Registry(tmp_path / "registry"), Signer.new()
    found.trust("this-server", signer.public)
    for centre in (10.0, 20.0):
        manifest = found.add(draft(), files_of(centre), signer)
        found.challenge("forest", manifest.version, by="ani", reason=WHY, now_ns=1)
    return found


@pytest.fixture
def plant():
    machine = [{"id": f"m{i}", "name": f"Pump {i}", "gateway": "gw"} for i in range(2)]
    tables = {"plant": {"id": "works", "name": "Works"}, "gateway": [{"id": "gw"}], "machine": machine}
    return msgspec.convert(tables, Plant)


def promote(registry):
    golden = tuple(GoldenCase(f"c{i}", "pump", faulty=bool(i % 2)) for i in range(12))
    right = {case.case_id: case.faulty for case in golden}
    one = Evaluation("forest@1", {"pump": Tally(6, 0, 0, 200)}, right, 0.0)
    two = Evaluation("forest@2", {"pump": Tally(6, 0, 0, 200)}, right, 0.0)
    verdict = ask_gate(one, two, golden, GatePolicy())
    assert verdict.passed
    registry.promote("forest", verdict, by="ani", reason=WHY, now_ns=2)


def a_round(live, state, some):
    """The stream's thread takes rows one by one; the other scores after each."""
    said, stored = [], []
    for row in some:
        (with_words,) = live.attach((row,))
        stored.append(with_words)
        said += judge(state, (with_words,), (), row.time_ns)[1]
        live.refresh()
        live.score()
    return said, stored


def test_a_promoted_model_judges_live_within_a_round_and_rollback_restores(registry, plant):
    live, state = LiveModels(registry.root), new_state(plant, SETTINGS)
    said, _ = a_round(live, state, rows(60))
    assert [(one.label, str(one.alias)) for one in live.models] == [
        ("forest@1", "champion"),
        ("forest@2", "challenger"),
    ]
    assert said[-1].condition is Condition.NORMAL, (
        "the challenger finds it strange, but only the champion speaks"
    )
    promote(registry)
    said, _ = a_round(live, state, rows(20, 60))
    assert said[-1].condition is Condition.WARNING, "version 2 was taught another pressure"
    assert said[-1].health_by_component["process"] < 70
    reason = next(one for one in said[-1].reasons if one.code == "champion_finds")
    assert "forest@2" in sentence(reason, "id")
    assert max(one.score for one in said) < 0.8, "the machine's own evidence is calm"
    registry.rollback("forest", by="ani", reason="It cries wolf on this pump", now_ns=3)
    said, _ = a_round(live, state, rows(30, 80))
    assert [one.label for one in live.models] == ["forest@1"]
    assert said[-1].condition is Condition.NORMAL


def test_a_tampered_model_is_refused_in_words_and_the_stream_goes_on(registry, plant):
    live, state = LiveModels(registry.root), new_state(plant, SETTINGS)
    a_round(live, state, rows(30))
    path = registry.root / "models" / "forest" / "1" / "model.skops"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    said, stored = a_round(live, state, rows(30, 30))
    assert [one.label for one in live.models] == ["forest@2"], "the challenger still shadows"
    assert "forest@1" in live.refused[0]
    assert "not what was signed" in live.refused[0]
    assert said[-1].condition is Condition.NORMAL
    assert not [name for name in stored[-1].names if name.startswith(CHAMPION_COLUMN)]


def test_a_folder_that_is_not_there_or_broken_judges_nothing(tmp_path, registry):
    assert LiveModels(tmp_path / "nowhere").score() == 0
    (registry.root / "history.jsonl").write_text("not json\n", "utf-8")
    live = LiveModels(registry.root)
    live.refresh()
    assert live.models == ()
    assert "cannot be read" in live.refused[0]


def test_a_model_that_breaks_while_scoring_is_told_until_the_next_decision(registry, monkeypatch):
    live = LiveModels(registry.root)
    live.attach(rows(1))

    def broken(_self, _rows):
        raise ZeroDivisionError("no spread")

    with monkeypatch.context() as patch:
        patch.setattr(LiveModel, "words", broken)
        live.round()
    assert live.models == ()
    assert "ZeroDivisionError" in live.refused[0]
    live.attach(rows(1, start=1))
    live.round()
    assert "ZeroDivisionError" in live.refused[0], "it is not tried again each minute"
    promote(registry)
    live.round()
    assert next(one.label for one in live.models) == "forest@2"
    assert live.refused == ()


def test_words_are_stored_with_rows_and_a_replay_finds_the_same(registry, plant):
    live, state = LiveModels(registry.root), new_state(plant, SETTINGS)
    _, stored = a_round(live, state, rows(40))
    middle = dump(state)
    _, after = a_round(live, state, rows(40, 40, offset=3.0))
    columns = [name for name in after[-1].names if name.startswith("Mitra/")]
    assert columns == [CHAMPION_COLUMN + "forest@1", CHALLENGER_COLUMN + "forest@2"]
    again = load(middle, plant)
    judge(again, after, (), after[-1].time_ns)
    assert dump(again) == dump(state)
    assert again.champion == "forest@1"
    frame = join({"m0": parts(stored + after)}, {})
    assert frame.columns == tuple(sorted(NAMES)), "what a model said of a row is no feature to learn from"


def parts(stored):
    names = tuple(sorted({name for row in stored for name in row.names}))
    values = np.full((len(stored), len(names)), np.nan)
    for i, row in enumerate(stored):
        values[i, [names.index(name) for name in row.names]] = row.values
    return np.array([row.time_ns for row in stored]), names, values


def test_live_words_say_on_which_days_the_two_agree(registry, plant):
    state, day = new_state(plant, SETTINGS), 24 * 60
    stored = []
    for start, offset in ((0, 0.0), (day, 10.0), (2 * day, 5.0)):
        stored += a_round(LiveModels(registry.root), state, rows(10, start, offset))[1]
    found = agreement({"m0": parts(stored)}, "forest@1", "forest@2")
    assert (found.days, found.both, found.only_champion, found.only_challenger) == (3, 1, 1, 1)
    assert agreement({"m0": parts(stored)}, "forest@1", "forest@9").days == 0
    counted = load(dump(state), plant).side_by_side.agreement()
    assert (counted.days, counted.both, counted.only_champion, counted.only_challenger) == (3, 1, 1, 1)
    assert (counted.champion, counted.challenger) == ("forest@1", "forest@2")
    late = load(dump(state), plant)
    judge(late, stored[-5:], (), stored[-1].time_ns)
    assert late.side_by_side.agreement() == counted, "days are not counted twice"


def test_historical_rows_and_other_machines_get_no_word(registry):
    live = LiveModels(registry.root)
    live.refresh()
    live.attach(rows(1))
    assert live.score() == 1
    old = FeatureRow("m0", 1, NAMES, rows(1)[0].values, historical=True)
    other = rows(1, machine="m1")[0]
    assert live.attach((old, other)) == (old, other)
    assert len(live.attach(rows(1, 1))[0].names) == len(NAMES) + 2
    assert live.attach(rows(1, 2))[0].names == NAMES, "a word is said once"


def test_the_file_of_models_says_what_judges_now(registry, plant, tmp_path):
    live, state = LiveModels(registry.root), new_state(plant, SETTINGS)
    a_round(live, state, rows(30))
    state.drift.found.append((5, "m0", "Flow", 0.0, 0.4))
    file = ModelsFile(tmp_path / "models.json", live, clock=iter([1.0, 2.0, 70.0]).__next__)
    assert file.consider(state, 7)
    assert not file.consider(state, 8)
    assert file.consider(state, 9)
    found = read_models(tmp_path / "models.json")
    assert found == models_now(state, live, 9)
    assert [one.machine for one in found.panel] == ["m0"]
    assert found.drift[0].feature == "Flow"
    assert read_models(tmp_path / "nothing.json") is None


def test_a_promotion_while_the_folder_is_read_judges_in_the_next_round(registry, monkeypatch):
    live, really, once = LiveModels(registry.root), mitra.live_models.live_models, [promote]

    def somebody_promotes(folder, name):
        found = really(folder, name)
        if once:
            once.pop()(registry)
        return found

    monkeypatch.setattr(mitra.live_models, "live_models", somebody_promotes)
    live.refresh()
    assert champions(live) == ["forest@1"]
    live.refresh()
    assert champions(live) == ["forest@2"]


def test_a_promotion_while_scoring_breaks_is_tried_in_the_next_round(registry, monkeypatch):
    live, once = LiveModels(registry.root), [promote]

    def breaks():
        if once:
            once.pop()(registry)
            raise ZeroDivisionError("an odd model")

    monkeypatch.setattr(live, "score", breaks)
    live.round()
    assert live.models == ()
    assert "an odd model" in live.refused[0]
    live.round()
    assert champions(live) == ["forest@2"]
    once.append(lambda _registry: None)
    live.round()
    assert live.models == ()
    live.round()
    assert live.models == (), "what broke is not tried again before somebody has decided something"


def champions(live):
    return [one.label for one in live.models if one.alias == "champion"]
