"""Every screen on a small phone: long names, both languages, light and dark, text twice as large."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.approval_processes import MACHINES, ROOT, Stack
from tests.approver_browser import Person, shown_code
from tests.waiting import until

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]  # a busy machine starts and paints slowly
WIDTH, HEIGHT, NARROWEST = 360, 640, 320
LEAST_PX = 48
WORDS = json.loads((ROOT / "control/page/static/words.json").read_text("utf-8"))
PICTURES = os.environ.get("MITRA_PICTURES", "")
PROBLEMS = """
(least) => {
  const wide = document.documentElement.clientWidth, out = [];
  const say = (what, e) => out.push(what + ": " + e.outerHTML.slice(0, 120));
  if (document.documentElement.scrollWidth > wide) out.push("scrolls sideways");
  for (const e of document.querySelectorAll("body *")) {
    const box = e.getBoundingClientRect();
    if (!box.width || !box.height || e.closest(".skip, svg, option")) continue;
    if (box.right > wide + 0.5 || box.left < -0.5) say("outside", e);
    const scrolls = ["TEXTAREA", "INPUT", "SELECT"].includes(e.tagName);
    const clips = !scrolls && getComputedStyle(e).overflow !== "visible";
    if (clips && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1)) say("cut", e);
  }
  for (const e of document.querySelectorAll("button, a, input, textarea, select, summary")) {
    const box = e.getBoundingClientRect();
    if (!box.width || e.closest(".skip")) continue;
    if (box.height < least || box.width < least) say("small " + box.width + " x " + box.height, e);
  }
  const fixed = ["header", "nav"].map((one) => document.querySelector(one)).filter((e) =>
    !e.hidden && ["sticky", "fixed"].includes(getComputedStyle(e).position));
  const covered = fixed.reduce((sum, e) => sum + e.getBoundingClientRect().height, 0);
  if (covered > innerHeight * 0.35) out.push("header and navigation cover " + covered + " px");
  const nav = fixed.find((e) => e.tagName === "NAV");
  const spared = parseFloat(getComputedStyle(document.body).paddingBottom);
  if (nav && nav.offsetHeight > spared) out.push("nav hides the end");
  const words = document.createTreeWalker(document.querySelector("nav"), NodeFilter.SHOW_TEXT);
  while (words.nextNode()) for (const found of words.currentNode.data.matchAll(/\\S+/g)) {
    const range = document.createRange();
    range.setStart(words.currentNode, found.index);
    range.setEnd(words.currentNode, found.index + found[0].length);
    if (range.getClientRects().length > 1) out.push("broken word: " + found[0]);
  }
  return out;
}
"""


class LongNames(Stack):
    """A plant that gives its things the names that plants give."""

    plant = "PT Semen Nusantara Sejahtera Abadi, Pabrik Tuban Unit Penggilingan Akhir 2"
    labels: ClassVar[dict[str, str]] = {
        one: f"{one.title()} Penggerak Utama Kipas-Induksi/Gearbox_A_NDE_bearing_6319-C3" for one in MACHINES
    }


class Eyes:
    """Looks at a page in every mood and keeps what is wrong with it."""

    def __init__(self, person: Person, language: str) -> None:
        self._person, self._language = person, language
        self._axe = Axe()
        self.wrong: list[str] = []

    def look(self, what: str) -> None:
        page = self._person.page
        for scheme in ("light", "dark"):
            for text_px in (16, 32):
                page.emulate_media(color_scheme=scheme)
                self._text(text_px)
                mood = f"{what}, {self._language}, {scheme}, {text_px} px"
                self.wrong += [f"{mood}: {one}" for one in page.evaluate(PROBLEMS, LEAST_PX)]
                if text_px == 16:
                    self._width(NARROWEST)
                    self.wrong += [f"{mood}, narrow: {one}" for one in page.evaluate(PROBLEMS, LEAST_PX)]
                    self._width(WIDTH)
                    found = self._axe.run(page).response["violations"]
                    self.wrong += [f"{mood}: {one['id']} {one['nodes'][0]['html']}" for one in found]
                if PICTURES:
                    page.screenshot(
                        path=Path(PICTURES) / f"{mood}.png".replace(" ", "-"), full_page=text_px == 16
                    )
        self._text(16)

    def _text(self, size_px: int) -> None:
        sizes = {"standard": size_px, "fixed": size_px * 13 // 16}
        self._person.cdp.send("Page.setFontSizes", {"fontSizes": sizes})
        # The browser may answer before the page has it.
        now = "() => getComputedStyle(document.documentElement).fontSize"
        until(lambda: self._person.page.evaluate(now) == f"{size_px}px")

    def _width(self, width_px: int) -> None:
        self._person.page.set_viewport_size({"width": width_px, "height": HEIGHT})
        until(lambda: self._person.page.evaluate("() => innerWidth") == width_px)


def go_to(person: Person, name: str, language: str) -> None:
    """To a screen of the navigation, and wait for its own heading: the screen before has one, too."""
    person.page.goto(f"{person.stack.origin}/#/{'' if name == 'list' else name}")
    person.page.get_by_role("heading", level=1, name=WORDS[f"{name}.title"][language]).wait_for()


def cards(page: Page) -> int:
    """How many proposals the list shows, the new ones asked for."""
    news = page.locator("main > button:visible")
    if news.count():
        news.click()
    return page.locator("[data-id]").count()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with LongNames(tmp_path, {"dewi": "approver"}) as stack:
        yield stack  # as a fixture it still runs when a failure is looked at


@pytest.mark.parametrize("language", ["en", "id"])
def test_every_screen_is_accessible_and_fits_a_small_phone(
    browser: Browser, stack: Stack, language: str
) -> None:
    budi = Person(browser, stack, viewport={"width": WIDTH, "height": HEIGHT}, locale=language)
    eyes, page = Eyes(budi, language), budi.page
    log_in = page.get_by_role("button", name=WORDS["login.passkey"][language])
    page.goto(f"{stack.origin}/#/")
    log_in.wait_for()
    eyes.look("login")
    budi.enrol("budi", "lead", "Budi Santoso Wiryawan Kartodirdjo-Notonegoro")
    eyes.look("enrolled")
    page.goto(f"{stack.origin}/#/")
    budi.at_the_key(is_there=False)
    log_in.click()  # by name: the screen before has buttons, too
    page.locator("#waiting").wait_for()
    eyes.look("key is asked")
    page.locator("#waiting button").click()
    page.get_by_role("alert").wait_for()
    eyes.look("key was cancelled")
    budi.at_the_key(is_there=True)
    log_in.click()
    page.locator("#nav a[aria-current]").wait_for()
    for name in ("history", "receipts", "list"):
        go_to(budi, name, language)
        eyes.look(f"empty {name}")
    for machine in ("kiln-1", "fan-1", "mill-1"):
        stack.request(machine, machine)
    until(lambda: page.locator("[data-id], button:visible").count() >= 2)
    eyes.look("list with news")
    until(lambda: cards(page) == 3)
    eyes.look("list")

    budi.open("kiln-1")
    page.locator("summary").click()
    eyes.look("review")
    page.fill("#presence", "000001")
    budi.hold()
    page.get_by_role("alert").wait_for()
    eyes.look("review, wrong code")
    budi.context.set_offline(True)
    page.locator("#badge[data-mood=bad]").wait_for(timeout=60_000)
    page.fill("#presence", shown_code(stack, "kiln-1"))
    budi.hold()
    assert page.get_by_role("alert").count() == 1, "nothing is approved on old answers"
    eyes.look("offline")
    budi.context.set_offline(False)
    page.locator("#badge[data-mood=good]").wait_for(timeout=60_000)
    budi.hold()
    page.locator("#mine").wait_for()
    eyes.look("mine")
    page.fill("#reason", "bearing was changed this morning")
    page.click("#reject")
    page.locator("#state[data-state=denied]").wait_for()
    eyes.look("rejected")
    budi.open("fan-1")
    budi.hold()
    page.locator("#state[data-state=confirmed]").wait_for(timeout=60_000)
    eyes.look("confirmed")
    for name in ("history", "receipts", "audit"):
        go_to(budi, name, language)
        eyes.look(name)
    page.route("**/api/v1/proposals/*", lambda route: route.fulfill(json=_lie(route.fetch().json())))
    page.evaluate("location.hash = '#/m/mill-1'")
    page.locator("#lie").wait_for()
    eyes.look("lie")
    assert eyes.wrong == [], "\n".join(eyes.wrong)
    assert budi.complaints == []


def _lie(found: dict[str, object]) -> dict[str, object]:
    return {**found, "machine": "fan-1"} if found.get("proposal") else found
