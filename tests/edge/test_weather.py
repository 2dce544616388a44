"""The agent when brokers, hosts and disks come and go."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.outbox import counts
from edge.status import Status, read_status
from ingest.contract import channels as ch
from ingest.contract.metrics import DataType, add_metric
from ingest.contract.sparkplug_b_pb2 import Payload
from tests.waiting import until

Make = Callable[..., Any]


def status_of(agent: Any) -> Status:
    until(lambda: read_status(agent.data) is not None)
    status = read_status(agent.data)
    assert status is not None
    return status


def events(agent: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in agent.log().splitlines() if line.startswith("{")]


def settle(host: Any, agent: Any) -> None:
    """Stop the agent; every message it made is at the host, in its outbox, or in a gap."""
    assert agent.stop() == 0
    tally = counts(agent.data / "outbox.db")
    assert tally.holds
    with host.lock:
        stored = dict(host.stored)
    by_boot: dict[int, set[int]] = {}
    for boot, seq in stored:
        by_boot.setdefault(boot, set()).add(seq)
    for seqs in by_boot.values():
        assert max(seqs) - len(seqs) + 1 <= tally.in_outbox
    n_covered = sum(getattr(one, "n_messages", 1) for one in stored.values())
    assert tally.made - tally.in_outbox <= n_covered <= tally.made


def test_a_missing_broker_is_one_sentence_and_everything_is_stored_meanwhile(
    broker: Any, make_host: Make, make_agent: Make
) -> None:
    broker.kill()
    agent = make_agent()
    agent.start()
    until(lambda: status_of(agent).in_outbox > 50)
    said = [one for one in events(agent) if one["event"] == "broker_away"]
    assert len(said) == 1
    assert said[0]["meaning"] == "telemetry is kept in the outbox and sent when the broker is back"
    assert not status_of(agent).connected
    broker.start()
    host = make_host()
    until(lambda: len(host.made()) > 60)
    assert any(one.historical for one in host.made())
    settle(host, agent)


@pytest.mark.full
def test_a_host_that_leaves_is_waited_for_and_then_gets_everything(make_host: Make, make_agent: Make) -> None:
    first, agent = make_host(), make_agent()
    agent.start()
    until(lambda: len(first.made()) > 20)
    first.offline()
    until(lambda: status_of(agent).state == "waiting")
    held = status_of(agent).in_outbox
    until(lambda: status_of(agent).in_outbox > held + 20)
    second = make_host()
    second.stored = dict(first.stored)  # the same host, started again
    until(lambda: status_of(agent).state == "born" and status_of(agent).in_outbox < 15)
    assert [one["event"] for one in events(agent)].count("host_offline") == 1
    settle(second, agent)


def test_a_broker_killed_on_the_way_loses_nothing(broker: Any, make_host: Make, make_agent: Make) -> None:
    host, agent = make_host(), make_agent(period_s=0.02)
    agent.start()
    for _ in range(2):
        seen = len(host.made())
        until(lambda seen=seen: len(host.made()) > seen + 30)
        broker.kill()
        broker.start()
        until(host.client.is_connected)
    seen = len(host.made())
    until(lambda: len(host.made()) > seen + 100)
    settle(host, agent)


@pytest.mark.full
def test_mqtt_5_does_the_same(mosquitto: Any, make_host: Make, make_agent: Make) -> None:
    host = make_host(mosquitto.port, version="5")
    agent = make_agent(mosquitto.port, mqtt_version="5")
    agent.start()
    until(lambda: len(host.made()) > 20)
    settle(host, agent)
    until(lambda: host.counts["NDEATH"] >= 1)


@pytest.mark.full
def test_a_rebirth_request_is_answered_on_the_wire(make_host: Make, make_agent: Make) -> None:
    host, agent = make_host(), make_agent()
    agent.start()
    until(lambda: len(host.made()) > 10)

    def reborn() -> bool:
        host.rebirth("gw-1")  # within a second of a birth there is no other
        return bool(host.counts["NBIRTH"] >= 2)

    until(reborn)
    until(lambda: host.counts["DBIRTH"] >= 4)
    settle(host, agent)


@pytest.mark.full
def test_a_dcmd_is_refused_and_counted_and_the_machine_runs_on(make_host: Make, make_agent: Make) -> None:
    host, agent = make_host(), make_agent()
    agent.start()
    until(lambda: len(host.made()) > 5)
    payload = Payload(timestamp=1)
    add_metric(payload, "State", DataType.INT32, 0)
    host.client.publish("spBv1.0/plant-1/DCMD/gw-1/m-0", payload.SerializeToString(), qos=1)
    until(lambda: status_of(agent).refused.get("dcmd_refused") == 1)
    seen = len(host.made())
    until(lambda: len(host.made()) > seen + 10)
    settle(host, agent)


@pytest.mark.full
def test_the_host_gets_longer_waveforms_for_a_while_and_only_so_often(
    make_host: Make, make_agent: Make
) -> None:
    host, agent = make_host(), make_agent()
    agent.start()
    until(lambda: len(host.made()) > 5)
    for _ in range(3):
        payload = Payload(timestamp=1)
        add_metric(payload, ch.ACQUIRE_MACHINE, DataType.STRING, "m-1")
        add_metric(payload, ch.ACQUIRE_SAMPLES, DataType.INT64, 4096)
        add_metric(payload, ch.ACQUIRE_UNTIL_NS, DataType.INT64, time.time_ns() + 2_000_000_000)
        host.command("gw-1", payload.SerializeToString())
    until(lambda: status_of(agent).refused.get("acquire_too_often") == 2)

    def lengths() -> list[int]:
        return [one.waveforms[0].n_samples for one in host.made() if one.machine == "m-1" and one.waveforms]

    until(lambda: 4096 in lengths())
    until(lambda: lengths()[-1] == 256)
    assert {one.waveforms[0].n_samples for one in host.made() if one.machine == "m-0"} == {256}
    assert [one["event"] for one in events(agent) if "acquire" in one["event"]].count("acquire_ended") == 1
    settle(host, agent)


def test_a_wrong_setting_is_one_sentence_and_exit_code_3(tmp_path: Path, make_agent: Make) -> None:
    agent = make_agent(outbox_mx_mb=5)
    agent.start()
    assert agent.process.wait(60) == 3
    assert "outbox_mx_mb" in agent.log()
    assert "Traceback" not in agent.log()


@pytest.mark.full
def test_the_status_is_printed_as_json(make_host: Make, make_agent: Make) -> None:
    host, agent = make_host(), make_agent()
    agent.start()
    until(lambda: len(host.made()) > 5 and read_status(agent.data) is not None)
    from_file = subprocess.run(
        [*agent.command, "--status"], cwd=agent.cwd, capture_output=True, text=True, timeout=120, check=True
    )
    said = json.loads(from_file.stdout)
    assert said["gateway"] == "gw-1"
    assert said["made"] == said["committed"] + said["in_outbox"] + said["gap_declared"]
    settle(host, agent)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=False)
    if made.returncode != 0:
        pytest.skip("this machine does not let tests mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.full
def test_a_full_disk_stops_accepting_says_so_and_resumes_by_itself(
    small_disk: Path, make_host: Make, make_agent: Make
) -> None:
    agent = make_agent(period_s=0.02, data_dir=str(small_disk / "edge"), outbox_min_free_mb=3)
    agent.data = small_disk / "edge"
    agent.start()  # no host: everything stays in the outbox
    until(lambda: read_status(agent.data) is not None)
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:  # to the last byte: what the outbox itself can free must not be enough
            file.write(bytes(64 * 1024))
    until(lambda: "free on the disk" in status_of(agent).storing)
    full = status_of(agent)
    later = until(lambda: (now := status_of(agent)).time_ns > full.time_ns + 500_000_000 and now)
    assert later.made == full.made
    made = full.made
    ballast.unlink()
    until(lambda: status_of(agent).storing == "")
    until(lambda: status_of(agent).made > made + 20)
    host = make_host()
    until(lambda: status_of(agent).in_outbox < 20 and len(host.made()) > 100)
    settle(host, agent)
