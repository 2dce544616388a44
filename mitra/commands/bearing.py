"""`mitra bearing`: from a bearing's name or geometry to the orders and frequencies of its faults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from features.bearings import Orders, catalogue, find, orders_of
from ingest.contract.plant import Bearing
from mitra.commands.numbers import MAX_RPM, number
from mitra.commands.speech import AsJson, say_json, say_table
from mitra.exits import PersonError
from mitra.layout import read_plant

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
MAX_MM = 20_000.0
PARTS = {
    "bpfo": "outer race",
    "bpfi": "inner race",
    "bsf": "rolling element: once its spin; faults show at twice as well",
    "ftf": "cage",
}


@app.command()
def bearing(
    name: Annotated[
        str, typer.Argument(help="A bearing by name; none lists all that are known.", show_default=False)
    ] = "",
    rpm: Annotated[float | None, number(0.001, MAX_RPM, "Shaft speed: frequencies in Hz too.")] = None,
    elements: Annotated[
        int | None, typer.Option(min=3, max=200, help="Rolling elements, for a bearing of your own.")
    ] = None,
    ball: Annotated[float | None, number(0.001, MAX_MM, "Diameter of an element, mm.")] = None,
    pitch: Annotated[float | None, number(0.001, MAX_MM, "Pitch diameter, mm.")] = None,
    contact: Annotated[float, number(0, 89.9, "Contact angle, degrees.")] = 0.0,
    plant: Annotated[Path | None, typer.Option(help="A plant file with bearings of its own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the fault orders of a bearing (multiples of shaft speed), and Hz at --rpm.

    Examples: `mitra bearing 6205 --rpm 1480`, `mitra bearing --elements 9 --ball 7.94 --pitch 39.04`
    """
    declared = read_plant(plant).bearing if plant is not None else ()
    geometry = (elements, ball, pitch)
    if any(one is not None for one in geometry):
        if None in geometry or elements is None or ball is None or pitch is None:
            raise PersonError("setting", "A geometry needs --elements, --ball and --pitch together.")
        chosen = Bearing(
            name=name or "own", rolling_elements=elements, ball_mm=ball, pitch_mm=pitch, contact_deg=contact
        )
    elif name:
        chosen = _found(name, declared)
    else:
        _list((*declared, *catalogue().values()), as_json)
        return
    _tell(chosen, _orders(chosen), rpm, as_json)


def _found(name: str, declared: tuple[Bearing, ...]) -> Bearing:
    try:
        return find(name, declared)
    except KeyError as error:
        raise PersonError(
            "setting", f"{error.args[0]}, or give --elements, --ball and --pitch here."
        ) from error


def _orders(chosen: Bearing) -> Orders:
    try:
        return orders_of(chosen)
    except ValueError as error:
        raise PersonError("setting", f"{error}.") from error


def _list(known: tuple[Bearing, ...], as_json: bool) -> None:
    if as_json:
        say_json(known)
        return
    head = ("name", "elements", "ball mm", "pitch mm", "contact deg")
    say_table(head, (msgspec.structs.astuple(one) for one in known))


def _tell(chosen: Bearing, orders: Orders, rpm: float | None, as_json: bool) -> None:
    by_part = {part: getattr(orders, part) for part in PARTS}
    hz = {part: order * rpm / 60 for part, order in by_part.items()} if rpm is not None else {}
    if as_json:
        say_json({"bearing": chosen, "orders": by_part, "rpm": rpm, "hz": hz or None})
        return
    head = ("part", "order", *(["Hz"] if hz else []), "what")
    rows = [
        (part.upper(), f"{order:.4f}", *([f"{hz[part]:.3f}"] if hz else []), PARTS[part])
        for part, order in by_part.items()
    ]
    say_table(head, rows)
