"""A steady clock is corrected, a jumping one is set apart until a person releases it."""

from __future__ import annotations

from ingest.clocks import Clock, ClockPolicy, Verdict
from ingest.journal.entry import ClockState

S = 1_000_000_000
NOW = 1_700_000_000 * S
YEAR = 365 * 86_400 * S


def feed(clock: Clock, offsets_s: list[float], start: int = 0, **more: bool) -> list[Verdict]:
    return [
        clock.see(
            NOW + (start + i) * S - int(offset * S),
            NOW + (start + i) * S,
            historical=more.get("historical", False),
        )
        for i, offset in enumerate(offsets_s)
    ]


def test_a_good_clock_is_believed_from_its_first_message() -> None:
    clock = Clock("gw-1")
    assert feed(clock, [0.1, 0.2, -0.3]) == [Verdict.ADMIT] * 3
    assert clock.state is ClockState.GOOD
    assert clock.offset_ns == 0


def test_a_steady_offset_of_years_is_learnt_and_corrected() -> None:
    clock = Clock("gw-1")
    years = 54 * YEAR / S
    verdicts = feed(clock, [years, years + 1, years, years - 0.5, years, years])
    assert verdicts == [Verdict.QUARANTINE] * 4 + [Verdict.ADMIT] * 2
    assert clock.state is ClockState.CORRECTED
    assert clock.settled
    assert abs(clock.offset_ns - 54 * YEAR) < S


def test_a_clock_set_right_is_good_again() -> None:
    clock = Clock("gw-1")
    feed(clock, [3600.0] * 6)
    assert feed(clock, [0.0] * 6, start=10)[-1] is Verdict.ADMIT
    assert clock.state is ClockState.GOOD
    assert clock.verdict.jumps == 1


def test_a_jumping_clock_is_quarantined_and_released_by_a_person() -> None:
    clock = Clock("gw-1", ClockPolicy(max_jumps=2))
    feed(clock, [0.0] * 3)
    feed(clock, [100.0, 5000.0, -300.0, 90_000.0, 12.0, 700.0], start=5)
    assert clock.state is ClockState.QUARANTINED
    assert feed(clock, [0.0], start=20) == [Verdict.QUARANTINE]
    clock.release(NOW + 30 * S)
    assert feed(clock, [0.0] * 2, start=31) == [Verdict.ADMIT] * 2
    assert clock.state is ClockState.GOOD


def test_stored_data_may_be_old_but_not_from_the_future() -> None:
    clock = Clock("gw-1")
    feed(clock, [0.0] * 3)
    assert feed(clock, [72 * 3600.0], historical=True) == [Verdict.ADMIT]
    assert feed(clock, [-3600.0], historical=True) == [Verdict.QUARANTINE]
    assert clock.verdict.jumps == 0


def test_one_late_message_is_set_aside_and_the_clock_stays_good() -> None:
    clock = Clock("gw-1")
    assert feed(clock, [0.0, 500.0, 0.0, 0.0]) == [
        Verdict.ADMIT,
        Verdict.QUARANTINE,
        Verdict.ADMIT,
        Verdict.ADMIT,
    ]
    assert clock.state is ClockState.GOOD
    assert clock.verdict.jumps == 0


def test_drift_is_measured_and_followed() -> None:
    clock = Clock("gw-1")
    feed(clock, [1000.0 + i * 1e-3 for i in range(300)])
    assert 900 < clock.drift_ppm < 1100
    restored = Clock.restored(clock.verdict, ClockPolicy())
    assert restored.verdict == clock.verdict
