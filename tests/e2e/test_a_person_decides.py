"""The whole plant in front of people: two technicians in a browser, one in Indonesian, one in English.

They see the fault, acknowledge and judge its alarm, look at the machine and stop it with their keys, as
two people in a control room would. Nothing here reaches behind the screens but the last question: does the
machine's own telemetry say that it stands still?
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dashboards.pages import PAGES
from mitra.demo import Demo, DemoRequest, prepare, receipts_of
from tests.browsing import hold

playwright_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]  # a busy machine starts and paints slowly
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WAIT_MS = 120_000
TABS = {"trend": "#trend-1", "waveform": "#waveform", "spectrum": "#envelope"}
SCREENS = (*(screen.path for screen in PAGES if screen.path), "/alarms?show=all", "/sign-in")
APPROVALS = ("#/", "#/history", "#/receipts", "#/audit", "#/enrol")
WATCH_POLICY = """addEventListener("securitypolicyviolation",
  (event) => console.error("policy violated: " + event.violatedDirective + " " + event.blockedURI))"""


@dataclass
class Person:
    """One browser of one person, and everything that went wrong in it."""

    browser: Any
    language: str
    screens: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        locale = {"id": "id-ID", "en": "en-GB"}[self.language]
        self.context = self.browser.new_context(locale=locale, viewport={"width": 390, "height": 844})
        self.context.set_default_timeout(60_000)
        self.context.add_init_script(WATCH_POLICY)
        self.page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._note(f"page error: {error}"))

    def _hear(self, said: Any) -> None:
        if said.type in {"error", "warning"}:
            self._note(f"{said.type}: {said.text}")

    def _note(self, text: str) -> None:
        self.complaints.append(f"{self.page.url}: {text}")

    def open(self, url: str) -> None:
        """Go to a page of the screens in this person's language."""
        self.page.goto(self.screens + url)

    def choose_language(self) -> None:
        """As the switch in the header does."""
        self.open("/")
        self.page.locator(f'.langs a[hreflang="{self.language}"]').click()
        expect(self.page.locator("html")).to_have_attribute("lang", self.language)

    def settle(self) -> None:
        """Wait until no chart is loading any more."""
        waiting = self.page.locator(".chart-wait", has_text=re.compile("Loading|Memuat"))
        expect(waiting).to_have_count(0)


expect = playwright_api.expect
expect.set_options(timeout=60_000)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_MS / 1_000
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {WAIT_MS / 1_000:g} s"
        time.sleep(0.2)


@pytest.fixture(scope="module", params=[0, 1], ids=["ordinary", "critical"])
def plant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A machine that is stopped from anywhere, and a critical one that wants the code shown beside it."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    folder = tmp_path_factory.mktemp("plant")
    demo = prepare(
        DemoRequest(folder, n_machines=4, n_gateways=1, faulty=request.param, onset_s=30.0, growth_s=25.0)
    )
    try:
        demo.start(lambda _what: None)
        yield demo
    finally:
        demo.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def test_two_people_see_judge_and_stop_a_failing_machine(plant: Demo, browser: Any) -> None:
    screens = plant.urls["screens"]
    faulty = plant.plant_file.faulty_machine
    critical = plant.house.plant.by_id()[faulty].criticality == "critical"
    sari, budi = Person(browser, "id", screens), Person(browser, "en", screens)
    sari.choose_language()
    budi.choose_language()

    sees_the_alarm(sari, faulty)
    acknowledges_and_judges(sari)
    looks_at_the_machine(sari)
    goes_to_the_approvals(sari)
    logs_in(sari, "sari-wulandari")
    reviews_and_approves(sari, wants_code=critical)
    expect(sari.page.locator("#mine, #state").first).to_be_visible()
    if sari.page.locator("#mine").count():
        assert plant.runs(faulty), "one person is not enough"
        budi.page.goto(plant.urls["approvals"])
        logs_in(budi, "budi-santoso")
        reviews_and_approves(budi, wants_code=critical)
    expect(sari.page.locator("#state")).to_have_attribute("data-state", "confirmed", timeout=WAIT_MS)

    until(lambda: not plant.runs(faulty), "a stop in the machine's own telemetry")
    assert [one.machine for one in receipts_of(plant.house) if one.result == "confirmed"] == [faulty]
    budi.open(f"/machines/{faulty}")
    expect(budi.page.locator('[data-live="speed"]')).to_have_text("0 rpm", timeout=WAIT_MS)
    walks_every_page(sari, plant, faulty)
    walks_every_page(budi, plant, faulty)
    assert sari.complaints == budi.complaints == []


