"""A real plant served by one command: it comes up whole, says how it is, and Ctrl-C leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.status import Status, write_status
from ingest.journal.journal import Journal
from mitra.accounts import accounts, passwords
from mitra.broker import BrokerFiles, prepare
from mitra.health import runs
from mitra.layout import Layout
from mitra.serving import Serving, read_serving
from mitra.supervisor import Program, Supervisor, free_port, listens
from tests.mitra.commands.terminal import mitra
from tests.waiting import until

SITE, GATEWAY = "my-plant", "gw-1"
START_S = 300.0
pytestmark = pytest.mark.timeout(400)  # several starts of a whole plant, each with kernels to compile


def ports() -> tuple[str, ...]:
    names = ("--screens-port", "--broker-port", "--control-port", "--page-port")
    return tuple(part for name in names for part in (name, str(free_port())))


@contextmanager
def served(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """`mitra serve ARGUMENTS` as a process; stopped by its pid at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mitra", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    path = tmp_path / "plant.toml"
    assert mitra("plant", "new", path).code == 0
    return path


def actuator_file(data: Path, path: Path) -> Path:
    layout = Layout(data)
    path.write_text(
        f"""\
site = "{SITE}"
edge = "{GATEWAY}"
state_dir = "{layout.actuator(GATEWAY)}"
roster_dir = "{layout.roster / "public"}"
roster_root = "{layout.roster / "public" / "1.root.json"}"
panel_dir = "{layout.panels}"
origin = "http://localhost:8444"
rp_id = "localhost"
[broker]
host = "127.0.0.1"
[[machine]]
id = "pump-1"
label = "Feed pump 1"
output = "simulated"
criticality = "high"
[machine.settings]
switch_dir = "{layout.switches}"
"""
    )
    return path


def posted_order(layout: Layout, url: str) -> dict[str, Any]:
    """What the listener answers to one closed work order."""
    token = (layout.desk.parent / "work-orders.token").read_text().strip()
    order = {"order": "1", "asset": "pump-1", "opened": "2026-03-01", "closed": "2026-03-02"}
    order |= {"fault_code": "BRG01"}
    said = httpx.post(url, json=order, headers={"Authorization": f"Bearer {token}"})
    answer: dict[str, Any] = said.raise_for_status().json()
    return answer


def serving_of(layout: Layout, process: subprocess.Popen[str]) -> Serving:
    """What a plant says of itself once all its processes serve, however long that takes."""
    until(lambda: read_serving(layout) or process.poll() is not None, "all processes", seconds=START_S)
    serving = read_serving(layout)
    assert serving is not None, process.communicate()
    return serving


