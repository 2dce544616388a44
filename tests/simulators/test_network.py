"""The bad network does what its weather says, and what it says is decided by the seed."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from simulators.network import BadNetwork, Fate, Luck, Weather

DEADLINE_S = 60.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.005)


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that says back what it hears."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one(connection: socket.socket) -> None:
        with connection:
            try:
                while chunk := connection.recv(65_536):
                    connection.sendall(chunk)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()
    listener.close()


def connect(network: BadNetwork) -> socket.socket:
    return socket.create_connection(("127.0.0.1", network.port), timeout=DEADLINE_S)


def say(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    heard = b""
    while len(heard) < len(text):
        chunk = client.recv(65_536)
        if not chunk:
            break
        heard += chunk
    return heard


def is_cut_off(client: socket.socket) -> bool:
    """Whether the other side is gone: reset, broken pipe or end, as the kernel likes to tell it."""
    try:
        client.sendall(b"anybody there?")
        return client.recv(1) == b""
    except ConnectionError:
        return True


def test_a_calm_network_carries_everything_and_both_farewells(echo: tuple[str, int]) -> None:
    with BadNetwork(echo) as network, connect(network) as client:
        text = bytes(range(256)) * 4_000
        assert say(client, text) == text
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        wait_for(lambda: network.n_connections == 0, "the connection is not forgotten")
        assert network.counts["bytes"] == 2 * len(text)


def test_delay_and_stalls_cost_time_and_lose_nothing(echo: tuple[str, int]) -> None:
    weather = Weather(delay_s=0.02, jitter_s=0.01, stall=1.0, stall_s=0.1)
    with BadNetwork(echo, weather) as network, connect(network) as client:
        start = time.monotonic()
        assert say(client, b"hello") == b"hello"
        assert time.monotonic() - start >= 2 * 0.12
        assert network.counts[Fate.STALL] == 2


def test_a_reset_is_felt_as_a_reset(echo: tuple[str, int]) -> None:
    with BadNetwork(echo, Weather(reset=1.0)) as network, connect(network) as client:
        client.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert network.counts[Fate.RESET] == 1


def test_a_half_open_connection_tells_nobody(echo: tuple[str, int]) -> None:
    with BadNetwork(echo) as network, connect(network) as client:
        assert say(client, b"one") == b"one"
        network.go_deaf()
        client.sendall(b"two")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        with connect(network) as other:
            assert say(other, b"three") == b"three"


def test_a_cut_cable_refuses_until_it_is_mended(echo: tuple[str, int]) -> None:
    with BadNetwork(echo) as network:
        client = connect(network)
        assert say(client, b"one") == b"one"
        network.cut()
        assert is_cut_off(client)
        with connect(network) as late:
            assert is_cut_off(late)
        network.mend()
        with connect(network) as again:
            assert say(again, b"four") == b"four"
        client.close()


def test_a_dead_server_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        target = closed.getsockname()
    with BadNetwork(target) as network, connect(network) as client:
        assert is_cut_off(client)
        assert network.counts["refused"] == 1


def test_fates_follow_the_seed_and_come_as_often_as_the_weather_says() -> None:
    weather = Weather(delay_s=0.1, jitter_s=0.2, stall=0.2, half_open=0.05, reset=0.1)

    def fates(seed: int) -> list[tuple[Fate, float]]:
        luck = Luck(seed, 3, 0)
        return [luck.next(weather) for _ in range(4_000)]

    assert fates(1) == fates(1)
    assert fates(1) != fates(2)
    seen = [fate for fate, _ in fates(1)]
    shares = {fate: seen.count(fate) / len(seen) for fate in Fate}
    assert shares[Fate.STALL] == pytest.approx(0.2, abs=0.03)
    assert shares[Fate.RESET] == pytest.approx(0.1, abs=0.02)
    assert all(0.1 <= wait <= 0.3 for fate, wait in fates(1) if fate is Fate.PASS)


@pytest.mark.parametrize("chances", [{"stall": 0.6, "reset": 0.6}, {"reset": -0.1}, {"delay_s": -1.0}])
def test_impossible_weather_is_refused(chances: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Weather(**chances)
