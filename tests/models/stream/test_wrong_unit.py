"""A sensor that is changed for one with another unit: all levels jump by one factor, as no machine does."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.contract.rows import FeatureRow
from models.stream import Settings, judge, new_state

SECOND = 1_000_000_000
NAMES = (
    "x.rms_g",
    "x.velocity_rms_mm_s",
    "x.band_10_100_g",
    "x.band_1000_3000_g",
    "x.envelope_rms_g",
    "Temperature/bearing",
    "Speed",
    "State",
)
CALM = np.array([0.1, 0.8, 0.03, 0.04, 0.02, 50.0, 1480.0, 2.0])
VIBRATION = slice(0, 5)


def said(plant, change, n=120):
    """Alarms and advice of a machine whose telemetry is changed after 300 calm rows."""
    rng, state, alarms, advice = np.random.default_rng(3), new_state(plant, Settings.demo()), [], []
    for i in range(300 + n):
        values = CALM * np.exp(0.04 * rng.standard_normal(len(CALM)) * (CALM < 40))
        if i >= 300:
            values = change(values)
        row = FeatureRow("m0", (1_000 + i) * SECOND, NAMES, values.astype(np.float32))
        _, _, changes, stops = judge(state, [row], (), row.time_ns)
        alarms += changes
        advice += stops
    return alarms, advice


def times(factor):
    def change(values):
        values = values.copy()
        values[VIBRATION] *= factor
        return values

    return change


@pytest.mark.parametrize("factor", [9.81, 9.80665, 25.4])
def test_acceleration_in_another_unit_is_called_a_fault_of_the_sensor(plant, factor):
    alarms, advice = said(plant, times(factor))
    assert alarms
    assert {one.cause for one in alarms if one.event != "returned"} == {"sensor_unit"}
    assert advice == []


def test_a_machine_that_shakes_ten_times_as_much_in_one_band_is_no_wrong_unit(plant):
    def change(values):
        values = times(1.5)(values)
        values[[3, 4]] *= 9.81 / 1.5
        return values

    alarms, _ = said(plant, change)
    assert alarms
    assert "sensor_unit" not in {one.cause for one in alarms}


def test_fahrenheit_taken_for_celsius_is_said_but_not_told_from_heat(plant):
    def change(values):
        values = values.copy()
        values[5] = values[5] * 1.8 + 32.0
        return values

    alarms, advice = said(plant, change)
    assert {one.cause for one in alarms} == {"thermal"}
    assert advice == []


def test_a_fall_to_a_smaller_unit_raises_no_alarm_of_the_machine(plant):
    def change(values):
        values = values.copy()
        values[1] /= 25.4
        return values

    assert said(plant, change) == ([], [])
