"""Accounts, roster, decisions at the terminal and the audit log, on files and on a real control process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import uvicorn

from control.audit import Audit, Entry
from control.keyfile import load_or_make_key
from control.service import LOG_ID
from dashboards.accounts import Role, parse_accounts, word_matches
from mitra.layout import Layout
from mitra.supervisor import free_port
from tests.approval_rig import ORIGIN, RP_ID, SITE, WholePlant
from tests.mitra.commands.terminal import mitra

WORD, OTHER = "correct horse", "battery staple"


# -- accounts of the screens ----------------------------------------------------------------------------


def test_a_user_is_added_listed_changed_and_removed(tmp_path: Path) -> None:
    added = mitra("user", "add", "sari", "--role", "technician", "--data", tmp_path, stdin=f"{WORD}\n")
    assert (added.code, added.out) == (0, "")
    path = Layout(tmp_path).users
    assert path.stat().st_mode & 0o077 == 0
    account = parse_accounts(path.read_text())["sari"]
    assert account.role is Role.TECHNICIAN
    assert word_matches(account, WORD)
    listed = mitra("user", "list", "--users", path, "--json")
    assert listed.data == [{"name": "sari", "role": "technician", "shown": ""}]
    assert "argon2" not in listed.out

    assert mitra("user", "password", "sari", "--data", tmp_path, stdin=f"{OTHER}\n").code == 0
    changed = parse_accounts(path.read_text())["sari"]
    assert word_matches(changed, OTHER)
    assert not word_matches(changed, WORD)

    assert mitra("user", "remove", "sari", "--data", tmp_path).code == 0
    assert mitra("user", "list", "--data", tmp_path, "--json").data == []
    assert "mitra user add" in mitra("user", "list", "--data", tmp_path).err


def test_an_accounts_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    for command in (("list",), ("password", "sari"), ("remove", "sari")):
        found = mitra("user", *command, "--users", tmp_path / "nowhere.toml", stdin=f"{WORD}\n")
        assert (found.code, found.out) == (3, "")
        assert "nowhere.toml" in found.err


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("add", "sari", "--role", "technician", "--data", "{here}"), "short\n"),
        (("add", "Sari W", "--role", "technician", "--data", "{here}"), f"{WORD}\n"),
        (("add", "budi", "--role", "technician", "--data", "{here}"), f"{WORD}\n"),
        (("add", "sari", "--role", "technician"), f"{WORD}\n"),
        (("password", "sari", "--data", "{here}"), f"{WORD}\n"),
        (("remove", "sari", "--data", "{here}"), ""),
    ],
)
def test_an_account_that_cannot_be_changes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], stdin: str
) -> None:
    assert mitra("user", "add", "budi", "--role", "data_scientist", "--data", tmp_path, stdin=WORD).code == 0
    before = Layout(tmp_path).users.read_bytes()
    found = mitra("user", *(one.format(here=tmp_path) for one in arguments), stdin=stdin)
    assert found.code == 3
    assert found.err
    assert Layout(tmp_path).users.read_bytes() == before


def test_an_unknown_role_is_wrong_use(tmp_path: Path) -> None:
    assert mitra("user", "add", "sari", "--role", "boss", "--data", tmp_path, stdin=WORD).code == 2


# -- folders that hold nothing --------------------------------------------------------------------------


def test_a_folder_that_holds_no_plant_is_said_by_every_list(tmp_path: Path) -> None:
    for command in (("labels", "list"), ("labels", "waiting"), ("history", "verify"), ("user", "list")):
        for folder in (tmp_path, tmp_path / "nowhere"):
            found = mitra(*command, "--data", folder, "--json")
            assert (found.code, found.out) == (3, ""), command
            assert str(folder) in found.err
            assert "`mitra serve`" in found.err
    assert not list(tmp_path.iterdir())
    silent = tmp_path / "silent"  # a plant of which nobody said anything yet
    Layout(silent).server.mkdir(parents=True)
    assert mitra("labels", "list", "--data", silent, "--json").data["labels"] == []
    assert mitra("labels", "waiting", "--data", silent, "--json").data == []


def test_a_plant_file_that_is_named_by_its_place_is_not_asked_for_by_an_option(tmp_path: Path) -> None:
    given = mitra("plant", "check", tmp_path / "nowhere.toml")  # by place, not by an option
    assert given.code == 3
    assert "nowhere.toml" in given.err
    assert "--plant" not in given.err


# -- the roster -----------------------------------------------------------------------------------------


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    folder = tmp_path / "roster"
    made = mitra("roster", "init", folder, "--site", SITE, "--json")
    assert made.code == 0, made.err
    assert Path(made.data["root"]).name == "1.root.json"
    assert len(made.data["keys"]) == 6
    return folder


def enrol(folder: Path, person: str, role: str = "approver") -> Path:
    key = folder.parent / f"{person}.json"
    asked = ("--name", person.title(), "--key", key, "--roster", folder, "--site", SITE, "--role", role)
    found = mitra("technician", "enrol", person, *asked, "--origin", ORIGIN, "--rp-id", RP_ID, "--publish")
    assert found.code == 0, found.err
    return key


def test_people_are_enrolled_published_shown_and_revoked(roster: Path) -> None:
    key = enrol(roster, "sari")
    enrol(roster, "budi", "viewer")
    assert key.stat().st_mode & 0o077 == 0
    shown = mitra("roster", "show", roster, "--json").data
    assert [(one["id"], one["role"]) for one in shown["persons"]] == [
        ("sari", "approver"),
        ("budi", "viewer"),
    ]
    assert "sari" in mitra("technician", "list", "--roster", roster).out

    lost = shown["persons"][0]["keys"][0]["id"]
    assert mitra("roster", "revoke", roster, "sari", "--credential", lost, "--publish").code == 0
    assert mitra("roster", "show", roster, "--json").data["persons"][-1]["keys"] == []
    assert mitra("technician", "revoke", "budi", "--roster", roster).code == 0
    assert "budi" in mitra("roster", "show", roster).out  # a draft changes nothing
    assert mitra("roster", "publish", roster).code == 0
    assert "budi" not in mitra("roster", "show", roster).out
    assert mitra("roster", "refresh", roster).code == 0


def test_root_keys_are_rotated_by_old_and_new_ones(roster: Path) -> None:
    old = [arg for n in (1, 2) for arg in ("--old-key", roster / "keys" / f"root-{n}.pem")]
    new = [arg for n in (4, 5, 6) for arg in ("--new-key", roster / "keys" / f"root-{n}.pem")]
    found = mitra("roster", "rotate", roster, *old, *new)
    assert found.code == 0, found.err
    assert found.out.strip().endswith("2.root.json")
    assert mitra("roster", "show", roster).code == 0


def test_a_roster_that_cannot_be_changed_says_why(roster: Path, tmp_path: Path) -> None:
    again = mitra("roster", "init", roster, "--site", SITE)
    nobody = mitra("roster", "revoke", roster, "nobody")
    nowhere = mitra("roster", "publish", tmp_path / "nowhere")
    (tmp_path / "file.json").write_text("{}")
    options = ("--role", "lead", "--site", SITE, "--origin", ORIGIN, "--rp-id", RP_ID)
    no_passkey = mitra("roster", "enrol", roster, tmp_path / "file.json", *options)
    assert [one.code for one in (again, nobody, nowhere, no_passkey)] == [3, 3, 3, 3]
    assert "already holds a roster" in again.err
    assert "enrolment file" in no_passkey.err


def test_a_key_file_is_never_replaced(roster: Path) -> None:
    key = enrol(roster, "sari")
    before = key.read_bytes()
    asked = ("--name", "Sari", "--key", key, "--roster", roster, "--site", SITE)
    assert mitra("technician", "enrol", "sari", *asked).code == 3
    assert key.read_bytes() == before


def test_a_roster_that_edges_refuse_fails_the_check(roster: Path) -> None:
    (roster / "public" / "roster.json").write_bytes(b'{"v":1,"site":"plant-1","persons":[{}]}')
    found = mitra("roster", "show", roster)
    assert found.code == 6
    assert "Remote stops are refused" in found.err
    assert mitra("roster", "show", roster.parent / "nowhere").code == 3


# -- decisions ------------------------------------------------------------------------------------------


@pytest.fixture
def plant(tmp_path: Path) -> WholePlant:
    return WholePlant(tmp_path / "plant")


@pytest.fixture
def url(plant: WholePlant) -> Iterator[str]:
    """Control's own application on a real port."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(plant.service.app(), host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def budi(plant: WholePlant, tmp_path: Path) -> Path:
    path = tmp_path / "budi.json"
    plant.keys["budi"].save(path)
    return path


