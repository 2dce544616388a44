"""Control's link to a real broker while more arrives than it can take."""

from __future__ import annotations

from pathlib import Path

import paho.mqtt.client as paho
import pytest

from control import link as module
from control.link import Link
from ingest.contract.approval.settings import BrokerSettings
from ingest.contract.approval.topics import request_topic
from tests.approval_processes import SITE, Stack
from tests.waiting import until


def test_a_full_inbox_hides_no_reconnection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUE", 3)
    stack = Stack(tmp_path, {})
    stack.start("broker")
    link = Link(BrokerSettings("127.0.0.1", stack.ports["broker"]), [(SITE, "", "requests")])
    link.start()
    try:
        assert link.came.wait(60)
        flood = paho.Client(paho.CallbackAPIVersion.VERSION2)
        flood.connect("127.0.0.1", stack.ports["broker"])
        flood.loop_start()

        def overflows() -> bool:
            flood.publish(request_topic(SITE), b"{}")
            return link.dropped > 0

        until(overflows)
        flood.disconnect()
        flood.loop_stop()
        assert link.inbox.full()
        link.came.clear()
        stack.kill("broker")
        stack.start("broker")
        assert link.came.wait(60), "edges would not be asked for the receipts that were missed"
    finally:
        link.stop()
        stack.kill("broker")
