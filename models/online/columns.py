"""Which columns are watched, how they are transformed, which component they speak of, and which way is bad.

Policy is a table: a new feature is watched when it gets a line here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from features.extract import CONFIDENCE_COLUMN, SPEED_COLUMN
from features.power import DERIVED_POWER
from features.rounds import ROUND_STARTS
from features.table import VECTOR_FEATURES
from features.temperature import OVER_LIMIT
from ingest.contract.channels import (
    AMBIENT,
    ENERGY_KWH,
    POWER_FACTOR,
    POWER_KW,
    SPEED_RPM,
    STATE,
    TEMPERATURE,
)

MAX_SLOTS = 80
MAX_SOURCES = 3
COMPONENTS = ("bearing", "rotor", "gear", "flow", "electrical", "thermal", "vibration", "process")
"""What health is told of. `vibration` is the general level.

`process` is every channel without a meaning of its own.
"""


class Transform(IntEnum):
    """How a slot reads its columns: natural logarithm of their root sum square, or the value as it is."""

    LOG = 0
    LINEAR = 1


@dataclass(frozen=True, slots=True)
class Watch:
    """One kind of watched column.

    component: of COMPONENTS; sources: column base names, root-sum-squared when several; transform; rises:
    only a rise is bad; floor: smallest spread that means something, in transformed units; weight: of its
    evidence; level: whether a rise in dB counts by itself (amplitudes do, ratios do not).
    """

    name: str
    component: str
    sources: tuple[str, ...] = ()
    transform: Transform = Transform.LOG
    rises: bool = True
    floor: float = 0.01
    weight: float = 1.0
    level: bool = False


HARMONICS: dict[str, tuple[int, ...]] = {"bpfo": (1, 2, 3), "bpfi": (1, 2, 3), "bsf": (1, 2), "ftf": (1, 2)}
"""Harmonics that speak for a part. The third of BSF often falls on the second of BPFO."""


LINE_WEIGHT = 0.8
"""Neighbouring lines (a multiple of the speed, twice the mains) beat when the speed slips with load."""


def _lines(part: str) -> Watch:
    sources = tuple(f"envelope_{part}_{harmonic}_g" for harmonic in HARMONICS[part])
    return Watch(f"envelope_{part}", "bearing", sources, floor=0.05)


VIBRATION: tuple[Watch, ...] = (
    Watch("rms_g", "vibration", level=True),
    Watch("peak_g", "bearing", floor=0.03, weight=0.7),
    Watch("kurtosis", "bearing", floor=0.02, weight=0.5),
    Watch("velocity_rms_mm_s", "rotor", floor=0.02, level=True),
    Watch("envelope_rms_g", "bearing", floor=0.02, level=True),
    *(_lines(part) for part in HARMONICS),
    Watch("band_10_100_g", "rotor", floor=0.05),
    Watch("displacement_rms_um", "rotor", floor=0.03),
    Watch("order_0_5_g", "rotor", floor=0.1, weight=0.5),
    Watch("order_1_g", "rotor", floor=0.05, weight=LINE_WEIGHT),
    Watch("order_2_g", "rotor", floor=0.05, weight=LINE_WEIGHT),
    Watch("order_4_10_g", "rotor", floor=0.05, weight=LINE_WEIGHT),
    Watch("mesh_g", "gear", floor=0.05, weight=LINE_WEIGHT),
    Watch("mesh_sidebands_g", "gear", floor=0.05, weight=LINE_WEIGHT),
    Watch("vane_g", "flow", floor=0.05, weight=LINE_WEIGHT),
    Watch("line_2_g", "electrical", floor=0.05, weight=LINE_WEIGHT),
    Watch("band_1000_3000_g", "vibration", floor=0.02),
    Watch("band_3000_6000_g", "bearing", floor=0.02),
    Watch("band_6000_10000_g", "bearing", floor=0.02),
)
"""Features of each axis (`features.table`)."""

TEMPERATURE_WATCH = Watch("temperature", "thermal", transform=Transform.LINEAR, floor=3.0, weight=0.6)

IGNORED = frozenset(
    {
        *(feature.name for feature in VECTOR_FEATURES),
        *(feature.name for feature in DERIVED_POWER),
        SPEED_COLUMN,
        CONFIDENCE_COLUMN,
        POWER_KW,
        SPEED_RPM,
        STATE,
        AMBIENT,
        ENERGY_KWH,
        POWER_FACTOR,
    }
)
"""Channels that say how the machine is run, not how it is."""

IGNORED_STARTS = ("Count/", "Mitra/", "Current/L", "Voltage/L", *ROUND_STARTS)
"""Counters, our own channels, slow columns, and phases, which follow the load; their unbalance is watched."""

UNBALANCE: dict[str, Watch] = {
    feature.name: Watch("unbalance", "electrical", transform=Transform.LINEAR, floor=0.005)
    for feature in DERIVED_POWER
    if feature.name == "Current.unbalance"
}

_KEYWORDS: tuple[tuple[re.Pattern[str], Watch | None], ...] = (
    (re.compile(r"skew|shape"), None),
    (re.compile(r"crest"), Watch("crest", "bearing", floor=0.02, weight=0.5)),
    (re.compile(r"kurt"), Watch("kurtosis", "bearing", floor=0.02, weight=0.5)),
    (re.compile(r"p2p|peak"), Watch("peak", "bearing", floor=0.03, weight=0.7)),
    (re.compile(r"rms|bearing|vibration|accel|velocity"), Watch("rms", "vibration", level=True)),
    (re.compile(r"temp|thermo"), TEMPERATURE_WATCH),
    (
        re.compile(r"current|volt"),
        Watch("current", "electrical", rises=False, transform=Transform.LINEAR, floor=0.0),
    ),
)
_OTHER = Watch("other", "process", rises=False, transform=Transform.LINEAR, floor=0.0, weight=0.8)


def watch_of_channel(channel: str) -> Watch | None:
    """How a scalar channel, or a ready-made feature of somebody's sensor, is watched; None when it is not.

    >>> watch_of_channel("rms_h").component, watch_of_channel("Count/Total")
    ('vibration', None)
    """
    if channel in UNBALANCE:
        return UNBALANCE[channel]
    if channel in IGNORED or channel.startswith(IGNORED_STARTS) or channel.endswith(OVER_LIMIT):
        return None
    if channel.startswith(TEMPERATURE):
        return TEMPERATURE_WATCH
    text = channel.lower()
    for pattern, watch in _KEYWORDS:
        if pattern.search(text):
            return watch
    return _OTHER
