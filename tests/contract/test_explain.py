"""What is wrong with a configuration is said in the words of the file: its name, the key, what it may be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dashboards.accounts import parse_accounts
from dashboards.config import parse_config as screens
from edge.config import parse_config as edge
from mitra.analytics import load_config as analytics
from mitra.influx_file import read_influx

ACCOUNT = "[[user]]\nname = 'sari'\nword_hash = '$argon2id$'\n"
PATHS = "plant = 'p'\njournal = 'j'\ndesk = 'd'\n"
STREAM = f"{PATHS}broker = 'b'\nhistory = 'h'\nregistry = 'r'\n"
READ: dict[str, Callable[[Path], object]] = {
    "screens": lambda path: screens(path.read_text(), path.parent, str(path)),
    "accounts": lambda path: parse_accounts(path.read_text(), str(path)),
    "influx": read_influx,
    "stream": analytics,
    "edge": lambda path: edge(path.read_text(), path.parent, str(path)),
}


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("screens", "plant = 'p'\n", "the key 'journal' is missing"),
        ("screens", f"{PATHS}prot = 1\n", "there is no key 'prot'; did you mean 'port'?"),
        ("screens", f"{PATHS}port = 'x'\n", "port must be a whole number, got text in quotes"),
        ("screens", f"{PATHS}language = 'de'\n", "language cannot be 'de'; it may be '' or 'en' or 'id'"),
        (
            "screens",
            f"{PATHS}baseline_from = 3\n",
            "baseline_from must be a day as 2026-01-31 or nothing",
        ),
        (
            "accounts",
            f"{ACCOUNT}role = 'boss'\n",
            "user number 1, role cannot be 'boss'; it may be",
        ),
        ("accounts", ACCOUNT, "user number 1: the key 'role' is missing"),
        ("accounts", "[[user]]\nrule = 'x'\n", "user number 1: there is no key 'rule'; did you mean 'role'?"),
        ("accounts", "user = 4\n", "user must be a list, got a whole number"),
        ("influx", "url = 'http://i'\nbuket = 'b'\n", "there is no key 'buket'; did you mean 'bucket'?"),
        ("influx", "url = 3\nbucket = 'b'\n", "url must be text in quotes, got a whole number"),
        ("stream", f"{STREAM}profile = 'fast'\n", "profile cannot be 'fast'; it may be"),
        ("stream", f"{STREAM}workers = -1\n", "workers must be a whole number >= 0"),
        ("stream", f"{STREAM}[influx]\nulr = 'x'\n", "influx: there is no key 'ulr'; did you mean 'url'?"),
        (
            "stream",
            f"{STREAM}detectors = [1]\n",
            "detectors number 1 must be text in quotes, got a whole number",
        ),
        ("edge", "gateway = 3\n", "gateway must be text in quotes, got a whole number"),
    ],
)
def test_the_file_and_the_key_are_named(kind: str, text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.toml"
    path.write_text(text)
    with pytest.raises(Exception, match=path.name) as found:
        READ[kind](path)
    assert said in str(found.value)
    for raw in ("Object", "`", "$.", "enum"):
        assert raw not in str(found.value)


@pytest.mark.parametrize("kind", READ)
def test_what_is_no_toml_says_so(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.toml"
    path.write_text("a = \n")
    with pytest.raises(Exception, match=path.name) as found:
        READ[kind](path)
    assert "is not valid TOML" in str(found.value)
    assert "correct that line" in str(found.value)


@pytest.mark.parametrize("kind", ["influx", "stream"])
def test_what_is_no_text_or_no_file_says_so(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Exception, match="is not UTF-8 text; save it as UTF-8"):
        READ[kind](path)
    with pytest.raises(Exception, match=r"cannot be read \(Is a directory\)"):
        READ[kind](tmp_path)
