"""A power cut under control: what people and edges were told is there afterwards, and what it says is true.

The database lies on the disk of `benchmarks.power_cut`: writes reach the file when SQLite syncs it, and by a
seeded chance earlier and out of order. What such a file holds at any moment is what a cut would leave.
"""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import control.service
from benchmarks.power_cut import Connection, ForgetfulDisk, ForgetfulFile
from control.store import Store
from ingest.contract.approval.states import State
from tests.approval_rig import SITE, WholePlant
from tests.control.test_kill_anything import FusedPlant, walk


class Done:
    """A cursor that knows how many rows were changed, as sqlite3's do."""

    def __init__(self, rows: Any, rowcount: int) -> None:
        self._rows, self.rowcount = rows, rowcount

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)


class ControlConnection(Connection):
    """The part of `sqlite3.Connection` that control uses, on the forgetful disk."""

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        rows = super().execute(sql, parameters)
        return Done(rows, self._inner.changes())

    def executescript(self, script: str) -> object:
        return super().execute(script)

    @property
    def in_transaction(self) -> bool:
        return bool(self._inner.in_transaction)


def forgetful(path: Path | str) -> sqlite3.Connection:
    return cast(sqlite3.Connection, ControlConnection(Path(path)))


def left_by_a_cut(folder: Path, to: Path) -> Path:
    """What lies on the disk now, without the shared memory that dies with the processes."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-shm"))
    return to


SEEDS = [1, pytest.param(2, marks=pytest.mark.full), pytest.param(3, marks=pytest.mark.full)]


@pytest.fixture(params=SEEDS)
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made = ForgetfulDisk(request.param)
    monkeypatch.setattr(control.service, "Store", lambda path: Store(path, forgetful))
    yield
    made.unregister()


class CutPlant(FusedPlant):
    """When control dies here, its host loses power: it starts again on what was on the disk."""

    def __init__(self, folder: Path) -> None:
        self._cuts = itertools.count()
        super().__init__(folder)

    def restart(self, victim: str) -> None:
        if victim == "control":
            left = left_by_a_cut(Path(self.settings.state_dir), self.folder / f"left-{next(self._cuts)}")
            self.settings = dataclasses.replace(self.settings, state_dir=str(left))
        super().restart(victim)


CASES = [
    ("fan-1", ("budi",)),
    pytest.param("kiln-1", ("budi", "sari"), marks=pytest.mark.full),
]


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize(("machine", "people"), CASES)
def test_after_a_power_cut_at_any_step_control_does_not_deny_a_stop(
    tmp_path: Path, machine: str, people: tuple[str, ...]
) -> None:
    stopped = 0
    for step in itertools.count():
        plant = CutPlant(tmp_path / f"{step}")
        plant.fuses["control"].left = step
        proposal = walk(plant, machine, people)
        died = plant.fuses["control"].left is None
        assert all(count == 1 for count in plant.moved.values())
        if plant.moved:
            stopped += 1
            assert proposal is not None
            assert set(plant.moved) == {proposal}
            assert plant.state(proposal) in {State.CONFIRMED, State.UNKNOWN}, step
        plant.service.close()
        plant.book.close()
        shutil.rmtree(plant.folder)
        if not died:
            break
    assert stopped >= 3


@pytest.mark.usefixtures("disk")
def test_what_people_were_told_survives_a_power_cut(tmp_path: Path) -> None:
    plant = WholePlant(tmp_path)

    def left() -> Store:
        folder = left_by_a_cut(tmp_path / "control", tmp_path / f"left-{len(list(tmp_path.iterdir()))}")
        return Store(folder / "control.sqlite")

    def state(store: Store, proposal: str) -> tuple[str, list[str]]:
        row = store.get(SITE, proposal)
        assert row is not None
        return row.state, [str(one["event"]) for one in store.events(row)]

    budi, sari, dewi = (plant.technician(name) for name in ("budi", "sari", "dewi"))
    for machine in ("mill-1", "pump-1"):
        plant.request(machine)
    ids = {one.machine.id: one.row.id for one in plant.service.desks[SITE].listing(is_open=True)}
    assert state(left(), ids["mill-1"])[0] == "awaiting"
    budi.approve(ids["mill-1"])
    assert state(left(), ids["mill-1"])[1][-1] == "approval_came"
    dewi.reject(ids["pump-1"], "bearing was changed this morning")
    after = left()
    assert state(after, ids["pump-1"])[0] == "denied"
    assert after.last_veto(SITE, "pump-1") is not None, "people are not asked again at once"
    sari.approve(ids["mill-1"])
    assert state(left(), ids["mill-1"])[0] == "approved"
    plant.pump()
    plant.pass_time(1)
    after = left()
    assert state(after, ids["mill-1"])[0] == "confirmed"
    told = plant.service.desks[SITE].receipts()
    assert after.receipts(SITE, 100) == told
    assert len(told) >= 2
    plant.service.close()


@pytest.mark.usefixtures("disk")
def test_a_receipt_that_a_power_cut_took_is_asked_for_again_and_moves_its_proposal(tmp_path: Path) -> None:
    plant = WholePlant(tmp_path)
    plant.request("mill-1")
    (one,) = plant.service.desks[SITE].listing(is_open=True)
    for name in ("budi", "sari"):
        plant.technician(name).approve(one.row.id)
    left = left_by_a_cut(tmp_path / "control", tmp_path / "left")
    plant.pump()  # the receipts come, and control's host has no power any more
    plant.pass_time(1)
    plant.service.close()
    plant.settings = dataclasses.replace(plant.settings, state_dir=str(left))
    plant.start_control()
    assert plant.state(one.row.id) == State.CONFIRMED
    plant.service.close()


def test_a_flood_of_requests_buys_no_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the disk of these tests does forget: notes about requests are not there after a cut."""
    syncs: list[str] = []
    honest = ForgetfulFile.xSync
    monkeypatch.setattr(
        ForgetfulFile, "xSync", lambda self, flags: (syncs.append("x"), honest(self, flags))[1]
    )
    made = ForgetfulDisk(1)
    monkeypatch.setattr(control.service, "Store", lambda path: Store(path, forgetful))
    plant = WholePlant(tmp_path)
    plant.request("fan-1")
    syncs.clear()
    for number in range(50):
        plant.request("fan-1", dedup_key=f"again-{number}")
    assert syncs == []
    (one,) = plant.service.desks[SITE].listing(is_open=True)
    assert one.row.asked == 51
    after = Store(left_by_a_cut(tmp_path / "control", tmp_path / "left") / "control.sqlite")
    row = after.get(SITE, one.row.id)
    assert row is not None
    assert row.state == State.AWAITING
    assert row.asked < 51
    budi = plant.technician("budi")
    syncs.clear()
    budi.approve(one.row.id)
    assert len(syncs) == 1, "an approval costs control's database one sync"
    plant.service.close()
    made.unregister()


