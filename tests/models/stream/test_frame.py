"""The bytes of a dump: taken at once, sealed later, and read whichever version wrote them."""

from __future__ import annotations

import pytest

from models.persist import StateError, parts
from models.stream import Settings, dump, load, new_state
from tests.old_dumps import as_before, in_the_old_frame

DEMO = Settings.demo()


@pytest.fixture
def taught(plant, rows, fold):
    state = new_state(plant, DEMO)
    fold(state, rows().calm(90))
    return state


def test_what_was_taken_is_what_the_state_was_then(taught, rows, fold):
    then = dump(taught)
    taken = parts(taught)
    more = rows(seed=3)
    more.time_ns = 5_000 * 10**9
    fold(taught, more.calm(30))
    assert dump(taught) != then
    assert b"".join(taken) == then


def test_a_dump_of_the_version_before_loads_to_the_same_state(taught, plant):
    old = in_the_old_frame(as_before(dump(taught)))
    assert old != dump(taught)
    assert dump(load(old, plant)) == dump(taught)


def test_a_changed_bit_is_found_wherever_it_is(taught, plant):
    good = dump(taught)
    for frame in (good, in_the_old_frame(as_before(good))):
        for at in range(0, len(frame), len(frame) // 97):
            bad = bytearray(frame)
            bad[at] ^= 0x10
            with pytest.raises(StateError):
                load(bytes(bad), plant)
