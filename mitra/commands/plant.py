"""`mitra plant`: check a plant file, or write a first one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge.sensors import SensorConfigError, build
from mitra.exits import PersonError
from mitra.layout import read_plant, writing

app = typer.Typer(add_completion=False, rich_markup_mode="markdown", no_args_is_help=True)
out, err = Console(), Console(stderr=True)

FIRST = """\
# A first plant file: one gateway, one motor with a pump. `mitra plant check plant.toml` explains mistakes.
[plant]
id = "my-plant"                 # the Sparkplug group: a-z, 0-9 and -
name = "My plant"
timezone = "Asia/Jakarta"
language = "id"                 # id or en: what a new screen speaks

[tariff]
currency = "IDR"
peak_per_kwh = 1553.67          # WBP
off_peak_per_kwh = 1035.78      # LWBP
peak_from = "18:00"
peak_to = "22:00"

[[shift]]
name = "1"
start = "07:00"
end = "15:00"

[[gateway]]
id = "gw-1"

[[machine]]
id = "pump-1"
name = "Feed pump 1"
gateway = "gw-1"
kind = "pump"
area = "Utilities"
line = "Water"
criticality = "high"            # low, normal, high, critical
rated_power_kw = 45.0
rated_rpm = 1480.0
iso_group = 2                   # ISO 10816-3; leave out what you do not know: it is then not judged
support = "rigid"
bearing = "6205"                # a name from `mitra bearing`, or a [[bearing]] of your own

[machine.sensor]
kind = "simulated"              # see docs/sensors.md: recording, opcua, modbus, mqtt-json, sparkplug
"""


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="The plant file.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Read a plant file as every process would, and say what is wrong or what will not be judged.

    Example: `mitra plant check plant.toml`
    """
    plant = read_plant(path, "Name one that is there")
    for machine in plant.machine:
        if machine.sensor:
            try:
                build(plant, machine, path.parent)
            except SensorConfigError as error:
                raise PersonError("setting", f"{path}: machine {machine.id!r}: {error}") from error
    unjudged = {
        machine.id: missing
        for machine in plant.machine
        if (
            missing := [
                what
                for what, value in (
                    ("ISO zone", machine.zone_limits_mm_s or (machine.iso_group and machine.support)),
                    ("bearing lines", machine.bearing and machine.rated_rpm),
                    ("load", machine.rated_power_kw),
                )
                if not value
            ]
        )
    }
    if as_json:
        out.print_json(json.dumps({"machines": len(plant.machine), "not_judged": unjudged}))
        return
    out.print(f"{path}: machines {len(plant.machine)}, gateways {len(plant.gateway)}. It can be used.")
    for machine_id, missing in unjudged.items():
        out.print(f"  {machine_id}: not judged for want of facts: {', '.join(missing)}")


@app.command()
def new(path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("plant.toml")) -> None:
    """Write a first plant file with comments, to be changed by hand; never overwrites.

    Example: `mitra plant new plant.toml`, then change it and run `mitra plant check plant.toml`
    """
    with writing(path):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(FIRST)
        except FileExistsError as error:
            raise PersonError(
                "setting", f"{path} exists already and was left alone; name another."
            ) from error
    err.print(f"wrote {path}; look through it, then: mitra plant check {path}")
