"""Control's view of the roster is asked by several threads while the leads publish."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

import control.roster
import control.rosters
from control.roster import publish, read_public, revoke
from control.rosters import PUBLISHING_S, RosterView
from ingest.contract.approval.codes import Code
from ingest.contract.approval.roster import Roster
from ingest.contract.rejected import Rejected
from tests.approval_rig import SITE, Plant


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def _view(plant: Plant) -> RosterView:
    public = plant.roster_dir / "public"
    return RosterView(public, public / "1.root.json", SITE)


def _names(found: Roster | Rejected) -> set[str]:
    assert isinstance(found, Roster), found
    return {one.id for one in found.persons}


def test_nobody_is_answered_from_the_old_roster_while_the_new_one_is_judged(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, now = _view(plant), plant.now()
    now_s = int(now.timestamp())
    assert "budi" in _names(view.current(now_s))
    revoke(plant.roster_dir, "budi")
    publish(plant.roster_dir, now)

    judging, go_on = threading.Event(), threading.Event()
    really = control.rosters.trust

    def slowly(*given: object) -> object:
        judging.set()
        assert go_on.wait(10)
        return really(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(control.rosters, "trust", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(view.current, now_s)
        assert judging.wait(10)
        second = pool.submit(view.current, now_s)
        wait([second], timeout=0.2)
        go_on.set()
        assert "budi" not in _names(first.result(10))
        assert "budi" not in _names(second.result(10))


def test_a_roster_that_cannot_be_read_is_refused_until_it_can(plant: Plant) -> None:
    view, now_s = _view(plant), int(plant.now().timestamp())
    assert _names(view.current(now_s))
    pinned, away = plant.roster_dir / "public" / "1.root.json", plant.roster_dir / "away"
    shutil.move(pinned, away)
    for _ in range(2):
        found = view.current(now_s)
        assert isinstance(found, Rejected)
        assert found.reason == Code.ROSTER_MISSING
    shutil.move(away, pinned)
    assert _names(view.current(now_s))


def test_whoever_asks_while_the_leads_publish_is_answered(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, now = _view(plant), plant.now()
    now_s = int(now.timestamp())
    asked = [_names(view.current(now_s))]
    really = control.roster._swap_in

    def and_somebody_asks(path: Path) -> None:
        really(path)
        asked.append(_names(view.current(now_s)))

    revoke(plant.roster_dir, "budi")
    monkeypatch.setattr(control.roster, "_swap_in", and_somebody_asks)
    publish(plant.roster_dir, now)
    assert ["budi" in names for names in asked] == [True, True, True, True, False]


def test_files_that_never_fit_each_other_are_refused_a_moment_later(plant: Plant) -> None:
    view, now_s = _view(plant), int(plant.now().timestamp())
    assert _names(view.current(now_s))
    roster = plant.roster_dir / "public" / "roster.json"
    honest = roster.read_bytes()
    roster.write_bytes(honest.replace(b"Budi", b"Mala"))
    assert "budi" in _names(view.current(now_s))
    for later_s in (PUBLISHING_S, 10 * PUBLISHING_S):
        found = view.current(now_s + later_s)
        assert isinstance(found, Rejected)
        assert found.reason == Code.ROSTER_UNVERIFIED
    roster.write_bytes(honest)
    assert "budi" in _names(view.current(now_s + 60))


def test_a_roster_that_lacks_a_key_is_not_released(plant: Plant) -> None:
    public = plant.roster_dir / "public"
    before = read_public(public)
    revoke(plant.roster_dir, "budi")
    with pytest.raises(OSError, match="gone"):
        publish(plant.roster_dir, plant.now(), lead_keys=[plant.roster_dir / "keys" / "gone.pem"])
    with pytest.raises(OSError, match="gone"):
        publish(plant.roster_dir, plant.now(), online_key=plant.roster_dir / "keys" / "gone.pem")
    assert read_public(public) == before
    assert {path.name for path in public.iterdir()} == set(before)
