"""Every statement that applies to the edge node profile is named by a test."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
STATEMENT = re.compile(r"tck-id-[A-Za-z0-9-]+")


def test_every_statement_of_the_edge_node_profile_has_a_test() -> None:
    listed = set((HERE / "edge_node_statements.txt").read_text().split())
    named: set[str] = set()
    for path in HERE.glob("test_edge_*.py"):
        named |= set(STATEMENT.findall(path.read_text()))
    assert listed - named == set()
    assert len(listed) > 130
