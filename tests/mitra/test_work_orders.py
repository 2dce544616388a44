"""A maintenance system posts closed work orders: who may, how much, how often, and what becomes of them."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from mitra.exits import PersonError
from mitra.stored import book_of_desk
from mitra.supervisor import free_port
from mitra.work_orders import BODY_BYTES_MAX, ORDERS_MAX, Orders, build_app, token_of
from models.labels import Label, Seen, Source, weigh

TOKEN = "a-word-that-only-the-cmms-and-we-know"
NOW_NS = 1_750_000_000 * 10**9
KNOWN = Orders(frozenset({"pump-1", "pump-2"}), timezone(timedelta(hours=7)), {"BRG-OUT": "bearing_outer"})
ORDER = {
    "order": 1001,
    "asset": "pump-1",
    "opened": "2025-03-01 08:00",
    "closed": "2025-03-01T12:00:00+07:00",
    "fault code": "BRG-OUT",
    "technician": "Siti",
    "cost": 3.5,
    "lines": [{"part": "6205"}],
}


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return tmp_path / "screens" / "desk.db"


@pytest.fixture
def cmms(desk: Path) -> TestClient:
    app = build_app(KNOWN, desk, TOKEN, now_ns=lambda: NOW_NS)
    return TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"})


def held(desk: Path) -> tuple[Label, ...]:
    return book_of_desk(desk).current()


def test_an_order_becomes_a_verdict_once(cmms: TestClient, desk: Path) -> None:
    first = cmms.post("/work-orders", json=ORDER)
    assert (first.status_code, first.json()) == (200, {"labels": 1, "new": 1, "planned": 0, "refused": []})
    assert cmms.post("/work-orders", json=[ORDER, ORDER]).json()["new"] == 0
    (label,) = held(desk)
    assert (label.label_id, label.machine, label.fault, label.by) == (
        "wo:1001",
        "pump-1",
        "bearing_outer",
        "Siti",
    )
    assert label.from_ns == 1_740_790_800 * 10**9  # 08:00 in Jakarta is 01:00 UTC
    assert (label.source, label.said_ns) == (Source.WORK_ORDER, NOW_NS)


def test_an_order_that_comes_again_with_other_content_corrects_itself(cmms: TestClient, desk: Path) -> None:
    cmms.post("/work-orders", json=ORDER)
    for code, fault in (("NFF", ""), ("SEAL", "unknown")):
        changed = {**ORDER, "fault code": code}
        assert cmms.post("/work-orders", json={"orders": [changed]}).json()["new"] == 1
        assert cmms.post("/work-orders", json=changed).json()["new"] == 0
        assert [one.fault for one in held(desk)] == [fault]
    assert {one.label_id for one in book_of_desk(desk).labels.values()} == {
        "wo:1001",
        "wo:1001:r2",
        "wo:1001:r3",
    }
    moved = cmms.post("/work-orders", json={**ORDER, "asset": "pump-2"}).json()
    assert (moved["new"], moved["refused"][0]["reason"]) == (0, "corrects_nothing")


def test_what_is_no_closed_order_is_refused_with_its_number(cmms: TestClient, desk: Path) -> None:
    orders: list[Any] = [
        {**ORDER, "closed": None},
        {**ORDER, "asset": "crane-7"},
        {**ORDER, "kind": "preventive"},
        "1001",
        {**ORDER, "opened": "yesterday"},
        {"order": 7},
        {**ORDER, "closed": "2999-01-01"},
    ]
    said = cmms.post("/work-orders", json=orders).json()
    assert [(one["order"], one["reason"]) for one in said["refused"]] == [
        (1, "not_closed"),
        (2, "unknown_machine"),
        (4, "work_order_refused"),
        (5, "work_order_refused"),
        (6, "work_order_refused"),
        (7, "work_order_refused"),
    ]
    assert (said["planned"], said["new"], held(desk)) == (1, 0, ())


@pytest.mark.parametrize(
    "said", ["", TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x"]
)
def test_without_the_token_nothing_is_read(desk: Path, said: str) -> None:
    stranger = TestClient(build_app(KNOWN, desk, TOKEN), headers={"Authorization": said} if said else {})
    assert stranger.post("/work-orders", json=ORDER).status_code == 401
    assert not desk.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"7", 422),
        (b"\xff", 422),
        (b"[" * 100_000, 422),
        (b"[" + b"{}," * ORDERS_MAX + b"{}]", 422),
        (b" " * (BODY_BYTES_MAX + 1), 413),
    ],
)
def test_bodies_are_bounded_and_must_be_json(cmms: TestClient, desk: Path, body: bytes, status: int) -> None:
    found = cmms.post("/work-orders", content=body)
    assert found.status_code == status
    assert set(found.json()) == {"reason", "detail"}
    assert not desk.exists()


def test_only_posting_orders_is_possible(cmms: TestClient) -> None:
    assert cmms.get("/work-orders").status_code == 405
    assert cmms.post("/").status_code == 404


def test_a_desk_that_cannot_be_written_asks_for_another_try(desk: Path, cmms: TestClient) -> None:
    desk.parent.write_bytes(b"a file where the folder should be")
    found = cmms.post("/work-orders", json=ORDER)
    assert (found.status_code, found.json()["reason"]) == (503, "not_stored")


def test_posted_orders_are_doubted_like_every_word(cmms: TestClient, desk: Path) -> None:
    fast = [{**ORDER, "order": k, "closed": f"2025-03-01 12:00:{k:02d}"} for k in range(25)]
    slow = [
        {**ORDER, "order": 100 + k, "technician": "Budi", "closed": f"2025-03-{k + 2:02d} 12:00"}
        for k in range(25)
    ]
    assert cmms.post("/work-orders", json=[*fast, *slow]).json()["new"] == 50
    weighed = weigh(held(desk), lambda _: Seen(15.0, 0.95))
    assert {one.label.by for one in weighed if "burst" in one.doubts} == {"Siti"}
    assert sum(one.admitted for one in weighed) == 25  # imported at one moment, but not decided at one
    assert {one.doubts for one in weigh(held(desk)[-1:], lambda _: None)} == {("no_data_then",)}


def test_the_token_is_made_once_for_its_owner_and_a_short_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    assert token_of(path) == token_of(path)
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("secret")
    with pytest.raises(PersonError, match="shorter than"):
        token_of(path)


def test_the_command_listens_and_says_when_its_port_is_taken(tmp_path: Path) -> None:
    plant = tmp_path / "plant.toml"
    plant.write_text(
        '[plant]\nid = "p"\nname = "P"\ntimezone = "Asia/Jakarta"\n[[gateway]]\nid = "gw-1"\n'
        '[[machine]]\nid = "pump-1"\nname = "Pump"\ngateway = "gw-1"\nkind = "pump"\n'
    )
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mitra",
        "labels",
        "listen",
        "--plant",
        str(plant),
        "--data",
        str(tmp_path),
    ]
    with subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE) as process:
        try:
            token = _token(tmp_path / "screens" / "work-orders.token", process)
            found = _post(f"http://127.0.0.1:{port}/work-orders", token)
            assert found.json()["new"] == 1
            taken = subprocess.run(
                [*command, "--port", str(port)], capture_output=True, check=False, timeout=60
            )
            assert taken.returncode == 4
            assert b"no work order arrives" in taken.stderr
        finally:
            process.terminate()
            process.wait(20)
    assert [one.label_id for one in held(tmp_path / "screens" / "desk.db")] == ["wo:1001"]


def _token(path: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.stat().st_size > 20):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return path.read_text().strip()


def _post(url: str, token: str) -> httpx.Response:
    deadline = time.monotonic() + 60
    while True:
        try:
            return httpx.post(url, json=ORDER, headers={"Authorization": f"Bearer {token}"})
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
