"""Attack: somebody has a technician's cookie, and even the CSRF token."""

from __future__ import annotations

from starlette.testclient import TestClient

from control.technician import Technician
from tests.approval_rig import ORIGIN, WholePlant


def is_nobody(client: TestClient) -> bool:
    """Whether control knows nobody behind these cookies, and shows him nothing."""
    named = client.get("/api/v1/session").json()["person"] is not None
    shown = client.get("/api/v1/proposals").status_code
    assert shown == (200 if named else 401)
    return not named


def test_stolen_cookie_approves_nothing(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    thief = plant.http()
    thief.cookies.update(budi._client.cookies)
    headers = {"origin": ORIGIN, "x-csrf-token": budi._headers["x-csrf-token"]}
    assert thief.get("/api/v1/session", headers=headers).status_code == 200
    # The thief signs with his own key, with a key of another person, and with nothing.
    own = plant.keys["sari"].assertion(b"\0" * 32).to_object()
    right = Technician("", plant.keys["sari"], client=thief)
    right._headers = headers
    for assertion in (own, right.sign(shown["id"]).to_object(), own | {"signature": "AA"}):
        body = {"presence": "", "assertion": assertion}
        answer = thief.post(f"/api/v1/proposals/{shown['id']}/approvals", json=body, headers=headers)
        assert answer.status_code in {403, 422}, answer.text
    plant.pump()
    assert plant.state(shown["id"]) == "awaiting"
    assert plant.all_run()


def test_stolen_cookie_without_its_token_changes_nothing(plant: WholePlant) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    thief = plant.http()
    thief.cookies.update(budi._client.cookies)
    answer = thief.post(f"/api/v1/proposals/{shown['id']}/rejection", json={"reason": "let it burn"})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    assert plant.state(shown["id"]) == "awaiting"


def test_stolen_cookie_dies_with_the_logout_the_shift_and_the_roster(plant: WholePlant) -> None:
    budi = plant.technician("budi")
    cookies = dict(budi._client.cookies)
    plant.clock.sleep(13 * 3_600)
    thief = plant.http()
    thief.cookies.update(cookies)
    assert is_nobody(thief)
    plant.clock.sleep(-13 * 3_600)
    sari = plant.technician("sari")
    thief = plant.http()
    thief.cookies.update(sari._client.cookies)
    assert not is_nobody(thief)
    sari._call("DELETE", "/api/v1/session")
    assert is_nobody(thief)


def test_stolen_cookie_cannot_be_read_by_scripts_or_sent_across_sites(plant: WholePlant) -> None:
    client = plant.http()
    Technician("", plant.keys["budi"], client=client).login()
    answer = [one for one in client.headers.items() if one[0] == "set-cookie"]
    assert answer == []
    nonce = client.post("/api/v1/login/nonce").json()["nonce"]
    from control.sessions import login_challenge  # noqa: PLC0415

    given = plant.keys["budi"].assertion(login_challenge("plant-1", nonce))
    body = {"site": "plant-1", "nonce": nonce, "assertion": given.to_object()}
    cookie = client.post("/api/v1/login", json=body).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain=" not in cookie
