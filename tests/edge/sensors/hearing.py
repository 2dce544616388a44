"""Waiting for what a sensor hears."""

from __future__ import annotations

from edge.sensors import Patient, Telemetry
from tests.waiting import until


def read_until_said(sensor: Patient, now_ns: int) -> Telemetry:
    """What a sensor says next; it must not fall silent meanwhile."""

    def said() -> Telemetry:
        found = sensor.read(now_ns)
        assert sensor.trouble is None, sensor.trouble
        return found

    found: Telemetry = until(said, "anything arrived")
    return found
