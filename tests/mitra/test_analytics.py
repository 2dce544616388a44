"""The server process: what it promises control, and that it never goes on with a thread missing."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import cast

import msgspec
import pytest

from ingest.contract.plant import Plant
from ingest.contract.rows import StopAdvice
from ingest.host import Send
from ingest.mqtt import Link
from mitra import analytics
from mitra.analytics import asker, end_when_a_thread_breaks
from mitra.exits import EXIT_CODES

ROOT = Path(__file__).resolve().parents[2]
PLANT = msgspec.convert(
    {
        "plant": {"id": "works", "name": "Works"},
        "gateway": [{"id": "gw"}],
        "machine": [{"id": "m-1", "name": "Pump", "gateway": "gw"}],
    },
    Plant,
)


ADVICE = StopAdvice(
    machine="m-1",
    time_ns=1,
    cause="bearing_outer",
    risk=0.9,
    reason="outer race fault grows",
    model_id="panel",
    window_ns=(0, 1_000_000_000),
)


class Ears:
    """A link whose broker has what it is asked to have only while `hears`."""

    def __init__(self) -> None:
        self.hears, self.topics = True, list[str]()

    def deliver(self, send: Send, _timeout_s: float) -> bool:
        if self.hears:
            self.topics.append(send.topic)
        return self.hears


def test_a_stop_request_counts_as_handed_on_only_when_the_broker_has_it() -> None:
    ears = Ears()
    ask = asker(cast(Link, ears), PLANT)
    assert ask((ADVICE,))
    assert len(ears.topics) == 1
    ears.hears = False
    assert not ask((ADVICE,)), "it is asked again later, and control takes it once"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_breaks_ends_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    ended = threading.Event()
    broken = end_when_a_thread_breaks(ended.set)

    def breaks() -> None:
        raise ZeroDivisionError("ours")

    thread = threading.Thread(target=breaks, name="keeper")
    thread.start()
    thread.join(10)
    assert ended.is_set()
    assert [str(one) for one in broken] == ["ours"]


BROKEN = """
import sys
import ingest.stream
def breaks(stream):
    raise ValueError("ours")
ingest.stream.Stream.run = breaks
from mitra import analytics
analytics.FIRST_OPEN_S = 0.0
analytics.warm_up = lambda: None
sys.argv = ["analytics", "--config", sys.argv[1]]
raise SystemExit(analytics.main())
"""


def test_only_setting_up_may_be_called_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks() -> None:
        raise ValueError("ours")

    class Broken:
        run = staticmethod(breaks)

    monkeypatch.setattr("sys.argv", ["analytics", "--config", "any.toml"])
    monkeypatch.setattr(analytics, "load_config", lambda _path: breaks())
    assert analytics.main() == EXIT_CODES["setting"]
    monkeypatch.setattr(analytics, "load_config", lambda _path: None)
    monkeypatch.setattr(analytics, "set_up", lambda _config: Broken())
    with pytest.raises(ValueError, match="ours"):
        analytics.main()


@pytest.mark.full
def test_what_breaks_while_it_runs_ends_the_process_with_a_trace(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(
        '[plant]\nid = "works"\nname = "Works"\n[[gateway]]\nid = "gw"\n'
        '[[machine]]\nid = "m-1"\nname = "Pump"\ngateway = "gw"\n'
    )
    config: dict[str, object] = {name: tmp_path / name for name in ("journal", "desk", "history", "registry")}
    config |= {"plant": tmp_path / "plant.toml", "broker": "mqtt://127.0.0.1:1"}
    text = "".join(f"{name} = '{value}'\n" for name, value in config.items())
    (tmp_path / "analytics.toml").write_text(text)
    command = [sys.executable, "-c", BROKEN, str(tmp_path / "analytics.toml")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140, check=False)
    assert found.returncode == 1, found.stderr
    assert "Traceback" in found.stderr
    assert "ValueError: ours" in found.stderr
    assert "not_started" not in found.stderr
