"""The house stays tidy: package lists are complete, sizes are kept, nothing unfinished is called done."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOT_SHIPPED = {"tests", "benchmarks", "docs", "deploy"}
MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 70


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).exists()]


PYTHON = [path for path in tracked("*.py") if not path.name.endswith("_pb2.py")]
TEXT = [
    path
    for path in tracked()
    if path.suffix
    in {".py", ".md", ".toml", ".yaml", ".yml", ".html", ".css", ".js", ".service", ".conf", ""}
    and path.name != "LICENSE"
    and "vendor" not in path.parts
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def packages() -> set[str]:
    return {path.parent.name for path in tracked("*/__init__.py") if path.parent.parent == ROOT} - NOT_SHIPPED


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_package_is_linted_and_shipped() -> None:
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == packages()
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == packages()
    assert packages() <= set(PROJECT["tool"]["mypy"]["packages"])


def test_tests_shadow_no_package() -> None:
    assert [relative(path) for path in tracked("tests/**/__init__.py")] == []


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_a_module_and_its_functions_fit_their_size(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MAX_MODULE_LINES
    long_ones = [
        f"{node.name} ({node.end_lineno - node.lineno})"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno > MAX_FUNCTION_LINES
    ]
    assert long_ones == []


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_nothing_is_unfinished_or_hushed(path: Path) -> None:
    text = path.read_text("utf-8")
    if path != Path(__file__):
        assert re.findall(r"\b(TODO|FIXME|XXX)\b|NotImplementedError", text) == []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            if any(
                isinstance(inner, ast.Raise) or (isinstance(inner, ast.Name) and inner.id == node.name)
                for inner in ast.walk(node)
            ):
                continue  # it lets go on what it caught, or hands it to another thread
            assert caught not in ("", "Exception", "BaseException"), f"line {node.lineno} hushes broken code"


def test_no_path_of_somebodys_machine_is_named() -> None:
    home = re.compile(r"(?<![\w.])/(?:root|home|work)/\w")
    named = [relative(path) for path in TEXT if home.search(path.read_text("utf-8", "replace"))]
    assert named == []


@pytest.mark.parametrize("path", tracked("*.md"), ids=relative)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_decisions_are_numbered_without_a_hole() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
