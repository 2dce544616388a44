"""The page when answers come late, halves of them, or while a finger rests on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.approval_processes import Stack
from tests.approver_browser import Person
from tests.waiting import until

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]  # a busy machine starts and paints slowly
ONE, CLOSED = "**/api/v1/proposals/*", "**/api/v1/proposals?state=closed"


class Late:
    """Holds one answer of control back until it is let through, and lets all others through."""

    def __init__(self, page: Page, pattern: str) -> None:
        self._page, self._pattern = page, pattern
        self.held: list[Route] = []
        page.route(pattern, lambda route: route.continue_() if self.held else self.held.append(route))

    def come(self) -> None:
        with self._page.expect_response(self._pattern):
            self.held[0].continue_()
        for _ in range(2):  # by the time the list was asked for twice more, what waited for it has run
            with self._page.expect_response("**/api/v1/proposals"):
                pass


@contextmanager
def cut_short(origin: str) -> Iterator[str]:
    """A server whose link breaks in the middle of every answer."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("access-control-allow-origin", origin)
            self.send_header("access-control-allow-credentials", "true")
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b'{"state": "awai')

        def log_message(self, *_: object) -> None:
            """Nothing: what a test wants to know it asks the page."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def at_review(browser: Browser, stack: Stack, **options: object) -> Person:
    budi = Person(browser, stack, **options)
    budi.enrol("budi", "approver")
    budi.page.goto(f"{stack.origin}/#/")
    budi.page.reload()  # an address with another hash alone leaves the enrolment's button there for a moment
    budi.page.locator("main button").first.click()
    budi.page.locator("#nav a[aria-current]").wait_for()
    stack.request("fan-1", "first")
    until(lambda: budi.page.locator("[data-id]").count() == 1)
    budi.open("fan-1")
    return budi


def heading(page: Page) -> str:
    return page.locator("main h1").text_content() or ""


def test_a_late_answer_about_a_machine_leaves_the_next_screen_alone(browser: Browser, stack: Stack) -> None:
    budi = at_review(browser, stack)
    late = Late(budi.page, ONE)
    until(lambda: late.held or budi.page.wait_for_timeout(20))
    budi.page.get_by_role("link", name="Back").click()
    budi.page.locator("[data-id]").wait_for()
    late.come()
    assert heading(budi.page) == "Stops to decide"
    assert budi.page.get_by_role("alert").count() == 0
    assert budi.complaints == []


def test_a_screen_that_comes_late_does_not_replace_the_one_asked_for_after_it(
    browser: Browser, stack: Stack
) -> None:
    budi = at_review(browser, stack)
    late = Late(budi.page, CLOSED)
    budi.page.get_by_role("link", name="History").click()
    until(lambda: late.held or budi.page.wait_for_timeout(20))
    budi.page.get_by_role("link", name="Now").click()
    budi.page.locator("[data-id]").wait_for()
    late.come()
    assert heading(budi.page) == "Stops to decide"


def test_a_link_that_breaks_in_the_middle_of_an_answer_is_no_lie_and_takes_nothing_away(
    browser: Browser, stack: Stack
) -> None:
    budi = at_review(browser, stack)
    page = budi.page
    with cut_short(stack.origin) as broken:
        page.route(ONE, lambda route: route.continue_(url=broken))
        page.locator("#badge[data-mood=bad]").wait_for()
        assert page.locator("#approve").count() == 1, "what was being decided is still on the screen"
        assert page.get_by_role("alert").count() == 0
        here = page.url
        page.get_by_role("link", name="Back").click()
        page.locator("[data-id]").wait_for()
        page.goto(here)
        page.get_by_role("alert").wait_for()
        assert page.locator("#lie").count() == 0
        assert "Control does not answer" in (page.get_by_role("alert").text_content() or "")


def test_who_has_approved_reads_the_same_after_control_was_asked_again(
    browser: Browser, stack: Stack
) -> None:
    budi = at_review(browser, stack)
    for _ in range(2):
        with budi.page.expect_response(ONE):
            pass
    assert budi.page.locator("#by").text_content() == "nobody yet (0 of 1 approved)"


@pytest.mark.parametrize("language", ["en", "id"])
def test_a_finger_at_the_edge_of_the_button_holds_it_however_large_the_text(
    browser: Browser, stack: Stack, language: str
) -> None:
    budi = at_review(browser, stack, viewport={"width": 360, "height": 640}, locale=language)
    page = budi.page
    budi.cdp.send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    page.wait_for_function("getComputedStyle(document.documentElement).fontSize === '32px'")
    button = page.locator("#approve")
    box = button.bounding_box()
    assert box
    button.hover(position={"x": box["width"] / 2, "y": box["height"] - 4})
    page.mouse.down()
    page.locator("#state[data-state=confirmed]").wait_for(timeout=15_000)
    page.mouse.up()
