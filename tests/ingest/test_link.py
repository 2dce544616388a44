"""The connection and several threads: what is said belongs to a session, and is known to have arrived."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ingest import packets
from ingest.host import Host, Send
from ingest.mqtt import Broker, Link
from tests.waiting import until

CONNECT, PUBLISH, SUBSCRIBE = 1, 3, 8


class Board:
    """A broker of one connection at a time that notes the packets of each, and acknowledges when it may."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[list[int]] = []
        self.topics: list[str] = []
        self.states: list[bool] = []
        self.acknowledges = True
        self._here: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()

    def hang_up(self) -> None:
        if self._here is not None:
            with contextlib.suppress(OSError):
                self._here.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.hang_up()

    def _serve(self) -> None:
        while True:
            try:
                self._here, _ = self._listener.accept()
            except OSError:
                return
            self.heard.append([])
            try:
                while self._packet(self._here):
                    pass
            except OSError:
                pass
            self._here.close()

    def _packet(self, here: socket.socket) -> bool:
        head = here.recv(1)
        if not head:
            return False
        size = shift = 0
        while True:
            byte = here.recv(1)[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = b""
        while len(body) < size:
            body += here.recv(size - len(body))
        self._answer(here, head[0], body)
        return True

    def _answer(self, here: socket.socket, head: int, body: bytes) -> None:
        kind = head >> 4
        self.heard[-1].append(kind)
        if kind == CONNECT:
            here.sendall(b"\x20\x02\x00\x00")
        elif kind == SUBSCRIBE:
            here.sendall(b"\x90\x03" + body[:2] + b"\x00")
        elif kind == PUBLISH:
            end = 2 + struct.unpack_from(">H", body)[0]
            self.topics.append(body[2:end].decode())
            if self.topics[-1].startswith("spBv1.0/STATE"):
                self.states.append(json.loads(body[end + 2 :])["online"])
            if head & 0b110 and (self.acknowledges or self.topics[-1].startswith("spBv1.0/STATE")):
                here.sendall(packets.acknowledge(struct.unpack_from(">H", body, end)[0]))


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    made.close()


@pytest.fixture
def link(board: Board, monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    monkeypatch.setattr("ingest.mqtt.FIRST_WAIT_S", 0.01)
    made = Link(Broker("127.0.0.1", board.port), Host("plant-1", "mitra"), "mitra-1")
    made.start(lambda _messages: None)
    assert made.wait_open(10)
    yield made
    made.stop()


ASKED = Send("mitra/requests", b"stop", 1, False)


def test_a_request_is_delivered_once_the_broker_has_acknowledged_it(link: Link, board: Board) -> None:
    assert link.deliver(ASKED, 10)
    assert board.topics[-1] == ASKED.topic
    board.acknowledges = False
    assert not link.deliver(ASKED, 0.1)


def test_a_request_is_not_delivered_by_a_session_that_ends(link: Link, board: Board) -> None:
    board.acknowledges = False
    began, answers = time.monotonic(), list[bool]()
    asking = threading.Thread(target=lambda: answers.append(link.deliver(ASKED, 60)))
    asking.start()
    until(lambda: ASKED.topic in board.topics)
    board.hang_up()
    asking.join(30)
    assert answers == [False]
    assert time.monotonic() - began < 30, "nobody waits for a session that is over"
    until(lambda: link.is_open and len(board.heard) == 2)
    board.acknowledges = True
    assert link.deliver(ASKED, 10)


def test_what_changes_while_a_session_begins_is_said_in_it(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk filled up after our STATE was written and before the session counted as begun."""
    takes = [True]
    made = Link(Broker("127.0.0.1", board.port), Host("plant-1", "mitra"), "mitra-1")
    really, changing = made._open.set, threading.Thread(target=made.say_state)

    def and_just_before_it_fills_up() -> None:
        takes[0] = False
        changing.start()
        changing.join(0.2)
        really()

    monkeypatch.setattr(made._open, "set", and_just_before_it_fills_up)
    made.start(lambda _messages: None, lambda: takes[0])
    assert made.wait_open(10)
    changing.join(10)
    until(lambda: board.states == [True, False])
    made.stop()


def test_nothing_is_said_into_a_session_that_has_not_begun(
    link: Link, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread saw the old session open and was held up until the next one is being made."""

    def held_up(is_open: Callable[[], bool]) -> bool:
        seen = is_open()
        if threading.current_thread() is saying and len(board.heard) == 1:
            board.hang_up()
            until_s = time.monotonic() + 1.0
            while (len(board.heard) < 2 or not board.heard[1]) and time.monotonic() < until_s:
                time.sleep(0.01)
        return seen

    really = link._open.is_set
    saying = threading.Thread(target=link.publish, args=(Send("mitra/late", b"", 0, False),))
    answers = board._answer

    def slow_to_answer(here: socket.socket, head: int, body: bytes) -> None:
        if len(board.heard) == 2 and head >> 4 == CONNECT:
            saying.join(2)
        answers(here, head, body)

    monkeypatch.setattr(board, "_answer", slow_to_answer)
    monkeypatch.setattr(link._open, "is_set", lambda: held_up(really))
    saying.start()
    until(lambda: len(board.heard) == 2 and SUBSCRIBE in board.heard[1])
    before = board.heard[1][: board.heard[1].index(SUBSCRIBE)]
    assert before == [CONNECT], "the broker ends a session that publishes before it has begun"
