"""Starting: one clear sentence and a documented exit code when it cannot."""

from __future__ import annotations

import io
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.written_plant import plant_text
from dashboards.__main__ import EXIT_PORT, EXIT_SETTING, main, open_house
from dashboards.config import parse_config
from mitra.supervisor import free_port, listens
from tests.waiting import WAIT_S, until

ROOT = Path(__file__).parents[2]
TEXT = 'plant = "plant.toml"\njournal = "journal.db"\ndesk = "desk.db"\n'


def write(folder: Path, text: str) -> str:
    (folder / "plant.toml").write_text(plant_text(2))
    path = folder / "screens.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nonsense", "TOML"),
        (TEXT.replace("plant.toml", "missing.toml"), "cannot be read"),
        (TEXT + 'users = "nobody.toml"\n', "accounts"),
        (TEXT + "colour = 1\n", "colour"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, word: str
) -> None:
    assert main(["--config", write(tmp_path, text)]) == EXIT_SETTING
    said = capsys.readouterr().err
    assert word in said
    assert "Traceback" not in said


def test_a_taken_port_is_said_with_what_it_means_for_the_plant(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = write(tmp_path, TEXT + f"port = {taken.getsockname()[1]}\n")
        command = (sys.executable, "-m", "dashboards", "--config", path)
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == EXIT_PORT
    assert "the plant runs on without them" in ended.stderr


def test_screens_that_are_told_to_end_do_not_look_as_if_they_had_crashed(tmp_path: Path) -> None:
    port = free_port()
    path = write(tmp_path, TEXT + f"port = {port}\n")
    process = subprocess.Popen((sys.executable, "-m", "dashboards", "--config", path), cwd=ROOT)
    try:
        until(listens("127.0.0.1", port), "the screens")
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.wait()


def test_the_session_key_is_made_once_and_is_its_owner_s(tmp_path: Path) -> None:
    config = parse_config(TEXT, tmp_path)
    write(tmp_path, TEXT)
    first, second = open_house(config), open_house(config)
    assert first.sessions.key == second.sessions.key
    assert stat.S_IMODE((tmp_path / "screens.session").stat().st_mode) == 0o600
    for house in (first, second):
        house.desk.close()
        house.ledger.close()


def test_a_password_hash_is_printed_for_the_accounts_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    assert main(["--hash-password"]) == 0
    assert capsys.readouterr().out.startswith("$argon2id$")
    monkeypatch.setattr(sys, "stdin", io.StringIO("x\n"))
    assert main(["--hash-password"]) == EXIT_SETTING
