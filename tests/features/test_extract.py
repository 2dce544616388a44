"""Messages become rows: columns, order, speed, vector features and derived channels."""

from __future__ import annotations

import numpy as np
import pytest

from features.extract import SPEED_COLUMN, extract, facts_of
from features.table import COLUMN, FEATURE_NAMES
from features.vibration import Facts, extract_axis
from ingest.contract.plant import Machine
from ingest.contract.values import Message, MessageKey, Scalar, Waveform

NOW_NS = 1_800_000_000_000_000_000


def wave(axis="x", n=1_024, seed=0, kind="int16", rate_hz=8_192.0):
    samples = np.random.default_rng(seed).normal(0, 500, n).astype("<i2" if kind == "int16" else "<f4")
    return Waveform(axis, samples.tobytes(), kind, rate_hz, 1e-3, NOW_NS)


def message(machine="pump-1", waves=(), scalars=(), **more):
    values = tuple(Scalar(channel, value, NOW_NS) for channel, value in scalars)
    return Message("gw-1", machine, NOW_NS, tuple(waves), values, **more)


def value(row, name):
    return float(row.values[row.names.index(name)])


def test_rows_come_in_the_order_of_the_messages_whatever_their_shape():
    mixed = [
        message("pump-1", [wave("x", seed=1), wave("y", seed=2)]),
        message("fan-2", [wave("x", 2_048, seed=3, kind="float32")]),
        message("pump-3", [], [("Power/Active", 7.0)]),
        message(
            "pump-4", [wave("x", seed=4), wave("y", seed=5)], key=MessageKey("gw-1", 3, 9), historical=True
        ),
    ]
    rows = extract(mixed, {})
    assert [row.machine for row in rows] == ["pump-1", "fan-2", "pump-3", "pump-4"]
    assert rows[0].names is rows[3].names
    assert rows[3].key == MessageKey("gw-1", 3, 9)
    assert rows[3].historical
    assert all(len(row.names) == len(row.values) and row.values.dtype == np.float32 for row in rows)
    assert value(rows[2], "Power/Active") == 7.0
    alone = extract(mixed[3:], {})[0]
    assert alone.values.tobytes() == rows[3].values.tobytes()


def test_an_axis_is_what_the_kernel_says_of_it():
    block = wave("z", seed=8)
    row = extract([message(waves=[block])], {"pump-1": Facts(speed_hz=24.0)})[0]
    samples = np.frombuffer(block.samples, "<i2")[None]
    wanted = extract_axis(samples, block.rate_hz, block.scale_g, 24.0, Facts())[0]
    got = np.array([value(row, f"z.{name}") for name in FEATURE_NAMES], np.float32)
    np.testing.assert_array_equal(got, wanted)
    assert value(row, "rms_g") == wanted[COLUMN["rms_g"]]


def test_a_measured_speed_beats_the_rated_one_and_a_stopped_shaft_does_not():
    facts = {"pump-1": Facts(speed_hz=25.0)}
    rows = extract(
        [
            message(waves=[wave()], scalars=[("Speed", 1_440.0)]),
            message(waves=[wave()], scalars=[("Speed", 0.0)]),
            message(waves=[wave()]),
        ],
        facts,
    )
    assert [value(row, SPEED_COLUMN) for row in rows] == [24.0, 25.0, 25.0]


def test_derived_channels_need_what_they_are_made_of():
    scalars = [
        ("Temperature/bearing", 71.0),
        ("Temperature/ambient", 31.0),
        ("Power/Active", 8.0),
        ("Power/Factor", 0.8),
    ]
    scalars += [(f"Current/L{i}", amps) for i, amps in ((1, 100.0), (2, 100.0), (3, 91.0))]
    facts = {"pump-1": Facts(rated_power_kw=10.0, temperature_limit_c=80.0)}
    known, unknown = extract([message(scalars=scalars), message("fan-2", scalars=scalars)], facts)
    assert known.names == unknown.names
    assert value(known, "Temperature/bearing.rise_c") == 40.0
    assert value(known, "Temperature/bearing.over_limit_c") == -9.0
    assert value(known, "Power/Active.load_factor") == pytest.approx(0.8)
    assert value(known, "Power/Active.apparent_kva") == pytest.approx(10.0)
    assert value(known, "Power/Active.reactive_kvar") == pytest.approx(6.0)
    assert value(known, "Current.unbalance") == pytest.approx(0.0619, abs=1e-4)
    assert np.isnan(value(unknown, "Power/Active.load_factor"))
    assert np.isnan(value(unknown, "Temperature/bearing.over_limit_c"))
    assert "Voltage.unbalance" not in known.names


def test_of_two_values_of_a_channel_the_last_counts():
    row = extract(
        [message(waves=[wave(seed=1), wave(seed=2)], scalars=[("State", 1.0), ("State", 2.0)])], {}
    )[0]
    assert value(row, "State") == 2.0
    assert value(row, "x.rms_g") == value(extract([message(waves=[wave(seed=2)])], {})[0], "x.rms_g")


def test_the_plant_file_gives_the_facts():
    machine = Machine(
        id="pump-1",
        name="Pump",
        gateway="gw-1",
        bearing="6205-2RS",
        rated_rpm=1_480.0,
        gear_teeth=17,
        line_hz=60.0,
    )
    facts = facts_of(machine, band_hz=(2_000.0, 4_000.0))
    assert facts.orders.bpfi == pytest.approx(5.4152, abs=1e-4)
    assert (facts.gear_teeth, facts.mains_hz, facts.band_hz) == (17, 60.0, (2_000.0, 4_000.0))
    assert facts.speed_hz == pytest.approx(24.667, abs=1e-3)
    with pytest.raises(KeyError, match="plant file"):
        facts_of(Machine(id="pump-1", name="Pump", gateway="gw-1", bearing="9999"))
