"""The economics keep honest books, and treat every watch alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import pytest

from simulators.day import DAY_NS
from simulators.economics import Assumptions, Call, Down, Ledger, Member, NoWatch, Works, destinies
from simulators.faults import Fault, FaultKind
from simulators.machine import DEFAULT_ORIGIN_NS, JAKARTA_S, MachineModel

MIDNIGHT = DEFAULT_ORIGIN_NS + DAY_NS - JAKARTA_S * 1_000_000_000
BUSY = Assumptions(mtbf_days=15.0, growth_days=10.0)
DAYS = 60


def members() -> list[Member]:
    def maker(kind: str, seed: int):
        return lambda faults: MachineModel(kind, 75.0, 1480.0, seed=seed, faults=faults)

    return [
        Member(f"{kind}-{n}", line, kind, maker(kind, n))
        for n, (kind, line) in enumerate((("pump", "a"), ("fan", "a"), ("gearbox", "b")))
    ]


class Oracle(NoWatch):
    """Knows the truth, which no real watch does: the best that can be reached."""

    def __init__(self) -> None:
        self.told: list[tuple[str, FaultKind | None]] = []
        self.repairs = 0

    def look(self, now_ns: int, models: Mapping[str, MachineModel]) -> Sequence[Call]:
        return [Call(name) for name, model in models.items() if model.severity(now_ns) > 0.1]

    def tell(self, now_ns: int, machine: str, found: FaultKind | None) -> None:
        self.told.append((machine, found))

    def repaired(self, now_ns: int, machine: str) -> None:
        self.repairs += 1


class Alarmist(NoWatch):
    """Wants everything stopped at once, always."""

    def look(self, now_ns: int, models: Mapping[str, MachineModel]) -> Sequence[Call]:
        return [Call(name, urgent=True) for name in models]


def live(watch: NoWatch, seed: int = 4, days: int = DAYS, assumed: Assumptions = BUSY) -> Ledger:
    return Works(members(), assumed, seed, MIDNIGHT).live(watch, days)


@pytest.fixture(scope="module")
def unwatched() -> Ledger:
    return live(NoWatch())


def test_the_books_close(unwatched: Ledger) -> None:
    assert unwatched.planned_h == 2 * 24 * DAYS
    assert 0 < sum(unwatched.lost_h.values()) < unwatched.planned_h
    assert unwatched.lost_h[Down.PLANNED] == unwatched.lost_h[Down.SHORT_NOTICE] == 0
    assert 0 < unwatched.good < unwatched.work < unwatched.planned_h
    assert unwatched.oee == pytest.approx(unwatched.good / unwatched.planned_h)
    assert unwatched.availability == pytest.approx(1 - unwatched.unplanned_h / unwatched.planned_h)
    assert unwatched.breakdowns > 4
    assert unwatched.caught == unwatched.calls == unwatched.inspections == 0
    assert unwatched.energy_cost > 0


def test_the_same_seed_lives_the_same_life(unwatched: Ledger) -> None:
    assert live(NoWatch()) == unwatched
    assert live(NoWatch(), seed=5) != unwatched


def test_destinies_do_not_depend_on_who_watches() -> None:
    once = list(islice(destinies("pump", (1, 2), BUSY), 50))
    assert once == list(islice(destinies("pump", (1, 2), BUSY), 50))
    assert once != list(islice(destinies("pump", (1, 3), BUSY), 50))
    assert FaultKind.GEAR not in {destiny.kind for destiny in once}
    sudden = sum(destiny.growth_days == 0 for destiny in once) / len(once)
    assert 0.05 < sudden < 0.4


def test_foresight_turns_breakdowns_into_planned_repairs(unwatched: Ledger) -> None:
    oracle = Oracle()
    watched = live(oracle)
    assert watched.caught > 0
    assert watched.breakdowns - watched.sudden_breakdowns < unwatched.breakdowns - unwatched.sudden_breakdowns
    assert watched.unplanned_h < unwatched.unplanned_h
    assert watched.oee > unwatched.oee
    assert watched.false_calls == watched.needless_inspections == 0
    assert all(found is not None for _, found in oracle.told)
    assert 0 <= watched.caught + watched.breakdowns - oracle.repairs <= len(members())


def test_technicians_reject_stops_of_healthy_machines() -> None:
    calm = Assumptions(mtbf_days=10_000.0)
    watched = live(Alarmist(), days=3, assumed=calm)
    assert watched.stops_advised == watched.stops_rejected == 3 * 24 * 3
    assert watched.lost_h[Down.SHORT_NOTICE] == 0


def test_a_report_of_idling_saves_idle_power_only() -> None:
    class Reporting(NoWatch):
        reports_idling = True

    calm = Assumptions(mtbf_days=10_000.0, report_days=0.0, switch_off=0.5)
    plain, reported = live(NoWatch(), days=10, assumed=calm), live(Reporting(), days=10, assumed=calm)
    assert reported.idle_kwh == pytest.approx(plain.idle_kwh / 2)
    assert reported.running_kwh == plain.running_kwh
    assert reported.good == plain.good


@pytest.mark.parametrize("wrong", [{"sudden": 1.5}, {"mtbf_days": 0.0}, {"approval": -0.1}])
def test_impossible_assumptions_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Assumptions(**wrong)


def test_a_machine_breaks_when_its_fault_is_full_grown() -> None:
    seen: list[float] = []

    class Witness(NoWatch):
        def look(self, now_ns: int, models: Mapping[str, MachineModel]) -> Sequence[Call]:
            seen.extend(model.severity(now_ns) for model in models.values())
            return ()

    live(Witness())
    assert max(seen) == pytest.approx(1.0, abs=0.05)
    assert Fault(FaultKind.IMBALANCE, 0, 1.0).severity_at(10**9) == 1.0
