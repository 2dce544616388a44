"""Every process of a plant ends with the exit codes of docs/commands.md, started by `mitra` or by itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mitra.exits import EXIT_CODES
from tests.approval_processes import Stack

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = (
    "mitra.analytics",
    "edge",
    "edge.actuator",
    "control",
    "control.page",
    "control.witness",
    "dashboards",
)
SLOW_TO_IMPORT = ("mitra.analytics", "dashboards")
WAIT_S = 140.0


def ended(module: str, config: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, "--config", str(config), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.mark.parametrize(
    "module",
    [pytest.param(one, marks=pytest.mark.full if one in SLOW_TO_IMPORT else ()) for one in PROCESSES],
)
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param(b"\xff\xfe", id="no-text", marks=pytest.mark.full),
        pytest.param(b"colour = 1\n", id="unknown"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_a_wrong_setting(
    module: str, content: bytes | None, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.toml"
    if content is not None:
        broken.write_bytes(content)
    found = ended(module, broken)
    assert found.returncode == EXIT_CODES["setting"], found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    "command", [("edge",), ("edge", "--status"), ("actuator",), ("control",), ("page",)], ids=" ".join
)
def test_whoever_refuses_a_configuration_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "mitra", *command, "--config", str(tmp_path / "none.toml")]
    found = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == EXIT_CODES["setting"]
    assert found.stderr.startswith("mitra: ")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["control", "page"])
def test_a_taken_port_is_a_missing_part(name: str, tmp_path: Path) -> None:
    stack = Stack(tmp_path, {"budi": "approver"})
    assert ended("edge.actuator", tmp_path / "actuator.toml", "--init").returncode == 0
    with socket.create_server(("127.0.0.1", stack.ports[name])):
        found = ended({"control": "control", "page": "control.page"}[name], tmp_path / f"{name}.toml")
    assert found.returncode == EXIT_CODES["missing"], found.stderr
    assert "approve" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere, so nothing is refused")
def test_a_folder_that_refuses_is_the_disk(tmp_path: Path) -> None:
    Stack(tmp_path, {"budi": "approver"})
    (tmp_path / "actuator").mkdir(mode=0o500)
    assert ended("edge.actuator", tmp_path / "actuator.toml").returncode == EXIT_CODES["disk"]


def test_a_file_in_the_way_of_a_folder_is_the_disk(tmp_path: Path) -> None:
    Stack(tmp_path, {"budi": "approver"})
    (tmp_path / "actuator").write_bytes(b"")
    found = ended("edge.actuator", tmp_path / "actuator.toml")
    assert found.returncode == EXIT_CODES["disk"], found.stderr
    assert "no remote stop is possible" in found.stderr
