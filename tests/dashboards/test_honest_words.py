"""What stands still has no risk, slow sensors are not dead ones, and the audit vouches for its record."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashboards.chain import AGAIN_NS
from dashboards.describe import life, life_range, live_words
from dashboards.language import Language
from dashboards.picture import Level, MachineNow, risk, usual_step_s
from dashboards.words import channel
from ingest.contract.plant import Machine
from ingest.contract.rows import Condition, Judgement, RemainingLife
from ingest.metrics import Health, IngestState, MetricsFile
from ingest.views import Latest

EN, ID = (Language(code, ZoneInfo("Asia/Jakarta")) for code in ("en", "id"))
NS = 1_000_000_000


def judged(machine: Machine, condition: Condition, receive_ns: int = NS) -> MachineNow:
    judgement = Judgement(machine.id, 1, condition, 0.9, 0.5, 0.0, "D", "r")
    return MachineNow(machine, Latest(machine.id, 1, receive_ns, {}, judgement))


@pytest.fixture
def machine(written: Any) -> Machine:
    found: Machine = written.plant.machine[0]
    return found


def test_a_machine_that_stands_still_has_no_risk_and_no_colour(machine: Machine) -> None:
    still, runs = (judged(machine, one) for one in (Condition.STOPPED, Condition.ALARM))
    assert (still.level, risk(still)) == (Level.STOPPED, 0.0)
    assert (runs.level, risk(runs)) == (Level.ALARM, 1.0)
    assert live_words(still, EN)["risk"] == "none: it stands still"
    assert live_words(runs, EN)["risk"] == "100\u00a0%"


def test_a_machine_that_never_spoke_has_no_clean_bill(machine: Machine) -> None:
    assert live_words(MachineNow(machine, None), EN)["fault"] == "unknown"


def test_a_limit_that_is_reached_is_named() -> None:
    reached = RemainingLife(0.0, 0.0, 0.0, 0.9)
    assert life(reached, EN) == "limit reached"  # and not that nothing is left of a machine that runs
    assert life(reached, ID) == "batas tercapai"
    assert "fault's own signal" in life_range(reached, EN)
    for language, zone in ((EN, "ISO zone"), (ID, "Zona ISO")):
        assert zone in life_range(reached, language)  # beside zone A it must say why both are true
    assert life_range(RemainingLife(10.0, 5.0, 20.0, 0.9), EN).startswith("90 %")


def test_a_slow_sensor_is_not_a_dead_one(machine: Machine) -> None:
    now = judged(machine, Condition.NORMAL)
    assert now.stale(NS + 6 * NS, 5.0)
    slow = replace(now, step_s=10.0)
    assert not slow.stale(NS + 29 * NS, 5.0)
    assert slow.stale(NS + 31 * NS, 5.0)


@pytest.mark.parametrize(
    ("known", "after_s", "usual"),
    [(0.0, 10.0, 10.0), (10.0, 10.0, 10.0), (10.0, 20.0, 12.0), (1.0, 3600.0, 1.0), (0.0, 3600.0, 0.0)],
)
def test_a_long_pause_is_silence_and_not_a_pace(
    machine: Machine, known: float, after_s: float, usual: float
) -> None:
    before = replace(judged(machine, Condition.NORMAL), step_s=known)
    assert usual_step_s(before, NS + int(after_s * NS)) == pytest.approx(usual)


def test_points_of_temperature_have_words() -> None:
    assert channel("Temperature/winding", EN) == "temperature (winding)"
    assert channel("Temperature/winding", ID) == "suhu (lilitan)"
    assert channel("Temperature/ambient", ID) == "suhu (udara sekitar)"


def test_the_audit_page_vouches_for_its_record_until_somebody_changes_it(
    screens: Any, tmp_path: Path
) -> None:
    screens.sign_in()
    screens.client.cookies.set("mitra_language", "en")
    assert "No entry to verify yet" in screens.client.get("/audit").text
    alarm = "pump-001:bearing_outer:1"
    for n in range(3):
        data = {"token": screens.token(), "action_id": f"0123456789abcd{n}", "verdict": "not_sure"}
        screens.client.post(f"/alarms/{alarm}/verdict", data=data, headers={"hx-request": "true"})
    screens.clock.ns += AGAIN_NS
    page = screens.client.get("/audit").text
    assert "Chain verified: 3 entries" in page
    assert "verdict: Not sure" in page
    with sqlite3.connect(tmp_path / "desk.db") as db:
        db.execute("DELETE FROM action WHERE id = 3")
        db.execute("DELETE FROM chain WHERE id = 3")
    db.close()
    screens.clock.ns += AGAIN_NS
    page = screens.client.get("/audit").text
    assert 'data-state="broken"' in page
    assert "Chain verified" not in page
    screens.clock.ns += AGAIN_NS
    assert 'data-state="broken"' in screens.client.get("/audit").text, "a break is not forgotten"


def test_metrics_tell_what_ingest_says_of_itself(screens: Any, written: Any) -> None:
    assert "mitra_ingest_state" not in screens.client.get("/metrics").text
    path = Path(written.journal).with_name("ingest.metrics")
    file = MetricsFile(path)
    try:
        said = Health(
            IngestState.STORAGE_FULL, 1, screens.clock() - 2 * NS, {"messages": 7.0}, {"3.059": 10}, {}
        )
        file.write(said)
        text = screens.client.get("/metrics").text
    finally:
        file.close()
        path.unlink()
    assert 'mitra_ingest_state{state="storage_full"} 1.0' in text
    assert 'mitra_ingest_state{state="running"} 0.0' in text
    assert 'mitra_ingest_total{name="messages"} 7.0' in text
    assert "mitra_ingest_age_seconds 2.0" in text
    assert 'mitra_ingest_latency_ms{quantile="0.95",since="received"} 3.059' in text
