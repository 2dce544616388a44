"""What all readers share is made once, and no older than it may be."""

from __future__ import annotations

import threading
from typing import Any

from markupsafe import Markup

from dashboards.live import Moment
from dashboards.parts import MAX_PARTS, Part, Parts
from dashboards.picture import Picture


def part(text: str) -> Part:
    return Part(Moment(1, Picture()), Markup(text))


def test_a_part_is_handed_out_until_it_is_too_old() -> None:
    now = 0.0
    parts = Parts(clock=lambda: now)
    assert parts.get("a", 1.0, lambda: part("first")).main == "first"
    now = 0.9
    assert parts.get("a", 1.0, lambda: part("second")).main == "first"
    now = 1.0
    assert parts.get("a", 1.0, lambda: part("second")).main == "second"
    assert parts.get("b", 1.0, lambda: part("other")).main == "other"


def test_many_who_come_at_once_let_one_work() -> None:
    parts, made, begun, go = Parts(), [], threading.Event(), threading.Event()

    def make() -> Part:
        begun.set()
        go.wait(10)
        made.append(1)
        return part("one")

    readers = [threading.Thread(target=parts.get, args=("a", 60.0, make)) for _ in range(8)]
    for reader in readers:
        reader.start()
    assert begun.wait(10)
    go.set()
    for reader in readers:
        reader.join(10)
    assert made == [1]


def test_parts_are_bounded_and_a_failure_is_not_kept() -> None:
    parts = Parts()
    for n in range(3 * MAX_PARTS):
        parts.get(n, 60.0, lambda: part("x"))
    assert len(parts._kept) == MAX_PARTS
    try:
        parts.get("bad", 60.0, lambda: part(str(1 // 0)))
    except ZeroDivisionError:
        assert parts.get("bad", 60.0, lambda: part("good")).main == "good"


def test_readers_share_the_plant_but_not_their_name(screens: Any) -> None:
    first = screens.client.get("/").text
    screens.sign_in()
    second = screens.client.get("/").text
    assert 'class="who-name">demo-technician' in second
    assert 'class="who-name">demo-technician' not in first
    main = 'id="main"'
    assert first.split(main)[1] == second.split(main)[1]
    screens.client.cookies.set("mitra_language", "en")
    assert "Needs action" in screens.client.get("/").text
