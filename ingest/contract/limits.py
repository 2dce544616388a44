"""The limits that everything has. What goes over one is refused with a reason and counted."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_METRICS = 64
MAX_BIRTH_METRICS = 1_024
MAX_METRIC_NAME_CHARS = 128
MAX_PROPERTIES = 32
MIN_BLOCK_SAMPLES = 256
MAX_BLOCK_SAMPLES = 131_072
MAX_RATE_HZ = 1_000_000.0
MAX_SCALE_G = 1_000.0
MAX_WINDOW_MESSAGES = 256
"""Uncommitted messages that one edge node may have on the way: the back-pressure. Hosts may allow fewer."""
FIRST_WINDOW_MESSAGES = 32
"""As many until the host has said how many it allows: many nodes may come back at once."""
MAX_COMMITTED_RANGES = 64
"""Runs of committed messages beyond the watermark that one NCMD may name."""