def test_a_first_start_that_is_cut_short_is_begun_anew(tmp_path: Path) -> None:
    class Short(sqlite3.Connection):
        def executescript(self, script: str, /) -> sqlite3.Cursor:
            super().executescript(script[: script.index("CREATE TABLE IF NOT EXISTS event")])
            self.close()
            raise KeyboardInterrupt

    path = tmp_path / "control.sqlite"
    with pytest.raises(KeyboardInterrupt):
        Store(path, lambda path: sqlite3.connect(path, isolation_level=None, factory=Short))
    store = Store(path)
    assert store.open(SITE) == []
    store.close()


def test_a_commit_that_the_disk_refuses_does_not_close_the_desk(tmp_path: Path) -> None:
    class Refusing(sqlite3.Connection):
        refuses = False

        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            if Refusing.refuses and sql == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *given)

    store = Store(
        tmp_path / "control.sqlite",
        lambda path: sqlite3.connect(path, isolation_level=None, factory=Refusing),
    )
    Refusing.refuses = True
    with pytest.raises(sqlite3.OperationalError), store.transaction():
        store.hold(SITE, "fan-1", b"{}", risk=0.5, now=1)
    Refusing.refuses = False
    assert store.held(SITE) == []
    with store.transaction():
        store.hold(SITE, "fan-1", b"{}", risk=0.5, now=1)
    assert len(store.held(SITE)) == 1
    store.close()
