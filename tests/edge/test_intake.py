"""The waiting room between sensors and outbox: bounded, and honest about who found no place."""

from __future__ import annotations

import threading

from edge.intake import Intake
from ingest.contract.values import Message, Scalar


def message(i: int, machine: str = "m-1") -> Message:
    return Message("gw-1", machine, i, (), (Scalar("Speed", 1.0, i),))


def test_a_sensor_that_follows_the_clock_is_never_held_up_and_its_misses_are_counted() -> None:
    woken: list[int] = []
    intake = Intake(lambda: woken.append(1), max_messages=3)
    assert [intake.put(message(i), patient=False) for i in range(5)] == [True, True, True, False, False]
    intake.put(message(9, "m-2"), patient=False)
    losses = {loss.machine: loss for loss in intake.take_losses()}
    assert (losses["m-1"].n_messages, losses["m-1"].from_ns, losses["m-1"].to_ns) == (2, 3, 4)
    assert losses["m-2"].n_messages == 1
    assert intake.take_losses() == ()
    intake.put_back_losses(tuple(losses.values()))
    assert sum(loss.n_messages for loss in intake.take_losses()) == 3
    assert [one.time_ns for one in intake.take(10)] == [0, 1, 2]
    assert len(woken) == 1


def test_a_recording_waits_for_a_place_and_loses_nothing() -> None:
    intake = Intake(lambda: None, max_messages=4)
    sender = threading.Thread(target=lambda: [intake.put(message(i), patient=True) for i in range(200)])
    sender.start()
    taken: list[int] = []
    while len(taken) < 200:
        taken += [one.time_ns for one in intake.take(3)]
    sender.join(60)
    assert taken == list(range(200))
    assert intake.take_losses() == ()


def test_what_could_not_be_stored_keeps_its_place() -> None:
    intake = Intake(lambda: None)
    for i in range(4):
        intake.put(message(i), patient=True)
    first = intake.take(2)
    intake.put_back(first)
    assert [one.time_ns for one in intake.take(9)] == [0, 1, 2, 3]


def test_a_stop_lets_go_of_whoever_waits() -> None:
    intake = Intake(lambda: None, max_messages=1)
    intake.put(message(0), patient=True)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(intake.put(message(1), patient=True)))
    waiting.start()
    intake.close()
    waiting.join(60)
    assert answers == [False]
    assert len(intake) == 1
