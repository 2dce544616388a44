"""The actuator stops what enough persons approved, once, and nothing else."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from control.roster import publish, read_public, refresh, revoke
from edge.actuator.outputs import restart_at_the_machine, write_atomically
from edge.actuator.panel import inhibit_path
from ingest.contract.approval.messages import Envelope, ReceiptsWanted, sha256_hex
from ingest.contract.approval.roster import Roster
from ingest.contract.approval.topics import Leaf
from ingest.contract.approval.trust import write_bundle
from tests.approval_rig import EDGE, SITE, Plant


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(tmp_path)


def test_an_approved_stop_is_confirmed_by_reading_the_machine_back(plant: Plant) -> None:
    proposal = plant.proposal("fan-1")
    receipt = plant.approve(proposal, "budi")
    assert (receipt.result, receipt.code, receipt.observed_state) == ("confirmed", "", "stopped")
    assert receipt.proposal_sha256 == sha256_hex(proposal.to_bytes())
    assert [one.result for one in plant.receipts()] == ["verified", "acting", "confirmed"]
    assert not plant.runs("fan-1")
    assert plant.runs("pump-1")


def test_a_critical_machine_needs_two_persons_and_the_code_at_the_machine(plant: Plant) -> None:
    assert plant.approve(plant.proposal("kiln-1"), "budi").code == "too_few_persons"
    assert plant.approve(plant.proposal("kiln-1", presence=""), "budi", "sari").code == "presence_wrong"
    assert plant.runs("kiln-1")
    assert plant.approve(plant.proposal("kiln-1"), "budi", "sari").result == "confirmed"


def test_three_wrong_codes_end_every_ticket_of_the_machine(plant: Plant) -> None:
    proposal = plant.proposal("kiln-1")
    for number in range(3):
        wrong = plant.proposal("kiln-1", presence="000000", proposal_id=f"wrong-{number}")
        assert plant.approve(wrong, "budi", "sari").code == "presence_wrong"
    assert plant.approve(proposal, "budi", "sari").code == "unknown_ticket"


def test_a_person_at_the_machine_can_hold_a_stop(plant: Plant) -> None:
    held = inhibit_path(Path(plant.config.panel_dir), "fan-1")
    held.touch()
    assert plant.approve(plant.proposal("fan-1"), "budi").code == "local_inhibit"
    held.unlink()
    assert plant.approve(plant.proposal("fan-1"), "budi").result == "confirmed"


def test_an_inhibit_during_the_hold_off_ends_the_stop(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    object.__setattr__(plant.config.machines["fan-1"], "hold_off_s", 5.0)
    assert plant.approve(plant.proposal("fan-1"), "budi").result == "hold_off"
    assert plant.runs("fan-1")
    plant.clock.sleep(2)
    inhibit_path(Path(plant.config.panel_dir), "fan-1").touch()
    plant.actuator.tick()
    assert (plant.receipts()[-1].result, plant.receipts()[-1].code) == ("refused", "local_inhibit")
    plant.clock.sleep(20)
    plant.actuator.tick()
    assert plant.all_run()


def test_a_hold_off_without_inhibit_stops_the_machine_when_it_is_over(plant: Plant) -> None:
    object.__setattr__(plant.config.machines["fan-1"], "hold_off_s", 5.0)
    plant.approve(plant.proposal("fan-1"), "budi")
    plant.clock.sleep(4)
    plant.actuator.tick()
    assert plant.runs("fan-1")
    plant.clock.sleep(1)
    plant.actuator.tick()
    assert plant.receipts()[-1].result == "confirmed"


def test_a_machine_that_does_not_stop_is_reported_failed(plant: Plant) -> None:
    class Stuck:
        def stop(self, by: str) -> None:
            pass

        def observe(self) -> str:
            return "running"

    plant.outputs["fan-1"] = Stuck()
    assert plant.approve(plant.proposal("fan-1"), "budi").result == "acting"
    plant.clock.sleep(10)
    plant.actuator.tick()
    assert (plant.receipts()[-1].result, plant.receipts()[-1].observed_state) == ("failed", "running")


def test_receipts_are_chained_and_can_be_asked_for_again(plant: Plant) -> None:
    plant.approve(plant.proposal("fan-1"), "budi")
    plant.send(b"junk")
    receipts = plant.receipts()
    assert [one.edge_seq for one in receipts] == [1, 2, 3, 4]
    for before, after in pairwise(receipts):
        assert after.previous_hash == sha256_hex(before.to_bytes())
    plant.said.clear()
    plant.actuator.on_message(Leaf.RECEIPTS_WANTED, ReceiptsWanted(1, SITE, EDGE, 2).to_bytes())
    assert plant.receipts() == receipts[2:]


def test_a_sign_count_that_falls_alarms_and_decides_nothing(plant: Plant) -> None:
    codes = []
    for count in (7, 9, 9, 3, 10):
        proposal = plant.proposal("fan-1")
        approval = plant.twisted_approval("budi", proposal, sign_count=count)
        assert plant.send_approvals(proposal, approval).result == "confirmed"
        codes.append(plant.receipts()[-3].code)
        restart_at_the_machine(plant.switch_dir, "fan-1", "budi")
    assert codes == ["", "", "sign_count_fell", "sign_count_fell", ""]


def test_a_newer_roster_may_come_over_the_link(tmp_path: Path) -> None:
    plant = Plant(tmp_path, roster_dir=str(tmp_path / "on-the-edge"))
    proposal = plant.proposal("fan-1")
    assert plant.approve(proposal, "budi").code == "roster_missing"
    files = read_public(plant.roster_dir / "public")
    plant.actuator.on_message(Leaf.ROSTER, write_bundle(files))
    assert plant.approve(proposal, "budi").result == "confirmed"
    refresh(plant.roster_dir, plant.now())
    plant.actuator.on_message(Leaf.ROSTER, write_bundle(read_public(plant.roster_dir / "public")))
    plant.actuator.on_message(Leaf.ROSTER, write_bundle(files))
    assert plant.actuator.refused["roster_rollback"] == 1


class Dies(BaseException):
    """The power goes."""


@pytest.mark.parametrize("n_written", range(5))
def test_a_roster_half_laid_down_when_the_power_goes_is_whole_after_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_written: int
) -> None:
    plant = Plant(tmp_path, roster_dir=str(tmp_path / "on-the-edge"))
    plant.actuator.on_message(Leaf.ROSTER, write_bundle(read_public(plant.roster_dir / "public")))
    revoke(plant.roster_dir, "sari")
    publish(plant.roster_dir, plant.now())
    left = iter(range(n_written))

    def dies(path: Path, data: bytes) -> None:
        if next(left, None) is None:
            raise Dies
        write_atomically(path, data)

    monkeypatch.setattr("edge.actuator.roster.write_atomically", dies)
    with pytest.raises(Dies):
        plant.actuator.on_message(Leaf.ROSTER, write_bundle(read_public(plant.roster_dir / "public")))
    monkeypatch.undo()
    plant.book.close()
    plant.start()
    assert plant.approve(plant.proposal("pump-1"), "sari").code == "unknown_credential"
    assert plant.approve(plant.proposal("fan-1"), "budi").result == "confirmed"


def test_a_disk_that_fails_while_a_roster_is_judged_leaves_the_old_one_without_power(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plant.approve(plant.proposal("pump-1"), "budi").result == "confirmed"
    revoke(plant.roster_dir, "sari")
    publish(plant.roster_dir, plant.now())
    now_s, roster = plant.clock.wall_s(), plant.actuator._roster

    def full(**_facts: bytes) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(plant.book, "remember", full)
        with pytest.raises(sqlite3.OperationalError):
            roster.current(now_s)
    found = roster.current(now_s)
    assert isinstance(found, Roster)
    assert "sari" not in {one.id for one in found.persons}


def test_there_is_no_remote_start(plant: Plant) -> None:
    plant.approve(plant.proposal("fan-1"), "budi")
    proposal = plant.proposal("fan-1")
    started = proposal.to_bytes().replace(b'"action":"stop"', b'"action":"start"')
    assert plant.send(Envelope(started, plant.sign(proposal, "budi")).to_bytes()).code == "bad_field"
    assert not plant.runs("fan-1")
    restart_at_the_machine(plant.switch_dir, "fan-1", "budi")
    assert plant.runs("fan-1")


def test_the_actuator_imports_nothing_heavy_and_no_server() -> None:
    code = (
        "import sys, edge.actuator.__main__\n"
        "heavy = set('numpy scipy fastapi starlette httpx uvicorn requests urllib3 asyncua'.split())\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_verification_is_at_most_300_lines() -> None:
    root = Path(__file__).parents[3]
    files = ["edge/actuator/judge.py", "ingest/contract/approval/assertion.py"]
    assert sum(len((root / name).read_text().splitlines()) for name in files) <= 300