@pytest.mark.full
def test_a_plant_is_served_looked_at_and_stopped(plant: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    layout = Layout(data)
    assert mitra("roster", "init", layout.roster, "--site", SITE).code == 0
    config = actuator_file(data, tmp_path / "actuator.toml")
    assert mitra("actuator", "--config", config, "--init").code == 0
    assert (
        mitra("user", "add", "sari", "--role", "technician", "--data", data, stdin="long enough\n").code == 0
    )

    orders = ("--work-orders", str(free_port()), "--order-fault", "BRG01=bearing_outer")
    with served(plant, "--data", data, "--with-gateways", "--with-control", *orders, *ports()) as process:
        serving = serving_of(layout, process)
        assert set(serving.urls) == {"screens", "approvals", "orders"}
        for name in ("screens", "approvals"):
            assert httpx.get(f"{serving.urls[name]}/healthz").status_code == 200
        assert posted_order(layout, serving.urls["orders"])["new"] == 1

        def all_well() -> bool:
            said = mitra("status", "--data", data, "--json")
            return said.code == 0 and said.data["counters"].get("stored_messages", 0) > 0

        until(all_well)
        seen = mitra("status", "--data", data, "--json").data
        assert seen["problems"] == []
        assert set(seen["serving"]["alive"]) == {
            "broker",
            "work-orders",
            "analytics",
            "control",
            "page",
            "screens",
            f"edge-{GATEWAY}",
        }
        assert seen["gateways"][GATEWAY]["machines"] == 1
        in_words = mitra("status", "--data", data)
        assert "stream running" in in_words.out
        assert in_words.err == ""

        before = seen["serving"]["pids"]
        said = mitra("user", "add", "dewi", "--role", "data_scientist", "--data", data, stdin="long enough\n")
        assert said.code == 0

        def read_again() -> bool:
            now = mitra("status", "--data", data, "--json").data["serving"]["pids"]
            return now["screens"] != before["screens"] and now["analytics"] == before["analytics"]

        assert until(read_again)
        assert httpx.get(f"{serving.urls['screens']}/healthz").status_code == 200

        again = mitra("serve", plant, "--data", data, *ports())
        assert again.code == 4
        assert "one plant, one writer" in again.err

        pids = [seen["serving"]["pid"], seen["gateways"][GATEWAY]["pid"]]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "broker     mqtt://127.0.0.1" in out
        assert "Traceback" not in err
        assert not any(map(runs, pids))
    stopped = mitra("status", "--data", data)
    assert stopped.code == 6
    assert "The stream does not run" in stopped.err
    agent = mitra("edge", "--config", layout.config / f"edge-{GATEWAY}.toml", "--status")
    assert (agent.code, agent.data["state"]) == (0, "stopped")
    assert (
        agent.data["made"] == agent.data["committed"] + agent.data["in_outbox"]
    )  # kept until the next start


@pytest.mark.full
@pytest.mark.usefixtures("hang_up")
def test_a_killed_plant_leaves_nothing_and_is_served_again_until_its_terminal_closes(
    plant: Path, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "data")
    where = ("--data", layout.root, *ports())
    with served(plant, *where) as process:
        serving = serving_of(layout, process)
        process.kill()
        assert until(lambda: not any(map(runs, serving.pids.values())))
        layout.serving.unlink()
    with served(plant, *where) as process:
        serving = serving_of(layout, process)
        process.send_signal(signal.SIGHUP)
        _out, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert not any(map(runs, serving.pids.values()))


@pytest.mark.full
def test_a_gateway_that_refuses_its_sensor_ends_the_start_with_a_sentence(
    plant: Path, tmp_path: Path
) -> None:
    text = plant.read_text("utf-8")
    assert 'kind = "simulated"' in text
    plant.write_text(text.replace('kind = "simulated"', 'kind = "simulated"\ngremlin = 1', 1), "utf-8")
    layout = Layout(tmp_path / "data")
    found = mitra("serve", plant, "--data", layout.root, "--with-gateways", *ports())
    assert found.code == 3
    assert "gremlin" in found.err
    assert (layout.logs / f"edge-{GATEWAY}.log").read_text().count("gremlin") == 1, "it was tried once"


@pytest.fixture
def external(tmp_path: Path) -> Iterator[str]:
    """A broker that is not `mitra serve`'s, with the accounts of tmp_path/data."""
    listed = accounts(SITE, (GATEWAY,))
    secret = passwords(Layout(tmp_path / "data").broker / "accounts.json", [one.user for one in listed])
    port = free_port()
    supervisor = Supervisor(tmp_path / "logs")
    command = prepare(BrokerFiles(tmp_path / "broker", port), listed, secret)
    try:
        supervisor.start(Program("broker", tuple(command), ready=listens("127.0.0.1", port)))
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        supervisor.stop()


def test_a_broker_that_does_not_know_us_is_a_sentence(plant: Path, tmp_path: Path, external: str) -> None:
    found = mitra("serve", plant, "--data", tmp_path / "other", "--broker", external, *ports())
    assert found.code == 4
    assert "does not let `ingest` in" in found.err


@pytest.mark.full
def test_an_external_broker_is_used_with_the_accounts_made_here(
    plant: Path, tmp_path: Path, external: str
) -> None:
    layout = Layout(tmp_path / "data")
    with served(plant, "--data", layout.root, "--broker", external, "--with-gateways", *ports()) as process:
        serving = serving_of(layout, process)
        assert serving.broker == external
        assert "broker" not in serving.alive

        def stored() -> bool:
            said = mitra("status", "--data", layout.root, "--json")
            return bool(said.data["counters"].get("stored_messages", 0))

        assert until(stored)
    config = layout.config / "analytics.toml"
    assert json.loads((layout.broker / "accounts.json").read_text())["ingest"] in config.read_text()
    assert config.stat().st_mode & 0o077 == 0


def test_what_cannot_be_served_is_said_before_anything_starts(plant: Path, tmp_path: Path) -> None:
    away = mitra("serve", plant, "--data", tmp_path / "a", "--broker", f"mqtt://127.0.0.1:{free_port()}")
    url = mitra("serve", plant, "--data", tmp_path / "a", "--broker", "http://127.0.0.1")
    (tmp_path / "file").write_text("not a folder")
    blocked = mitra("serve", plant, "--data", tmp_path / "file")
    no_plant = mitra("serve", tmp_path / "no.toml", "--data", tmp_path / "a")
    no_ca = mitra(
        "serve", plant, "--data", tmp_path / "a", "--broker", "mqtts://b", "--ca", tmp_path / "no.crt"
    )
    assert (no_ca.code, "no.crt" in no_ca.err) == (3, True)
    no_roster = mitra("serve", plant, "--data", tmp_path / "a", "--with-control", *ports())
    assert [one.code for one in (away, url, blocked, no_plant, no_roster)] == [4, 3, 5, 3, 3]
    assert "gateways keep what they measure" in away.err
    assert "mitra roster init" in no_roster.err
    assert read_serving(Layout(tmp_path / "a")) is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option in ("--screens-port", "--broker-port"):
            found = mitra("serve", plant, "--data", tmp_path / "a", *ports(), option, port)
            assert found.code == 4
            assert option in found.err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--work-orders", "8095", "--order-fault", "BRG01"), "--order-fault is written as A=B"),
        (("--work-orders", "8095", "--order-fault", "BRG01=Outer ring"), "a-z, 0-9 and _"),
        (("--work-orders", "8095", "--order-field", "maschine=Aset"), "known are order, machine"),
        (("--order-fault", "BRG01=bearing_outer"), "--work-orders PORT"),
    ],
)
def test_words_of_work_orders_that_cannot_be_are_said_before_anything_starts(
    plant: Path, tmp_path: Path, wrong: tuple[str, ...], said: str
) -> None:
    found = mitra("serve", plant, "--data", tmp_path / "data", *ports(), *wrong)
    assert (found.code, found.out) == (3, "")
    assert said in found.err
    assert not (tmp_path / "data").exists()


