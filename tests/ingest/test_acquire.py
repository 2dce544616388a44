"""A suspicious machine is looked at more closely for a while, without a storm of requests."""

from __future__ import annotations

from edge.acquisition import AcquireRequest, read_acquire
from ingest.acquire import Acquire, AcquirePolicy
from ingest.contract.payload import read_payload
from ingest.contract.rejected import Rejected
from ingest.contract.rows import Condition, Judgement
from ingest.host import Send

S = 1_000_000_000
NOW = 1_700_000_000 * S


def judged(condition: Condition, machine: str = "pump-1") -> Judgement:
    return Judgement(machine, NOW, condition, 0.5, 0.5, 50.0)


def asked(send: Send) -> AcquireRequest:
    payload = read_payload(send.payload)
    assert not isinstance(payload, Rejected)
    request = read_acquire(payload)
    assert isinstance(request, AcquireRequest)
    return request


def acquire(**policy: object) -> Acquire:
    return Acquire("plant-1", lambda _machine: "gw-1", AcquirePolicy(**policy))


def test_more_is_asked_for_once_renewed_while_it_lasts_and_ended_after() -> None:
    watch = acquire(n_samples=16_384, period_s=2.0, hold_s=600.0, pause_s=60.0)
    assert watch.consider([judged(Condition.NORMAL)], NOW) == []
    (first,) = watch.consider([judged(Condition.WARNING)], NOW)
    assert first.topic == "spBv1.0/plant-1/NCMD/gw-1"
    assert asked(first) == AcquireRequest("pump-1", 16_384, 2 * S, NOW + 600 * S)
    for second in range(1, 500, 7):
        assert watch.consider([judged(Condition.ALARM)], NOW + second * S) == []
    (again,) = watch.consider([judged(Condition.ALARM)], NOW + 545 * S)
    assert asked(again).until_ns == NOW + 1145 * S
    assert watch.consider([judged(Condition.NORMAL)], NOW + 550 * S) == []
    (end,) = watch.consider([judged(Condition.NORMAL)], NOW + 610 * S)
    assert asked(end).until_ns == NOW + 610 * S
    assert watch.consider([judged(Condition.NORMAL)], NOW + 700 * S) == []


def test_one_gateway_is_not_asked_for_everything_at_once() -> None:
    watch = acquire(per_node=3)
    sick = [judged(Condition.ALARM, f"m-{i}") for i in range(10)]
    assert len(watch.consider(sick, NOW)) == 3
    assert watch.consider(sick, NOW + S) == []


def test_a_machine_without_a_known_gateway_is_left_alone() -> None:
    watch = Acquire("plant-1", lambda _machine: "")
    assert watch.consider([judged(Condition.ALARM)], NOW) == []
