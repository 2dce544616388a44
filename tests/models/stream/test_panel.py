"""The panel on the stream: relations between quantities that each stay where they always were."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from msgspec import structs

from ingest.contract.actions import Action, ActionKind
from ingest.contract.plant import Plant
from ingest.contract.reasons import sentence
from ingest.contract.rows import Condition, FeatureRow
from models.online.columns import COMPONENTS
from models.online.directions import directions
from models.online.members import MEMBERS
from models.online.panel import progress, progress_of_all, rows_needed
from models.online.panel_memory import RIVER, Q
from models.persist import VERSION, dump
from models.settings import DETECTORS
from models.stream import Settings, judge, load, new_state
from tests.old_dumps import as_before, in_the_old_frame

NAMES = ("Pressure", "Flow", "Level", "Valve", "Speed", "State")
MINUTE = 60_000_000_000
SETTINGS = Settings(warmup_rows=60, warmup_s=0.0, settle_s=0.0, memory_s=86_400.0)
HEALTHY, BROKEN = 1_200, 150
TOLD = ("relation_broke", "rare_together")


def pump(n, broken=0, machine="m0", seed=1):
    """A pump whose flow follows its pressure; in the last rows it goes the other way, within its range."""
    rng = np.random.default_rng(seed)
    common, rows = 0.0, []
    for i in range(n + broken):
        common = 0.9 * common + np.sqrt(1 - 0.81) * rng.standard_normal()
        sign = -1.0 if i >= n else 1.0
        noise = rng.standard_normal(4)
        values = [10 + common + 0.15 * noise[0], 5 + 0.5 * sign * common + 0.08 * noise[1]]
        values += [3 + 0.2 * noise[2], 1 + 0.1 * noise[3], 1000.0, 2.0]
        rows.append(FeatureRow(machine, (i + 1) * MINUTE, NAMES, np.array(values, np.float32)))
    return rows


@pytest.fixture(scope="module")
def machines():
    tables = {"plant": {"id": "works", "name": "Works"}, "gateway": [{"id": "gw"}]}
    tables["machine"] = [{"id": f"m{i}", "name": f"Pump {i}", "gateway": "gw"} for i in range(3)]
    return tables


@pytest.fixture(scope="module")
def plant(machines):
    return msgspec.convert(machines, Plant)


def run(state, rows, size=50):
    said, alarms = [], []
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        _, judgements, changes, _ = judge(state, batch, (), batch[-1].time_ns)
        said += judgements
        alarms += changes
    return said, alarms


@pytest.fixture
def learned(plant):
    state = new_state(plant, SETTINGS)
    said, alarms = run(state, pump(HEALTHY, BROKEN)[:HEALTHY])
    assert not alarms
    assert all(one.condition in {Condition.LEARNING, Condition.NORMAL} for one in said)
    return state


def test_a_relation_that_broke_brings_a_machine_to_warning_and_is_named_in_both_languages(learned):
    said, alarms = run(learned, pump(HEALTHY, BROKEN)[HEALTHY:])
    first = next(i for i, one in enumerate(said) if one.condition is Condition.WARNING)
    assert first < 60
    reasons = [reason for one in said for reason in one.reasons if reason.code == "relation_broke"]
    assert {reasons[0].values["channel"], reasons[0].values["other"]} == {"Pressure", "Flow"}
    assert "Flow" in sentence(reasons[0], "en")
    assert "Flow" in sentence(reasons[0], "id")
    assert min(one.health_by_component["process"] for one in said) < 70
    assert not alarms, "the panel warns; it never raises an alarm by itself"
    score = max(one.score for one in said)
    assert score < 0.8, "each quantity alone stays in its range"


def test_without_the_panel_nobody_sees_it(plant):
    state = new_state(plant, replace(SETTINGS, detectors=()))
    said, _ = run(state, pump(HEALTHY, BROKEN))
    assert Condition.WARNING not in {one.condition for one in said}


def test_what_the_panel_finds_strange_does_not_teach_it(learned):
    known = learned.panel.cov[0].copy()
    rows = pump(HEALTHY, 1_500)[HEALTHY:]
    said, _ = run(learned, rows)
    assert said[-1].condition is Condition.WARNING
    assert abs(learned.panel.cov[0] - known).max() < 0.5 * abs(known).max()


def test_warm_up_is_known_and_nothing_is_said_before_it_ends(plant):
    state = new_state(plant, SETTINGS)
    rows = pump(HEALTHY)
    steps = []
    for row in rows[:800]:
        judge(state, [row], (), row.time_ns)
        steps.append(progress(state.panel, state.dial, 0))
    assert steps[0] < 0 or steps[0] == 0
    assert steps[-1] == 1.0
    needed = rows_needed(state.dial, 4)
    assert needed <= next(i for i, step in enumerate(steps) if step == 1.0) <= 4 * needed
    early = new_state(plant, SETTINGS)
    said, _ = run(early, pump(int(needed) // 2, 60))
    assert not {reason.code for one in said for reason in one.reasons} & set(TOLD)


def test_maintenance_lets_the_panel_of_that_machine_start_again(learned):
    run(learned, pump(HEALTHY, machine="m1"))
    action = Action(
        "a1", ActionKind.MAINTENANCE, "ani", HEALTHY * MINUTE, "m0", values={"component": "process"}
    )
    judge(learned, (), (action,), HEALTHY * MINUTE)
    assert learned.panel.n_places[0] == 0
    assert learned.panel.learned[0] == 0
    assert progress(learned.panel, learned.dial, 1) == 1.0
    each = [progress(learned.panel, learned.dial, m) for m in range(len(learned.machines))]
    assert progress_of_all(learned.panel, learned.dial).tolist() == each


@pytest.mark.parametrize("size", [1, 7, 300])
def test_how_rows_are_cut_changes_no_bit_of_the_panel(plant, size):
    whole, cut = new_state(plant, SETTINGS), new_state(plant, SETTINGS)
    rows = sorted((*pump(400, 40), *pump(400, 40, "m1", 2)), key=lambda row: row.time_ns)
    said = run(whole, rows, 50)[0]
    assert run(cut, rows, size)[0] == said
    assert dump(cut) == dump(whole)
    assert whole.panel.learned[0] > 0


def test_a_restart_goes_on_with_the_same_bits_in_the_middle_of_a_warning(learned, plant):
    rows = pump(HEALTHY, BROKEN)[HEALTHY:]
    run(learned, rows[:60])
    assert learned.panel.stands[0] == 1
    again = load(dump(learned), plant)
    assert run(again, rows[60:])[0] == run(learned, rows[60:])[0]
    assert dump(again) == dump(learned)


def test_a_state_saved_before_there_was_a_panel_loads_and_its_panel_is_in_warm_up(learned, plant):
    body = as_before(dump(learned))
    assert body["version"] == VERSION
    del (
        body["panel"],
        body["champion"],
        body["drift"],
        body["member"],
        body["side_by_side"],
        body["settings"]["detectors"],
    )
    state = load(in_the_old_frame({**body, "version": 1}), plant)
    np.testing.assert_array_equal(state.memory.mean, learned.memory.mean)
    assert state.panel.n_places.tolist() == [0, 0, 0]
    assert state.settings.detectors == DETECTORS[:2]
    said, _ = run(state, pump(HEALTHY, BROKEN)[HEALTHY:])
    assert not {reason.code for one in said for reason in one.reasons} & set(TOLD)


def test_machines_that_stay_well_are_as_silent_as_was_asked_for(plant):
    state = new_state(plant, SETTINGS)
    warned = 0
    for seed in range(3):
        said, alarms = run(state, pump(6_000, machine=f"m{seed}", seed=seed + 10), 500)
        warned += sum(one.condition is Condition.WARNING for one in said)
        assert not alarms
    assert warned == 0, "12 machine-days at one false alarm in ten months"
    assert (state.panel.scale[:, Q, 2] > 4_000).all()


def test_a_panel_takes_little_room(learned):
    assert sum(array[0].nbytes for array in learned.panel) < 6_000
    assert COMPONENTS[-1] == "process"


def test_detectors_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="at most one of river"):
        Settings(detectors=("crystal_ball",))
    with pytest.raises(ValueError, match="at most one of river"):
        Settings(detectors=DETECTORS)


def test_directions_are_those_of_linear_algebra():
    rng = np.random.default_rng(5)
    for n in (1, 2, 7, 12):
        rows = rng.standard_normal((50, n)) @ rng.standard_normal((n, n))
        cov = np.cov(rows, rowvar=False).reshape(n, n)
        axes, variance = np.zeros((n, n)), np.zeros(n)
        directions(np.tril(cov), axes, variance)
        np.testing.assert_allclose(variance, np.linalg.eigvalsh(cov)[::-1], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(axes.T @ np.diag(variance) @ axes, cov, rtol=1e-9, atol=1e-9)


def test_a_level_that_changed_for_good_is_found_once_and_named_and_no_alarm(plant):
    state = new_state(plant, SETTINGS)
    rows = pump(24 * 60 * 4)
    shift = np.array([0, 0, 0.25, 0, 0, 0], np.float32)
    later = [
        FeatureRow("m0", row.time_ns + rows[-1].time_ns, NAMES, row.values + shift)
        for row in pump(24 * 60 * 3, seed=2)
    ]
    run(state, rows, 500)
    calm = len(state.drift.found)
    run(state, later, 500)
    assert calm == 0
    assert {feature for _, _, feature, _, _ in state.drift.found} >= {"Level"}
    assert len(state.drift.found) < 10
    again = load(dump(state), plant)
    assert list(again.drift.found) == list(state.drift.found)
    assert dump(again) == dump(state)


@pytest.mark.parametrize("name", [name for name, maker in MEMBERS.items() if maker])
def test_a_detector_of_river_sits_on_the_panel_and_no_cut_or_restart_changes_a_bit(plant, name):
    settings = replace(SETTINGS, detectors=("t2_q", name))
    whole, cut = new_state(plant, settings), new_state(plant, settings)
    rows = sorted((*pump(600), *pump(400, 0, "m1", 2)), key=lambda row: row.time_ns)
    said = run(whole, rows, 64)[0]
    assert run(cut, rows[:550], 7)[0] == said[:550]
    cut = load(dump(cut), plant)
    assert run(cut, rows[550:], 31)[0] == said[550:]
    assert dump(cut) == dump(whole)
    assert whole.panel.scale[0, RIVER, 2] > 100, "it is calibrated like the others"
    assert whole.panel.given[0, 1] == 1
    assert not whole.panel.stands.any()
    forgotten = Action("a1", ActionKind.MAINTENANCE, "ani", rows[-1].time_ns, "m0")
    judge(whole, (), (forgotten,), rows[-1].time_ns)
    run(whole, [structs.replace(row, time_ns=row.time_ns + rows[-1].time_ns) for row in pump(200)])
    assert len(whole.member.kept()[0]) < 100 < len(whole.member.kept()[1])


def test_the_table_of_members_is_what_settings_may_name():
    assert tuple(MEMBERS) == DETECTORS