def test_control_without_an_actuator_says_what_to_do(plant: Path, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    assert mitra("roster", "init", layout.roster, "--site", SITE).code == 0
    found = mitra("serve", plant, "--data", layout.root, "--with-control", *ports())
    assert found.code == 3
    assert "mitra actuator --config FILE --init" in found.err


# -- status, on files that processes left ---------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    layout = Layout(tmp_path / "data")
    layout.server.mkdir(parents=True)
    Journal(layout.journal).close()
    return layout.root


def edge_says(data: Path, **changes: object) -> None:
    folder = Layout(data).edge(GATEWAY)
    folder.mkdir(parents=True, exist_ok=True)
    said = {"state": "born", "connected": True, "host_online": True, "machines": 1, "time_ns": time.time_ns()}
    write_status(folder, Status(gateway=GATEWAY, pid=os.getpid(), **{**said, **changes}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"connected": False, "in_outbox": 42}, "has no broker; 42 messages wait"),
        ({"host_online": False, "in_outbox": 7}, "waits for the server; 7 messages wait"),
        ({"storing": "disk full"}, "accepts no telemetry: disk full"),
        ({"sensors_silent": {"pump-1": "no answer from 10.0.0.7"}}, "pump-1 on gw-1 is silent"),
        ({"state": "stopped"}, "gw-1 does not run"),
        ({"time_ns": 1, "in_outbox": 3}, "3 messages wait in its outbox"),
    ],
)
def test_status_names_what_is_wrong_with_a_gateway(data: Path, changes: dict[str, object], said: str) -> None:
    edge_says(data, **changes)
    found = mitra("status", "--data", data)
    assert found.code == 6
    assert said in found.err
    assert any(said in one for one in mitra("status", "--data", data, "--json").data["problems"])


def test_status_of_a_folder_without_a_plant_is_a_setting(tmp_path: Path) -> None:
    found = mitra("status", "--data", tmp_path)
    assert (found.code, found.out) == (3, "")


