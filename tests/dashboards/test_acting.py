"""People act: once, in their own name, from a page of ours, and it can be taken back."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dashboards.accounts import (
    Account,
    AccountError,
    GuessBrake,
    Role,
    hash_word,
    parse_accounts,
    word_matches,
)
from dashboards.sessions import Sessions
from ingest.contract.actions import ActionKind

ALARM = "pump-001:bearing_outer:1"
HTMX = {"hx-request": "true"}


def act(screens: Any, path: str, **fields: str) -> Any:
    data = {"token": screens.token(), "action_id": "0123456789abcdef", **fields}
    return screens.client.post(f"/alarms/{ALARM}/{path}", data=data, headers=HTMX)


def test_an_acknowledgement_reaches_the_desk_once(screens: Any) -> None:
    screens.sign_in()
    for _ in range(2):
        answer = act(screens, "acknowledge")
        assert answer.status_code == 200
    assert "Sedang diakui" in answer.text
    said = screens.house.desk.about(alarm_id=ALARM)
    assert [(one.kind, one.by, one.machine) for one in said] == [
        (ActionKind.ACKNOWLEDGE, "demo-technician", "pump-001")
    ]


def test_a_verdict_takes_one_tap_and_can_be_taken_back(screens: Any) -> None:
    screens.sign_in()
    screens.client.cookies.set("mitra_language", "en")
    card = act(screens, "verdict", verdict="false_alarm").text
    assert "False alarm" in card
    assert "Undo" in card
    undone = act(screens, "undo", undoes="0123456789abcdef", action_id="fedcba9876543210").text
    assert "Is it real?" in undone
    again = act(screens, "verdict", verdict="confirmed", action_id="00000000000000aa").text
    assert "Verdict: Confirmed" in again
    kinds = [one.kind for one in screens.house.desk.about(alarm_id=ALARM)]
    assert kinds == [ActionKind.VERDICT, ActionKind.UNDO, ActionKind.VERDICT]


def test_shelving_needs_a_reason_and_an_end(screens: Any) -> None:
    screens.sign_in()
    assert act(screens, "shelve", hours="4", reason=" ").status_code == 422
    assert act(screens, "shelve", hours="999", reason="waiting for a part").status_code == 422
    assert screens.house.desk.about(alarm_id=ALARM) == ()
    assert act(screens, "shelve", hours="4", reason="waiting for a part").status_code == 200
    (said,) = screens.house.desk.about(alarm_id=ALARM)
    assert said.values["until_ns"] == screens.clock() + 4 * 3_600_000_000_000


def test_many_alarms_are_acknowledged_at_once(screens: Any) -> None:
    screens.sign_in()
    data = {"token": screens.token(), "action_id": "ab" * 12, "picked": [ALARM, "motor-003:imbalance:1"]}
    answer = screens.client.post("/alarms", data=data)
    assert answer.status_code == 200
    assert len(screens.house.desk.newest()) == 2


def test_a_visitor_looks_but_does_not_act(screens: Any) -> None:
    assert "Akui" not in screens.client.get("/alarms").text.split('id="alarm-list"')[1].split("<form")[0]
    assert act(screens, "acknowledge").status_code == 401
    assert screens.house.desk.newest() == ()


def test_a_role_does_only_what_is_its_own(screens: Any) -> None:
    screens.sign_in("energy_manager")
    assert act(screens, "acknowledge").status_code == 403
    assert screens.house.desk.newest() == ()


def test_a_form_without_this_session_s_token_does_nothing(screens: Any) -> None:
    screens.sign_in()
    assert act(screens, "acknowledge", token="x").status_code == 403
    assert act(screens, "acknowledge", token="é").status_code == 403
    screens.sign_in()  # a new session has a new token
    old = screens.house.sessions.token(screens.house.sessions.start(screens.clock()))
    assert act(screens, "acknowledge", token=old).status_code == 403
    assert screens.house.desk.newest() == ()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example", "origin": "http://evil.example"},
    ],
)
def test_another_site_cannot_act_through_this_browser(screens: Any, headers: dict[str, str]) -> None:
    screens.sign_in()
    data = {"token": screens.token(), "action_id": "0123456789abcdef"}
    answer = screens.client.post(f"/alarms/{ALARM}/acknowledge", data=data, headers=headers)
    assert answer.status_code == 403
    assert "content-security-policy" in answer.headers
    assert screens.house.desk.newest() == ()


def test_cookies_are_strict(screens: Any) -> None:
    answer = screens.client.get("/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_wrong_ids_are_refused(screens: Any) -> None:
    screens.sign_in()
    assert screens.client.get("/alarms/%00").status_code == 404
    assert screens.client.get("/machines/..%2Fetc").status_code == 404
    assert act(screens, "acknowledge", action_id="x").status_code == 422
    data = {"token": screens.token(), "action_id": "0123456789abcdef"}
    assert screens.client.post("/alarms/none:x:1/acknowledge", data=data).status_code == 404


def test_a_body_over_the_limit_is_refused(screens: Any) -> None:
    answer = screens.client.post("/sign-in", content=b"x" * 70_000)
    assert answer.status_code == 413


def test_signing_in_needs_the_password_and_guessing_is_braked(closed_screens: Any) -> None:
    client = closed_screens.client
    for _ in range(5):
        assert client.post("/sign-in", data={"name": "budi", "word": "wrong one"}).status_code == 401
    assert client.post("/sign-in", data={"name": "budi", "word": "a long password"}).status_code == 429
    closed_screens.clock.ns += 61_000_000_000
    assert client.post("/sign-in", data={"name": "budi", "word": "a long password"}).status_code == 200
    assert client.post("/sign-in/role", data={"role": "technician"}).status_code == 404


def test_signing_out_ends_the_session(screens: Any) -> None:
    screens.sign_in()
    cookie = screens.client.cookies["mitra"]
    screens.client.post("/sign-out", data={"token": screens.token()})
    assert screens.house.sessions.read(cookie, screens.clock()) is None
    assert screens.house.sessions.read(screens.client.cookies["mitra"], screens.clock()).signed_in is False


def test_a_stop_gets_its_reason_in_two_taps(screens: Any) -> None:
    screens.house.ledger.advance()
    screens.sign_in()
    page = screens.client.get("/oee?lang=en").text
    form = page.split('action="/oee/reason"')[1].split("</form>")[0]
    fields = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', form.split("<button")[0]))
    answer = screens.client.post("/oee/reason", data={**fields, "reason": "material"}, headers=HTMX)
    assert answer.status_code == 200
    assert "No material" in screens.client.get("/oee?lang=en").text
    assert screens.client.post("/oee/reason", data={**fields, "reason": "boredom"}).status_code == 422


def test_the_interface_for_programs_acts_too(screens: Any) -> None:
    screens.sign_in()
    body = {"action_id": "0123456789abcdef", "kind": "verdict", "values": {"verdict": "confirmed"}}
    address = f"/api/alarms/{ALARM}/actions"
    assert screens.client.post(address, json=body).status_code == 403
    headers = {"x-mitra-token": screens.token()}
    assert screens.client.post(address, json=body, headers=headers).json() == {"new": True}
    assert screens.client.post(address, json=body, headers=headers).json() == {"new": False}
    wrong = {**body, "values": {"verdict": "maybe"}}
    assert screens.client.post(address, json=wrong, headers=headers).status_code == 422
    (alarm,) = [one for one in screens.client.get("/api/alarms").json()["alarms"] if one["id"] == ALARM]
    assert alarm["verdict"] == "confirmed"


def test_sessions_are_not_forged_or_kept_too_long() -> None:
    sessions = Sessions(b"a" * 32)
    session = sessions.start(0, "budi", Role.TECHNICIAN)
    cookie = sessions.cookie(session)
    assert sessions.read(cookie, 1) == session
    assert sessions.read(cookie, session.until_ns) is None
    assert sessions.read(cookie.replace("budi", "boss"), 1) is None
    assert sessions.read("~" * 4, 1) is None
    assert sessions.read("ünicode", 1) is None
    assert Sessions(b"b" * 32).read(cookie, 1) is None
    with pytest.raises(ValueError, match="32 bytes"):
        Sessions(b"short")


def test_accounts_are_checked_when_read() -> None:
    word_hash = hash_word("correct horse")
    accounts = parse_accounts(f'[[user]]\nname = "ani"\nrole = "technician"\nword_hash = "{word_hash}"\n')
    assert word_matches(accounts["ani"], "correct horse")
    assert not word_matches(accounts["ani"], "wrong")
    assert not word_matches(None, "no such person")
    for text in (
        "[[user]]\nname = 'ani'",
        "[[user]",
        f'[[user]]\nname="A"\nrole="technician"\nword_hash="{word_hash}"',
    ):
        with pytest.raises(AccountError):
            parse_accounts(text)
    with pytest.raises(ValueError, match="8 characters"):
        hash_word("short")
    assert isinstance(accounts["ani"], Account)


def test_the_brake_forgets_after_a_minute() -> None:
    brake = GuessBrake()
    assert all(brake.may_guess("ani", second) for second in range(5))
    assert not brake.may_guess("ani", 10)
    assert brake.may_guess("budi", 10)
    assert brake.may_guess("ani", 61_000_000_000)


def test_a_password_that_was_right_is_no_guess() -> None:
    brake = GuessBrake()
    for second in range(50):
        assert brake.may_guess("ani", second)
        brake.was_right("ani", second)


def test_guessing_at_once_gives_no_more_guesses(closed_screens: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looking, go_on, answers = threading.Semaphore(0), threading.Event(), list[int]()

    def slowly(_account: Account | None, _word: str) -> bool:
        looking.release()
        go_on.wait(30)
        return False

    def guess() -> None:
        found = closed_screens.client.post("/sign-in", data={"name": "budi", "word": "wrong one"})
        answers.append(found.status_code)
        looking.release()

    monkeypatch.setattr("dashboards.pages.doors.word_matches", slowly)
    with ThreadPoolExecutor(12) as pool:
        for _ in range(12):
            pool.submit(guess)
        for _ in range(12):
            assert looking.acquire(timeout=30)
        go_on.set()
    assert sorted(answers) == [401] * 5 + [429] * 7


def test_two_who_sign_out_at_once_are_both_out() -> None:
    sessions = Sessions(b"k" * 32)
    ani, budi = sessions.start(0, "ani"), sessions.start(0, "budi")
    late = threading.Thread(target=sessions.end, args=(budi, 1))

    class Interrupted(dict[str, int]):
        """Budi signs out while Ani is being signed out."""

        def items(self) -> Any:
            if not late.ident:
                late.start()
                late.join(0.2)
            return super().items()

    sessions.revoked = Interrupted()
    sessions.end(ani, 1)
    late.join(10)
    assert [sessions.read(sessions.cookie(one), 2) for one in (ani, budi)] == [None, None]
