"""All edges' windows together fit in the house."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.contract.limits import FIRST_WINDOW_MESSAGES, MAX_WINDOW_MESSAGES
from ingest.credit import LEAST_MESSAGES, SILENT_NS, Credit, windows

S = 1_000_000_000
MEANS = st.dictionaries(st.text(max_size=5), st.floats(0.0, 8e6), max_size=60)


@given(MEANS, st.integers(1, 10**9))
def test_no_more_than_the_room_is_given_out_but_for_the_least(
    mean_bytes: dict[str, float], room: int
) -> None:
    shared = windows(mean_bytes, room)
    assert shared.keys() == mean_bytes.keys()
    assert all(LEAST_MESSAGES <= one <= MAX_WINDOW_MESSAGES for one in shared.values())
    beyond = sum(n * mean_bytes[node] for node, n in shared.items() if n > LEAST_MESSAGES)
    assert beyond <= room * (1 + 1e-9)


@given(MEANS, st.integers(1, 10**9))
def test_room_is_left_only_when_everybody_has_the_most(mean_bytes: dict[str, float], room: int) -> None:
    shared = windows(mean_bytes, room)
    wanting = [mean_bytes[node] for node, n in shared.items() if n < MAX_WINDOW_MESSAGES]
    if wanting:
        left = room - sum(n * max(1.0, mean_bytes[node]) for node, n in shared.items())
        assert left < len(wanting) * max(1.0, *wanting)


def test_fifty_gateways_of_waveforms_stay_below_what_a_broker_holds_for_one_reader() -> None:
    credit = Credit(48 * 1024 * 1024)
    nodes = [f"gw-{i}" for i in range(50)]
    assert credit.window("gw-0") == FIRST_WINDOW_MESSAGES
    for node in nodes:
        credit.heard(node, 49_400, S)
    credit.share(S)
    assert credit.window("gw-0") == 20
    assert sum(credit.window(node) * 49_400 for node in nodes) < 64 * 1024 * 1024


def test_the_part_of_a_silent_node_goes_to_the_others() -> None:
    credit = Credit(1_000_000)
    for node in ("gw-1", "gw-2"):
        credit.heard(node, 10_000, S)
    credit.share(S)
    assert (credit.window("gw-1"), credit.window("gw-2")) == (50, 50)
    credit.heard("gw-1", 10_000, S + SILENT_NS)
    credit.share(S + SILENT_NS)
    assert (credit.window("gw-1"), credit.window("gw-2")) == (100, FIRST_WINDOW_MESSAGES)


def test_a_window_follows_the_size_of_the_messages() -> None:
    credit = Credit(1_000_000)
    for second in range(1, 200):
        credit.heard("gw-1", 100_000, second * S)
        credit.share(second * S)
    assert credit.window("gw-1") == 10
