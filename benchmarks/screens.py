"""The goals of the screens, measured in one run: browser, load, languages, reports.

    python -m benchmarks.screens --json [--quick] [--machines 200] [--viewers 100] [--seconds 20]

The plant is written straight into a journal and keeps speaking once a second a machine; a real Chromium
looks at the real process. `--quick` leaves out the walk through every page with axe.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

from benchmarks.screens_browser import CHROMIUM, FLAGS, desk_figures, percentile, phone_figures, rule_figures
from benchmarks.screens_plant import Served, served
from dashboards.extract import sentences
from dashboards.language import catalog

GOALS: dict[str, float] = {
    "first_paint_ms": 1_000,
    "first_chart_ms": 2_000,
    "first_load_kb": 100,
    "cls": 0.05,
    "longest_task_ms": 200,
    "event_to_painted_p95_ms": 1_000,
    "server_to_browser_p95_ms": 150,
    "stale_badge_s": 6,
    "reconnected_s": 5,
    "load_p95_ms": 250,
    "acknowledge_p95_ms": 500,
    "axe_violations": 0,
    "csp_violations": 0,
    "console_errors": 0,
    "too_wide": 0,
    "missing_translations": 0,
    "energy_pdf_warm_s": 3,
}
THINK_S = 10.0


async def _stream(host: str, port: int, until: float) -> int:
    """One live stream, read by a bare socket so that the measuring program is not what is measured. Bytes."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /events HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n\r\n".encode())
    n_bytes = 0
    while (left := until - time.monotonic()) > 0:
        try:
            n_bytes += len(await asyncio.wait_for(reader.read(65_536), left))
        except TimeoutError:
            break
    writer.close()
    return n_bytes


async def _viewer(
    client: httpx.AsyncClient, number: int, until: float, times: list[float], paths: list[str]
) -> None:
    """One person: a page or a chart every ten seconds."""
    await asyncio.sleep(THINK_S * number / 100)
    step = number
    while time.monotonic() < until:
        started = time.perf_counter()
        answer = await client.get(paths[step % len(paths)])
        answer.raise_for_status()
        times.append((time.perf_counter() - started) * 1000)
        step += 1
        await asyncio.sleep(THINK_S)


async def load(url: str, ids: list[str], n_viewers: int, seconds: float) -> dict[str, Any]:
    """Viewers at once, each with a live stream of the whole plant; the time of every page and chart."""
    sick = ids[0]
    paths = [
        "/",
        f"/machines/{sick}",
        "/alarms",
        f"/api/machines/{sick}/trend?column=velocity_rms_mm_s",
        "/energy",
    ]
    paths += [f"/machines/{machine}" for machine in ids[1:40:8]]
    times: list[float] = []
    host, port = url.removeprefix("http://").split(":")
    limits = httpx.Limits(max_connections=2 * n_viewers + 10)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        until = time.monotonic() + THINK_S + seconds
        streams = [asyncio.create_task(_stream(host, int(port), until)) for _ in range(n_viewers)]
        await asyncio.gather(*(_viewer(client, i, until, times, paths) for i in range(n_viewers)))
        streamed = await asyncio.gather(*streams)
    return {
        "load_p50_ms": percentile(times, 0.5),
        "load_p95_ms": percentile(times, 0.95),
        "load_requests": len(times),
        "streamed_kb_s_viewer": round(sum(streamed) / n_viewers / (THINK_S + seconds) / 1000, 1),
    }


def acting(one: Served, n: int = 40) -> dict[str, Any]:
    """Acknowledgements: asked, written to disk with a full sync, answered with the new card."""
    times = []
    alarm = f"{one.plant.faulty}:bearing_outer:1"
    with httpx.Client(base_url=one.url, timeout=30) as client:
        client.post("/sign-in/role", data={"role": "technician"})
        page = client.get(f"/alarms/{alarm}").text
        token = page.split('name="token" value="')[1].split('"')[0]
        for i in range(n):
            data = {"token": token, "action_id": f"benchmark-{i:06d}"}
            started = time.perf_counter()
            client.post(
                f"/alarms/{alarm}/acknowledge", data=data, headers={"HX-Request": "true"}
            ).raise_for_status()
            times.append((time.perf_counter() - started) * 1000)
    return {"acknowledge_p95_ms": percentile(times, 0.95)}


def reports(one: Served) -> dict[str, Any]:
    """The energy PDF of the whole plant, the second time."""
    with httpx.Client(base_url=one.url, timeout=120) as client:
        deadline = time.monotonic() + 120
        n = 0
        while time.monotonic() < deadline and n < len(one.plant.plant.machine) - 1:
            n = len(client.get("/energy.csv").text.splitlines()) - 2
            time.sleep(0.5)
        client.get("/energy.pdf").raise_for_status()
        started = time.perf_counter()
        made = client.get("/energy.pdf")
        took_s = time.perf_counter() - started
    return {
        "energy_pdf_warm_s": round(took_s, 3),
        "energy_pdf_machines": n,
        "energy_pdf_kb": len(made.content) // 1000,
    }


def languages() -> dict[str, int]:
    """Sentences, and those without an Indonesian one."""
    known = {message.id for message in catalog("id") if message.id and message.string}
    said = {message.id for message in sentences() if message.id}
    return {"sentences": len(said), "missing_translations": len(said - known)}


def measure(machines: int, viewers: int, seconds: float, *, quick: bool) -> dict[str, Any]:
    """Everything, one after the other."""
    figures: dict[str, Any] = dict(languages())
    with tempfile.TemporaryDirectory() as folder:
        with served(Path(folder) / "small", 24) as one, sync_playwright() as engine:
            browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            figures |= desk_figures(browser, one)
            one.speak_every(0.2)
            figures |= phone_figures(browser, one)
            one.speak_every(1.0)
            if not quick:
                figures |= rule_figures(browser, one)
            browser.close()
        with served(Path(folder) / "large", machines, minutes=10) as one:
            figures |= acting(one)
            figures |= reports(one)  # waits until the ledger has caught up with the plant
            ids = [machine.id for machine in one.plant.plant.machine]
            figures |= asyncio.run(load(one.url, ids, viewers, seconds))
    figures |= {"machines": machines, "viewers": viewers}
    goals = {name: figures[name] <= goal for name, goal in GOALS.items() if figures.get(name) is not None}
    return {**figures, "goals_met": goals}


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    figures = measure(asked.machines, asked.viewers, asked.seconds, quick=asked.quick)
    if asked.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value}  (goal {GOALS[name]})" if name in GOALS else f"{name:32} {value}")
    return 0 if all(figures["goals_met"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
