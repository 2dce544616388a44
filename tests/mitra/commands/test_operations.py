"""docs/operations.md says what the program takes: configurations load, commands and options exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboards.config import parse_config as screens_config
from edge.config import parse_config as edge_config
from mitra.analytics import load_config as analytics_config
from tests.mitra.commands.test_commands import LEAVES, command_of

ROOT = Path(__file__).resolve().parents[3]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"```toml\n# ([\w.-]+\.toml)[^\n]*\n(.*?)```", OPERATIONS, re.DOTALL))


def _analytics(text: str, folder: Path) -> object:
    path = folder / "analytics.toml"
    path.write_text(text)
    return analytics_config(path)


LOADERS: dict[str, Callable[[str, Path], object]] = {
    "analytics.toml": _analytics,
    "screens.toml": screens_config,
    "edge-gw-1.toml": edge_config,
}


def commands_in(text: str) -> list[str]:
    """Every `mitra ...` of code blocks and code spans, without comments."""
    lines = [
        line.split("#")[0]
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    spans = [" ".join(span.split()) for span in re.findall(r"(?<!`)`(mitra [^`]+)`(?!`)", text)]
    return sorted({one.strip() for one in (*lines, *spans) if one.strip().startswith("mitra ")})


def test_the_document_shows_every_configuration() -> None:
    assert set(BLOCKS) == set(LOADERS)


@pytest.mark.parametrize("name", LOADERS)
def test_a_configuration_of_the_document_is_accepted(name: str, tmp_path: Path) -> None:
    LOADERS[name](BLOCKS[name], tmp_path)


@pytest.mark.parametrize("line", commands_in(OPERATIONS))
def test_a_command_of_the_document_exists_with_its_options(line: str) -> None:
    for alternative in re.sub(r"(\w+)(\|\w+)+", lambda found: found.group().split("|")[0], line).split("; "):
        words = shlex.split(alternative)[1:]
        leaf = next(
            (
                one
                for one in sorted(LEAVES, key=len, reverse=True)
                if words[: one.count(" ") + 1] == one.split()
            ),
            None,
        )
        group = words[0] in {one.split()[0] for one in LEAVES}
        assert leaf is not None or (group and len(words) == 1), line
        if leaf is None:
            continue
        command = command_of(words[0])
        for part in leaf.split()[1:]:
            command = command.commands[part]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
