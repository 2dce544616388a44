"""What a person names wrongly is refused with a sentence about that thing, never in Python's words."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from ingest.contract.plant import Plant
from mitra.exits import PersonError
from mitra.layout import Layout
from mitra.supervisor import free_port
from mitra.training import read_golden
from tests.mitra.commands.terminal import mitra

PYTHON_SAYS = (
    "Errno",
    "codec",
    "Object",
    "empty sequence",
    "Expecting value",
    "indices",
    "'owner'",
    "sequence element",
    "Unknown error",
)
REPLAY = ("replay", "--rate-hz", "1000", "--data", "{data}")
DIAGNOSE = ("diagnose", "{file}", "--rate-hz", "1000", "--rpm", "600", "--orders")
LISTEN = ("labels", "listen", "--plant", "{file}", "--data", "{data}", "--host")
PLANT = b"""
[plant]
id = 'p'
name = 'P'
[[gateway]]
id = 'g'
[[machine]]
id = 'm'
name = 'M'
gateway = 'g'
"""
VERIFY = ("audit", "verify", "{file}", "--log-key", "{file}")
ENROL = (
    "roster",
    "enrol",
    "{folder}",
    "{file}",
    "--role",
    "lead",
    "--site",
    "s",
    "--origin",
    "o",
    "--rp-id",
    "r",
)


@pytest.mark.parametrize(
    ("name", "content", "command", "said"),
    [
        ("empty.csv", b"", (*REPLAY, "{file}"), "empty.csv is empty, so there is nothing to read"),
        ("odd.csv", b"\xff\xfe\x00", (*REPLAY, "{file}"), "odd.csv is not UTF-8 text; save it as UTF-8"),
        ("notes.txt", b"x", (*REPLAY, "{file}"), "notes.txt is no recording"),
        ("any", b"", (*REPLAY, "{folder}"), "is no recording"),
        ("plant.toml", b"", ("plant", "check", "{file}"), "the key 'plant' is missing"),
        ("plant.toml", b"a = = 1", ("plant", "check", "{file}"), "correct that line"),
        ("plant.toml", b"plan = 1", ("plant", "check", "{file}"), "no key 'plan'; did you mean 'plant'?"),
        (
            "plant.toml",
            b"[plant]\nid = 'p'\nname = 3\n",
            ("plant", "check", "{file}"),
            "[plant], key 'name': it must be text in quotes, got a whole number",
        ),
        (
            "plant.toml",
            b"[plant]\nid = 'p'\nname = 'P'\n[[machine]]\nid = 'm'\ncriticality = 'vital'\n",
            ("plant", "check", "{file}"),
            "key 'criticality': it cannot be 'vital'; it may be 'critical' or 'high' or 'low' or 'normal'",
        ),
        ("any", b"", ("model", "carry-out", "--data", "{nowhere}", "--plant", "{file}"), "no plant's data"),
        ("any", b"", ("roster", "rotate", "{folder}", "--old-key", "a", "--new-key", "b"), "holds no root"),
        ("sari.json", b"{", ENROL, "have it made and brought again"),
        ("audit.jsonl", b"", VERIFY, "is no public key file"),
        ("audit.jsonl", b"[]", VERIFY, "is no public key file"),
        ("audit.jsonl", b"{}", VERIFY, "is no public key file"),
        (
            "any",
            b"",
            ("audit", "verify", "{file}", "--log-key", "{folder}"),
            "cannot be read (Is a directory)",
        ),
        ("any", b"", ("roster", "init", "{file}", "--site", "s"), "or name another folder."),
        ("wave.csv", b"1\n2\n", (*DIAGNOSE, "x"), "--orders 'x' lacks bpfo"),
        (
            "wave.csv",
            b"1\n2\n",
            (*DIAGNOSE, "bpfo=a,bpfi=1,bsf=1,ftf=1"),
            "bpfo is to be a number, got 'a'",
        ),
        ("plant.toml", PLANT, (*LISTEN, "no.such.host.invalid"), "is no address of this machine"),
        ("plant.toml", PLANT, (*LISTEN, "192.0.2.1"), "is no address of this machine"),
        (
            "plant.toml",
            PLANT,
            ("serve", "{file}", "--data", "{data}", "--host", "no.such.host.invalid"),
            "is no address of this machine",
        ),
    ],
)
def test_wrong_input_is_a_sentence(
    name: str, content: bytes, command: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).write_bytes(content)
    places = {
        "file": folder / name,
        "folder": folder,
        "data": tmp_path / "data",
        "nowhere": tmp_path / "nowhere",
    }
    found = mitra(*(part.format(**places) for part in command))
    assert found.code in (3, 5), found
    assert said in found.err
    assert not [raw for raw in PYTHON_SAYS if raw in found.err]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "--broker: 'nonsense' is no broker URL; write one as mqtt://host:1883"),
        ("mqtt://me:secret@host:port", "--broker: 'mqtt://host:port' is no broker URL"),
        ("http://me:secret@host", "--broker: 'http://host' is no broker URL"),
        ("mqtt://me:secret@127.0.0.1:1", "mqtt://127.0.0.1:1 cannot be reached (Connection refused)"),
    ],
)
def test_a_wrong_broker_is_named_without_its_login(url: str, said: str, tmp_path: Path) -> None:
    plant = tmp_path / "plant.toml"
    machine = "[[machine]]\nid = 'm'\nname = 'M'\ngateway = 'g'\n"
    plant.write_text(f"[plant]\nid = 'p'\nname = 'P'\n[[gateway]]\nid = 'g'\n{machine}")
    ports = (f"--{name}-port={free_port()}" for name in ("screens", "broker"))
    found = mitra("serve", plant, "--data", tmp_path / "data", "--broker", url, *ports)
    assert found.code in (3, 4)
    assert said in found.err
    kept = Layout(tmp_path / "data").broker.glob("*.json")
    secrets = [word for path in kept for word in json.loads(path.read_text()).values()]
    assert not [word for word in (*secrets, "secret", "Errno") if word in found.err]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "case,machine,to,faulty\nc,m,2026-01-02,no\n",
            "has no column from; golden cases have",
        ),
        ("case,machine,from,to,faulty\nc,x,2026-01-01,2026-01-02,no\n", "'x' is no machine of the plant"),
    ],
)
def test_golden_cases_that_are_none_are_named(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "golden.csv"
    path.write_text(content)
    with pytest.raises(PersonError, match=said):
        read_golden(path, msgspec.convert(tomllib.loads(PLANT.decode()), Plant))
