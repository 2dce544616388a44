"""The gate lets every message in once, at a believable time, from the node that may speak for its machine."""

from __future__ import annotations

from msgspec import structs
from sparkplug_wire import NOW, S, message

from ingest.clocks import ClockPolicy
from ingest.contract.values import Gap, Message, MessageKey
from ingest.gate import Gate, GatePolicy
from ingest.host import Refused, Telemetry
from ingest.journal.entry import ClockState, DeadLetter
from ingest.message import corrected, digest


class Nothing:
    """A journal that holds nothing, or what it was told."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, int], list[tuple[int, int]]] = {}
        self.seen: set[tuple[str, int]] = set()

    def stored_runs(self, node: str, boot_id: int) -> list[tuple[int, int]]:
        return self.runs.get((node, boot_id), [])

    def was_seen(self, machine: str, digest: int) -> bool:
        return (machine, digest) in self.seen


def tell(gate: Gate, said: Message | Gap, receive_ns: int | None = None) -> None:
    at = said.time_ns if isinstance(said, Message) else said.to_ns
    gate.admit(Telemetry(said, "topic", at if receive_ns is None else receive_ns, 100))


def test_a_key_that_is_stored_or_waits_is_a_duplicate_but_is_announced_again() -> None:
    memory = Nothing()
    memory.runs["gw-1", 7] = [(0, 4)]
    gate = Gate(memory)
    for key in (3, 6, 6, 5):
        tell(gate, message(key=key))
    admitted = gate.take()
    assert [one.key.seq64 for one in admitted.messages if one.key] == [6, 5]
    assert admitted.counts["duplicates"] == 2
    assert admitted.touched["gw-1", 7] == (3, 6, 6, 5)
    assert admitted.runs[0].came == ((0, 6),)
    assert admitted.runs[0].gone == (6,)  # it was a run of its own for a moment


def test_an_older_key_that_never_came_is_no_duplicate() -> None:
    gate = Gate(Nothing())
    tell(gate, message(key=100))
    tell(gate, message(NOW - 3600 * S, key=2, historical=True), NOW)
    assert len(gate.take().messages) == 2


def test_a_resend_without_a_key_is_known_by_machine_time_and_content() -> None:
    memory = Nothing()
    gate = Gate(memory)
    first = message(waves=False)
    tell(gate, first)
    tell(gate, first, NOW + S)
    tell(gate, message(waves=False, power=2.0))
    tell(gate, message(NOW + S, waves=False))
    admitted = gate.take()
    assert len(admitted.messages) == 3
    assert admitted.counts["duplicates_resent"] == 1
    memory.seen.update(admitted.digests)
    tell(gate, first, NOW + 2 * S)
    assert gate.take().counts["duplicates_resent"] == 1


def test_a_resend_through_an_outbox_is_committed_but_stored_once() -> None:
    gate = Gate(Nothing())
    tell(gate, message(key=0, waves=False))
    tell(gate, message(key=1, waves=False))
    admitted = gate.take()
    assert len(admitted.messages) == 1
    assert admitted.runs[0].came == ((0, 1),)


def test_a_node_may_not_speak_for_the_machine_of_another() -> None:
    gate = Gate(Nothing(), {"pump-1": "gw-2"})
    tell(gate, message(key=0))
    tell(gate, message(key=0, node="gw-2"))
    admitted = gate.take()
    assert [one.node for one in admitted.messages] == ["gw-2"]
    assert admitted.dead_letters[0].reason == "machine_of_another_node"


def test_machines_are_bounded() -> None:
    gate = Gate(Nothing(), policy=GatePolicy(max_machines=2))
    for i in range(4):
        tell(gate, message(machine=f"m-{i}"))
    admitted = gate.take()
    assert len(admitted.messages) == 2
    assert admitted.counts["refused_too_many_machines"] == 2


def test_a_flood_is_limited_by_source_and_comes_again_later() -> None:
    gate = Gate(Nothing(), policy=GatePolicy(rate=10.0, burst=10.0))
    for key in range(50):
        tell(gate, message(key=key))
    tell(gate, message(key=0, node="gw-2", machine="fan-1"))
    admitted = gate.take()
    assert len(admitted.messages) == 11
    assert admitted.counts["refused_rate_limit"] == 40
    tell(gate, message(NOW + S, key=20))
    assert len(gate.take().messages) == 1


def test_poison_of_an_outbox_is_committed_and_kept_as_a_dead_letter() -> None:
    gate = Gate(Nothing())
    letter = DeadLetter(NOW, "t", "unit", "", 9)
    gate.refuse(Refused(letter, "gw-1", MessageKey("gw-1", 7, 0)))
    gate.refuse(Refused(letter, "gw-1", again=True))
    admitted = gate.take()
    assert admitted.runs[0].came == ((0, 0),)
    assert admitted.dead_letters == (letter,)
    assert admitted.counts["refused_unit"] == 2


def test_a_steady_wrong_clock_is_corrected_and_what_waited_comes_back() -> None:
    gate = Gate(Nothing())
    year = 365 * 86_400 * S
    for i in range(6):
        tell(gate, message(NOW - year + i * S, key=i), NOW + i * S)
    admitted = gate.take()
    assert len(admitted.quarantined) == 4
    assert admitted.settled == ("gw-1",)
    assert [one.time_ns for one in admitted.messages] == [NOW + 4 * S, NOW + 5 * S]
    assert admitted.messages[0].waveforms[0].start_ns == NOW + 4 * S
    assert admitted.clocks[0].state is ClockState.CORRECTED
    for held in admitted.quarantined:
        assert gate.readmit(held, as_received=False)
    assert [one.time_ns for one in gate.take().messages] == [NOW + i * S for i in range(4)]


def test_a_lone_late_message_stays_aside_until_a_person_takes_it_as_received() -> None:
    gate = Gate(Nothing())
    tell(gate, message(key=0))
    tell(gate, message(NOW - 7200 * S, key=1), NOW + S)
    held = gate.take().quarantined
    assert not gate.readmit(held[0], as_received=False)
    assert gate.readmit(held[0], as_received=True)
    back = gate.take().messages
    assert back[0].time_ns == NOW + S
    assert back[0].historical


def test_recordings_may_be_replayed_without_judging_clocks() -> None:
    gate = Gate(Nothing(), policy=GatePolicy(judge_clocks=False))
    tell(gate, message(5 * S, key=0), NOW)
    assert gate.take().messages[0].time_ns == 5 * S


def test_a_pause_of_a_machine_is_declared_unless_its_outbox_may_still_fill_it() -> None:
    gate = Gate(Nothing(), policy=GatePolicy(clock=ClockPolicy(tolerance_s=1.0)))
    for i in range(5):
        tell(gate, message(NOW + i * 900 * S, key=i))
    tell(gate, message(NOW + 7200 * S + 3600 * S, key=5))
    gaps = gate.take().gaps
    assert [(gap.reason, gap.n_messages) for gap in gaps] == [("silence", 7)]
    tell(gate, message(NOW + 50_000 * S, key=9))
    assert gate.take().gaps == ()


def test_sequence_gaps_are_stored_for_nodes_that_have_no_outbox() -> None:
    gate = Gate(Nothing())
    gap = Gap("gw-1", "gw-1", NOW, NOW + S, 3, "sequence")
    gate.declare(gap)
    tell(gate, message(key=0))
    gate.declare(gap)
    admitted = gate.take()
    assert admitted.gaps == (gap,)
    assert admitted.counts["sequence_gaps"] == 2


def test_a_thinned_message_is_stored_and_what_it_lost_is_declared() -> None:
    gate = Gate(Nothing())
    thin = structs.replace(message(key=1, waves=False), thinned=True)
    tell(gate, thin)
    tell(gate, thin)
    tell(gate, message(NOW + S, key=2))
    admitted = gate.take()
    assert len(admitted.messages) == 2
    assert admitted.gaps == (Gap("gw-1", thin.machine, thin.time_ns, thin.time_ns, 1, "waveform_thinned"),)
    assert admitted.counts["thinned_messages"] == 1


def test_correcting_moves_every_time_and_digests_do_not_depend_on_it() -> None:
    one = message()
    moved = corrected(one, 5)
    assert moved.scalars[0].time_ns == NOW + 5
    assert digest(one) == digest(structs.replace(one, historical=True))
    assert digest(one) != digest(moved)
