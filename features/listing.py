"""The list of all features as text: `mitra features` prints it, `docs/features.md` is it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.power import DERIVED_POWER
from features.rounds import LISTEN_EVERY, ROUND_FEATURES, SUM_UP_EVERY
from features.table import FEATURES, ON_DEMAND, VECTOR_FEATURES
from features.temperature import OVER_LIMIT, RISE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NEEDS = {
    "": "",
    "speed": "shaft speed",
    "bearing": "shaft speed, bearing",
    "gear": "shaft speed, teeth",
    "vanes": "shaft speed, vanes",
    "mains": "mains frequency",
}
SAMPLE_US = 215.0
"""What it costs to add a sample and the slow columns to a row."""
DERIVED_TEMPERATURE = (
    (f"Temperature/*{RISE}", "K", "Cooling, lubrication, overload", "Temperature/ambient"),
    (
        f"Temperature/*{OVER_LIMIT}",
        "K",
        "Ageing insulation and grease",
        "temperature_limit_c of the plant file",
    ),
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(table(("a", "b"), [("1", "2")]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def features_markdown() -> str:
    """All that `docs/features.md` holds."""
    streamed = [
        (f"`{{axis}}.{f.name}`", f.unit, f.fault, _NEEDS[f.need], f.source, f.cadence) for f in FEATURES
    ]
    vectors = [(f"`{f.name}`", f.unit, f.fault, f"{f.how} over the axes") for f in VECTOR_FEATURES]
    derived = [(f"`{name}`", unit, fault, needs) for name, unit, fault, needs in DERIVED_TEMPERATURE]
    derived += [(f"`{f.name}`", f.unit, f.fault, ", ".join(sorted(f.needs))) for f in DERIVED_POWER]
    slow = [(f"`{f.name}`", f.unit, f.fault, f.source, cadence_of(f.name)) for f in ROUND_FEATURES]
    demanded = [
        (f"`{f.function}`", f.what, f.fault, f.source, f.cadence, f"{f.cost_us:,.0f}") for f in ON_DEMAND
    ]
    columns = ("Column", "Unit", "Fault that moves it")
    return f"""\
# Features

Made from the tables in `features/` by `python -m features.listing`; do not edit. 1 as a unit means
dimensionless. A value is missing (NaN) when what it needs is not known, when the rate does not reach so
far, or when a sample of the block is not finite.

## Every block, every axis: {len(FEATURES)}

The mean is removed before anything else is computed, so `rms_g` is the standard deviation. Amplitudes
are peak values of a sine; a line is looked for 1 % around its place.

{table((*columns, "Needs", "Definition or source", "Cadence"), streamed)}

## Every message, over its axes

{table((*columns, "How"), vectors)}

## Every message, from its scalars

Each scalar channel keeps its own name. `speed_hz` is the speed the orders were taken at: the message's; else
the last one that the machine told, for ten minutes; else one read off the spectrum, near the rated speed or,
where none is declared, near those of motors on the mains; else the rated one. Where the message itself tells
none, `speed_confidence` says how sure it is: 1 told, 0.5 to 1 read, 0 rated.

{table((*columns, "Needs"), derived)}

## Once a round

A machine's first message of a minute makes its round: a sample joins the window of the last hour, in sensor
time, so that late data finds its place. These columns are added to that row; what is dear waits for its
turn. Statistics compare only samples near the present speed and load. Detectors do not watch these columns;
they are stored for people.

{table((*columns, "Definition or source", "Cadence"), slow)}

The band of the stream's envelope is fixed, 1/8 to 5/16 of the rate: a band searched in a healthy machine was
measured to be worse (`docs/decisions/0006-the-streams-envelope-band-is-fixed.md`).

## What is dear, per machine

Cost: microseconds for 8,192 samples of one axis on one core of the development machine (AMD EPYC), as
`python -m benchmarks.features` measures it. At a block a second of three axes, what rounds add comes to some
{round_us():.0f} us a block.

{table(("Function", "What", "Fault that moves it", "Source", "Cadence", "Cost, us"), demanded)}"""


def cadence_of(name: str) -> str:
    """When a slow column is made.

    >>> cadence_of("hour.starts"), cadence_of("slow.speed_hz")
    ('every 10 minutes', 'once a minute, where no speed is told')
    """
    if name.startswith("hour."):
        return f"every {SUM_UP_EVERY} minutes"
    return "once a minute, where no speed is told" if "speed" in name else f"every {LISTEN_EVERY} minutes"


def round_us(n_axes: int = 3, blocks_per_minute: int = 60) -> float:
    """What the rounds of a machine that tells its speed cost, spread over its blocks, in us a block."""
    cost = {one.function.rsplit(".", 1)[1]: one.cost_us for one in ON_DEMAND}
    listening = n_axes * (cost["coherence_db"] + cost["strongest_family"]) / LISTEN_EVERY
    return (SAMPLE_US + cost["hour"] / SUM_UP_EVERY + listening) / blocks_per_minute


if __name__ == "__main__":
    print(features_markdown())  # noqa: T201
