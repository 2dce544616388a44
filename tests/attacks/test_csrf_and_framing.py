"""Attack: another site makes a technician's browser call control, or frames its page."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from control.page.bundle import load_bundle
from control.page.server import PageSettings, PageSite, make_page
from tests.approval_rig import ORIGIN, WholePlant

FOREIGN = [
    "https://evil.example",
    "null",
    "http://localhost:8443",
    f"{ORIGIN}.evil.example",
    f"{ORIGIN}/",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_csrf_from_a_foreign_origin_changes_nothing(plant: WholePlant, origin: str) -> None:
    plant.request("fan-1")
    budi = plant.technician("budi")
    (shown,) = budi.proposals()
    headers = {"origin": origin, "x-csrf-token": budi._headers["x-csrf-token"]}
    body = {"reason": "because I say so"}
    answer = budi._client.post(f"/api/v1/proposals/{shown['id']}/rejection", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert "access-control-allow-origin" not in answer.headers
    assert plant.state(shown["id"]) == "awaiting"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_csrf_by_a_plain_form_changes_nothing(plant: WholePlant, kind: str) -> None:
    budi = plant.technician("budi")
    answer = budi._client.post(
        "/api/v1/proposals/x/rejection",
        content=b'{"reason":"form"}',
        headers={**budi._headers, "content-type": kind},
    )
    assert answer.status_code == 415


def test_csrf_preflight_answers_only_the_page(plant: WholePlant) -> None:
    client = plant.http()
    allowed = client.options("/api/v1/session", headers={"origin": ORIGIN})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (204, ORIGIN)
    foreign = client.options("/api/v1/session", headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert "access-control-allow-origin" not in foreign.headers


def test_framing_is_forbidden_on_every_answer(plant: WholePlant) -> None:
    client = plant.http()
    page = TestClient(
        make_page(
            PageSettings(
                "127.0.0.1", 1, "http://localhost:8443", "localhost", (PageSite("plant-1", "One"),), ()
            ),
            load_bundle(),
        )
    )
    answers = [
        client.get("/healthz"),
        client.get("/nothing"),
        client.get("/api/v1/session"),
        client.post("/x"),
    ]
    answers += [page.get("/"), page.get("/app.js"), page.get("/nothing"), page.get("/site.json")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"


def test_framing_an_approval_made_inside_another_page_stops_nothing(plant: WholePlant) -> None:
    for extra in ({"crossOrigin": True}, {"topOrigin": "https://evil.example"}):
        proposal = plant.proposal("fan-1")
        approval = plant.twisted_approval("budi", proposal, client=extra)
        assert plant.send_approvals(proposal, approval).code == "cross_origin"
    assert plant.all_run()
