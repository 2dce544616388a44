"""The page while a person's key is asked: nobody touches it, somebody presses again, somebody walks away."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.approval_processes import Stack
from tests.approver_browser import Person
from tests.waiting import until

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]  # a busy machine starts and paints slowly
DEAF = """
const real = navigator.credentials.get.bind(navigator.credentials);
navigator.credentials.get = ({ signal, ...rest }) => new Promise((answer) => {
  window.touch = async () => {
    answer(await real(rest));
    await new Promise((next) => setTimeout(next));
  };
});
"""


def alert(one: Person) -> str:
    found = one.page.get_by_role("alert")
    found.wait_for()
    return found.text_content() or ""


def press_login(one: Person, label: str = "Log in with my passkey") -> None:
    one.page.get_by_role("button", name=label).click()
    one.page.locator("#waiting").wait_for()


def test_a_second_press_replaces_a_question_that_nobody_answered(browser: Browser, stack: Stack) -> None:
    budi = Person(browser, stack)
    budi.enrol("budi", "approver")
    budi.page.goto(f"{stack.origin}/#/")
    budi.at_the_key(is_there=False)
    press_login(budi)
    press_login(budi)
    press_login(budi)
    assert budi.page.get_by_role("alert").count() == 0
    assert "Confirm with your key" in (budi.page.locator("#waiting").text_content() or "")
    budi.at_the_key(is_there=True)
    budi.page.get_by_role("button", name="Log in with my passkey").click()
    budi.page.locator("#nav a[aria-current]").wait_for()

    stack.request("fan-1", "first")
    until(lambda: budi.page.locator("[data-id]").count() == 1)
    budi.open("fan-1")
    budi.at_the_key(is_there=False)
    budi.hold()
    budi.page.locator("#waiting").wait_for()
    budi.at_the_key(is_there=True)
    budi.hold()
    budi.page.locator("#state[data-state=confirmed]").wait_for(timeout=15_000)
    assert stack.stopped("fan-1")
    assert budi.complaints == []


@pytest.mark.parametrize(
    ("language", "late", "cancel", "cancelled"),
    [
        ("en", "within 60 seconds", "Cancel", "was cancelled"),
        ("id", "dalam 60 detik", "Batal", "dibatalkan"),
    ],
)
def test_the_page_says_that_the_time_was_over_or_the_question_cancelled(
    browser: Browser, stack: Stack, language: str, late: str, cancel: str, cancelled: str
) -> None:
    label = {"en": "Log in with my passkey", "id": "Masuk dengan passkey saya"}[language]
    budi = Person(browser, stack, locale=language)
    budi.enrol("budi", "approver")
    budi.at_the_key(is_there=False)
    budi.page.clock.install()
    budi.page.goto(f"{stack.origin}/#/")
    budi.page.reload()
    press_login(budi, label)
    budi.page.clock.fast_forward(61_000)
    assert late in alert(budi)
    assert budi.page.locator("#waiting").count() == 0
    press_login(budi, label)
    assert budi.page.get_by_role("alert").count() == 0, "the old word is gone when the key is asked again"
    budi.page.get_by_role("button", name=cancel, exact=True).click()
    assert cancelled in alert(budi)
    assert budi.complaints == []


@pytest.mark.parametrize("leave", ["list", "other machine", "language", "reject"])
def test_a_key_touched_after_the_person_left_the_machine_approves_nothing(
    browser: Browser, stack: Stack, leave: str
) -> None:
    """Even from a browser that does not take the question back."""
    budi = Person(browser, stack)
    budi.enrol("budi", "approver")
    budi.login()
    for machine in ("fan-1", "mill-1"):
        stack.request(machine, machine)
    until(lambda: budi.page.locator("[data-id]").count() == 2 or budi.page.reload())
    budi.page.add_init_script(DEAF)
    budi.page.reload()
    budi.page.locator("#nav a[aria-current]").wait_for()
    sent: list[str] = []
    budi.page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    budi.open("fan-1")
    budi.hold()
    budi.page.locator("#waiting").wait_for()
    if leave == "list":
        budi.page.get_by_role("link", name="Back").click()
    elif leave == "other machine":
        budi.page.evaluate("location.hash = '#/m/mill-1'")
    elif leave == "language":
        budi.page.click("#language")
    else:
        budi.page.fill("#reason", "no")
        budi.page.click("#reject")
    until(lambda: budi.page.locator("#waiting").count() == 0)
    budi.page.evaluate("window.touch()")
    assert [one for one in sent if one.endswith("/approvals")] == []
    assert not stack.stopped("fan-1")
