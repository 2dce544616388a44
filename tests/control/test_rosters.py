"""Control's view of the roster is asked by several threads while the leads publish."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import pytest

import control.roster
import control.rosters
from control.roster import publish, read_public, refresh, revoke
from control.rosters import PUBLISHING_S, RosterView
from control.technician import RefusedError
from ingest.contract.approval.codes import Code
from ingest.contract.approval.roster import Person, Roster
from ingest.contract.rejected import Rejected
from tests.approval_rig import SITE, Plant, WholePlant


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


def test_whoever_asks_while_the_leads_publish_is_answered_and_the_revoked_are_out_at_once(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, now = _view(plant), plant.now()
    now_s = int(now.timestamp())
    assert "budi" in _names(view.current(now_s))
    asked: list[set[str]] = []
    really = control.roster._swap_in

    def and_somebody_asks(path: Path) -> None:
        really(path)
        asked.append(_names(view.current(now_s)))

    revoke(plant.roster_dir, "budi")
    monkeypatch.setattr(control.roster, "_swap_in", and_somebody_asks)
    publish(plant.roster_dir, now)
    assert len(asked) == 4
    assert all(names == {"sari", "dewi", "tamu"} for names in asked), asked


def test_a_program_that_copies_by_name_lets_no_revoked_person_in_and_refuses_nobody_else(
    tmp_path: Path,
) -> None:
    plant = WholePlant(tmp_path)
    plant.technician("budi")
    for name, data in sorted(plant.next_roster(revoked="budi").items()):
        plant.lay_down(name, data)
        with pytest.raises(RefusedError, match="unknown_credential"):
            plant.technician("budi")
        plant.technician("sari")


def test_nobody_is_believed_while_a_roster_is_announced_that_is_not_there_yet(plant: Plant) -> None:
    view, now_s = _view(plant), int(plant.now().timestamp())
    assert "budi" in _names(view.current(now_s))
    for name, data in sorted(plant.next_roster(revoked="budi").items(), reverse=True):
        plant.lay_down(name, data)
        found = view.current(now_s)
        if name == "roster.json":
            assert _names(found) == {"sari", "dewi", "tamu"}
        else:
            assert isinstance(found, Rejected), name


def test_a_key_or_a_role_that_is_taken_away_counts_no_more_while_the_leads_publish(plant: Plant) -> None:
    view, now_s = _view(plant), int(plant.now().timestamp())
    before = view.current(now_s)
    assert isinstance(before, Roster)
    changed = {
        "budi": lambda one: replace(one, credentials=()),
        "dewi": lambda one: replace(one, role="viewer"),
        "sari": lambda one: replace(one, name="Sari W."),
    }
    persons = [changed.get(one.id, lambda one: one)(one) for one in before.persons]
    given = Person("mala", "Mala", "lead", before.persons[0].credentials)
    given = replace(given, credentials=(replace(given.credentials[0], id="AAAA", public_key="A" * 43),))
    coming = Roster(SITE, (*persons, given)).to_bytes()
    plant.lay_down("roster.json", coming)
    found = view.current(now_s)
    assert _names(found) == {"budi", "sari", "tamu"}, "nobody comes in by bytes that nothing vouches for"
    assert isinstance(found, Roster)
    assert [one.credentials for one in found.persons if one.id == "budi"] == [()]


def test_the_daily_refresh_refuses_nobody(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    view, now_s = _view(plant), int(plant.now().timestamp())
    asked = [_names(view.current(now_s))]
    really = control.roster._swap_in

    def and_somebody_asks(path: Path) -> None:
        really(path)
        asked.append(_names(view.current(now_s)))

    monkeypatch.setattr(control.roster, "_swap_in", and_somebody_asks)
    refresh(plant.roster_dir, plant.now())
    assert asked == [asked[0]] * 3


def test_files_that_are_replaced_while_they_are_read_are_read_again(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever read the old list of persons and the new list of files would know of a roster that he lacks."""
    view, now_s = _view(plant), int(plant.now().timestamp())
    assert "budi" in _names(view.current(now_s))
    refresh(plant.roster_dir, plant.now())
    really, coming = control.rosters.read_public, plant.next_roster(revoked="budi")

    def and_meanwhile_it_is_published(public: Path) -> dict[str, bytes]:
        found = really(public)
        if coming:
            for name, data in coming.items():
                plant.lay_down(name, data)
            found |= {name: data for name, data in coming.items() if name != "roster.json"}
            coming.clear()
        return found

    monkeypatch.setattr(control.rosters, "read_public", and_meanwhile_it_is_published)
    assert _names(view.current(now_s)) == {"sari", "dewi", "tamu"}


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
