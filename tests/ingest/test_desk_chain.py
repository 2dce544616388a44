"""What people said is chained: an entry edited, removed, slipped in or cut off shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.contract.actions import Action, ActionKind
from ingest.desk import START, Desk, link

N = 7


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk.db"


@pytest.fixture
def desk(path: Path) -> Iterator[Desk]:
    desk = Desk(path)
    say(desk, *range(N))
    yield desk
    desk.close()


def say(desk: Desk, *numbers: int) -> None:
    for n in numbers:
        desk.say(Action(f"action-{n}", ActionKind.ACKNOWLEDGE, "sari", n, "pump-1", "a:b:1"))


def change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def test_an_untouched_record_holds_and_grows(desk: Desk) -> None:
    found = desk.check()
    assert (found.n, found.broken_at, found.last[0]) == (N, None, N)
    say(desk, 0, N)  # the first was said before
    grown = desk.check()
    assert (grown.n, grown.broken_at) == (N + 1, None)
    assert desk.digest(N) == found.last[1]


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE action SET body = (SELECT body FROM action WHERE id = 1) WHERE id = 4", 4),
        ("DELETE FROM action WHERE id = 3", 4),
        ("UPDATE chain SET digest = zeroblob(32) WHERE id = 5", 5),
        ("INSERT INTO action VALUES (99, 'x', 1, '', '', (SELECT body FROM action WHERE id = 1))", 99),
        ("DELETE FROM action WHERE id = 7", 8),
    ],
)
def test_a_changed_record_is_broken_where_it_was_changed(
    desk: Desk, path: Path, statement: str, broken_at: int
) -> None:
    change(path, statement)
    found = desk.check()
    assert found.broken_at is not None
    assert found.broken_at <= broken_at
    assert found.last[0] < broken_at


def test_a_desk_from_before_the_chain_is_taken_along(path: Path) -> None:
    old = Desk(path)
    say(old, 0, 1)
    change(path, "DELETE FROM chain")
    assert old.check().n == 0
    say(old, 2)
    assert (old.check().n, old.check().broken_at) == (3, None)
    old.close()


def test_a_link_depends_on_everything_before_it() -> None:
    first = link(START, 1, b"said")
    assert link(first, 2, b"more") != link(START, 2, b"more")
    assert link(START, 2, b"said") != first
