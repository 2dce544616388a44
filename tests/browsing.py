"""What tests in a browser share: a press that lasts until the page has counted it, and what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MAX_SHOWN = 3_000
_WATCH = """(button) => { window.counted = new Promise((done) => {
  let words = 0, slipped = false;
  button.addEventListener("pointerleave", () => { slipped = true; }, { capture: true, once: true });
  new MutationObserver((_, watch) => {
    words += 1;
    if (words === 2) { watch.disconnect(); done(!slipped); }
  }).observe(button.querySelector("span"), { childList: true, characterData: true, subtree: true });
}); }"""
"""The button says that it is held, and then that it is not any more."""


def hold(page: Any) -> None:
    """Hold the button of the approver's page until the page has seen it held long enough."""
    button = page.locator("#approve")
    button.scroll_into_view_if_needed()
    button.hover()
    button.evaluate(_WATCH)
    page.mouse.down()
    counted = page.evaluate("() => window.counted")
    page.mouse.up()
    assert counted, "the button went away from under the finger that held it"


def to_be_seen(fixtures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What browsers showed and processes wrote, for the report of a test that failed."""
    shown: set[Path] = set()
    for value in fixtures.values():
        for context in getattr(value, "contexts", ()):
            for page in context.pages:
                yield f"screen {page.url}", _text(page)
        demo = getattr(getattr(value, "request", None), "data", None)
        folder = value if isinstance(value, Path) else getattr(value, "folder", demo)
        if isinstance(folder, Path) and folder.is_dir():
            for path in sorted({*folder.rglob("*.log")} - shown):
                shown.add(path)
                yield f"log {path.name}", path.read_text("utf-8", "replace")[-MAX_SHOWN:]


def _text(page: Any) -> str:
    try:
        return str(page.locator("body").inner_text(timeout=2_000))[:MAX_SHOWN]
    except Exception as error:  # noqa: BLE001 (a report must not fail; what the browser says is in it)
        return f"not to be had: {error}"
