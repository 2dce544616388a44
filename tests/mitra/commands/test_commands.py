"""Laws for every command of the table: it imports, has an app, helps, and is documented with its codes."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from mitra.__main__ import COMMANDS, app
from mitra.exits import EXIT_CODES

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "commands.md").read_text("utf-8")
WAIT_S = 60.0


def command_of(name: str) -> click.Command:
    found: click.Command = typer.main.get_command(importlib.import_module(COMMANDS[name].module).app)
    return found


def leaves(name: str) -> list[str]:
    """`train`, or `rul train` and `rul predict`."""
    subcommands = getattr(command_of(name), "commands", None)
    return [name] if not subcommands else [f"{name} {one}" for one in subcommands]


LEAVES = [leaf for name in COMMANDS for leaf in leaves(name)]


def mitra(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mitra", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_module_with_an_app(name: str) -> None:
    assert isinstance(importlib.import_module(COMMANDS[name].module).app, typer.Typer)


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_command_helps(leaf: str) -> None:
    found = CliRunner().invoke(app, [*leaf.split(), "--help"])
    assert found.exit_code == 0, found.output
    assert "Usage" in found.stdout
    assert leaf in found.stdout
    assert "--install-completion" not in found.stdout  # of no use below `mitra`


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_command_shows_an_example_and_says_what_each_option_is(leaf: str) -> None:
    command = command_of(leaf.partition(" ")[0])
    for name in leaf.split()[1:]:
        command = command.commands[name]  # type: ignore[attr-defined]
    assert re.search(rf"Examples?: `mitra {leaf}\b", command.help or ""), "no example"
    silent = [one.name for one in command.params if not getattr(one, "help", None)]
    assert silent == []


@pytest.mark.parametrize("leaf", ["diagnose", "backtest"])
def test_brackets_in_help_are_text_not_markup(leaf: str) -> None:
    found = CliRunner(env={"COLUMNS": "120"}).invoke(app, [leaf, "--help"])
    assert "[snapshot,] sample [, axis]" in found.stdout


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_command_is_documented_with_its_exit_codes(leaf: str) -> None:
    row = re.search(rf"^\| `mitra {leaf}`.*$", DOCUMENT, re.MULTILINE)
    assert row is not None, f"docs/commands.md has no row for `mitra {leaf}`"
    codes = row.group().strip("| ").split("|")[-1]
    named = {int(code) for code in re.findall(r"\d+", codes)}
    assert {0} <= named <= {0, *EXIT_CODES.values()}


def test_nothing_is_documented_that_is_no_command() -> None:
    rows = re.findall(r"^\| `mitra ([a-z -]+)`", DOCUMENT, re.MULTILINE)
    assert sorted(rows) == sorted(LEAVES)


def test_the_codes_of_the_document_are_those_of_the_program() -> None:
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", DOCUMENT, re.MULTILINE)}
    assert table == {0, 1, 2, *EXIT_CODES.values()}


def test_mitra_help_names_every_command() -> None:
    found = mitra("--help", COLUMNS="120")
    assert found.returncode == 0
    for name, entry in COMMANDS.items():
        assert re.search(rf"│ {re.escape(name)} ", found.stdout), name
        assert entry.help in found.stdout


def test_an_unknown_command_is_wrong_use() -> None:
    found = mitra("demmo")
    assert found.returncode == 2
    assert found.stdout == ""
    assert "demmo" in found.stderr


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("edge", ("numpy", "scipy", "fastapi", "sklearn", "duckdb", "pyarrow")),
        ("actuator", ("numpy", "scipy", "fastapi", "sklearn", "duckdb", "pyarrow")),
        ("control", ("numpy", "scipy", "sklearn", "duckdb", "pyarrow")),
        ("page", ("numpy", "scipy", "sklearn", "duckdb", "pyarrow")),
        ("labels", ("sklearn", "skops", "pandas", "numba")),
    ],
)
def test_light_hosts_stay_light(command: str, heavy: tuple[str, ...]) -> None:
    code = (
        "import sys\n"
        "from mitra.__main__ import app\n"
        f"try:\n    app([{command!r}, '--config', 'nowhere.toml'])\n"
        "except SystemExit:\n    pass\n"
        "except Exception as error:\n    assert type(error).__name__ == 'PersonError', error\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert found.stdout.strip() == "[]", found.stderr


def test_a_package_that_is_not_installed_is_a_sentence() -> None:
    code = (
        "import sys\nsys.modules['numpy'] = None\n"
        "sys.argv = ['mitra', 'score', 'a.csv', '--time', 't', '--out', 'b.csv']\n"
        "from mitra.__main__ import main\nmain()\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert found.returncode == EXIT_CODES["missing"], found.stderr
    assert "numpy" in found.stderr
    assert "Traceback" not in found.stderr


def test_no_colour_is_honoured_and_errors_stay_off_stdout(tmp_path: Path) -> None:
    found = mitra("score", str(tmp_path / "no.csv"), "--time", "t", "--out", "o.csv", NO_COLOR="1")
    assert found.returncode == EXIT_CODES["setting"]
    assert found.stdout == ""
    assert "\x1b[" not in found.stderr
    assert "no.csv" in found.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_output_that_a_full_disk_cuts_short_is_a_sentence(more: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        found = subprocess.run(
            [sys.executable, "-m", "mitra", "bearing", *more],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    assert found.returncode == EXIT_CODES["disk"], found.stderr
    assert "cut short" in found.stderr
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr


@pytest.mark.parametrize("more", ["", " --json"])
def test_a_pipe_that_closes_early_is_no_error(more: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m mitra features{more} | head -c 1"
    found = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [("plant", "check"), ("edge", "--config"), ("diagnose", "--rate-hz=9", "--rpm=9", "--bearing=6205")],
)
def test_a_file_that_may_not_be_read_is_a_setting_and_not_wrong_use(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.npz"
    secret.touch(mode=0)
    bare = ("setpriv", "--inh-caps=-all", "--bounding-set=-all") if os.geteuid() == 0 else ()
    if bare and shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no setpriv to be less")
    found = subprocess.run(
        [*bare, sys.executable, "-m", "mitra", *command, str(secret)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert found.returncode == EXIT_CODES["setting"], found.stderr
    assert "cannot be read" in found.stderr