def sees_the_alarm(person: Person, machine: str) -> None:
    """On the overview: what is new waits behind a button, and leads to the alarm."""
    person.open("/")
    expect(person.page.locator("#live")).to_have_attribute("data-state", "live", timeout=WAIT_MS)
    expect(person.page.locator(".tile")).to_have_count(4)
    need = person.page.locator(f'.need[data-machine="{machine}"]')
    new = person.page.locator("#needs-new button")
    expect(need.or_(new).filter(visible=True).first).to_be_visible(timeout=WAIT_MS)
    if new.is_visible():
        new.click()
    link = need.get_by_role("link", name="Buka alarm")
    until(lambda: is_there_after_a_reload(person, link), "an alarm that calls")
    link.click()
    expect(person.page).to_have_url(re.compile("/alarms/"))


def is_there_after_a_reload(person: Person, link: Any) -> bool:
    if link.is_visible():
        return True
    person.page.wait_for_timeout(1_000)
    person.page.reload()
    return bool(link.is_visible())


def acknowledges_and_judges(person: Person) -> None:
    """First as a visitor who may not act, then with a name."""
    page = person.page
    expect(page.get_by_role("button", name="Akui")).to_have_count(0)
    page.get_by_role("main").get_by_role("link", name="Masuk").click()
    page.get_by_role("button", name="Teknisi").click()
    expect(page).to_have_url(re.compile("/alarms/"))
    page.get_by_role("button", name="Akui").click()
    steps = page.get_by_role("region", name="Yang terjadi")
    until(lambda: has_after_a_reload(page, steps.get_by_text("demo-technician")), "an acknowledgement")
    expect(page.locator(".alarm .need-why").first, "an acknowledged alarm still says why").to_be_visible()
    page.get_by_role("button", name="Benar", exact=True).click()
    expect(page.get_by_text("Putusan: Benar")).to_be_visible()


def has_after_a_reload(page: Any, place: Any) -> bool:
    page.wait_for_timeout(500)
    page.reload()
    return int(place.count()) > 0


def looks_at_the_machine(person: Person) -> None:
    """Trend, waveform and spectrum, each drawn."""
    person.page.get_by_role("main").get_by_role("link", name="Mesin", exact=True).click()
    for tab, chart in TABS.items():
        person.page.locator(f'a[data-tab="{tab}"]').click()
        expect(person.page.locator(f"{chart} canvas").first).to_be_visible()
        person.settle()
    person.page.get_by_role("button", name="BPFO").click()
    expect(person.page.get_by_role("button", name="BPFO")).to_have_attribute("aria-pressed", "true")


def goes_to_the_approvals(person: Person) -> None:
    person.page.get_by_role("link", name="Keputusan henti").click()
    expect(person.page.locator("[data-demo]").first).to_be_visible()


def logs_in(person: Person, name: str) -> None:
    """With the demo's key; the list of stops to decide appears."""
    person.page.locator(f"[data-demo={name}]").click()
    expect(person.page.locator("#nav")).to_be_visible()
    expect(person.page.locator("html")).to_have_attribute("lang", person.language)


def reviews_and_approves(person: Person, *, wants_code: bool) -> None:
    """Opens the one proposal, reads the code at the machine if one is asked for, and holds the button."""
    page = person.page
    card = page.locator("[data-id] a.button")
    approve = page.locator("#approve")
    expect(card.or_(approve).filter(visible=True).first).to_be_visible(timeout=WAIT_MS)
    if not approve.is_visible():
        card.first.click()
    expect(page.locator("#checked")).to_be_visible()
    assert page.locator("#presence").count() == int(wants_code)
    if wants_code:
        page.locator("#panel").click()
        expect(page.locator("#presence")).to_have_value(re.compile(r"^\d{6}$"))
    hold(page)
    expect(page.locator("#mine, #state").first).to_be_visible()


def walks_every_page(person: Person, plant: Demo, machine: str) -> None:
    """Every page once more, now that there is something on each."""
    for path in (
        *SCREENS,
        *(f"/machines/{machine}?tab={tab}" for tab in (*TABS, "waterfall", "why", "history")),
    ):
        person.open(path)
        expect(person.page.locator("html")).to_have_attribute("lang", person.language)
        person.settle()
    for path in APPROVALS:
        person.page.goto(f"{plant.urls['approvals']}/{path}")
        expect(person.page.locator("main h1")).to_be_visible()
    person.page.wait_for_timeout(2_500)  # one more poll of the page
