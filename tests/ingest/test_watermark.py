"""A watermark that did not go out stays due; nobody has to ask for it by sending everything again."""

from __future__ import annotations

from ingest.contract.batch import Batch
from ingest.contract.payload import Committed, read_committed, read_payload
from ingest.journal.entry import Intake
from ingest.watermark import MAX_BOOTS, Announcement, Watermarks

S = 1_000_000_000
NOW = 1_800_000_000 * S


def stored(marks: Watermarks, *boots: int) -> None:
    marks.stored(Intake(Batch(NOW), touched={("gw-1", boot): (0,) for boot in boots}))


def marks_of(n_messages: int = 1) -> Watermarks:
    return Watermarks("plant-1", lambda _node, _boot: [(0, n_messages - 1)], lambda _node: 256)


def boots(told: list[Announcement]) -> list[int]:
    said = [read_committed(read_payload(one.send.payload)) for one in told]
    return [one.boot_id for one in said if isinstance(one, Committed)]


def test_a_dropped_announcement_is_due_again_a_second_later_and_once() -> None:
    marks = marks_of()
    stored(marks, 1, 2)
    gone, dropped = marks.announcements(NOW)
    marks.unsaid(dropped)
    assert marks.announcements(NOW + S - 1) == []
    again = marks.announcements(NOW + S)
    assert boots(again) == [dropped.boot_id]
    assert gone.boot_id != dropped.boot_id
    assert marks.announcements(NOW + 3 * S) == []


def test_a_boot_that_is_forgotten_meanwhile_is_not_due_again() -> None:
    marks = marks_of()
    stored(marks, 1)
    (dropped,) = marks.announcements(NOW)
    stored(marks, *range(2, 2 + MAX_BOOTS))
    marks.unsaid(dropped)
    assert boots(marks.announcements(NOW + S)) == list(range(2, 2 + MAX_BOOTS))
