"""What a browser sees of the screens: paint, weight, shift, long tasks, staleness, axe, CSP, width."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe

from benchmarks.screens_plant import Served
from dashboards.pages import PAGES

CHROMIUM = os.environ.get("MITRA_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PHONE = {
    "latency": 150,
    "downloadThroughput": 1_600_000 / 8,
    "uploadThroughput": 750_000 / 8,
    "offline": False,
}
WATCH = """
const seen = window.seen = {shift: 0, longest: 0, csp: 0, beats: [], painted: [], chart: null};
addEventListener('securitypolicyviolation', () => seen.csp++);
const watch = (type, act) =>
  new PerformanceObserver((list) => list.getEntries().forEach(act)).observe({type, buffered: true});
watch('layout-shift', (one) => { if (!one.hadRecentInput) seen.shift += one.value; });
watch('longtask', (one) => { seen.longest = Math.max(seen.longest, one.duration); });
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, act) {
  listen.call(this, name, (event) => {
    if (name === 'beat') seen.beats.push(Date.now() - JSON.parse(event.data).now);
    act(event);
  });
};
const painted = (heard) => requestAnimationFrame(() => seen.painted.push(Date.now() - heard));
const drawn = () => requestAnimationFrame(() => { seen.chart = seen.chart || performance.now(); });
new MutationObserver((changes) => {
  for (const one of changes) if (one.attributeName) painted(Number(one.target.dataset.heard));
  if (!seen.chart && document.querySelector('.uplot canvas')) drawn();
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['data-heard']});
"""
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


def pages_of(served: Served) -> tuple[str, ...]:
    """Every kind of page, an error included."""
    sick, silent = served.plant.faulty, served.plant.silent
    tabs = ("trend", "spectrum", "waveform", "waterfall", "why", "history")
    return (
        *(screen.path for screen in PAGES if screen.path),
        "/alarms?show=all",
        f"/alarms/{sick}:bearing_outer:1",
        *(f"/machines/{sick}?tab={tab}" for tab in tabs),
        f"/machines/{silent}",
        "/sign-in",
        "/no/such/page",
    )


def percentile(values: list[float], share: float) -> float | None:
    """The value below which this share lies; None of nothing."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else None


def phone_figures(browser: Any, served: Served, watch_s: float = 12.0) -> dict[str, Any]:
    """First paint, first live chart, weight, layout shift and long tasks on the phone profile."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, base_url=served.url)
    context.add_init_script(WATCH)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", PHONE)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    weight = {"bytes": 0.0}
    session.on(
        "Network.loadingFinished", lambda one: weight.update(bytes=weight["bytes"] + one["encodedDataLength"])
    )
    page.goto("/", wait_until="load")
    page.wait_for_timeout(500)
    overview_kb = round(weight["bytes"] / 1000, 1)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.wait_for_timeout(watch_s * 1000)
    overview = page.evaluate("window.seen")
    session.send("Network.clearBrowserCache")
    weight["bytes"] = 0.0
    page.goto(f"/machines/{served.plant.faulty}", wait_until="load")
    _until(lambda: page.evaluate("window.seen.chart"), 20.0)
    chart = page.evaluate("window.seen.chart")
    machine_kb = round(weight["bytes"] / 1000, 1)
    page.wait_for_timeout(watch_s * 1000)
    machine = page.evaluate("window.seen")
    context.close()
    return {
        "first_paint_ms": round(paint),
        "first_chart_ms": round(chart),
        "first_load_kb": overview_kb,
        "machine_page_kb": machine_kb,
        "cls": round(max(overview["shift"], machine["shift"]), 4),
        "longest_task_ms": round(max(overview["longest"], machine["longest"])),
        "event_to_painted_phone_p95_ms": percentile(overview["painted"], 0.95),
    }


def desk_figures(browser: Any, served: Served, watch_s: float = 12.0) -> dict[str, Any]:
    """Journal to painted, and server to browser, on a desktop without throttling."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=served.url)
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto("/")
    page.wait_for_timeout(watch_s * 1000)
    seen = page.evaluate("window.seen")
    live = page.locator("#live")
    os.kill(served.process.pid, signal.SIGSTOP)
    try:
        stale_s = _until(lambda: live.get_attribute("data-state") != "live", 20.0)
    finally:
        os.kill(served.process.pid, signal.SIGCONT)
    back_s = _until(lambda: live.get_attribute("data-state") == "live", 20.0)
    context.close()
    return {
        "event_to_painted_p95_ms": percentile(seen["painted"], 0.95),
        "server_to_browser_p95_ms": percentile(seen["beats"], 0.95),
        "paints": len(seen["painted"]),
        "stale_badge_s": round(stale_s, 2),
        "reconnected_s": round(back_s, 2),
    }


def rule_figures(browser: Any, served: Served) -> dict[str, int]:
    """Every page in both languages, narrow and wide: violations of WCAG and of the CSP, sideways scroll."""
    found = {"pages": 0, "axe_violations": 0, "csp_violations": 0, "console_errors": 0, "too_wide": 0}
    for width in (320, 1280):
        for language in ("id", "en"):
            context = browser.new_context(viewport={"width": width, "height": 844}, base_url=served.url)
            context.add_init_script(WATCH)
            context.add_cookies([{"name": "mitra_language", "value": language, "url": served.url}])
            context.request.post("/sign-in/role", form={"role": "technician"}, headers={"Origin": served.url})
            page = context.new_page()
            errors: list[str] = []
            page.on(
                "console", lambda said, kept=errors: kept.append(said.text) if said.type == "error" else None
            )
            for path in pages_of(served):
                page.goto(path)
                page.wait_for_timeout(700)
                found["pages"] += 1
                found["axe_violations"] += len(Axe().run(page, options=WCAG).response["violations"])
                found["csp_violations"] += page.evaluate("window.seen.csp")
                found["too_wide"] += page.evaluate(
                    "document.documentElement.scrollWidth > innerWidth ? 1 : 0"
                )
            found["console_errors"] += sum("404" not in one for one in errors)
            context.close()
    return found


def _until(true: Callable[[], Any], limit_s: float) -> float:
    started = time.monotonic()
    while time.monotonic() - started < limit_s:
        if true():
            return time.monotonic() - started
        time.sleep(0.05)
    return float("inf")
