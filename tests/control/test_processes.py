"""The same with real processes and a real broker: a request, a person, a stopped machine, a receipt."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from tests.approval_processes import ROOT, Stack
from tests.waiting import until


def test_a_stop_walks_through_all_processes(tmp_path: Path) -> None:
    with Stack(tmp_path, {"budi": "approver"}) as stack:
        budi = stack.technician("budi")
        stack.request("fan-1", "first")
        (shown,) = until(lambda: [one for one in budi.proposals() if one["state"] == "awaiting"])
        assert not stack.stopped("fan-1")
        budi.approve(shown["id"])
        until(lambda: budi.proposal(shown["id"])["state"] == "confirmed")
        assert stack.stopped("fan-1")
        stack.kill("broker")
        stack.start("broker")
        keys = count()

        def asked() -> list[dict[str, object]]:
            # Analytics asks again while the others find the broker; one machine has one open proposal.
            stack.request("mill-1", f"again-{next(keys)}")
            return [one for one in budi.proposals() if one["state"] == "awaiting"]

        (shown,) = until(asked)
        assert budi.reject(shown["id"], "not today")["state"] == "denied"
        assert not stack.stopped("mill-1")
        for name in ("control", "page", "actuator"):
            process = stack.processes.pop(name)
            process.terminate()
            assert process.wait(60) == 0, f"{name} died of the signal instead of ending"
        assert not list(tmp_path.rglob("*.sqlite-wal")), "whoever ends in order closes its files"


BROKEN = {
    "control": """
from control import __main__ as program
program._pump = breaks
""",
    "actuator": """
from edge.actuator import __main__ as program
program._turn = breaks
""",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_while_a_process_runs_is_no_wrong_setting(name: str, tmp_path: Path) -> None:
    Stack(tmp_path, {"budi": "approver"})
    breaks = 'import sys\ndef breaks(*_): raise ValueError("ours")\n'
    script = f"{breaks}{BROKEN[name]}raise SystemExit(program.main())\n"
    command = [sys.executable, "-c", script, "--config", str(tmp_path / f"{name}.toml")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 1, found.stderr
    assert "ValueError: ours" in found.stderr
    assert "did not start" not in found.stderr
