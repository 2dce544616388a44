"""A decision of the Models page: held against what the person saw, put to the gate, answered once."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.contract.actions import Action, ActionKind
from ingest.desk import Desk
from mitra import decisions
from mitra.decisions import TOO_OLD_NS, carry_out
from mitra.layout import Layout
from mitra.mailbox import ANSWERS, NAME, Clerk, answers, waiting, write_answer
from mitra.supervisor import Program, Supervisor
from models.registry import FileEntry, Finding, GateVerdict, Manifest, Metric, Registry, Signer, Step
from simulators.plant import PlantRequest, write_plant

WHY = "false alarms on the fans since Monday"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose registry has a champion and a challenger."""
    signer, registry = Signer.new(), Registry(Layout(tmp_path).registry)
    registry.trust("training", signer.public)
    for content in (b"one", b"two"):
        files = (FileEntry("model.skops", "0" * 64, 0),)
        metrics = (Metric("recall", 0.8, 0.6, 0.9, 20),)
        draft = Manifest("bearings", 1, "isolation-forest", 1, "0" * 64, 1, 2, "1", 0, files, metrics)
        version = registry.add(draft, {"model.skops": content}, signer).version
        registry.challenge("bearings", version, by="rina", reason="the newest there is", now_ns=version)
    request = PlantRequest(n_machines=2, n_gateways=1, seed=1, origin_ns=time.time_ns())
    (tmp_path / "plant.toml").write_text(write_plant(request).text, "utf-8")
    Layout(tmp_path).desk.parent.mkdir(parents=True)
    return tmp_path


def said(data: Path, kind: ActionKind, number: int = 1, *, age_ns: int = 0, **seen: int) -> None:
    values: dict[str, str | int | float] = {
        "model": "bearings",
        "champion": 1,
        "challenger": 2,
        "reason": WHY,
        **seen,
    }
    desk = Desk(Layout(data).desk)
    desk.say(Action(f"decision-{number}", kind, "rina", time.time_ns() - age_ns, "", values=values))
    desk.close()


def registry(data: Path) -> Registry:
    return Registry(Layout(data).registry)


def gate(*, passes: bool) -> Callable[..., GateVerdict]:
    def ask(*_: object) -> GateVerdict:
        return GateVerdict("bearings@1", "bearings@2", (Finding("enough_faults", passes, "9 of at least 5"),))

    return ask


def test_a_promotion_that_passes_the_gate_is_the_person_s(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "ask_gate", gate(passes=True))
    said(data, ActionKind.PROMOTE_MODEL)
    (answer,) = carry_out(data, data / "plant.toml", golden=data / "golden.csv")
    assert (answer.code, answer.by, [check.code for check in answer.checks]) == (
        "done",
        "rina",
        ["enough_faults"],
    )
    last = registry(data).history()[-1]
    assert (last.step, last.version, last.by, last.reason) == (Step.PROMOTE, 2, "rina", WHY)
    assert carry_out(data, data / "plant.toml") == (), "an answered decision is not carried out twice"
    assert answers(Layout(data)) == (answer,)
    file = Layout(data).registry / ANSWERS
    with file.open("ab") as cut_short:
        cut_short.write(b'{"action_id": "half of')
    assert answers(Layout(data)) == (answer,)
    write_answer(Layout(data), answer)
    assert answers(Layout(data)) == (answer, answer)


def test_a_gate_that_does_not_pass_leaves_the_champion(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "ask_gate", gate(passes=False))
    said(data, ActionKind.PROMOTE_MODEL)
    (answer,) = carry_out(data, data / "plant.toml", golden=data / "golden.csv")
    assert (answer.code, answer.checks[0].passed) == ("gate", False)
    assert registry(data).standing("bearings").champion == 1


def test_without_golden_cases_nothing_is_promoted(data: Path) -> None:
    said(data, ActionKind.PROMOTE_MODEL)
    (answer,) = carry_out(data, data / "plant.toml")
    assert answer.code == "no_golden"
    assert registry(data).standing("bearings").champion == 1


def test_a_refused_challenger_leaves_and_a_rollback_without_a_past_is_refused(data: Path) -> None:
    said(data, ActionKind.REFUSE_MODEL)
    said(data, ActionKind.ROLL_BACK_MODEL, 2, challenger=0)
    refused, rolled = carry_out(data, data / "plant.toml")
    assert (refused.code, rolled.code) == ("done", "refused")
    assert "no earlier champion" in rolled.detail
    assert registry(data).standing("bearings").challenger is None
    assert [one.step for one in registry(data).history()][-1] is Step.REFUSE


def test_what_moved_on_or_waited_too_long_is_not_decided_about(data: Path) -> None:
    said(data, ActionKind.REFUSE_MODEL, 1, challenger=3)
    said(data, ActionKind.REFUSE_MODEL, 2, age_ns=TOO_OLD_NS + 1)
    assert [one.code for one in carry_out(data, data / "plant.toml")] == ["changed", "too_old"]
    assert registry(data).standing("bearings").challenger == 2


def test_a_tampered_challenger_is_not_promoted(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "ask_gate", gate(passes=True))
    (Layout(data).registry / "models" / "bearings" / "2" / "model.skops").write_bytes(b"evi")
    said(data, ActionKind.PROMOTE_MODEL)
    (answer,) = carry_out(data, data / "plant.toml", golden=data / "golden.csv")
    assert answer.code == "untrusted"
    assert registry(data).standing("bearings").champion == 1


def test_the_stream_passes_decisions_about_models_by(data: Path) -> None:
    said(data, ActionKind.REFUSE_MODEL)
    desk = Desk(Layout(data).desk)
    desk.say(Action("other-0001", ActionKind.ACKNOWLEDGE, "sari", 1, "pump-1", "a:b:1"))
    cursor, found = waiting(Layout(data), desk)
    assert [one.kind for one in found] == [ActionKind.REFUSE_MODEL]
    assert waiting(Layout(data), desk, cursor) == (cursor, ())
    desk.close()


class Errand(Clerk):
    """A clerk whose errand is a short program."""

    __slots__ = ()
    code = 0

    def _errand(self) -> Program:
        return Program(NAME, (sys.executable, "-c", f"raise SystemExit({self.code})"), restart=False)


def test_the_clerk_sends_somebody_when_a_decision_waits(data: Path, tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs")
    clerk = Errand(supervisor, Layout(data), data / "plant.toml")
    try:
        clerk.look()
        assert not clerk.sent, "nothing was decided yet"
        said(data, ActionKind.REFUSE_MODEL)
        clerk.look()
        assert clerk.sent
        deadline = time.monotonic() + 20
        while clerk.sent and time.monotonic() < deadline:
            time.sleep(0.05)
            clerk.look()
        assert not clerk.sent
        assert NAME not in supervisor.alive()
    finally:
        clerk.close()
        supervisor.stop()
