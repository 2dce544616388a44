"""The agent as a process against a real broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge.outbox import counts
from edge.status import read_status
from tests.waiting import until

Make = Callable[..., Any]


def test_what_is_made_reaches_the_host_once_and_is_then_forgotten(make_host: Make, make_agent: Make) -> None:
    host, agent = make_host(), make_agent()
    agent.start()
    until(lambda: len(host.made()) > 40)
    assert agent.stop() == 0
    until(lambda: host.counts["NDEATH"] == 1)
    tally = counts(agent.data / "outbox.db")
    assert tally.holds
    assert tally.committed > 20
    assert host.counts["NBIRTH"] == 1
    assert {one.machine for one in host.made()} == {"m-0", "m-1"}
    assert not any(one.historical for one in host.made())
    assert not host.rejected
    status = read_status(agent.data)
    assert status is not None
    assert status.state == "stopped"


def test_nothing_is_lost_when_the_agent_is_killed_again_and_again(make_host: Make, make_agent: Make) -> None:
    host, agent = make_host(), make_agent(period_s=0.01)
    for i in range(3):
        seen = len(host.made())
        agent.start()
        until(lambda seen=seen: len(host.made()) > seen + 40)
        if i < 2:
            agent.kill()
    agent.stop()
    left = counts(agent.data / "outbox.db")
    assert left.holds
    # Every boot's messages are there without a hole, up to what is still in the outbox.
    by_boot: dict[int, set[int]] = {}
    for boot, seq in host.stored:
        by_boot.setdefault(boot, set()).add(seq)
    assert len(by_boot) == 3
    for seqs in by_boot.values():
        assert seqs == set(range(len(seqs)))
    n_stored = len(host.stored)
    assert left.made - left.in_outbox <= n_stored <= left.made