def test_a_stop_is_shown_and_approved_at_the_terminal(
    plant: WholePlant, url: str, budi: Path, tmp_path: Path
) -> None:
    plant.request("fan-1")
    edge_key = tmp_path / "edge.pub.json"
    edge_key.write_bytes(plant.edge_public.to_bytes())
    shown = mitra("technician", "proposals", "--key", budi, "--url", url, "--json")
    (proposal,) = shown.data
    assert proposal["machine"] == "fan-1"
    assert "0 of 1" in mitra("technician", "proposals", "--key", budi, "--url", url).out
    asked = ("--key", budi, "--url", url, "--edge-key", edge_key, "--json")
    approved = mitra("technician", "approve", proposal["id"], *asked)
    assert approved.code == 0, approved.err
    assert approved.data["state"] == "approved"
    plant.pump()
    assert not plant.runs("fan-1")
    closed = mitra("technician", "proposals", "--key", budi, "--url", url, "--state", "closed", "--json").data
    assert [one["id"] for one in closed] == [proposal["id"]]


def test_after_a_rejection_at_the_terminal_the_machine_runs_on(
    plant: WholePlant, url: str, budi: Path
) -> None:
    plant.request("fan-1")
    (proposal,) = mitra("technician", "proposals", "--key", budi, "--url", url, "--json").data
    reason = "bearing was changed this morning"
    found = mitra("technician", "reject", proposal["id"], "--reason", reason, "--key", budi, "--url", url)
    assert found.code == 0, found.err
    assert "denied" in found.out
    refused = mitra("technician", "approve", proposal["id"], "--key", budi, "--url", url)
    assert refused.code == 6
    assert "not_open" in refused.err
    plant.pass_time(1_000)
    assert plant.runs("fan-1")


