"""Which alarm a component raises, and how urgent it is. Policy is a table."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from ingest.contract.plant import Criticality
from ingest.contract.rows import Priority

Domain: TypeAlias = Literal["mechanical", "thermal", "electrical", "process", "sensor"]
Severity: TypeAlias = Literal["statistical", "physical", "dangerous", "sensor"]

DOMAINS: Final[tuple[Domain, ...]] = ("mechanical", "thermal", "electrical", "process", "sensor")
RANK: Final = {Priority.LOW: 0, Priority.MEDIUM: 1, Priority.HIGH: 2}

DOMAIN_OF: Final[dict[str, Domain]] = {
    "bearing": "mechanical",
    "rotor": "mechanical",
    "gear": "mechanical",
    "flow": "mechanical",
    "vibration": "mechanical",
    "electrical": "electrical",
    "thermal": "thermal",
    "process": "process",
    "sensor": "sensor",
}
"""One fault is heard at many features and sensors: it is one alarm, named after what speaks loudest."""

PRIORITY: Final[dict[tuple[Severity, Criticality], Priority]] = {
    ("sensor", "low"): Priority.LOW,
    ("sensor", "normal"): Priority.LOW,
    ("sensor", "high"): Priority.LOW,
    ("sensor", "critical"): Priority.MEDIUM,
    ("statistical", "low"): Priority.LOW,
    ("statistical", "normal"): Priority.LOW,
    ("statistical", "high"): Priority.LOW,
    ("statistical", "critical"): Priority.MEDIUM,
    ("physical", "low"): Priority.LOW,
    ("physical", "normal"): Priority.MEDIUM,
    ("physical", "high"): Priority.MEDIUM,
    ("physical", "critical"): Priority.HIGH,
    ("dangerous", "low"): Priority.MEDIUM,
    ("dangerous", "normal"): Priority.HIGH,
    ("dangerous", "high"): Priority.HIGH,
    ("dangerous", "critical"): Priority.HIGH,
}

MAX_SHELF_NS: Final = 7 * 86_400 * 10**9
"""Shelving is always timed: a week at most."""

# What a verdict may do to a machine's own threshold, at once.
MIN_MULTIPLIER: Final = 0.7
MAX_MULTIPLIER: Final = 2.5
FALSE_ALARM_FACTOR: Final = 1.3
FALSE_ALARM_MARGIN: Final = 1.1
CONFIRMED_FACTOR: Final = 0.85
MAX_ALLOWANCE: Final = 1.25
"""ISO 10816-3 lets an alarm limit stand at most 1.25 times over its boundary."""
ALLOWANCE_STEP: Final = 1.12
MAX_SHIFT: Final = 0.7
"""Most that one verdict may move a baseline, in nepers (6 dB): a wrong word must not hide a fault."""
