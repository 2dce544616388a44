"""The approver's page in a real browser, with Chromium's virtual authenticator."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from tests.approval_processes import Stack
from tests.approver_browser import Person, shown_code
from tests.waiting import until

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]  # a busy machine starts and paints slowly


def test_two_persons_stop_a_critical_machine_with_passkeys_and_the_code(
    browser: Browser, stack: Stack
) -> None:
    budi, sari = Person(browser, stack), Person(browser, stack)
    budi.enrol("budi", "approver")
    sari.enrol("sari", "approver")
    for one in (budi, sari):
        one.login()
    stack.request("kiln-1", "first")
    code = shown_code(stack, "kiln-1")
    until(lambda: budi.page.locator("[data-id]").count() == 1)

    budi.open("kiln-1")
    assert budi.page.locator("#label").text_content() == "Kiln-1"
    budi.page.fill("#presence", "000001")
    budi.hold()
    assert "typing error" in (budi.page.get_by_role("alert").text_content() or "")
    budi.page.fill("#presence", code)
    for still_ms in (0, 2_500):
        budi.tap(500, stands_still_ms=still_ms)
        assert budi.page.locator("#mine").count() == 0, "a short press must do nothing"
    budi.hold()
    budi.page.locator("#mine").wait_for()
    assert not stack.stopped("kiln-1"), "one person is not enough"

    sari.open("kiln-1")
    sari.page.fill("#presence", code)
    sari.hold()
    sari.page.locator("#state[data-state=confirmed]").wait_for()
    assert stack.stopped("kiln-1")
    assert budi.complaints == sari.complaints == []


def test_one_person_with_two_keys_is_refused(browser: Browser, stack: Stack) -> None:
    budi = Person(browser, stack)
    budi.enrol("budi", "approver")
    first = budi.page.locator("#enrolment").text_content()
    budi.cdp.send("WebAuthn.disable")
    budi.cdp.send("WebAuthn.enable")
    budi.add_authenticator()
    budi.page.reload()
    budi.enrol("budi", "approver")
    assert budi.page.locator("#enrolment").text_content() != first
    budi.login()
    stack.request("mill-1", "first")
    until(lambda: budi.page.locator("[data-id]").count() == 1)
    budi.open("mill-1")
    budi.hold()
    budi.page.locator("#mine").wait_for()
    assert "1 more" in (budi.page.locator("#mine").text_content() or "")
    assert budi.page.locator("#approve").count() == 0
    assert not stack.stopped("mill-1")


@pytest.mark.parametrize("lie", ["machine", "label", "ticket"])
def test_the_page_refuses_a_lying_control_server(browser: Browser, stack: Stack, lie: str) -> None:
    budi = Person(browser, stack)
    budi.enrol("budi", "approver")
    budi.login()
    stack.request("fan-1", "first")
    until(lambda: budi.page.locator("[data-id]").count() == 1)

    def swap(route: Route) -> None:
        """A control server that shows fan-1 and wants kiln-1 signed, or a ticket not of the edge."""
        answer = route.fetch()
        found = answer.json()
        if found.get("proposal"):
            found = _twisted(found, lie)
        route.fulfill(response=answer, json=found)

    budi.page.route("**/api/v1/proposals/*", swap)
    budi.open("fan-1")
    assert budi.page.locator("#lie").count() == 1
    assert budi.page.locator("#approve").count() == 0


def _twisted(found: dict[str, Any], lie: str) -> dict[str, Any]:
    def unpad(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def raw(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    if lie == "machine":
        found["proposal"] = unpad(raw(found["proposal"]).replace(b'"fan-1"', b'"kiln-1"'))
    ticket = json.loads(found["ticket"])
    if lie == "label":
        ticket["body"] = unpad(raw(ticket["body"]).replace(b"Fan-1", b"Fan-2"))
    if lie == "ticket":
        ticket["signature"] = unpad(bytes(64))
    return {**found, "ticket": json.dumps(ticket)}


def test_a_thousand_random_taps_approve_nothing(browser: Browser, stack: Stack) -> None:
    budi = Person(browser, stack, viewport={"width": 390, "height": 800}, has_touch=True)
    budi.enrol("budi", "approver")
    budi.login()
    stack.request("fan-1", "first")
    until(lambda: budi.page.locator("[data-id]").count() == 1)
    budi.open("fan-1")
    here = budi.page.url
    dice = random.Random(7)
    for _ in range(1_000):
        budi.page.mouse.click(dice.randrange(390), dice.randrange(800))
        if dice.random() < 0.05:
            budi.page.mouse.wheel(0, dice.randrange(-600, 600))
        if budi.page.url != here:
            budi.page.goto(here)
    assert not stack.stopped("fan-1")


def test_the_page_weighs_less_than_40_kilobytes(browser: Browser, stack: Stack) -> None:
    budi = Person(browser, stack)
    sizes: list[int] = []
    budi.cdp.send("Network.enable")
    budi.cdp.on("Network.loadingFinished", lambda one: sizes.append(int(one["encodedDataLength"])))
    budi.page.goto(f"{stack.origin}/#/")
    budi.page.locator("main button").first.wait_for()
    budi.page.wait_for_load_state("networkidle")
    assert 10_000 < sum(sizes) <= 40 * 1024
