"""One session between the agent's thread and the one that connects: nothing is lost and nothing lives on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from edge.config import Broker
from edge.link import Closed, Event, Session
from edge.node import Publish
from tests.waiting import until

WILL = Publish("spBv1.0/plant-1/NDEATH/gw-1", b"", 1, False)


class Socket:
    def settimeout(self, _seconds: float) -> None: ...


class Paho:
    """What a session needs of a client; `connect` comes back when it is told to, by raising or not."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.go_on, self.trouble = threading.Event(), None
        self.disconnected = 0
        type(self).made = self

    made: Paho
    trouble: Exception | None

    def will_set(self, *_: Any, **__: Any) -> None: ...

    def connect(self, *_: Any) -> None:
        assert self.go_on.wait(30)
        if self.trouble is not None:
            raise self.trouble

    def socket(self) -> Socket | None:
        return None if self.trouble else Socket()

    def want_write(self) -> bool:
        return False

    def loop_misc(self) -> None: ...

    def disconnect(self, *_: Any) -> None:
        self.disconnected += 1


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr("edge.link.mqtt.Client", Paho)
    return Session(Broker("127.0.0.1", 1), "edge-plant-1-gw-1", "3.1.1", WILL, lambda: None)


def connecting() -> threading.Thread:
    return [one for one in threading.enumerate() if one.name == "mqtt-connect"][-1]


def test_a_connection_refused_while_the_agent_looks_is_seen_at_the_next_look(session: Session) -> None:
    Paho.made.trouble, thread = ConnectionRefusedError("nobody there"), connecting()

    class Interrupted(deque[Event]):
        """The other thread speaks between the agent's looking and its clearing."""

        def __iter__(self) -> Iterator[Event]:
            yield from [self[i] for i in range(len(self))]
            Paho.made.go_on.set()
            thread.join(10)

    session._events = Interrupted()
    heard = session.step(readable=False)
    Paho.made.go_on.set()
    thread.join(10)
    heard += session.step(readable=False)
    assert [type(one) for one in heard] == [Closed]


def test_a_session_given_up_while_it_is_handed_over_does_not_live_on(session: Session) -> None:
    thread = connecting()

    class HandedOver(threading.Event):
        """The agent gives up just before the session is called ready."""

        def set(self) -> None:
            closing = threading.Thread(target=session.close)
            closing.start()
            closing.join(0.3)
            super().set()

    session._is_ready = HandedOver()
    Paho.made.go_on.set()
    thread.join(10)
    until(lambda: Paho.made.disconnected == 1, "a goodbye")
    assert session.socket is None
