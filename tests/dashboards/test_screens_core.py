"""The pure middle: the picture, what people said folded, spectra, configuration, vendored files."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from msgspec import structs

import dashboards
from benchmarks.written_plant import block, change, judged, plant_text
from dashboards.charts import waterfall_json
from dashboards.config import ConfigError, ScreensConfig, parse_config
from dashboards.desk_view import card, folded
from dashboards.language import Language
from dashboards.pages.alarms import last_reasons
from dashboards.pages.machine import ADVICE_NS, request_of
from dashboards.picture import Level, first_picture, needs_action, risk, urgency, with_changes
from dashboards.registry_files import EventFile, families, metric, standing
from dashboards.shifts import shift_now
from dashboards.spectra import amplitude_spectrum, cursor_lines, envelope_spectrum, samples_g, thinned
from ingest.contract.actions import Action, ActionKind
from ingest.contract.plant import parse_plant
from ingest.contract.rows import AlarmState, Condition, Judgement, Priority, Reason, StopAdvice
from ingest.contract.values import Waveform
from ingest.views import AdviceView, AlarmView, Latest

PLANT = parse_plant(plant_text(8))
VENDOR = Path(dashboards.__file__).parent / "static" / "vendor"


def latest(machine: str, judgement: Judgement | None, time_ns: int = 100) -> Latest:
    return Latest(
        machine,
        time_ns,
        time_ns,
        {"Temperature/bearing": (50.0, 1), "Temperature/ambient": (60.0, 1)},
        judgement,
    )


def view(
    machine: str, priority: Priority = Priority.HIGH, state: AlarmState = AlarmState.UNACKNOWLEDGED
) -> AlarmView:
    last = change(machine, "imbalance", priority, 50, state=state)
    return AlarmView(last.alarm_id, machine, 50, 50, last)


def test_what_was_never_heard_of_is_unknown_and_counted_apart() -> None:
    picture = first_picture(PLANT, ())
    counts = picture.counts(100, 10)
    assert counts.unknown == counts.total == 8
    assert all(one.level is Level.UNKNOWN for one in picture.machines.values())
    assert picture.needs() == ()


def test_the_worse_of_condition_and_zone_is_drawn() -> None:
    odd = Judgement("pump-001", 1, Condition.NORMAL, 0.0, 1.0, 90.0, "D")
    picture = with_changes(first_picture(PLANT, ()), [latest("pump-001", odd)], (), {})
    assert picture.machines["pump-001"].level is Level.ALARM
    assert needs_action(picture.machines["pump-001"])


def test_a_request_to_stop_is_shown_until_it_is_old_or_the_machine_stands_still() -> None:
    def shown(machine: str, condition: Condition, age_ns: int) -> bool:
        last = latest("pump-001", Judgement("pump-001", 1, condition, 0.9, 0.5, 5.0))
        now = with_changes(first_picture(PLANT, ()), [last], (), {}).machines[machine]
        advice = StopAdvice("pump-001", 1, "imbalance", 0.9, "imbalance", "online-1", (0, 1))
        return request_of(now, [AdviceView(1, 10**18, advice)], 10**18 + age_ns) is not None

    assert shown("pump-001", Condition.ALARM, 1)
    assert not shown("pump-001", Condition.ALARM, ADVICE_NS)
    assert not shown("pump-001", Condition.STOPPED, 1)
    assert not shown("fan-002", Condition.ALARM, 1)


def test_an_acknowledged_alarm_still_says_why() -> None:
    raised = structs.replace(
        change("pump-001", "imbalance", Priority.HIGH, 50), reasons=(Reason("order_1", {"factor": 3.0}),)
    )
    narrowed = structs.replace(raised, time_ns=60, reasons=(Reason("order_2", {"factor": 4.0}),))
    acknowledged = structs.replace(raised, time_ns=70, event="acknowledged", by="budi", reasons=())
    assert last_reasons((raised, narrowed, acknowledged)) == narrowed.reasons
    assert last_reasons((acknowledged,)) == ()


def test_stale_machines_leave_their_zone() -> None:
    sick = latest("pump-001", judged("pump-001", 1, "D", rated=True))
    picture = with_changes(first_picture(PLANT, ()), [sick], (), {})
    assert picture.counts(100, 10).by_zone["D"] == 1
    later = picture.counts(100 + 11 * 10**9, 10)
    assert (later.by_zone["D"], later.stale) == (0, 1)


def test_urgency_weighs_risk_criticality_and_time_left() -> None:
    picture = first_picture(PLANT, ())
    ids = list(picture.machines)
    sick = [latest(name, judged(name, 1, "D", rated=True)) for name in ids[:4]]
    picture = with_changes(picture, sick, (), {})
    order = [one.machine.criticality for one in picture.needs()]
    assert order == ["critical", "high", "normal", "low"]
    one = picture.machines[ids[0]]
    assert risk(one) == pytest.approx(0.93)
    assert urgency(one) > risk(one), "38 hours left make it more urgent"


def test_an_alarm_back_to_normal_leaves_the_picture() -> None:
    picture = with_changes(first_picture(PLANT, ()), (), [view("pump-001")], {})
    assert len(picture.machines["pump-001"].calling) == 1
    picture = with_changes(picture, (), [view("pump-001", state=AlarmState.NORMAL)], {})
    assert picture.machines["pump-001"].alarms == ()


def test_ambient_is_not_the_machine_and_strangers_are_named() -> None:
    picture = with_changes(
        first_picture(PLANT, ()), [latest("pump-001", None), latest("ghost", None)], (), {}
    )
    assert picture.machines["pump-001"].temperature_c == 50.0
    assert picture.strangers == ("ghost",)


def said(number: int, kind: ActionKind, **values: str | int | float) -> Action:
    return Action(f"id-{number:06d}", kind, "ani", number, "pump-001", "a", dict(values))


def test_an_undo_takes_back_one_word_and_the_next_word_stands() -> None:
    history = [said(1, ActionKind.VERDICT, verdict="confirmed"), said(2, ActionKind.UNDO, undoes="id-000001")]
    assert folded(history[::-1]).verdict is None
    history.append(said(3, ActionKind.VERDICT, verdict="not_sure"))
    found = folded(history[::-1]).verdict
    assert found is not None
    assert found.values["verdict"] == "not_sure"


def test_an_alarm_that_came_back_wants_a_new_acknowledgement() -> None:
    alarm = view("pump-001")
    assert card(alarm, folded([said(60, ActionKind.ACKNOWLEDGE)])).pending
    assert card(alarm, folded([said(10, ActionKind.ACKNOWLEDGE)])).wants_acknowledgement


def test_unshelving_ends_a_shelf_and_a_later_one_stands() -> None:
    first, end, again = said(1, ActionKind.SHELVE), said(2, ActionKind.UNSHELVE), said(3, ActionKind.SHELVE)
    assert folded([end, first]).shelved is None
    assert folded([again, end, first]).shelved == again


def test_the_envelope_shows_the_outer_race_where_its_cursor_stands() -> None:
    wave = block(1, faulty=True, start_ns=0)
    spectrum = envelope_spectrum(samples_g(wave), wave.rate_hz)
    loudest = float(spectrum.hz[spectrum.amplitude_g.argmax()])
    lines = {line.code: line.hz for line in cursor_lines(PLANT, PLANT.machine[0], 1480.0)}
    assert lines["bpfo"] == pytest.approx(88.4, abs=0.1)
    assert loudest == pytest.approx(88.4, abs=wave.rate_hz / wave.n_samples)


def test_thinning_keeps_the_peaks() -> None:
    wave = block(2, faulty=False, start_ns=0)
    whole = amplitude_spectrum(samples_g(wave), wave.rate_hz)
    few = thinned(whole, 200)
    assert len(few.hz) == 200
    assert few.amplitude_g.max() == whole.amplitude_g.max()
    assert np.all(np.diff(few.hz) > 0)


def test_cursors_say_what_they_lack() -> None:
    bare = parse_plant(plant_text(8).replace("rated_rpm = 1480.0", "")).machine
    lines = {line.code: line.missing for line in cursor_lines(PLANT, bare[1], None)}
    assert lines["1x"] == "shaft speed is unknown"
    assert "bearing" in lines["bpfo"]
    assert cursor_lines(PLANT, bare[0], 1480.0)[1].missing == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nonsense", "TOML"),
        ("plant = 'p'\njournal = 'j'\ndesk = 'd'\nprot = 80", "prot"),
        ("plant = 'p'\njournal = 'j'\ndesk = 'd'\nport = 99999", "port"),
        ("plant = 'p'\njournal = 'j'\ndesk = 'd'\npublic_url = 'plant'", "web address"),
        ("plant = 'p'\njournal = 'j'\ndesk = 'd'\nhost = '0.0.0.0'\nopen_roles = true", "open_roles"),
        ("plant = 'p'\njournal = 'j'\ndesk = 'd'\nbaseline_from = 2026-01-02", "baseline_to"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_sentence(text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        parse_config(text, Path("/etc/mitra"))


def test_paths_are_relative_to_the_file_and_the_value_is_frozen() -> None:
    config = parse_config("plant = 'p'\njournal = 'j'\ndesk = '/d'", Path("/etc/mitra"))
    assert (config.plant, config.desk, config.history_dir) == ("/etc/mitra/p", "/d", "")
    with pytest.raises(AttributeError):
        config.port = 1
    assert ScreensConfig(plant="", journal="", desk="", public_url="https://plant.example/").secure


def test_vendored_files_are_what_their_packages_published() -> None:
    files = json.loads((VENDOR / "manifest.json").read_text("utf-8"))["files"]
    assert {entry["file"] for entry in files} == {path.name for path in VENDOR.iterdir()} - {"manifest.json"}
    for entry in files:
        assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry[
            "file"
        ]
        assert entry["licence"] in ("0BSD", "MIT")
        assert (VENDOR / entry["licence_file"]).is_file()


def test_shifts_run_past_midnight() -> None:
    shifts = PLANT.shift
    config = ScreensConfig(plant="", journal="", desk="")
    assert config.stale_after_s > 0
    from_words = {"02": "Malam", "07": "Pagi", "15": "Siang", "23": "Malam"}
    for hour, name in from_words.items():
        assert shift_now(shifts, _local(f"2026-11-24T{hour}:30:00+07:00")) == name


def _local(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(ZoneInfo("Asia/Jakarta"))


def manifest(version: int, files: list[dict[str, object]]) -> dict[str, object]:
    figure = {"name": "recall", "value": 0.8, "lower": 0.6, "upper": 0.9, "count": 12, "group": ""}
    return {
        "format": 1,
        "name": "bearings",
        "version": version,
        "kind": "boosting",
        "created_ns": 1,
        "data_sha256": "a" * 64,
        "data_from_ns": 1,
        "data_to_ns": 2,
        "code_version": "1",
        "seed": 7,
        "files": files,
        "metrics": [figure],
        "limits": ["not below 600 rpm"],
        "notes": [],
    }


def event(step: str, version: int) -> EventFile:
    return EventFile(step, "bearings", version, "sari", "because it is better", version)


def test_the_registry_is_read_as_files_and_a_changed_file_is_broken(tmp_path: Path) -> None:
    for version in (1, 2):
        folder = tmp_path / "models" / "bearings" / str(version)
        folder.mkdir(parents=True)
        (folder / "model.skops").write_bytes(b"weights")
        entry = {"name": "model.skops", "sha256": hashlib.sha256(b"weights").hexdigest(), "size_bytes": 7}
        (folder / "manifest.json").write_text(json.dumps(manifest(version, [entry])))
    lines = [msgspec.json.encode(event(step, n)).decode() for step, n in (("first", 1), ("challenge", 2))]
    (tmp_path / "history.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (family,) = families(tmp_path)
    assert (family.champion.version, family.challenger.version) == (1, 2)
    figure = metric(family.champion, "recall", "")
    assert figure is not None
    assert figure.count == 12
    (tmp_path / "models" / "bearings" / "2" / "model.skops").write_bytes(b"other!!")
    assert families(tmp_path)[0].broken == ("bearings@2",)
    assert families(tmp_path / "nowhere") == ()


def test_standing_follows_promotion_rollback_and_refusal() -> None:
    events = (event("first", 1), event("challenge", 2), event("promote", 2))
    assert standing(events) == (2, None, (1,))
    assert standing((*events, event("rollback", 1))) == (1, None, ())
    assert standing((events[0], events[1], event("refuse", 2))) == (1, None, ())


def test_a_waterfall_shows_nothing_of_what_lies_above_its_axis() -> None:
    seconds = np.arange(8192) / 25_600
    counts = 100 * np.sin(2 * np.pi * 100 * seconds) + 10_000 * np.sin(2 * np.pi * 5_000 * seconds)
    loud_above = Waveform("x", counts.astype("<i2").tobytes(), "int16", 25_600.0, 0.001, 1_000_000_000)
    fall = waterfall_json([loud_above], Language("en", ZoneInfo("Asia/Jakarta"), "IDR"), 2_000.0)
    (row,) = fall["db"]
    assert row.index(max(row)) == int(100 / 2_000 * len(row))
    assert fall["top_g"] == pytest.approx(0.1, rel=0.2)
    assert row[-1] == -60