# -- the light processes --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["edge", "actuator", "control", "page"])
def test_a_configuration_that_cannot_be_used_is_a_sentence(command: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    missing = mitra(command, "--config", path)
    path.write_text("unheard_of = 1\n")
    unknown = mitra(command, "--config", path)
    assert (missing.code, unknown.code) == (3, 3)
    assert missing.err


PAGE = 'origin = "http://localhost"\nrp_id = "localhost"\n'
FOLDERS = 'state_dir = "s"\nroster_dir = "r"\nroster_root = "r"\npanel_dir = "p"\n'
FIRST_KEYS = {
    "edge": 'plant = "p.toml"\ngateway = "g"\nbroker = "mqtt://localhost"\ndata_dir = "d"\n',
    "actuator": f'site = "s"\nedge = "g"\n{FOLDERS}{PAGE}',
    "control": f'host = "localhost"\nport = 1\nstate_dir = "s"\n{PAGE}',
    "page": 'host = "localhost"\nport = 1\ncontrol_url = "http://localhost"\nrp_id = "localhost"\n',
}
BROKER = '[broker]\nhost = "localhost"\n'
BROKER_HOST = 'host = "127.0.0.1"\n'
PYTHON_SAYS = (
    "Errno",
    "codec",
    "Object",
    "Expected `",
    "argument",
    "supported between",
    "iterable",
    "__init__",
)


@pytest.mark.parametrize("command", FIRST_KEYS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"\xff\xfe", "UTF-8"),
        (b"port = = 1\n", "line 1"),
        (b"colour = 1\n", "colour"),
        (b"", "missing"),
        (b"{wrong}", "must be"),
    ],
)
def test_a_configuration_is_refused_in_the_words_of_the_file(
    command: str, content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    if content is not None:
        more = BROKER if command in ("actuator", "control") else ""
        wrong = (FIRST_KEYS[command].replace('= "', "= 5 # ", 1) + more).encode()
        path.write_bytes(wrong if content == b"{wrong}" else content)
    found = mitra(command, "--config", path)
    assert (found.code, found.out) == (3, "")
    assert said in found.err
    assert "config.toml" in found.err
    assert not [one for one in PYTHON_SAYS if one in found.err]


@pytest.mark.parametrize(
    ("command", "more", "said"),
    [
        ("actuator", 'allow_software_keys = "false"\n', "allow_software_keys must be true or false"),
        ("actuator", "machine = 4\n", "[[machine]]"),
        ("actuator", '[broker]\nhost = "h"\nport = "1883"\n', "broker.port must be a whole number"),
        ("actuator", 'broker = "h"\n', "broker must be a table"),
        ("control", "site = 4\n", "[[site]]"),
        ("control", 'allow_software_keys = "false"\n', "true or false"),
        ("page", "demo_keys = 4\n", "demo_keys must be a list"),
    ],
)
def test_a_value_of_another_kind_is_refused_before_it_counts(
    command: str, more: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "config.toml"
    needs = command in ("actuator", "control") and "broker" not in more
    path.write_text(FIRST_KEYS[command] + more + (BROKER if needs else ""))
    found = mitra(command, "--config", path)
    assert found.code == 3
    assert said in found.err


def test_an_output_is_told_which_keys_it_takes(tmp_path: Path) -> None:
    path = actuator_file(tmp_path, tmp_path / "a.toml")
    path.write_text(path.read_text().replace("switch_dir", "path"))
    found = mitra("actuator", "--config", path)
    assert found.code == 3
    assert "unknown key path; known are" in found.err


def test_what_an_actuator_cannot_use_is_named_without_the_words_of_the_program(tmp_path: Path) -> None:
    path = actuator_file(tmp_path, tmp_path / "a.toml")
    state = Layout(tmp_path).actuator(GATEWAY)
    state.mkdir(parents=True)
    (state / "edge.key").write_text("no key")
    key = mitra("actuator", "--config", path, "--init")
    assert key.code == 3
    assert "edge.key holds no private key" in key.err
    (state / "edge.key").unlink()
    (state / "actuator.sqlite").write_bytes(b"no database" * 500)
    book = mitra("actuator", "--config", path)
    assert book.code == 5
    assert "from a backup" in book.err
    (state / "actuator.sqlite").unlink()
    path.write_text(
        path.read_text().replace(BROKER_HOST, f'{BROKER_HOST}username = "a"\npassword_file = "no.txt"\n')
    )
    secret = mitra("actuator", "--config", path)
    assert secret.code == 3
    assert "no.txt (No such file or directory)" in secret.err
    assert "Errno" not in key.err + secret.err + book.err


def test_an_actuator_whose_folder_cannot_be_says_that_no_stop_is_possible(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "actuator").write_text("not a folder")
    found = mitra("actuator", "--config", actuator_file(tmp_path / "data", tmp_path / "a.toml"), "--init")
    assert found.code == 5
    assert "no remote stop is possible" in found.err


def test_control_and_its_page_name_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        control, page = tmp_path / "control.toml", tmp_path / "page.toml"
        control.write_text(
            f'host = "127.0.0.1"\nport = {port}\nstate_dir = "{tmp_path / "c"}"\norigin = "http://localhost:1"\n'
            'rp_id = "localhost"\n[broker]\nhost = "127.0.0.1"\n'
            f'[[site]]\nid = "p"\nname = "P"\nroster_dir = "{tmp_path}"\nroster_root = "{tmp_path / "r"}"\n'
        )
        page.write_text(
            f'host = "127.0.0.1"\nport = {port}\ncontrol_url = "http://localhost:1"\nrp_id = "localhost"\n'
        )
        found = [mitra(name, "--config", path) for name, path in (("control", control), ("page", page))]
    assert [one.code for one in found] == [4, 4]
    assert all(str(port) in one.err for one in found)
