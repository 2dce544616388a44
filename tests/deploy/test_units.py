"""The shipped units: each process is a user of its own, restarts, and starts a module that exists."""

from __future__ import annotations

import configparser
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str
    parser.read_string(path.read_text())
    return parser


def module_of(command: str) -> str:
    found = re.search(r"python -m ([\w.]+) --config /etc/mitra/", command)
    assert found is not None, command
    return found[1]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_module_of_ours_and_is_confined(path: Path) -> None:
    service = read(path)["Service"]
    spec = importlib.util.find_spec(module_of(service["ExecStart"]))
    assert spec is not None
    assert service["Restart"] == "always"
    assert service["NoNewPrivileges"] == "true"
    assert service["ProtectSystem"] == "strict"


def test_every_process_is_a_user_of_its_own() -> None:
    users = [read(path)["Service"]["User"] for path in UNITS]
    assert len(users) == 5
    assert len(set(users)) == len(users)


def test_units_are_what_systemd_reads() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed")
    for path in UNITS:
        done = subprocess.run(
            [analyze, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
        )
        wrong = [line for line in done.stderr.splitlines() if "Unknown" in line or "Invalid" in line]
        assert wrong == [], done.stderr


def test_containers_run_modules_of_ours_and_control_is_apart() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    for name in ("analytics", "screens", "control"):
        assert importlib.util.find_spec(module_of(services[name]["command"])) is not None
        assert services[name]["cap_drop"] == ["ALL"]
    assert not set(services["control"]["networks"]) & set(services["analytics"]["networks"])
    held = {one.split(":")[0] for one in services["control"]["volumes"] if not one.startswith("./")}
    assert held == {"control"}
