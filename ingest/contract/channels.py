"""The channels that the house knows by name, and the units they carry on the wire.

Any other numeric metric is accepted as a scalar channel too; it just means nothing to physics.
"""

from __future__ import annotations

from enum import IntEnum

VIBRATION = "Vibration/"
TEMPERATURE = "Temperature/"
AMBIENT = "Temperature/ambient"
POWER_KW = "Power/Active"
ENERGY_KWH = "Power/Energy"
POWER_FACTOR = "Power/Factor"
SPEED_RPM = "Speed"
COUNT_TOTAL = "Count/Total"
COUNT_GOOD = "Count/Good"
STATE = "State"

# Our own metrics. A node that sends BOOT and SEQ has an outbox and understands the committed watermark.
BOOT = "Mitra/Boot"
SEQ = "Mitra/Seq"
GAP_FROM = "Mitra/Gap/FromNs"
GAP_TO = "Mitra/Gap/ToNs"
GAP_MESSAGES = "Mitra/Gap/Messages"
GAP_REASON = "Mitra/Gap/Reason"
THINNED = "Mitra/Thinned"
"""How many waveforms a full outbox took out of a message whose scalars it kept."""
THINNED_REASON = "waveform_thinned"
"""In a gap record: these messages lost their waveforms; what else they carried is stored."""
COMMITTED_BOOT = "Mitra/Committed/Boot"
COMMITTED_SEQ = "Mitra/Committed/Seq"
COMMITTED_RANGES = "Mitra/Committed/Ranges"
COMMITTED_WINDOW = "Mitra/Committed/Window"
"""How many messages the node may have on the way from now on."""
ACQUIRE_MACHINE = "Mitra/Acquire/Machine"
ACQUIRE_SAMPLES = "Mitra/Acquire/Samples"
ACQUIRE_PERIOD_NS = "Mitra/Acquire/PeriodNs"
ACQUIRE_UNTIL_NS = "Mitra/Acquire/UntilNs"
REBIRTH = "Node Control/Rebirth"
BDSEQ = "bdSeq"


class RunState(IntEnum):
    """Values of the State channel."""

    STOPPED = 0
    IDLE = 1
    RUNNING = 2
    FAULT = 3


G_PER_UNIT = {"g": 1.0, "mg": 1e-3, "m/s2": 1 / 9.80665, "m/s^2": 1 / 9.80665, "m/s²": 1 / 9.80665}
"""Acceleration units that a waveform may declare in `engUnit`, as g per unit."""
