"""A person with a browser: Chromium with a virtual authenticator, for tests of the approver's page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from control.enrolment import enrol_passkey
from control.roster import publish
from tests.approval_processes import SITE, Stack
from tests.browsing import hold
from tests.waiting import until

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Person:
    """One browser with one virtual authenticator, and everything that went wrong in it."""

    def __init__(self, browser: Browser, stack: Stack, **options: Any) -> None:
        self.stack = stack
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(60_000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda one: self._note(one.type, one.text))
        self.page.on("pageerror", lambda one: self.complaints.append(str(one)))
        self.cdp = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        self.add_authenticator()

    def _note(self, kind: str, text: str) -> None:
        # A refused request (a wrong code) is an answer, not an error of the page.
        # RSA keys are left out on purpose, whatever Chromium advises.
        expected = ("Failed to load resource", "pubKeyCredParams is missing")
        if kind in {"error", "warning"} and not any(one in text for one in expected):
            self.complaints.append(text)

    def add_authenticator(self) -> None:
        options = {
            "protocol": "ctap2",
            "transport": "usb",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._authenticator: str = made["authenticatorId"]

    def at_the_key(self, *, is_there: bool) -> None:
        """Whether somebody touches the key when it is asked; else the question stays open."""
        self.cdp.send(
            "WebAuthn.setAutomaticPresenceSimulation",
            {"authenticatorId": self._authenticator, "enabled": is_there},
        )

    def enrol(self, name: str, role: str, full_name: str = "") -> None:
        """Make a key on the page; the leads check the file, sign the roster and publish it."""
        self.page.goto(f"{self.stack.origin}/#/enrol")
        self.page.fill("#person", name)
        self.page.fill("#name", full_name or name.title())
        self.page.click("#make")
        text = self.page.locator("#enrolment").text_content() or ""
        enrol_passkey(
            self.stack.roster,
            text.encode(),
            site=SITE,
            role=role,
            origin=self.stack.origin,
            rp_id="localhost",
        )
        publish(self.stack.roster, datetime.now(UTC))

    def login(self) -> None:
        self.page.goto(f"{self.stack.origin}/#/")
        self.page.get_by_role("button", name="Log in with my passkey").click()
        inside, refused = self.page.locator("#nav a[aria-current]"), self.page.get_by_role("alert")
        inside.locator("visible=true").or_(refused).first.wait_for()
        assert not refused.count(), refused.all_text_contents()

    def open(self, machine: str) -> None:
        self.page.goto(f"{self.stack.origin}/#/m/{machine}")
        self.page.locator("#approve, #lie, #state, #mine").first.wait_for()

    def hold(self) -> None:
        hold(self.page)

    def tap(self, milliseconds: int, *, stands_still_ms: int = 0) -> None:
        """Press for so long by the page's own clock, on a device whose page may stand still meanwhile."""
        self.page.locator("#approve").evaluate(
            """(button, [press, still]) => new Promise((done) => {
                 const say = (name) => button.dispatchEvent(new PointerEvent(name, { bubbles: true }));
                 say("pointerdown");
                 setTimeout(() => { say("pointerup"); setTimeout(done, 2 * 1500); }, press);
                 const until = performance.now() + still;
                 while (performance.now() < until) {}
               })""",
            [milliseconds, stands_still_ms],
        )


def shown_code(stack: Stack, machine: str) -> str:
    path = stack.folder / "panel" / f"{machine}.json"
    return str(until(lambda: json.loads(path.read_text()).get("presence")))
