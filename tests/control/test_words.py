"""Every text a person meets exists in both languages, with the same holes to fill."""

from __future__ import annotations

import json
import re

from control.page.bundle import STATIC
from control.words import LANGUAGES, words
from ingest.contract.approval.codes import Code
from ingest.contract.approval.policy import CRITICALITIES
from ingest.contract.approval.states import Event, State

TABLE = json.loads((STATIC / "words.json").read_text(encoding="utf-8"))
SCRIPT = (STATIC / "app.js").read_text(encoding="utf-8")


def test_every_code_state_event_and_level_has_words() -> None:
    needed = [f"code.{one}" for one in Code] + [f"state.{one}" for one in State]
    needed += [f"event.{one}" for one in Event] + [f"level.{one}" for one in CRITICALITIES]
    assert [one for one in needed if one not in TABLE] == []


def test_every_key_that_the_page_uses_exists() -> None:
    used = set(re.findall(r'\bt\("([a-z.]+)"', SCRIPT)) | set(
        re.findall(r'"((?:receipts|audit|app)\.[a-z]+)"', SCRIPT)
    )
    assert len(used) > 60
    assert [one for one in used if one not in TABLE and not one.endswith(".")] == []


def test_every_entry_of_the_audit_log_has_words() -> None:
    folder = STATIC.parents[1]
    code = "".join((folder / name).read_text("utf-8") for name in ("desk.py", "web.py"))
    written = re.findall(r"self\._record\((.*?)\n", re.sub(r"\(\s+", "(", code))
    kinds = {kind for line in written for kind in re.findall(r'"([a-z_]+)",', line)[:1]}
    kinds |= set(re.findall(r'_note_refusal\("([a-z_]+)"', code))
    keys = {key for line in written for key in re.findall(r"\b([a-z0-9_]+)=", line)}
    assert {"proposed", "receipt", "login"} <= kinds
    assert {"proposal", "reason"} <= keys
    assert [one for one in kinds - {"control"} if f"event.{one}" not in TABLE] == []
    assert [one for one in keys if f"key.{one}" not in TABLE] == []


def test_both_languages_say_something_with_the_same_holes() -> None:
    for key, both in TABLE.items():
        assert set(both) == set(LANGUAGES), key
        assert all(text.strip() for text in both.values()), key
        holes = [sorted(re.findall(r"\{\w+\}", both[language])) for language in LANGUAGES]
        assert holes[0] == holes[1], key
    assert words("id")["app.now"] == "Sekarang"
