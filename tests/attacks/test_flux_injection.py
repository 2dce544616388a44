"""Attack: a machine or column name that Flux, or the line protocol, could take for a command."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.influx import Influx, flux_query, flux_text
from ingest.line_protocol import lines
from ingest.views import Rows

INFLUX = Influx("http://localhost:8086", "token", "org", "bucket")
HOSTILE = [
    'x") |> drop(columns: ["_value"]) //',
    'x"\n|> to(bucket: "other")',
    "${r._measurement}",
    "\\",
    '\\"',
    '\\${1+1}"',
    'x\r\nimport "http"',
    "//",
]
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def skeleton(query: str) -> str:
    """The query with every string literal taken out: what InfluxDB executes rather than compares."""
    return LITERAL.sub("S", query)


HONEST = skeleton(flux_query(INFLUX, "pump-1", ["rms"], 0, 1))


@pytest.mark.parametrize("text", HOSTILE)
def test_flux_injection_stays_inside_a_literal(text: str) -> None:
    assert skeleton(flux_query(INFLUX, text, ["rms"], 0, 1)) == HONEST
    assert skeleton(flux_query(INFLUX, "pump-1", [text], 0, 1)) == HONEST


@given(st.text(max_size=60))
def test_flux_injection_by_any_text_stays_inside_a_literal(text: str) -> None:
    assert skeleton(flux_query(INFLUX, text, [text], 0, 1)) == HONEST
    inside = flux_text(text)[1:-1]
    # No unescaped interpolation is left: Flux would run what is in it.
    assert not re.search(r"(?<!\\)(?:\\\\)*\$\{", inside)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_line_protocol_injection_gives_no_second_line(machine: str, column: str) -> None:
    stamps = np.array([1], np.int64)
    rows = Rows((column,), (machine,), stamps, stamps, np.array([[1.5]], np.float32))
    found = list(lines(rows, "mitra", {"site": machine}))
    assert len(found) <= 1
    assert all("\n" not in one for one in found)
