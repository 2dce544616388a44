"""The server process: what it promises control, and that it never goes on with a thread missing."""

from __future__ import annotations

import threading
from typing import cast

import msgspec
import pytest

from ingest.contract.plant import Plant
from ingest.contract.rows import StopAdvice
from ingest.host import Send
from ingest.mqtt import Link
from mitra.analytics import asker, end_when_a_thread_breaks

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
