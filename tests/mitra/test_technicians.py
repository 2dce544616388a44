"""The demo's scripted people go on when control was away, forgot them, or its answer was lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from control.technician import Technician
from mitra.house import House
from mitra.technicians import PEOPLE, Script
from tests.approval_processes import Stack
from tests.waiting import until


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path, {person_id: role for person_id, _, role in PEOPLE})
    yield made
    made.__exit__()


def script_of(stack: Stack) -> Script:
    house = SimpleNamespace(
        ports=SimpleNamespace(control=stack.ports["control"]),
        layout=SimpleNamespace(keys=stack.folder / "keys", panels=stack.folder / "panel"),
    )
    return Script(cast(House, house), lambda _machine: True)


def test_scripted_people_try_again_as_people_would(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    script, keys = script_of(stack), count()
    script.start()
    try:
        until(lambda: script.problems, "word that control is away")
        for name in ("broker", "actuator", "control"):
            stack.start(name)

        def asked(decided: list[str]) -> bool:
            stack.request("mill-1", f"again-{next(keys)}")
            return bool(decided)

        until(lambda: asked(script.rejected), "a rejection")
        stack.kill("control")
        stack.start("control")
        really, signed = Technician._call, count()

        def a_session_ends_and_an_answer_is_lost(self: Technician, *call: Any) -> dict[str, Any]:
            nth = next(signed) if call[1].endswith("/approvals") else -1
            if nth == 0:
                really(self, "DELETE", "/api/v1/session")
            answer = really(self, *call)
            if nth == 1:
                raise httpx.ReadTimeout("lost")
            return answer

        monkeypatch.setattr(Technician, "_call", a_session_ends_and_an_answer_is_lost)
        until(lambda: asked(script.approved), "an approval")
    finally:
        script.stop()
    assert script.rejected == script.approved == ["mill-1"]
    assert any("ConnectError" in one for one in script.problems)
    assert any("not_logged_in" in one for one in script.problems)
    assert any("ReadTimeout" in one for one in script.problems)
    until(lambda: stack.stopped("mill-1"))


def test_an_approval_whose_last_answer_is_lost_counts(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine stops: it would be called an unapproved stop."""
    for name in ("broker", "actuator", "control"):
        stack.start(name)
    script, really = script_of(stack), Technician._call
    script.rejected.append("kiln-1")

    def no_answer_to_an_approval_arrives(self: Technician, *call: Any) -> dict[str, Any]:
        answer = really(self, *call)
        if call[1].endswith("/approvals"):
            raise httpx.ReadTimeout("lost")
        return answer

    monkeypatch.setattr(Technician, "_call", no_answer_to_an_approval_arrives)
    script.start()
    try:
        stack.request("fan-1", "once")
        until(lambda: script.approved == ["fan-1"])
    finally:
        script.stop()
