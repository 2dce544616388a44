"""The OPC UA sensor against a real OPC UA server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from asyncua import ua
from asyncua.sync import Server, SyncNode

from edge.sensors import SensorConfigError, build
from ingest.contract.plant import Plant
from ingest.contract.values import Scalar, Waveform
from mitra.supervisor import free_port

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
SAMPLES = [round(1000 * np.sin(0.1 * k)) for k in range(512)]
MakePlant = Callable[..., Plant]
Nodes = dict[str, SyncNode]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Nodes]]:
    port = free_port()
    running = Server()
    running.set_endpoint(f"opc.tcp://127.0.0.1:{port}/plant")
    running.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = running.register_namespace("urn:plant")
    pump = running.nodes.objects.add_object(index, "Pump1")
    kinds = {"N": (7, ua.VariantType.Int64), "X": (SAMPLES, ua.VariantType.Int16)}
    kinds |= {"T": (61.5, ua.VariantType.Double), "Name": ("pump", ua.VariantType.String)}
    kinds |= {"Y": ([0.5] * 256, ua.VariantType.Float)}
    nodes = {
        name: pump.add_variable(ua.NodeId(f"Pump1.{name}", index), name, value, varianttype=kind)
        for name, (value, kind) in kinds.items()
    }
    running.start()
    yield f"opc.tcp://127.0.0.1:{port}/plant", nodes
    running.stop()


def table(url: str) -> dict[str, object]:
    return {
        "kind": "opcua",
        "url": url,
        "timeout_s": 3.0,
        "nodes": [
            {"node": "ns=2;s=Pump1.T", "channel": "Temperature/bearing"},
            {"node": "ns=2;s=Pump1.N", "channel": "Count/Total", "scale": 10.0},
            {"node": "ns=2;s=Pump1.Name", "channel": "Name"},
        ],
        "waveforms": [
            {"node": "ns=2;s=Pump1.X", "axis": "x", "rate_hz": 6400.0, "scale_g": 0.001},
            {"node": "ns=2;s=Pump1.Y", "axis": "y", "rate_hz": 6400.0},
        ],
    }


def test_nodes_of_a_real_server_become_scalars_and_waveforms(
    server: tuple[str, Nodes], plant_with: MakePlant, tmp_path: Path
) -> None:
    url, nodes = server
    plant = plant_with(**table(url))
    sensor = build(plant, plant.machine[0], tmp_path)
    said = sensor.read(T0)
    assert sensor.trouble is None
    assert {one.channel: one.value for one in said if isinstance(one, Scalar)} == {
        "Temperature/bearing": 61.5,
        "Count/Total": 70.0,
    }
    wave, floats = [one for one in said if isinstance(one, Waveform)]
    assert (wave.axis, wave.sample_type, wave.rate_hz, wave.scale_g) == ("x", "int16", 6400.0, 0.001)
    assert np.frombuffer(wave.samples, "<i2").tolist() == SAMPLES
    assert wave.start_ns == T0 - 80_000_000
    assert (floats.sample_type, floats.n_samples, floats.scale_g) == ("float32", 256, 1.0)
    again = sensor.read(T0 + SECOND)
    assert not [one for one in again if isinstance(one, Waveform)], "an old waveform was sent twice"
    newer = ua.Variant(SAMPLES[::-1], ua.VariantType.Int16)
    nodes["X"].write_value(ua.DataValue(newer, SourceTimestamp=datetime.now(UTC)))
    later = [one for one in sensor.read(T0 + 2 * SECOND) if isinstance(one, Waveform)]
    assert [np.frombuffer(one.samples, "<i2").tolist() for one in later] == [SAMPLES[::-1]]
    sensor.close()


def test_a_value_that_the_server_calls_bad_is_left_out(
    server: tuple[str, Nodes], plant_with: MakePlant, tmp_path: Path
) -> None:
    url, nodes = server
    plant = plant_with(**table(url))
    sensor = build(plant, plant.machine[0], tmp_path)
    bad = ua.DataValue(ua.Variant(99.0), StatusCode=ua.StatusCode(ua.StatusCodes.BadSensorFailure))
    nodes["T"].write_value(bad)
    channels = [one.channel for one in sensor.read(T0) if isinstance(one, Scalar)]
    assert channels == ["Count/Total"]
    sensor.close()


def test_a_node_that_does_not_exist_is_trouble_that_names_it(
    server: tuple[str, Nodes], plant_with: MakePlant, tmp_path: Path
) -> None:
    url, _ = server
    lone = {"kind": "opcua", "url": url, "nodes": [{"node": "ns=2;s=Nothing", "channel": "C"}]}
    plant = plant_with(**lone)
    sensor = build(plant, plant.machine[0], tmp_path)
    assert sensor.read(T0) == ()
    assert sensor.trouble is not None
    assert "ns=2;s=Nothing" in sensor.trouble
    sensor.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://x"}, "opc.tcp"),
        ({"nodes": [{"node": "rubbish", "channel": "C"}]}, "node id"),
        ({"nodes": [{"node": "i=2", "chanel": "C"}]}, "channel"),
        ({"nodes": [], "waveforms": []}, "0 nodes"),
        ({"waveforms": [{"node": "i=1", "axis": "w", "rate_hz": 1.0}]}, "axis"),
    ],
)
def test_impossible_tables_are_refused(
    change: dict[str, object], words: str, plant_with: MakePlant, tmp_path: Path
) -> None:
    plant = plant_with(**{**table("opc.tcp://127.0.0.1:1"), **change})
    with pytest.raises(SensorConfigError, match=words):
        build(plant, plant.machine[0], tmp_path)
