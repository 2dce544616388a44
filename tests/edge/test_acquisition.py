"""Who may be watched more closely, for how long, and how often that may change."""

from __future__ import annotations

from edge.acquisition import MAX_EXTRA_NS, MAX_MACHINES_AT_ONCE, AcquireRequest, Acquisitions, read_acquire
from ingest.contract import channels as ch
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.rejected import Rejected
from ingest.contract.sparkplug_b_pb2 import Payload

S = 1_000_000_000
WALL_NS = 1_795_000_000 * S


def request(machine: str = "m-1", seconds: int = 60) -> AcquireRequest:
    return AcquireRequest(machine, 4096, None, WALL_NS + seconds * S)


def test_it_ends_when_it_was_said_to_end() -> None:
    watched = Acquisitions()
    assert watched.admit(request(), WALL_NS, 5 * S) == 65 * S
    assert watched.ended(64 * S) == ()
    assert watched.ended(65 * S) == ("m-1",)
    assert watched.ended(66 * S) == ()


def test_a_second_change_within_ten_seconds_is_refused() -> None:
    watched = Acquisitions()
    watched.admit(request(), WALL_NS, 0)
    assert watched.admit(request(), WALL_NS, 9 * S) == Rejected("acquire_too_often", "m-1")
    assert isinstance(watched.admit(request(), WALL_NS, 10 * S), int)


def test_it_never_lasts_longer_than_an_hour_and_an_end_in_the_past_ends_it() -> None:
    watched = Acquisitions()
    assert watched.admit(request(seconds=10**9), WALL_NS, 0) == MAX_EXTRA_NS
    assert watched.admit(request(seconds=-5), WALL_NS, 20 * S) == 20 * S
    assert watched.ended(20 * S) == ("m-1",)


def test_only_so_many_machines_at_once() -> None:
    watched = Acquisitions()
    for i in range(MAX_MACHINES_AT_ONCE):
        assert isinstance(watched.admit(request(f"m-{i}"), WALL_NS, 0), int)
    assert watched.admit(request("one-more"), WALL_NS, 0) == Rejected("acquire_too_many", "one-more")
    watched.ended(100 * S)
    assert isinstance(watched.admit(request("one-more"), WALL_NS, 100 * S), int)


def said(**values: int | str) -> AcquireRequest | Rejected | None:
    payload = Payload(timestamp=1)
    for name, value in values.items():
        datatype = DataType.STRING if isinstance(value, str) else DataType.INT64
        add_metric(payload, getattr(ch, name), datatype, value)
    return read_acquire(payload)


def test_a_request_is_read_with_its_limits() -> None:
    until = WALL_NS + S
    assert said() is None
    assert said(ACQUIRE_MACHINE="m-1", ACQUIRE_SAMPLES=4096, ACQUIRE_UNTIL_NS=until) == AcquireRequest(
        "m-1", 4096, None, until
    )
    assert said(ACQUIRE_MACHINE="m-1", ACQUIRE_SAMPLES=0, ACQUIRE_PERIOD_NS=S, ACQUIRE_UNTIL_NS=until) == (
        AcquireRequest("m-1", None, S, until)
    )
    for values, reason in (
        ({"ACQUIRE_MACHINE": "M 1", "ACQUIRE_UNTIL_NS": until}, "acquire_machine"),
        ({"ACQUIRE_MACHINE": "m-1"}, "acquire_without_end"),
        ({"ACQUIRE_MACHINE": "m-1", "ACQUIRE_SAMPLES": -1, "ACQUIRE_UNTIL_NS": until}, "acquire_samples"),
        (
            {"ACQUIRE_MACHINE": "m-1", "ACQUIRE_SAMPLES": 1 << 40, "ACQUIRE_UNTIL_NS": until},
            "acquire_samples",
        ),
        ({"ACQUIRE_MACHINE": "m-1", "ACQUIRE_PERIOD_NS": 5, "ACQUIRE_UNTIL_NS": until}, "acquire_period"),
    ):
        found = said(**values)
        assert isinstance(found, Rejected)
        assert found.reason == reason
