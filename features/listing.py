"""The list of all features as text: `mitra features` prints it, `docs/features.md` is it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.power import DERIVED_POWER
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
_DERIVED_TEMPERATURE = (
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
    derived = [(f"`{name}`", unit, fault, needs) for name, unit, fault, needs in _DERIVED_TEMPERATURE]
    derived += [(f"`{f.name}`", f.unit, f.fault, ", ".join(sorted(f.needs))) for f in DERIVED_POWER]
    demanded = [(f"`{f.function}`", f.what, f.fault, f.source, f"{f.cost_ms:g}") for f in ON_DEMAND]
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

Each scalar channel keeps its own name. `speed_hz` is the speed the orders were taken at: the message's,
else the rated one.

{table((*columns, "Needs"), derived)}

## On demand, per machine

Dearer than the stream may pay. Cost: milliseconds for 8,192 samples on one core of the development
machine (AMD EPYC).

{table(("Function", "What", "Fault that moves it", "Source", "Cost, ms"), demanded)}"""


if __name__ == "__main__":
    print(features_markdown())  # noqa: T201
