"""A number of a foreign source, and the channel that it becomes: value x scale + offset."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from edge.sensors.settings import Settings
from ingest.contract.limits import MAX_METRIC_NAME_CHARS, MAX_RATE_HZ, MAX_SCALE_G
from ingest.contract.values import AXES, Scalar

BIG: Final = 1e12


@dataclass(frozen=True, slots=True)
class Scaled:
    """channel: as `Temperature/bearing`, in its own unit once scale and offset are applied."""

    channel: str
    scale: float
    offset: float

    def scalar(self, raw: float, time_ns: int) -> Scalar:
        """The scalar of a raw number; NaN when that is no finite number."""
        value = raw * self.scale + self.offset
        return Scalar(self.channel, value if math.isfinite(value) else math.nan, time_ns)


@dataclass(frozen=True, slots=True)
class WaveSource:
    """An array of a foreign source that is one axis of vibration."""

    axis: str
    rate_hz: float
    scale_g: float


def scaled(settings: Settings) -> Scaled:
    """channel, scale and offset of one entry. Raises SensorConfigError."""
    channel = settings.text("channel")
    if len(channel) > MAX_METRIC_NAME_CHARS:
        raise settings.wrong("channel", f"must have at most {MAX_METRIC_NAME_CHARS} characters", channel)
    return Scaled(
        channel,
        settings.number("scale", 1.0, low=-BIG, high=BIG),
        settings.number("offset", 0.0, low=-BIG, high=BIG),
    )


def wave_source(settings: Settings) -> WaveSource:
    """axis, rate_hz and scale_g of one entry. Raises SensorConfigError."""
    axis = settings.text("axis")
    if axis not in AXES:
        raise settings.wrong("axis", "must be x, y or z", axis)
    return WaveSource(
        axis,
        settings.number("rate_hz", low=0.001, high=MAX_RATE_HZ),
        settings.number("scale_g", 1.0, low=1e-9, high=MAX_SCALE_G),
    )
