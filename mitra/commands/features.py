"""`mitra features`: every feature with its unit, the fault that moves it, what it needs and its source."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from features.listing import DERIVED_TEMPERATURE, cadence_of, features_markdown
from features.power import DERIVED_POWER
from features.rounds import ROUND_FEATURES
from features.table import FEATURES, ON_DEMAND, VECTOR_FEATURES
from mitra.commands.speech import AsJson, say, say_json, say_table

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


def listed() -> list[dict[str, Any]]:
    """Every feature, in the order in which rows hold them."""
    streamed = [
        {
            "name": f"{{axis}}.{one.name}",
            "unit": one.unit,
            "fault": one.fault,
            "needs": one.need,
            "source": one.source,
            "cadence": one.cadence,
        }
        for one in FEATURES
    ]
    vectors = [
        {
            "name": one.name,
            "unit": one.unit,
            "fault": one.fault,
            "needs": "",
            "source": f"{one.how} over the axes",
            "cadence": "every block",
        }
        for one in VECTOR_FEATURES
    ]
    heat = [
        {
            "name": name,
            "unit": unit,
            "fault": fault,
            "needs": needs,
            "source": "scalars",
            "cadence": "every block",
        }
        for name, unit, fault, needs in DERIVED_TEMPERATURE
    ]
    derived = [
        {
            "name": one.name,
            "unit": one.unit,
            "fault": one.fault,
            "needs": ", ".join(sorted(one.needs)),
            "source": "scalars",
            "cadence": "every block",
        }
        for one in DERIVED_POWER
    ]
    slow = [
        {
            "name": one.name,
            "unit": one.unit,
            "fault": one.fault,
            "needs": "",
            "source": one.source,
            "cadence": cadence_of(one.name),
        }
        for one in ROUND_FEATURES
    ]
    demanded = [
        {
            "name": one.function,
            "unit": "",
            "fault": one.fault,
            "needs": "",
            "source": one.source,
            "cadence": f"{one.cadence}, {one.cost_us:,.0f} us a block and axis",
        }
        for one in ON_DEMAND
    ]
    return [*streamed, *vectors, *heat, *derived, *slow, *demanded]


@app.command()
def features(
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/features.md has it.")] = False,
) -> None:
    """List every feature: its unit, the fault that moves it, what it needs, and where it comes from.

    Example: `mitra features | grep -i bearing`
    """
    if markdown:
        say(features_markdown())
    elif as_json:
        say_json(listed())
    else:
        head = ("name", "unit", "fault that moves it", "needs", "source", "cadence")
        say_table(head, (tuple(one.values()) for one in listed()))
