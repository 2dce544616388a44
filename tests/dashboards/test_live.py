"""Live: what changed reaches a viewer in its language, once for all; the screens outlive a lost journal."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from fastapi.testclient import TestClient

from benchmarks.written_plant import WrittenPlant, commit_step, judged, plant_text, write_plant
from dashboards.app import build_app
from dashboards.config import ScreensConfig
from dashboards.house import House
from dashboards.language import Language
from dashboards.ledger import Ledger
from dashboards.live import Hub
from dashboards.picture import MachineNow
from dashboards.sessions import Sessions
from dashboards.source import Source
from dashboards.stream import Shared, Spoken, events
from ingest.contract.plant import parse_plant
from ingest.desk import Desk
from ingest.journal.journal import Journal
from ingest.reader import Reader
from ingest.views import Latest

NOW_NS = 1_795_489_500_000_000_000
DEADLINE_S = 60.0


def quiet_house(plant: WrittenPlant, folder: Path, now_ns: list[int]) -> House:
    config = ScreensConfig(plant="", journal=str(plant.journal), desk="", live_every_s=0.05)
    source = Source(lambda: Reader(plant.journal))
    return House(
        config=config,
        plant=plant.plant,
        source=source,
        desk=Desk(folder / "desk.db"),
        hub=Hub(plant.plant, config, source, lambda: now_ns[0]),
        ledger=Ledger(folder / "ledger.db", plant.plant, source, lambda: now_ns[0]),
        sessions=Sessions(b"k" * 32),
        accounts={},
        now_ns=lambda: now_ns[0],
    )


def parsed(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for part in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in part.split("\n") if ": " in line)
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


@pytest.fixture
def plant(tmp_path: Path) -> WrittenPlant:
    return write_plant(tmp_path, NOW_NS, n_machines=6, minutes=4)


async def next_change(stream: Any) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_S):
        async for text in stream:
            for name, body in parsed(text):
                if name == "change":
                    return body
    raise AssertionError("the stream ended")


def test_a_change_reaches_the_viewer_in_its_language(plant: WrittenPlant, tmp_path: Path) -> None:
    now_ns = [NOW_NS]
    house = quiet_house(plant, tmp_path, now_ns)
    house.hub.pulse()

    async def watch() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        shared = Shared()
        following = asyncio.create_task(house.hub.run())
        stream = events(house, shared, 0, house.language("id"), "")
        whole = await next_change(stream)
        journal = Journal(plant.journal)
        now_ns[0] += 1_000_000_000
        commit_step(journal, plant, np.random.default_rng(1), now_ns[0], step=5, ill=True, only=("pump-001",))
        journal.close()
        change = await next_change(stream)
        other = await next_change(events(house, shared, whole["seq"], house.language("en"), "pump-001"))
        await stream.aclose()
        following.cancel()
        return whole, change, other

    whole, change, english = asyncio.run(watch())
    assert set(whole["machines"]) == {machine.id for machine in plant.plant.machine}
    assert set(change["machines"]) == {"pump-001"}
    assert change["seq"] > whole["seq"]
    first, words = whole["machines"]["pump-001"]["words"], change["machines"]["pump-001"]["words"]
    assert (first["zone"], first["state"]) == ("D", "Alarm")
    assert words["velocity"].startswith("5,")
    assert "zone" not in words, "what did not change is not sent again"
    assert english["machines"]["pump-001"]["words"]["velocity"].startswith("5.")
    assert house.hub.viewers == 0, "viewers that left are not counted"


def test_only_words_that_changed_are_sent_unless_a_change_was_skipped() -> None:
    english = Language("en", ZoneInfo("Asia/Jakarta"))
    machine = parse_plant(plant_text(1)).machine[0]

    def at(zone: str) -> MachineNow:
        return MachineNow(machine, Latest(machine.id, 1, 1, {}, judged(machine.id, 1, zone, rated=True)))

    spoken = Spoken()
    spoken.update(at("D"), 5, 0, english)
    assert spoken.after(4)["state"] == "Alarm"
    spoken.update(at("C"), 6, 5, english)
    assert spoken.after(5)["state"] == "Warning"
    assert "temperature" not in spoken.after(5)
    spoken.update(at("C"), 9, 7, english)  # 7 was never made into words: a page of then may show anything
    assert spoken.after(8)["state"] == "Warning"
    assert spoken.after(9) == {}


def test_a_beat_comes_at_once_and_every_second(plant: WrittenPlant, tmp_path: Path) -> None:
    house = quiet_house(plant, tmp_path, [NOW_NS])
    house.hub.pulse()

    async def beats() -> list[str]:
        found: list[str] = []
        async with asyncio.timeout(DEADLINE_S):
            async for text in events(house, Shared(), house.hub.moment.seq, house.language("en"), ""):
                found += [name for name, _ in parsed(text)]
                if len(found) == 3:
                    return found
        return found

    assert asyncio.run(beats()) == ["beat", "beat", "beat"]


def test_screens_start_before_the_journal_and_follow_it_when_it_comes(tmp_path: Path) -> None:
    later = write_plant(tmp_path / "later", NOW_NS, n_machines=3, minutes=2)
    hidden = later.journal.rename(tmp_path / "hidden.db")
    house = quiet_house(later, tmp_path, [NOW_NS])
    assert house.hub.pulse() is False
    assert house.hub.moment.reading is False
    assert house.ledger.advance() == 0
    hidden.rename(later.journal)
    assert house.hub.pulse() is True
    assert house.hub.moment.reading is True
    assert house.hub.moment.picture.counts(NOW_NS, 10).unknown == 1


def test_a_plant_without_a_journal_is_told_to_people_and_probes(
    written: WrittenPlant, tmp_path: Path
) -> None:
    house = quiet_house(written, tmp_path, [NOW_NS])
    source = Source(lambda: Reader(tmp_path / "nothing.db"))
    hub = Hub(house.plant, house.config, source, house.now_ns)
    house = replace(house, source=source, hub=hub)
    with TestClient(build_app(house), base_url="http://127.0.0.1:8080") as client:
        assert client.get("/healthz").status_code == 503
        assert "The plant&#39;s journal cannot be read" in client.get("/?lang=en").text
        assert client.get("/alarms").status_code == 503
        assert client.get("/api/alarms").headers["content-type"] == "application/problem+json"


def test_the_interface_gives_charts_with_gaps_left_open(screens: Any) -> None:
    client = screens.client
    trend = client.get("/api/machines/pump-001/trend?column=velocity_rms_mm_s&hours=1").json()
    assert trend["bands"] == [1.4, 2.8, 4.5]
    assert len(trend["x"]) == len(trend["y"]) == 31
    assert trend["gaps"][0][2:] == [7, "outbox_full", "kotak keluar penuh, yang terlama dibuang"]
    assert client.get("/api/machines/pump-001/trend?column=password").status_code == 404
    spectrum = client.get("/api/machines/pump-001/spectrum?kind=envelope").json()
    assert [line["code"] for line in spectrum["lines"]] == ["1x", "bpfo", "bpfi", "bsf", "ftf"]
    wave = client.get("/api/machines/pump-001/waveform").json()
    assert len(wave["low"]) == len(wave["high"]) == len(wave["x"]) == 2048
    assert wave["peak_g"] > wave["rms_g"] > 0
    fall = client.get("/api/machines/pump-001/waterfall").json()
    assert len(fall["db"]) == len(fall["times_ms"]) > 3
    assert fall["times_ms"] == sorted(fall["times_ms"])
    assert client.get("/api/machines/motor-003/waveform").status_code == 404


def test_machines_are_listed_with_nulls_for_what_is_not_known(screens: Any) -> None:
    by_id = {one["id"]: one for one in screens.client.get("/api/machines").json()}
    assert by_id["fan-012"]["health"] is None
    assert by_id["fan-012"]["condition"] == "unknown"
    assert by_id["pump-001"]["remaining_life_interval_h"] == [20.0, 75.0]
    assert by_id["pump-001"] == screens.client.get("/api/machines/pump-001").json()


def test_alarms_page_on_by_key(screens: Any) -> None:
    first = screens.client.get("/api/alarms?limit=1").json()
    second = screens.client.get(f"/api/alarms?limit=1&before={first['next']}").json()
    assert first["alarms"][0]["id"] != second["alarms"][0]["id"]
    assert second["next"] is None


def test_the_description_of_the_interface_is_openapi_3_1_with_examples(screens: Any) -> None:
    document = screens.client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert all(path.startswith("/api/") for path in document["paths"])
    assert document["components"]["schemas"]["MachineOut"]["examples"][0]["zone"] == "C"
    assert (
        "application/problem+json" in document["paths"]["/api/machines"]["get"]["responses"]["503"]["content"]
    )
