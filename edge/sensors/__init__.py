"""Sources of telemetry. A new protocol is one file and one line in `SENSORS`.

The table holds dotted names, resolved when a plant file asks for them, so that a gateway loads only
what its own machines need: no numpy for a Modbus meter, no OPC UA for a recording.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from edge.sensors.patience import Patient
from edge.sensors.protocol import Sensor, SensorConfigError, SensorError, Telemetry
from ingest.contract.plant import Machine, Plant

__all__ = ["SENSORS", "Patient", "Sensor", "SensorConfigError", "SensorError", "Telemetry", "build"]

SENSORS: dict[str, str] = {
    "simulated": "simulators.sensor:SimulatedSensor",
    "recording": "edge.sensors.recording:RecordingSensor",
    "opcua": "edge.sensors.opcua:OpcUaSensor",
    "modbus": "edge.sensors.modbus:ModbusSensor",
    "mqtt-json": "edge.sensors.mqtt_json:MqttJsonSensor",
    "sparkplug": "edge.sensors.sparkplug:SparkplugSensor",
}

OUR_PACKAGES = frozenset({"edge", "ingest", "simulators"})


class SensorClass(Protocol):
    """How a sensor class is used by the table."""

    SAMPLE: Mapping[str, Any]
    """A `[machine.sensor]` table that builds, for the documentation and for the shared laws."""

    def from_config(
        self, plant: Plant, machine: Machine, config: Mapping[str, Any], folder: Path, /
    ) -> Sensor:
        """The sensor of `machine`; raises ValueError with a sentence; connects to nothing."""
        ...


def sensor_class(kind: str) -> SensorClass:
    """The class behind a kind of the plant file; raises `SensorConfigError` when there is none."""
    if kind not in SENSORS:
        known = ", ".join(sorted(SENSORS))
        raise SensorConfigError(f"There is no sensor kind {kind!r}. Write one of: {known}.")
    module_name, class_name = SENSORS[kind].split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] in OUR_PACKAGES:
            raise
        raise SensorConfigError(
            f"The sensor kind {kind!r} needs the package {missing.name!r}, which is not installed on this "
            "gateway, so its machines would stay silent. Install it with: pip install 'ayo-mitra[all]'."
        ) from missing
    return cast(SensorClass, getattr(module, class_name))


def build(plant: Plant, machine: Machine, folder: Path, seed: int = 0) -> Patient:
    """The sensor that the plant file gives a machine, patient with its source.

    `machine.sensor["kind"]` is a key of `SENSORS`, the other keys are that sensor's; folder: where relative
    paths of the configuration start; seed: of the jitter between retries. Raises `SensorConfigError`;
    connects to nothing.
    """
    config = dict(machine.sensor)
    kind = config.pop("kind", None)
    if not isinstance(kind, str):
        raise SensorConfigError(
            f"Machine {machine.id!r} has no sensor kind, so it would stay silent. "
            f"Write kind = ... under its [machine.sensor]: one of {', '.join(sorted(SENSORS))}."
        )
    try:
        sensor = sensor_class(kind).from_config(plant, machine, config, folder)
    except ValueError as error:
        raise SensorConfigError(str(error)) from error
    return Patient(sensor, seed)