def test_a_ticket_that_the_pinned_edge_did_not_sign_is_not_approved(
    plant: WholePlant, url: str, budi: Path, tmp_path: Path
) -> None:
    plant.request("fan-1")
    (proposal,) = mitra("technician", "proposals", "--key", budi, "--url", url, "--json").data
    other = tmp_path / "other"
    other.mkdir()
    key = tmp_path / "other.pub.json"
    key.write_bytes(WholePlant(other).edge_public.to_bytes())
    found = mitra("technician", "approve", proposal["id"], "--key", budi, "--url", url, "--edge-key", key)
    assert found.code == 6
    plant.pump()
    assert plant.runs("fan-1")


def test_without_control_or_key_nothing_is_decided(budi: Path, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    away = mitra("technician", "proposals", "--key", budi, "--url", nobody)
    keyless = mitra("technician", "proposals", "--key", tmp_path / "no.json", "--url", nobody)
    assert (away.code, keyless.code) == (4, 3)
    assert "the machine runs on" in away.err
    assert "Connection refused" in away.err
    assert "cannot be read (No such file" in keyless.err
    for number, content in enumerate((b'{"a": 1}', b"no JSON", b"\xff\xfe", b"[]")):
        path = tmp_path / f"{number}.json"
        path.write_bytes(content)
        found = mitra("technician", "proposals", "--key", path, "--url", nobody)
        assert found.code == 3
        assert "is not a technician's key file; `mitra technician enrol`" in found.err
    for said in (away.err, keyless.err, found.err):
        assert "Errno" not in said
        assert "argument" not in said


class Elsewhere(BaseHTTPRequestHandler):
    """A program of another kind, on the port where control is looked for."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>a printer</html>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_answers_in_place_of_control_is_called_so(budi: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        found = mitra("technician", "proposals", "--key", budi, "--url", url)
        server.shutdown()
        thread.join()
    assert found.code == 6
    assert "is not control" in found.err


def test_a_key_is_neither_replaced_nor_made_for_no_roster(roster: Path, tmp_path: Path) -> None:
    key = tmp_path / "siti.json"
    options = ("--name", "Siti", "--key", key, "--site", SITE)
    nowhere = mitra("technician", "enrol", "siti", *options, "--roster", tmp_path / "nowhere")
    assert nowhere.code == 3
    assert not key.exists()
    assert mitra("technician", "enrol", "siti", *options, "--roster", roster).code == 0
    before = key.read_bytes()
    again = mitra("technician", "enrol", "siti", *options, "--roster", roster)
    assert again.code == 3
    assert "exists already and was left alone" in again.err
    assert key.read_bytes() == before


# -- the audit log --------------------------------------------------------------------------------------


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """The folder of a control service that wrote fifty entries."""
    folder = tmp_path / "control"
    folder.mkdir()
    log = Audit(folder / "audit.sqlite", LOG_ID, load_or_make_key(folder / "audit.key"))
    (folder / "audit.pub.json").write_bytes(log.public.to_bytes())
    log.write(*(Entry(1_800_000_000 + n, SITE, "login", "budi", {"n": n}) for n in range(50)))
    log.close()
    return folder


def test_an_export_verifies_and_an_edited_one_does_not(state_dir: Path, tmp_path: Path) -> None:
    out, key = tmp_path / "audit.jsonl", state_dir / "audit.pub.json"
    made = mitra("audit", "export", state_dir, "--out", out, "--json")
    assert made.data["entries"] == 50
    whole = mitra("audit", "verify", out, "--log-key", key, "--json")
    assert (whole.code, whole.data["wrong"]) == (0, [])
    assert whole.data["newest_checkpoint"] == 50

    lines = out.read_bytes().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_bytes(b"".join(lines[:20] + lines[21:]))
    cut = mitra("audit", "verify", tmp_path / "cut.jsonl", "--log-key", key)
    assert cut.code == 6
    assert "WRONG" in cut.out
    fork = mitra("audit", "verify", out, "--log-key", key, "--against", tmp_path / "cut.jsonl", "--json")
    assert fork.code == 6
    assert mitra("audit", "verify", out, "--log-key", key, "--needed", "1").code == 6
    assert mitra("audit", "verify", out, "--log-key", key, "--at-least", "60").code == 6


def test_an_audit_log_that_is_not_there_is_a_setting(state_dir: Path, tmp_path: Path) -> None:
    missing = mitra("audit", "export", tmp_path / "nowhere", "--out", tmp_path / "a.jsonl")
    (tmp_path / "junk.jsonl").write_text("not json\n")
    junk = mitra("audit", "verify", tmp_path / "junk.jsonl", "--log-key", state_dir / "audit.pub.json")
    no_key = mitra("audit", "verify", tmp_path / "junk.jsonl", "--log-key", tmp_path / "no.json")
    assert (missing.code, junk.code, no_key.code) == (3, 3, 3)
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_audit_database_is_said(state_dir: Path, tmp_path: Path) -> None:
    (state_dir / "audit.sqlite").write_bytes(b"this is no database" * 100)
    for leftover in state_dir.glob("audit.sqlite-*"):
        leftover.unlink()
    found = mitra("audit", "export", state_dir, "--out", tmp_path / "a.jsonl")
    assert found.code == 5
    assert "not exported" in found.err
