"""Which raw waveforms stay: all around alarms, a fair and thin sample otherwise, within the budget."""

from __future__ import annotations

from ingest.contract.rows import Condition
from ingest.contract.values import Message
from ingest.journal.waveforms import Recent, WaveformPolicy, WaveformRule

S = 1_000_000_000
SIZE = 50_000


def run(
    rule: WaveformRule, machines: int, seconds: int, condition: Condition = Condition.NORMAL
) -> dict[str, int]:
    kept = {f"m-{i}": 0 for i in range(machines)}
    for second in range(seconds):
        for i, machine in enumerate(kept):
            rule.judged(machine, condition)
            kept[machine] += bool(rule.wanted(machine, second * S + i * S // machines, SIZE))
    return kept


def test_a_small_plant_keeps_one_in_ten_seconds_of_each_machine() -> None:
    kept = run(WaveformRule(WaveformPolicy()), 5, 100)
    assert set(kept.values()) == {10}


def test_a_big_plant_stays_within_its_budget_and_no_machine_starves() -> None:
    policy = WaveformPolicy(budget_bytes_s=1_000_000.0)
    kept = run(WaveformRule(policy), 2_000, 300)
    assert sum(kept.values()) * SIZE <= 300 * policy.budget_bytes_s + 2_000 * SIZE
    assert min(kept.values()) >= 2
    assert max(kept.values()) - min(kept.values()) <= 1


def test_a_plant_that_starts_does_not_write_all_first_waveforms_at_once() -> None:
    rule = WaveformRule(WaveformPolicy(budget_bytes_s=1_000_000.0))
    first_second = sum(bool(rule.wanted(f"m-{i}", i * S // 5_000, SIZE)) for i in range(5_000))
    assert 150 <= first_second <= 210


def test_a_suspicious_machine_is_kept_each_second_and_its_recent_past_too() -> None:
    rule = WaveformRule(WaveformPolicy(ring_bytes=3 * SIZE))
    run(rule, 1, 1)
    for i in range(5):
        said = Message("gw-1", "m-0", i, (), ())
        rule.remember(Recent(i, said, i, SIZE))
    assert rule.judged("m-0", Condition.ALARM)
    assert [recent.row_id for recent in rule.recall("m-0")] == [2, 3, 4]
    assert rule.recall("m-0") == []
    assert not rule.judged("m-0", Condition.WARNING)
    assert run(rule, 1, 20, Condition.ALARM)["m-0"] >= 19
