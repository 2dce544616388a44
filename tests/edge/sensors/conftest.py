"""A plant with one machine, and free ports."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from ingest.contract.plant import Plant, parse_plant

PLANT = """
[plant]
id = "p"
name = "P"
[[gateway]]
id = "gw-1"
[[machine]]
id = "pump-1"
name = "Pump 1"
gateway = "gw-1"
kind = "pump"
rated_power_kw = 45.0
rated_rpm = 1480.0
bearing = "6205"
"""


@pytest.fixture
def plant_with() -> Callable[..., Plant]:
    """A plant whose only machine has the given sensor table."""

    def make(**sensor: Any) -> Plant:
        plant = parse_plant(PLANT)
        machine = plant.machine[0]
        fields = {name: getattr(machine, name) for name in machine.__struct_fields__}
        fields["sensor"] = sensor
        whole = {name: getattr(plant, name) for name in plant.__struct_fields__}
        whole["machine"] = (type(machine)(**fields),)
        return type(plant)(**whole)

    return make


@pytest.fixture
def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
